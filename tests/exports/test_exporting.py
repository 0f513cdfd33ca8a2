"""make export leaves files with their sums, a card, a namelist, and nothing of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Dict

import pytest

pytest.importorskip("torch")

import torch

from leapkit.core.columns import TARGETS
from leapkit.emulators import parts
from leapkit.exports import exporting, namelist, onnx_files, programs, torchscript, verification
from leapkit.exports.contracts import COUPLED
from leapkit.exports.exporting import export
from leapkit.exports.portable import portable
from leapkit.nets.blocks import BiLSTM
from tests.conftest import REPOSITORY
from tests.helpers.refusals import refused
from tests.helpers.untrained import untrained

pytestmark = pytest.mark.stack

STEM = "adam-195"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> parts.EmulatorParts:
    folder = untrained("adam/195", tmp_path_factory.mktemp("weights"))
    return parts.find("adam/195", folder, tiny_world)


@pytest.fixture(scope="module")
def exported(found: parts.EmulatorParts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with TorchScript and safetensors, holding one constraint."""
    to = tmp_path_factory.mktemp("exported")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(found, to, ("torchscript", "safetensors"), ("night",))
    return to


def sums(folder: Path) -> Dict[str, str]:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_the_files_are_named_and_summed(exported: Path) -> None:
    names = [f"{STEM}{suffix}" for suffix in (".kaggle.pt", ".md", ".nml", ".pt", ".safetensors")]
    assert sorted(path.name for path in exported.iterdir()) == sorted([*names, "SHA256SUMS"])
    assert sums(exported) == {
        name: hashlib.sha256((exported / name).read_bytes()).hexdigest() for name in names
    }


def test_another_export_to_the_same_folder_keeps_the_sums_of_the_first(
    found: parts.EmulatorParts, tmp_path: Path
) -> None:
    (tmp_path / "other.pt").write_bytes(b"other")
    (tmp_path / "SHA256SUMS").write_text("ab  other.pt\ncd  gone.pt\n")
    export(found, tmp_path, ("safetensors",))
    assert sums(tmp_path)["other.pt"] == "ab" and "gone.pt" not in sums(tmp_path)
    assert f"{STEM}.safetensors" in sums(tmp_path)


def test_a_file_says_what_it_was_made_of(exported: Path, found: parts.EmulatorParts) -> None:
    checkpoint = found.networks[0].checkpoints[0].path
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    with zipfile.ZipFile(exported / f"{STEM}.pt") as archive:
        record = json.loads(archive.read("archive/extra/leapkit.json"))
    assert digest in record["checkpoints_sha256"]
    assert (record["emulator"], record["inputs"]) == ("adam/195", "coupled")
    assert record["constraints"] == "night"
    card = (exported / f"{STEM}.md").read_text()
    assert (
        card.startswith("---\nlibrary_name: ") and "model-index" not in card
    )  # nothing was scored
    shared = ("## The network adam/195", "| parameters | 79,696 |", "## Licence", "## Citation")
    of_file = (digest, record["statistics_sha256"], "night", "| 556 | `cam_in_SNOWHLAND` | m |")
    for text in (*of_file, *shared):
        assert text in card


@pytest.mark.parametrize(("suffix", "length"), [(".pt", 557), (".kaggle.pt", 556)])
def test_torchscript_refuses_columns_of_another_length(
    exported: Path, suffix: str, length: int
) -> None:
    """A gather would take the coupled model's 557 numbers for Kaggle's 556."""
    network = torchscript.read(exported / f"{STEM}{suffix}")
    assert network(torch.zeros(0, length)).shape == (0, 368)
    for wrong in (torch.zeros(2, 1113 - length), torch.zeros(2, 600), torch.zeros(1, 2, length)):
        with pytest.raises(Exception, match=rf"takes \(columns, {length}\) numbers, not \["):
            network(wrong)


def test_no_file_holds_a_path_of_this_machine(exported: Path) -> None:
    for path in exported.iterdir():
        content = path.read_bytes()
        for place in (str(REPOSITORY), str(Path(torch.__file__).parent), str(exported)):
            assert place.encode() not in content, path.name
    with zipfile.ZipFile(exported / f"{STEM}.pt") as archive:
        assert not [name for name in archive.namelist() if name.endswith(".debug_pkl")]


def test_the_numbers_of_a_file_are_aligned_as_torch_aligns_them(exported: Path) -> None:
    with zipfile.ZipFile(exported / f"{STEM}.pt") as archive:
        for entry in archive.infolist():
            name = len(entry.filename.encode())
            assert (entry.header_offset + 30 + name + len(entry.extra)) % 64 == 0
            assert entry.compress_type == zipfile.ZIP_STORED


