"""Published checkpoints load exactly; what a stranger's file asks for is never executed."""

from __future__ import annotations

import io
import itertools
import os
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core.errors import KitError
from leapkit.data.checkpoints import load_into, read_tensors, save
from tests.helpers import crafted as craft
from tests.helpers.refusals import MEMORY, refusal_in_little_memory

pytestmark = pytest.mark.stack

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

MODERN = tuple(int(number) for number in torch.__version__.split("+")[0].split(".")[:2]) >= (1, 13)


def small_network() -> torch.nn.Module:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.LSTM(4, 2))
    network.register_buffer("table", torch.arange(12, dtype=torch.float32).reshape(1, 3, 4))
    return network


def same_tensors(
    tensors: OrderedDict[str, np.ndarray], others: OrderedDict[str, np.ndarray]
) -> bool:
    return list(tensors) == list(others) and all(
        tensors[k].dtype == others[k].dtype
        and tensors[k].shape == others[k].shape
        and tensors[k].tobytes() == others[k].tobytes()
        for k in tensors
    )


def refusal(path: Path) -> str:
    """Return the KitError's sentence; fail if reading takes more memory than a small file may."""
    text = str(refusal_in_little_memory(read_tensors, path))
    assert str(path) in text and "\n" not in text
    return text


# ---- what is kept --------------------------------------------------------------------------------


def test_a_saved_network_reads_back_bit_for_bit_in_registered_order(tmp_path: Path) -> None:
    network = small_network()
    save(network, tmp_path / "n.pt")
    tensors = read_tensors(tmp_path / "n.pt")
    state = network.state_dict()
    assert list(tensors) == list(state)
    for key, tensor in state.items():
        assert tensors[key].dtype == np.float32 and np.array_equal(tensors[key], tensor.numpy())
    assert [p.name for p in tmp_path.iterdir()] == ["n.pt"]


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    network = small_network()
    save(network, tmp_path / "n.pt")
    first = (tmp_path / "n.pt").read_bytes()
    save(network, tmp_path / "n.pt")
    assert (tmp_path / "n.pt").read_bytes() == first


def test_loading_fills_every_parameter_and_buffer(tmp_path: Path) -> None:
    source, target = small_network(), small_network()
    with torch.no_grad():
        source.table.add_(1)
    save(source, tmp_path / "n.pt")
    load_into(target, read_tensors(tmp_path / "n.pt"), "n.pt")
    assert all(
        torch.equal(a, b)
        for a, b in zip(source.state_dict().values(), target.state_dict().values())
    )


def test_a_dataparallel_prefix_is_stripped_once_and_only_where_all_names_have_it(
    tmp_path: Path,
) -> None:
    plain = OrderedDict(a=torch.ones(2), b=torch.zeros(3))
    for path, names in (
        ("one.pt", ("module.a", "module.b")),
        ("two.pt", ("module.module.a", "module.b")),
        ("none.pt", ("module.a", "b")),
    ):
        torch.save(OrderedDict(zip(names, plain.values())), str(tmp_path / path))
    assert list(read_tensors(tmp_path / "one.pt")) == ["a", "b"]
    assert list(read_tensors(tmp_path / "two.pt")) == ["module.a", "b"]
    assert list(read_tensors(tmp_path / "none.pt")) == ["module.a", "b"]


