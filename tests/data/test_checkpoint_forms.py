"""Checkpoints in the other forms that scripts write are read to the last bit, or named."""

from __future__ import annotations

import json
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from leapkit.data import checkpoints, safetensors
from leapkit.data.checkpoints import load_into, read_state, read_tensors
from tests.helpers.refusals import refusal_in_little_memory, refused

pytestmark = pytest.mark.stack

torch = pytest.importorskip("torch")


def network() -> Any:
    torch.manual_seed(4)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LSTM(4, 2, bidirectional=True))


def equal(tensors: Dict[str, np.ndarray], state: Dict[str, Any]) -> bool:
    return list(tensors) == list(state) and all(
        tensors[name].dtype == np.float32
        and np.array_equal(tensors[name], tensor.detach().float().numpy())
        for name, tensor in state.items()
    )


def save_old(value: Any, path: Path) -> Path:
    torch.save(value, str(path), _use_new_zipfile_serialization=False)
    return path


def save_new(value: Any, path: Path) -> Path:
    torch.save(value, str(path))
    return path


# --- the old format -------------------------------------------------------------------------------


def test_the_format_before_torch_1_6_is_read_to_the_last_bit(tmp_path: Path) -> None:
    source, target = network(), network()
    path = save_old(source.state_dict(), tmp_path / "old.pt")
    assert equal(read_tensors(path), source.state_dict())
    with torch.no_grad():
        target[0].weight.zero_()
    load_into(target, read_tensors(path), path)
    assert torch.equal(target[0].weight, source[0].weight)