@pytest.mark.process
def test_the_same_command_writes_the_same_bytes(found: parts.EmulatorParts, tmp_path: Path) -> None:
    (tmp_path / "parts").write_bytes(pickle.dumps(found))
    digests = []
    for hashing in ("1", "2"):
        script = f"""
import pickle
from pathlib import Path
from leapkit.exports.exporting import export
parts = pickle.loads(Path({str(tmp_path / "parts")!r}).read_bytes())
export(parts, Path({str(tmp_path / hashing)!r}), ("torchscript", "safetensors"))
"""
        env = {"PYTHONPATH": f"{REPOSITORY / 'shared'}:{REPOSITORY}", "PYTHONHASHSEED": hashing}
        subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, **env})
        digests.append(sums(tmp_path / hashing))
    assert digests[0] == digests[1]


def test_the_namelist_is_that_of_the_coupled_model(exported: Path) -> None:
    text = (exported / f"{STEM}.nml").read_text()
    lines = [line.strip() for line in text.splitlines() if not line.startswith("!")]
    assert lines[0] == "&mmf_nn_emulator_nl" and lines[-1] == "/"
    values = dict(line.split(" = ") for line in lines[1:-1])
    assert values["inputlength"] == str(len(COUPLED.inputs)) == "557"
    assert values["outputlength"] == str(len(TARGETS)) == "368"
    assert values["cb_nn_var_combo"] == "'v2'" and values["input_rh"] == ".false."
    assert values["cb_torch_model"] == f"'{STEM}.pt'"
    assert values["cb_strato_water_constraint"] == ".true."
    assert "cb_strato_water_constraint = .false." in namelist.block("a.pt", ("stratosphere",))


def test_what_cannot_be_written_is_refused_before_anything_is(
    found: parts.EmulatorParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused("FORMATS=torchscript,hdf5", "no such format: hdf5", "safetensors"):
        export(found, tmp_path, ("torchscript", "hdf5"))
    with refused("POSTPROCESS=gravity", "gravity"):
        export(found, tmp_path, ("safetensors",), ("gravity",))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with refused("FORMATS=onnx", "`onnx` is not installed", "STACK=modern"):
        export(found, tmp_path, ("onnx",))
    monkeypatch.delattr(torch, "export", raising=False)
    with refused("FORMATS=pt2", "has no torch.export", "STACK=modern"):
        export(found, tmp_path, ("pt2",))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("obstacle", ["`onnx` is not installed", "2.2 GB of weights are more"])
def test_without_a_choice_everything_that_can_be_written_is_written(
    found: parts.EmulatorParts,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    obstacle: str,
) -> None:
    """All of v10 at full width is too large for one ONNX file: the other formats are not."""
    if "GB" in obstacle:
        monkeypatch.setattr(parts.EmulatorParts, "file_bytes", 2_200_000_000)
    else:
        monkeypatch.setitem(sys.modules, "onnx", None)
    chosen = exporting.chosen(found, ())
    assert "onnx" not in chosen and chosen[0] == "torchscript" and chosen[-1] == "safetensors"
    said = capsys.readouterr().out
    assert "note: onnx is left out: FORMATS=onnx: " in said and obstacle in said
    with refused("FORMATS=onnx", obstacle):
        exporting.chosen(found, ["torchscript", "onnx"])


def test_a_file_that_gives_other_numbers_is_refused(found: parts.EmulatorParts) -> None:
    scaling = found.networks[0].scaling
    x = verification.columns(COUPLED, scaling)
    network = torch.nn.Linear(557, 368, bias=False)
    torch.nn.init.zeros_(network.weight)
    assert verification.difference("x.pt", network, network, x, scaling) == 0
    for run in (lambda x: network(x) + 1e9, lambda x: network(x) * float("nan")):
        with refused("x.pt", "gives other numbers"):
            verification.difference("x.pt", run, network, x, scaling)


class OneLayer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = portable(BiLSTM(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x.reshape(-1, 60, 2))
        return y


def test_onnx_holds_onnxs_own_lstm_for_any_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment of the kit has onnx without onnxruntime: the file is read all the same."""
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "a.onnx"
    network = OneLayer().eval()
    onnx_files.write(path, network, 120, {"emulator": "a"})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    x = torch.linspace(-99, 99, 11 * 120).reshape(11, 120)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(onnx_files.reader(path)(x), network(x), atol=1e-6)
    graph = onnx.load(str(path)).graph
    assert [node.op_type for node in graph.node].count("LSTM") == 1
    shape = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["rows", 120]
    assert str(REPOSITORY).encode() not in path.read_bytes()


@pytest.mark.process
def test_pt2_holds_torchs_own_lstm_for_any_rows(tmp_path: Path) -> None:
    if not hasattr(torch, "export"):
        pytest.skip("this torch has no torch.export")
    path = tmp_path / "a.pt2"
    programs.write(path, OneLayer().eval(), 120, {"emulator": "a"})
    graph = torch.export.load(str(path)).graph
    assert [str(node.target) for node in graph.nodes].count("aten.lstm.input") == 1
    assert programs.read(path)(torch.ones(11, 120)).shape == (11, 60, 6)
    assert str(REPOSITORY).encode() not in path.read_bytes()