def test_views_of_one_storage_and_other_dtypes_read_back(tmp_path: Path) -> None:
    """LSTM weights that cuDNN flattened are views of one buffer; transposed ones have strides."""
    base = torch.arange(24, dtype=torch.float32)
    state = {
        "whole": base,
        "view": base[4:16].reshape(3, 4),
        "transposed": base.reshape(4, 6).t(),
        "every second": base[::2],
        "scalar": base[5],
        "empty": base[:0],
        "long": torch.tensor([2**40]),
        "byte": torch.tensor([255], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "half": torch.ones(2).half(),
        "double": torch.ones(2).double(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    torch.save(state, str(tmp_path / "n.pt"))
    tensors = read_tensors(tmp_path / "n.pt")
    for key, tensor in state.items():
        assert tensors[key].shape == tuple(tensor.shape) and np.array_equal(
            tensors[key], tensor.detach().numpy()
        ), key


@pytest.mark.skipif(not MODERN, reason="torch.load(weights_only=) came with torch 1.13")
def test_torchs_own_safe_loader_reads_what_is_saved(tmp_path: Path) -> None:
    network = small_network()
    save(network, tmp_path / "n.pt")
    loaded = torch.load(str(tmp_path / "n.pt"), weights_only=True)
    assert all(torch.equal(loaded[key], tensor) for key, tensor in network.state_dict().items())


# What torch 1.10.0 and torch 2.13.0 wrote for
# {"module.w": arange(6).reshape(2, 3) / 7, "module.b": float64 -1.5}.
@pytest.mark.parametrize("version", ["1.10.0", "2.13.0"])
def test_files_of_the_oldest_and_of_todays_torch_are_read_by_either(
    version: str, tmp_path: Path
) -> None:
    path = Path(__file__).parents[1] / "stored" / (f"saved_by_torch_{version}.bin")
    tensors = read_tensors(path)
    assert list(tensors) == ["w", "b"]
    assert np.array_equal(
        tensors["w"], (np.arange(6, dtype=np.float32) / np.float32(7)).reshape(2, 3)
    )
    assert tensors["b"].dtype == np.float64 and tensors["b"].tolist() == [-1.5]


@pytest.mark.skipif(
    not os.environ.get("OTHER_PYTHON"),
    reason="OTHER_PYTHON names no interpreter with another torch",
)
def test_a_network_saved_by_the_other_stack_loads_here(tmp_path: Path) -> None:
    script = (
        "import torch; from leapkit.data.checkpoints import save; torch.manual_seed(5);"
        "n = torch.nn.LSTM(4, 3, 2, bidirectional=True);"
        "torch.nn.init.constant_(n.weight_hh_l1, .25);"
        f"save(n, __import__('pathlib').Path({str(tmp_path / 'n.pt')!r}))"
    )
    subprocess.run(
        [os.environ["OTHER_PYTHON"], "-c", script],
        check=True,
        env=dict(
            os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p.endswith("shared"))
        ),
    )
    network = torch.nn.LSTM(4, 3, 2, bidirectional=True)
    load_into(network, read_tensors(tmp_path / "n.pt"), "n.pt")
    assert torch.equal(network.weight_hh_l1, torch.full((12, 3), 0.25))


# ---- what is refused -----------------------------------------------------------------------------


def test_missing_files_folders_and_empty_files_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="the file is missing"):
        read_tensors(tmp_path / "none.pt")
    with pytest.raises(KitError):
        read_tensors(tmp_path)
    (tmp_path / "empty.pt").write_bytes(b"")
    assert "truncated" in refusal(tmp_path / "empty.pt")


@pytest.mark.parametrize(
    "value, reason",
    [
        ([torch.ones(2)], "state_dict"),
        ({}, "state_dict"),
        ({"a": 1}, "state_dict"),
        ({1: torch.ones(2)}, "state_dict"),
        ({"a": {"b": torch.ones(2)}}, "state_dict"),
        ("text", "state_dict"),
    ],
)
def test_anything_but_a_state_dict_of_tensors_is_refused(value, reason, tmp_path):
    torch.save(value, str(tmp_path / "n.pt"))
    assert reason in refusal(tmp_path / "n.pt")


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), str(tmp_path / "n.pt"))
    assert "nothing was executed" in refusal(tmp_path / "n.pt")