def test_views_and_all_types_of_the_old_format_are_read(tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32)
    state = {
        "whole": base,
        "view": base[4:16].reshape(3, 4),
        "transposed": base.reshape(4, 6).t(),
        "empty": base[:0],
        "scalar": base[5],
        "long": torch.tensor([2**40]),
        "bool": torch.tensor([True, False]),
        "half": torch.tensor([0.1, 65504.0]).half(),
        "double": torch.tensor([0.1], dtype=torch.float64),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    tensors = read_tensors(save_old(state, tmp_path / "old.pt"))
    for name, tensor in state.items():
        assert np.array_equal(tensors[name], tensor.detach().numpy()), name


def test_an_old_file_that_is_cut_is_refused_at_any_length(tmp_path: Path) -> None:
    content = save_old(network().state_dict(), tmp_path / "old.pt").read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        (tmp_path / "cut.pt").write_bytes(content[:length])
        with refused(tmp_path / "cut.pt"):
            read_tensors(tmp_path / "cut.pt")


def test_an_old_file_of_other_storages_than_it_has_is_refused(tmp_path: Path) -> None:
    content = save_old({"a": torch.arange(6.0)}, tmp_path / "old.pt").read_bytes()
    for number in (5, 7, 2**60, -1):
        changed = content[:-32] + struct.pack("<q", number) + content[-24:]
        (tmp_path / "n.pt").write_bytes(changed)
        with refused(tmp_path / "n.pt", "a storage whose size is not what the file says"):
            raise refusal_in_little_memory(read_tensors, tmp_path / "n.pt")


def test_an_old_file_that_asks_for_terabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    content = save_old({"a": torch.arange(6.0)}, tmp_path / "old.pt").read_bytes()
    asked = b"\x8a\x06" + (2**40).to_bytes(6, "little")  # items instead of six
    assert content.count(b"K\x06") >= 1
    (tmp_path / "n.pt").write_bytes(content.replace(b"K\x06", asked))
    with refused(tmp_path / "n.pt", "longer than the file"):
        raise refusal_in_little_memory(read_tensors, tmp_path / "n.pt")


# --- wrapped, prefixed, half precision ------------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("save", [save_old, save_new])
def test_a_state_dict_inside_a_trainers_file_is_found(name: str, save: Any, tmp_path: Path) -> None:
    source = network()
    optimiser = torch.optim.Adam(source.parameters())
    sum(parameter.sum() for parameter in source.parameters()).backward()
    optimiser.step()
    value = {"epoch": 7, "loss": 0.25, "optimizer": optimiser.state_dict()}
    value[name] = source.state_dict()
    path = save(value, tmp_path / "n.pt")
    assert read_state(path)[0] == "" and equal(read_tensors(path), source.state_dict())


@pytest.mark.parametrize(
    "value",
    [
        {"model": {"a": torch.ones(2)}, "state_dict": {"a": torch.zeros(2)}},
        {"ema": {"a": torch.ones(2)}},
        {"model": {"model": {"a": torch.ones(2)}}},
        {"model": {}},
        {"model": torch.ones(2), "epoch": 3},
    ],
)
def test_what_could_mean_several_state_dicts_or_none_is_refused_with_what_converts_it(
    value: Any, tmp_path: Path
) -> None:
    path = save_new(value, tmp_path / "n.pt")
    with refused(path, "state_dict", "torch.save(network.state_dict(), path)"):
        read_state(path)


@pytest.mark.parametrize(
    "prefix, meant",
    [
        ("", ""),
        ("module.", "module."),
        ("_orig_mod.", ""),
        ("_orig_mod.module.", "module."),
        ("module._orig_mod.", "module."),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "model"])
def test_prefixes_of_torch_compile_and_of_dataparallel_are_told_apart_in_any_order(
    prefix: str, meant: str, wrapper: str, tmp_path: Path
) -> None:
    source = network().state_dict()
    state = OrderedDict((prefix + name, tensor) for name, tensor in source.items())
    path = save_new({wrapper: state} if wrapper else state, tmp_path / "n.pt")
    found, tensors = read_state(path)
    assert found == meant and equal(tensors, source)


def test_a_prefix_that_only_some_names_have_stays(tmp_path: Path) -> None:
    state = {"_orig_mod.a": torch.ones(1), "b": torch.ones(1)}
    assert read_state(save_new(state, tmp_path / "n.pt"))[0] == ""
    assert list(read_tensors(tmp_path / "n.pt")) == ["_orig_mod.a", "b"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("save", [save_old, save_new])
def test_numbers_of_16_bits_are_read_as_the_same_float32(
    dtype: str, save: Any, tmp_path: Path
) -> None:
    """All 65,536 of them, and views of one storage."""
    bits = torch.from_numpy(np.arange(1 << 16, dtype=np.uint16).view(np.int16).copy())
    every = bits.view(getattr(torch, dtype))
    state = {"all": every, "view": every[8:20].reshape(3, 4).t()}
    tensors = read_tensors(save(state, tmp_path / "n.pt"))
    for name, tensor in state.items():
        assert tensors[name].dtype == np.float32
        assert np.array_equal(tensors[name], tensor.float().numpy(), equal_nan=True)


@pytest.mark.parametrize("save", [save_old, save_new])
def test_a_whole_network_is_refused_with_what_converts_it(save: Any, tmp_path: Path) -> None:
    path = save(network(), tmp_path / "n.pt")
    with refused(path, "nothing was executed", "torch.save(network.state_dict(), path)"):
        read_state(path)


@pytest.mark.parametrize("value", [{"a": np.ones(2)}, {"a": [1.0, 2.0]}])
def test_arrays_and_lists_in_place_of_tensors_are_refused(value: Any, tmp_path: Path) -> None:
    path = save_new(value, tmp_path / "n.pt")
    with refused(path, "save the tensors alone"):
        read_state(path)


# --- safetensors ----------------------------------------------------------------------------------

SIX = np.arange(6, dtype="<f4").tobytes()
A = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def safe_file(path: Path, header: Any, numbers: bytes = SIX) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    return path


def test_safetensors_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "module.b": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]},
        "module.a": A,
        "module.half": {"dtype": "F16", "shape": [2], "data_offsets": [32, 36]},
        "module.brain": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [36, 40]},
        "module.none": {"dtype": "F32", "shape": [0, 3], "data_offsets": [40, 40]},
    }
    numbers = SIX + struct.pack("<q", -7) + np.array([0.5, 2], "<f2").tobytes() + b"\x80?\0\xc0"
    for name in ("n.safetensors", "195.pt"):  # the content decides, whatever the name is
        prefix, tensors = read_state(safe_file(tmp_path / name, header, numbers))
        assert prefix == "module." and list(tensors) == ["a", "b", "half", "brain", "none"]
        assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and tensors["b"].tolist() == -7
        assert tensors["half"].tolist() == [0.5, 2] and tensors["brain"].tolist() == [[1, -2]]
        assert tensors["half"].dtype == tensors["brain"].dtype == np.float32
        assert tensors["none"].shape == (0, 3)