def _executing(marker: Path) -> dict[str, bytes]:
    """Return programs by name that run code in an ordinary unpickler, or are a step to it.

    Code that runs touches `marker`.
    """
    shell, python = (
        craft.text(f"touch '{marker}'"),
        craft.text(f"open({str(marker)!r}, 'w').close()"),
    )
    ordered = craft.name("collections", "OrderedDict")
    getattr_ = craft.name("builtins", "getattr")
    tensor_v2 = craft.name("torch._utils", "_rebuild_tensor_v2")
    return {
        "os.system": craft.call(craft.name("os", "system"), shell),
        "posix.system": craft.call(craft.name("posix", "system"), shell),
        "eval": craft.call(craft.name("builtins", "eval"), python),
        "exec by its old name": craft.call(craft.name("__builtin__", "exec"), python),
        "subprocess": craft.call(craft.name("subprocess", "getoutput"), shell),
        "the INST opcode": b"(" + shell + b"ios\nsystem\n",
        "the OBJ opcode": b"(" + craft.name("os", "system") + shell + b"o",
        "the NEWOBJ opcode": craft.name("subprocess", "Popen") + craft.group(shell) + b"\x81",
        "getattr of an allowed name": craft.call(
            getattr_, ordered, craft.text("__init_subclass__")
        ),
        "getattr to globals": craft.call(getattr_, tensor_v2, craft.text("__globals__")),
        "a dotted name": craft.dotted("collections", "OrderedDict.__class__"),
        "a dotted path to os": craft.dotted("torch._utils", "_rebuild_tensor_v2.__globals__"),
        "import_module": craft.call(
            craft.name("importlib", "import_module"), craft.text("antigravity")
        ),
        "a nested pickle": craft.call(
            craft.name("pickle", "loads"), craft.text("cos\nsystem\n(Vx\ntR.")
        ),
        "an extension code": b"\x82\x01",
        "a name as persistent id": b"Pos.system\n",
        "a name inside a storage's id": craft.group(
            craft.text("storage"),
            craft.name("os", "system"),
            craft.text("0"),
            craft.text("cpu"),
            craft.integer(6),
        )
        + b"Q",
        "code for an allowed function": tensor_v2
        + craft.group(b"N", craft.mapping({"__code__": b"N"}))
        + craft.BUILD,
        "attributes for an allowed class": ordered
        + craft.mapping({"__reduce__": tensor_v2})
        + craft.BUILD,
        "a state for an array": craft.tensor()
        + craft.group(
            craft.integer(1), craft.group(craft.integer(6)), craft.text("O"), craft.FALSE, shell
        )
        + craft.BUILD,
    }


# Names that would be of use to an attacker: loaders, rebuilders, partials, file writers.
_GADGETS = (
    ("torch", "load"),
    ("torch.serialization", "load"),
    ("torch.serialization", "_load"),
    ("torch.hub", "load"),
    ("torch.hub", "download_url_to_file"),
    ("torch.jit", "load"),
    ("torch.jit._script", "unpackage_script_module"),
    ("torch.storage", "_load_from_bytes"),
    ("torch._utils", "_rebuild_qtensor"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_parameter_with_state"),
    ("torch._utils", "_import_dotted_name"),
    ("torch._tensor", "_rebuild_from_type_v2"),
    ("torch.utils.collect_env", "run"),
    ("torch", "FloatStorage.from_file"),
    ("torch.package", "PackageImporter"),
    ("torch.utils.cpp_extension", "load_inline"),
    ("torch._dynamo.guards", "eval"),
    ("numpy", "load"),
    ("numpy", "memmap"),
    ("numpy", "fromfile"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.f2py.crackfortran", "myeval"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
    ("operator", "methodcaller"),
    ("copyreg", "_reconstructor"),
    ("builtins", "open"),
    ("builtins", "__import__"),
    ("builtins", "apply"),
    ("io", "open"),
    ("shutil", "rmtree"),
    ("timeit", "timeit"),
    ("code", "interact"),
    ("pty", "spawn"),
    ("runpy", "_run_code"),
    ("webbrowser", "open"),
    ("collections", "OrderedDict.fromkeys"),
    ("collections", "deque"),
    ("leapkit.core.files", "write_text"),
    ("torch", "Tensor"),
)


@pytest.mark.parametrize("attack", sorted(_executing(Path("marker"))))
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_wants_to_run_code_is_refused_and_runs_nothing(attack, protocol, tmp_path):
    marker = tmp_path / "marker"
    program = craft.program({"a": _executing(marker)[attack]}, b"\x80" + bytes([protocol]))
    refusal(craft.write(tmp_path / "n.pt", program))
    assert not marker.exists()


def test_the_marker_proves_something(tmp_path: Path) -> None:
    """The same bytes run in an ordinary unpickler, so the test above proves something."""
    import pickle

    for attack in ("os.system", "eval", "the INST opcode", "the OBJ opcode", "subprocess"):
        marker = tmp_path / attack.replace(" ", "")
        pickle.load(io.BytesIO(craft.program({"a": _executing(marker)[attack]})))
        assert marker.exists(), attack


@pytest.mark.parametrize("module, attribute", _GADGETS)
def test_a_name_that_is_on_no_list_is_refused_before_it_is_looked_up(module, attribute, tmp_path):
    for k, reference in enumerate((craft.name(module, attribute), craft.dotted(module, attribute))):
        path = craft.write(tmp_path / (f"{k}.pt"), craft.program({"a": reference}, b"\x80\x04"))
        assert f"{module}.{attribute}" in refusal(path) or "nothing was executed" in refusal(path)


def test_a_refused_file_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "evil_module_of_a_stranger.py").write_text("raise SystemExit('imported')")
    path = craft.write(
        tmp_path / "n.pt", craft.program({"a": craft.name("evil_module_of_a_stranger", "x")})
    )
    before = set(sys.modules)
    sys.path.insert(0, str(tmp_path))
    try:
        refusal(path)
    finally:
        sys.path.remove(str(tmp_path))
    assert "evil_module_of_a_stranger" not in set(sys.modules) - before


def test_one_hostile_file_does_not_spoil_the_reading_of_the_next(tmp_path: Path) -> None:
    """BUILD may change what the closed list gave it, but only objects made for that file."""
    spoil = (
        craft.name("torch", "FloatStorage")
        + craft.mapping({"dtype": craft.text("<i4")})
        + craft.BUILD,
        craft.name("torch._utils", "_rebuild_tensor_v2") + craft.mapping({"x": b"N"}) + craft.BUILD,
    )
    for k, value in enumerate(spoil):
        refusal(craft.write(tmp_path / (f"{k}.pt"), craft.program({"a": value})))
    good = read_tensors(craft.write(tmp_path / "good.pt", craft.program({"a": craft.tensor()})))
    assert good["a"].dtype == np.float32 and good["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


_IMPOSSIBLE = {
    "a stride of zero that asks for terabytes": craft.tensor(
        size=(1 << 20, 1 << 20), stride=(0, 0)
    ),
    "a stride of zero whose size overflows 64 bits": craft.tensor(
        size=(1 << 40, 1 << 40, 1 << 40), stride=(0, 0, 0)
    ),
    "a stride of zero, a little too large": craft.tensor(size=(7,), stride=(0,)),
    "an offset beyond the storage": craft.tensor(offset=6, size=(1,), stride=(1,)),
    "a last element beyond the storage": craft.tensor(offset=1),
    "a stride that leaves the storage": craft.tensor(size=(2, 3), stride=(4, 1)),
    "a negative offset": craft.tensor(offset=-1, size=(1,), stride=(1,)),
    "a negative size": craft.tensor(size=(-2, -3)),
    "a negative stride": craft.tensor(offset=5, size=(6,), stride=(-1,)),
    "more sizes than strides": craft.tensor(size=(2, 3), stride=(1,)),
    "nine dimensions": craft.tensor(size=(1,) * 9, stride=(1,) * 9),
    "a huge dimension beside an empty one": craft.tensor(size=(0, 1 << 62), stride=(1, 1)),
    "an offset that is no number": craft.call(
        craft.name("torch._utils", "_rebuild_tensor_v2"),
        craft.storage(),
        craft.text("0"),
        craft.group(craft.integer(6)),
        craft.group(craft.integer(1)),
    ),
    "too few arguments": craft.call(
        craft.name("torch._utils", "_rebuild_tensor_v2"), craft.storage()
    ),
    "a storage that is no storage": craft.tensor(of_storage=craft.text("x")),
    "a storage said to be larger": craft.tensor(craft.storage(count=7)),
    "a storage said to be smaller": craft.tensor(craft.storage(count=5), size=(5,), stride=(1,)),
    "a storage said to be negative": craft.tensor(craft.storage(count=-6)),
    "a storage of another type's size": craft.tensor(craft.storage("DoubleStorage")),
    "a storage that the archive lacks": craft.tensor(craft.storage(key="1")),
    "a storage outside the archive's folder": craft.tensor(
        craft.storage(key="../../version", count=1)
    ),
    "a reference of another shape": craft.group(craft.text("storage"), craft.text("0")) + b"Q",
    "a dtype that BUILD put there": craft.tensor(
        craft.group(
            craft.text("storage"),
            craft.name("torch", "FloatStorage")
            + craft.mapping({"dtype": craft.text("O")})
            + craft.BUILD,
            craft.text("0"),
            craft.text("cpu"),
            craft.integer(3),
        )
        + b"Q",
        size=(3,),
        stride=(1,),
    ),
    "dates instead of numbers": craft.tensor(
        craft.group(
            craft.text("storage"),
            craft.name("torch", "FloatStorage")
            + craft.mapping({"dtype": craft.text("<M8[s]")})
            + craft.BUILD,
            craft.text("0"),
            craft.text("cpu"),
            craft.integer(3),
        )
        + b"Q",
        size=(3,),
        stride=(1,),
    ),
    "a parameter that is no tensor": craft.call(
        craft.name("torch._utils", "_rebuild_parameter"), craft.text("x")
    ),
    "a memo of gigabytes": b"Nr" + (1 << 27).to_bytes(4, "little"),
    "a string of gigabytes": b"\x8d" + (1 << 40).to_bytes(8, "little"),
    "a byte array of gigabytes": b"\x96" + (1 << 33).to_bytes(8, "little"),
    "a frame of gigabytes": b"\x95" + (1 << 40).to_bytes(8, "little") + b"N",
    "a number of a negative length": b"\x8b" + (-1 & 0xFFFFFFFF).to_bytes(4, "little"),
    "a hundred thousand nested tuples": b")" + b"\x85" * 100000,
    "a million lists": b"(" + b"]" * (1 << 20) + b"t",
    "a stack that is empty": b"0000",
    "a call without arguments": b"R",
    "a tuple without its mark": b"t",
    "a tuple of what lies below its mark": b"NN(N\x86",
    "an opcode that does not exist": b"\xff",
}


@pytest.mark.parametrize("impossible", sorted(_IMPOSSIBLE))
def test_an_impossible_tensor_or_a_bomb_is_refused_in_little_memory(impossible, tmp_path):
    refusal(
        craft.write(tmp_path / "n.pt", craft.program({"a": _IMPOSSIBLE[impossible]}, b"\x80\x04"))
    )


def test_the_good_program_that_the_bad_ones_differ_from_is_accepted(tmp_path: Path) -> None:
    tensors = read_tensors(
        craft.write(tmp_path / "n.pt", craft.program({"a": craft.tensor()}, b"\x80\x04"))
    )
    assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("value", ["items", "values", "__len__"])
def test_methods_that_a_pickle_writes_over_are_not_called(value: str, tmp_path: Path) -> None:
    program = (
        craft.PROTOCOL
        + craft.name("collections", "OrderedDict")
        + b")R"
        + b"("
        + craft.text("a")
        + craft.tensor()
        + b"u"
        + craft.mapping({value: craft.text("x")})
        + craft.BUILD
    )
    tensors = read_tensors(craft.write(tmp_path / "n.pt", program + craft.STOP))
    assert list(tensors) == ["a"]


def test_one_storage_rebuilt_ten_thousand_times_takes_no_more_memory_than_once(
    tmp_path: Path,
) -> None:
    megabyte = np.zeros(1 << 18, dtype="<f4").tobytes()
    tensor = craft.tensor(craft.storage(count=1 << 18), size=(1 << 18,), stride=(1,))
    path = craft.write(
        tmp_path / "n.pt", craft.program({f"{k}": tensor for k in range(2000)}), {"0": megabyte}
    )
    tracemalloc.start()
    try:
        assert len(read_tensors(path)) == 2000
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_compressed_storages_are_refused(tmp_path: Path) -> None:
    zeros = bytes(4 << 20)
    program = craft.program(
        {"a": craft.tensor(craft.storage(count=1 << 20), size=(1 << 20,), stride=(1,))}
    )
    refusal(craft.write(tmp_path / "n.pt", program, {"0": zeros}, zipfile.ZIP_DEFLATED))


def test_a_table_of_contents_that_is_huge_or_unpacks_to_something_huge_is_refused(
    tmp_path: Path,
) -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        program = craft.program({"a": craft.tensor()})[:-1] + b"N0" * (10 << 20) + b"."
        assert "table of contents" in refusal(
            craft.write(tmp_path / "n.pt", program, compression=compression)
        )


def test_a_byte_order_entry_that_unpacks_to_something_huge_is_refused(tmp_path: Path) -> None:
    path = craft.write(
        tmp_path / "n.pt",
        craft.program({"a": craft.tensor()}),
        extra={"archive/byteorder": b"little"},
    )
    assert list(read_tensors(path)) == ["a"]
    with zipfile.ZipFile(str(path), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", craft.program({"a": craft.tensor()}))
        archive.writestr("archive/byteorder", bytes(128 << 20))
    assert "big-endian" in refusal(path)


def test_two_tables_of_contents_are_refused(tmp_path: Path) -> None:
    """Readers disagree on which one counts: what one checks, another would load."""
    good = craft.program({"a": craft.tensor()})
    assert "data.pkl" in refusal(
        craft.write(tmp_path / "n.pt", good, extra={"other/data.pkl": good})
    )
    with pytest.warns(UserWarning):
        path = craft.write(tmp_path / "m.pt", good, extra={"archive/data.pkl": good})
    assert "data.pkl" in refusal(path)


def test_storages_that_share_the_bytes_of_the_archive_are_refused(tmp_path: Path) -> None:
    """Each nested entry is all that follows its header, so a megabyte becomes two hundred."""
    count = 200
    tail = bytes(1 << 20)
    header = 30 + len("archive/data/000")
    sizes = [len(tail) + header * (count - 1 - k) for k in range(count)]
    sizes = [size - size % 4 for size in sizes]
    pickled = craft.program(
        {
            f"{k}": craft.tensor(
                craft.storage(key=f"{k:03d}", count=sizes[k] // 4),
                size=(sizes[k] // 4,),
                stride=(1,),
            )
            for k in range(count)
        }
    )
    path = craft.write(tmp_path / "n.pt", pickled, {})
    body = b""
    entries = []
    for k in reversed(range(count)):  # from the innermost entry outwards
        after = body + tail
        name = b"archive/data/%03d" % k
        crc = zlib.crc32(after[: sizes[k]])
        body = (
            struct.pack(
                "<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, crc, sizes[k], sizes[k], len(name), 0
            )
            + name
            + body
        )
        entries.append((k, name, crc, len(after)))
    with zipfile.ZipFile(str(path), "a") as archive:
        start = archive.start_dir
        total = len(body) + len(tail)
        archive.fp.seek(start)
        archive.fp.write(body + tail)
        for k, name, crc, after in entries:
            info = zipfile.ZipInfo(name.decode("ascii"))
            info.file_size = info.compress_size = sizes[k]
            info.CRC = crc
            info.header_offset = start + total - after - header
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        archive.start_dir = start + total
        archive._didModify = True
    with zipfile.ZipFile(str(path)) as archive:
        assert sum(info.file_size for info in archive.infolist()) > 150 * path.stat().st_size
    refusal(path)


def test_big_endian_files_are_refused(tmp_path: Path) -> None:
    path = craft.write(
        tmp_path / "n.pt", craft.program({"a": craft.tensor()}), extra={"archive/byteorder": b"big"}
    )
    assert "big-endian" in refusal(path)


# ---- damage --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_checkpoint(tmp_path_factory):
    """Return (bytes, tensors) of a small checkpoint."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("whole") / "n.pt"
    save(small_network(), path)
    return path.read_bytes(), read_tensors(path)


def test_a_file_cut_at_any_offset_is_one_clear_error(small_checkpoint, tmp_path):
    content, _ = small_checkpoint
    offsets = sorted(set(range(0, len(content), 41)) | set(range(len(content) - 60, len(content))))
    for offset in offsets:
        (tmp_path / "cut.pt").write_bytes(content[:offset])
        with pytest.raises(KitError, match=r"truncated|damaged|not a checkpoint"):
            read_tensors(tmp_path / "cut.pt")


def _read_bytes(content: bytes) -> OrderedDict[str, np.ndarray] | None:
    """Return what read_tensors makes of the bytes, or None if it raises a KitError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "n.pt"
        path.write_bytes(content)
        try:
            return read_tensors(path)
        except KitError:
            return None


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_flipped_bytes_are_refused_or_change_nothing(small_checkpoint, data):
    content, tensors = small_checkpoint
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    tensors_read = _read_bytes(bytes(damaged))
    assert tensors_read is None or same_tensors(tensors_read, tensors)


def _archive(pickled: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", craft.SIX_FLOATS)
    return out.getvalue()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_mutated_pickle_with_a_right_checksum_is_refused_or_gives_plain_tensors(data):
    pickled = bytearray(
        craft.program({"a": craft.tensor(), "b": craft.tensor(size=(3,), stride=(2,))})
    )
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(pickled) - 1))
        pickled[position : position + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=3)
        )
    tensors = _read_bytes(_archive(bytes(pickled)))
    assert tensors is None or all(
        isinstance(v, np.ndarray) and v.dtype.kind in "fiub" for v in tensors.values()
    )


_FRAGMENTS = [
    craft.tensor(),
    craft.storage(),
    craft.name("collections", "OrderedDict"),
    craft.name("torch", "FloatStorage"),
    craft.name("torch._utils", "_rebuild_tensor_v2"),
    craft.name("torch._utils", "_rebuild_parameter"),
    craft.text("a"),
    craft.text("dtype"),
    craft.integer(3),
    craft.mapping({"dtype": craft.text("<f8")}),
    craft.mapping({"items": b"N"}),
    craft.group(b"N", craft.mapping({"__kwdefaults__": b"}"})),
    *(
        bytes([code])
        for code in b"()]}NR0b12Qtusaeo\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94"
    ),
]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=12))
def test_any_sequence_of_opcodes_is_refused_or_gives_plain_tensors(fragments):
    tensors = _read_bytes(_archive(b"\x80\x04" + craft.EMPTY_DICT + b"".join(fragments) + b"."))
    assert tensors is None or all(
        isinstance(v, np.ndarray) and v.dtype.kind in "fiub" for v in tensors.values()
    )


# ---- loading into a network ----------------------------------------------------------------------


@pytest.fixture
def linear():
    network = torch.nn.Linear(3, 2)
    return network, OrderedDict((k, v.numpy().copy()) for k, v in network.state_dict().items())


@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda t: t.pop("bias"), "bias is missing"),
        (lambda t: t.update(gain=np.ones(2, np.float32)), "gain belongs to another network"),
        (
            lambda t: t.update(bias=np.ones(3, np.float32)),
            r"bias has shape \(3,\) instead of \(2,\)",
        ),
        (
            lambda t: t.update(weight=t["weight"].T.copy()),
            r"weight has shape \(3, 2\) instead of \(2, 3\)",
        ),
        (lambda t: t["weight"].__setitem__((1, 2), np.nan), "weight holds a NaN"),
        (lambda t: t["bias"].__setitem__(0, np.inf), "bias holds a NaN or an infinity"),
        (lambda t: t.update(bias=t["bias"].astype(np.int64)), "bias .*int64 instead of float32"),
        (
            lambda t: t.update(bias=t["bias"].astype(np.float64)),
            "bias .*float64 instead of float32",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_and_nothing_is_loaded(damage, reason, linear):
    network, tensors = linear
    before = {k: v.clone() for k, v in network.state_dict().items()}
    tensors["weight"] += 1
    damage(tensors)
    with pytest.raises(KitError, match=reason) as caught:
        load_into(network, tensors, "somewhere/7.pt")
    assert "somewhere/7.pt" in str(caught.value)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


# ---- the published files -------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["195", "197", "200"])
def test_adams_networks_have_the_published_names_shapes_and_order(
    key: str, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.setattr(
        "members.adam.networks.initialise_by_name", lambda network: None
    )  # seconds that do not matter
    from members.adam.experiments import EXPERIMENTS
    from members.adam.networks import build

    entry = json.loads((reference / "checkpoints.json").read_text())["adam_" + key]
    experiment = next(experiment for experiment in EXPERIMENTS if experiment.id == key)
    state = build(experiment.network["full"]).state_dict()
    names_and_shapes = [
        ["module." + name, list(tensor.shape), str(tensor.dtype).split(".")[1]]
        for name, tensor in state.items()
    ]
    assert names_and_shapes == [list(line) for line in entry["state_dict"]]
    assert (
        experiment.artifact + ".parquet" == entry["submission_file"]
        and experiment.artifact + ".npy" == entry["blend_row"]
    )


def test_a_file_as_published_loads_strictly_into_its_network_and_into_no_other(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is saved by torch.save with the wrapper's prefix, as the team's 195.pt is."""
    import json

    monkeypatch.setattr("members.adam.networks.initialise_by_name", lambda network: None)
    from members.adam.experiments import EXPERIMENTS
    from members.adam.networks import build

    entries = json.loads((reference / "checkpoints.json").read_text())["adam_195"]["state_dict"]
    state = OrderedDict(
        (name, torch.full(shape, 0.5 + k)) for k, (name, shape, _) in enumerate(entries)
    )
    torch.save(state, str(tmp_path / "195.pt"))
    tensors = read_tensors(tmp_path / "195.pt")
    networks = {experiment.id: experiment.network["full"] for experiment in EXPERIMENTS}
    network = build(networks["195"])
    load_into(network, tensors, "195.pt")
    for k, tensor in enumerate(network.state_dict().values()):
        assert float(tensor.min()) == float(tensor.max()) == 0.5 + k
    with pytest.raises(
        KitError, match=r"belongs to another network|another network or width|is missing"
    ):
        load_into(build(networks["200"]), tensors, "195.pt")


def test_reading_a_checkpoint_needs_no_torch(small_checkpoint, tmp_path):
    """The launcher checks weights on machines without torch."""
    (tmp_path / "n.pt").write_bytes(small_checkpoint[0])
    shared = next(path for path in sys.path if path.endswith("shared"))
    script = (
        f"import sys; sys.path.insert(0, {shared!r}); sys.modules['torch'] = None\n"
        "from leapkit.data.checkpoints import read_tensors; from pathlib import Path\n"
        f"print(len(read_tensors(Path({str(tmp_path / 'n.pt')!r}))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True
    )
    assert int(done.stdout) == len(small_checkpoint[1])


def test_every_attack_is_listed_once() -> None:
    names = list(itertools.chain(_executing(Path("m")), _IMPOSSIBLE))
    assert len(names) == len(set(names))