def changed(**fields: Any) -> Dict[str, Any]:
    return {"a": {**A, **fields}}


BAD: Dict[str, List[Any]] = {
    "bytes of no tensor": [{"a": A}, SIX + b"\0"],
    "a gap": [changed(data_offsets=[4, 28]), SIX + b"\0" * 4],
    "an overlap": [{"a": A, "b": A}],
    "a size that its shape has not": [changed(shape=[7])],
    "a negative size": [changed(shape=[-2, -3])],
    "a size that is no number": [changed(shape=["6"])],
    "a size that is a truth": [changed(shape=[True, 6])],
    "a shape that is no list": [changed(shape=6)],
    "nine dimensions": [changed(shape=[1] * 8 + [6])],
    "a dimension of 70 bits": [changed(shape=[2**70, 0], data_offsets=[0, 0])],
    "a huge dimension beside an empty one": [changed(shape=[2**61, 0], data_offsets=[0, 0]), b""],
    "an end before its begin": [changed(data_offsets=[24, 0])],
    "three places": [changed(data_offsets=[0, 24, 24])],
    "an unknown type": [changed(dtype="F8_E4M3")],
    "a type that is a list": [changed(dtype=[])],
    "an entry that is a list": [{"a": []}],
    "no shape": [{"a": {"dtype": "F32", "data_offsets": [0, 24]}}],
    "a list": [[A]],
    "nothing": [{}, b""],
    "no JSON": [b"{"],
    "a name twice": [b'{"a": %s, "a": %s}' % ((json.dumps(A).encode(),) * 2)],
    "deep nesting": [b'{"a":' * 100_000],
    "an infinity": [b'{"a": {"dtype": "F32", "shape": [Infinity], "data_offsets": [0, 24]}}'],
    "a name that clears the screen": [{"\x1b[2J\n" * 9999: {**A, "shape": [7]}}],
}


@pytest.mark.parametrize("defect", sorted(BAD))
def test_impossible_safetensors_are_one_sentence_in_little_memory(
    defect: str, tmp_path: Path
) -> None:
    path = safe_file(tmp_path / "n.safetensors", *BAD[defect])
    error = refusal_in_little_memory(read_state, path)
    with refused(path):
        raise error
    assert str(error).isprintable() and len(str(error)) < 1000


def test_the_good_file_that_the_bad_ones_differ_from_is_read(tmp_path: Path) -> None:
    assert list(read_tensors(safe_file(tmp_path / "n.safetensors", {"a": A}))) == ["a"]


def test_what_is_written_is_read_again_with_its_metadata_and_aligned(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    tensors = {
        "b": np.arange(6.0).reshape(2, 3).T,
        "a": np.array(3, dtype=np.int64),
        "none": np.zeros((0, 2), dtype=np.float32),
    }
    with open(path, "wb") as file:
        safetensors.write(file, tensors, {"kit": "\u00e9"})
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0
    metadata, arrays = safetensors.read_all(path, checkpoints._CHECKPOINT)
    assert metadata == safetensors.read_metadata(path, checkpoints._CHECKPOINT) == {"kit": "\u00e9"}
    assert list(arrays) == ["b", "a", "none"]
    for name, array in arrays.items():
        assert array.dtype == tensors[name].dtype and np.array_equal(array, tensors[name])


@pytest.mark.parametrize("length", [0, 7, 8, 20, -1])
def test_safetensors_that_are_cut_are_refused(length: int, tmp_path: Path) -> None:
    path = safe_file(tmp_path / "n.safetensors", {"a": A})
    path.write_bytes(path.read_bytes()[:length])
    with refused(path):
        read_state(path)


def test_a_header_of_terabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with refused(path, f"a header of {2**40} bytes"):
        raise refusal_in_little_memory(read_state, path)
    assert safetensors.is_safetensors(Path("n.pt"), path.read_bytes())


# --- what is no checkpoint ------------------------------------------------------------------------


def test_a_pointer_of_git_lfs_is_named_with_its_command(tmp_path: Path) -> None:
    path = tmp_path / "195.pt"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n")
    with refused(path, "`git lfs pull`"):
        read_state(path)
