"""Each exported file, run where this kit cannot be imported, predicts what the kit itself does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Tuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import leapkit  # noqa: E402
from leapkit.core.columns import LINEAR, TARGETS, ZERO, kaggle_positions  # noqa: E402
from leapkit.emulators import parts  # noqa: E402
from leapkit.emulators.emulator import Emulator  # noqa: E402
from leapkit.exports import exporting  # noqa: E402
from tests.exports import stranger  # noqa: E402
from tests.exports.conftest import World  # noqa: E402
from tests.helpers.untrained import untrained  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack]

# A network of each kind: seven residual LSTMs, convolutions with a transformer, Mamba.
NETWORKS = ("max2020/022", "adam/195", "forcewithme/37-stage1")
# torch.export takes seconds for the second, half a minute for Mamba's loop, minutes for all copies.
OF_TORCH_EXPORT = NETWORKS[1:] if os.environ.get("LEAP_LONG_TESTS") else NETWORKS[1:2]
BLEND = "blend"  # of the first two, which have different statistics
TABLE = "artifact,weight\nmax_022_deeper_gf_cv7908_lbUnknown,0.75\nadam_195_78569.oof,0.5\n"

# Of an output's standard deviation. A file has the kit's own float32 network, whose sums are of
# some hundred terms, rounded at 6e-8 each and in another order by another kernel: 2e-6 was seen.
# Two float32 networks of the same weights whose columns or statistics are mixed up differ by 1.
TOLERANCE = 1e-5
HALF_STEP = 2.0**-24  # relative: of the cast to float32 at the end
SMALLEST = 2.0**-149  # float32's: what is as small as cloud water aloft is rounded to its multiples


MODERN = hasattr(torch, "export")  # the stack that has onnxruntime too


class Case(NamedTuple):
    network: str
    suffix: str  # of the file's name
    contract: str = "coupled"

    @property
    def file(self) -> str:
        return self.network.replace("/", "-") + self.suffix


SUFFIXES = {".pt": "torchscript", ".kaggle.pt": "torchscript", ".onnx": "onnx", ".pt2": "pt2"}
CASES = (
    *(Case(name, ".pt") for name in (*NETWORKS, BLEND)),
    *(Case(name, ".kaggle.pt", "kaggle") for name in (*NETWORKS, BLEND)),
    *(Case(name, ".onnx") for name in NETWORKS if MODERN),
    *(Case(name, ".pt2") for name in OF_TORCH_EXPORT if MODERN),
)


@pytest.fixture(scope="module")
def emulators(world: World, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """Return {name: parts} of networks at sample width, with the weights that they begin with."""
    root = tmp_path_factory.mktemp("weights")
    for name in NETWORKS:
        untrained(name, root / "outputs" / name)
    (root / f"{BLEND}.csv").write_text(TABLE)
    found = {name: parts.find(name, root, world.raw_data) for name in NETWORKS}
    return {**found, BLEND: parts.find(str(root / f"{BLEND}.csv"), root, world.raw_data)}


@pytest.fixture(scope="module")
def files(emulators: Dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export all emulators into one folder."""
    folder = tmp_path_factory.mktemp("files")
    for name, found in emulators.items():
        forms = {SUFFIXES[case.suffix] for case in CASES if case.network == name}
        exporting.export(found, folder, ["safetensors", *forms])
    return folder


class Question(NamedTuple):
    """What a process is asked that has torch and not this kit."""

    folder: Path
    columns: Dict[str, np.ndarray]

    def ask(self, python: str, files: Dict[str, str]) -> Tuple[Any, Any]:
        """Return the answers and the modules of a python; files is {path: contract}."""
        script = shutil.copy(stranger.__file__, str(self.folder))
        columns, answers = self.folder / "columns.npz", self.folder / "answers.npz"
        np.savez(str(columns), **self.columns)
        question = {"columns": str(columns), "files": files, "answers": str(answers)}
        (self.folder / "question.json").write_text(json.dumps(question))
        where = [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
        site = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
        command = [python, "-I", "-S", script, site, str(self.folder / "question.json")]
        done = subprocess.run(command, cwd=str(self.folder), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        *printed, modules = done.stdout.splitlines()
        assert not printed, "a file prints"
        return np.load(str(answers)), json.loads(modules)


@pytest.fixture
def question(world: World, coupled: np.ndarray, tmp_path: Path) -> Question:
    return Question(tmp_path, {"coupled": coupled, "kaggle": world.x})


@pytest.fixture(scope="module")
def strangers(
    files: Path, world: World, coupled: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Tuple[Any, Any]:
    """Run all files in one process that cannot import leapkit: its answers, and its modules."""
    columns = {"coupled": coupled, "kaggle": world.x}
    asked = Question(tmp_path_factory.mktemp("stranger"), columns)
    return asked.ask(sys.executable, {str(files / case.file): case.contract for case in CASES})


@pytest.fixture(params=CASES, ids=lambda case: case.file)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def answers(strangers: Tuple[Any, Any], files: Path, case: Case) -> Dict[str, np.ndarray]:
    """Return {form of the columns: what the file predicts}."""
    return {form: strangers[0][f"{files / case.file}|{form}"] for form in stranger.FORMS}


def require_equal(y: np.ndarray, expected: np.ndarray, emulator: Any) -> None:
    """Require float32 predictions within the tolerance, formulas to their last digit."""
    assert y.dtype == np.float32 and y.shape == expected.shape
    formulas = kaggle_positions(ZERO + LINEAR)
    scalings = [network.scaling for network in emulator.networks]
    with np.errstate(divide="ignore"):
        units = np.max([s.target_std / s.weight for s in scalings], axis=0)
    units[formulas] = 0.0
    allowed = TOLERANCE * units + HALF_STEP * np.abs(expected) + SMALLEST
    worst = np.abs(y - expected) - allowed
    row, target = np.unravel_index(worst.argmax(), worst.shape)
    assert worst.max() <= 0, f"{TARGETS[target]} of column {row}: {worst.max()} too much"


def test_the_process_had_no_kit_to_import(strangers: Tuple[Any, Any]) -> None:
    """It asserts itself that none could be found; here is what it had imported at the end."""
    assert "torch" in strangers[1] and not set(strangers[1]) & set(stranger.KIT)


def test_a_file_predicts_what_the_kit_does_at_any_batch_and_stride(
    case: Case, answers: Dict[str, np.ndarray], emulators: Dict[str, Any], world: World
) -> None:
    emulator = Emulator(emulators[case.network], "cpu")
    for rows in (1, 16, 61):
        expected = emulator.predict(world.x[:rows], check=False)
        assert np.abs(expected).max() > 0
        require_equal(answers[str(rows)], expected, emulators[case.network])
    for form in ("strided", "again"):
        require_equal(answers[form], expected, emulators[case.network])


def test_rows_of_zeros_and_of_denormal_numbers_give_finite_numbers(
    case: Case, answers: Dict[str, np.ndarray]
) -> None:
    for form in ("zeros", "padded", "denormal"):
        assert answers[form].shape == (16, 368) and np.isfinite(answers[form]).all()
    unused = answers["zeros"][0]
    assert np.allclose(answers["padded"][10:], unused, rtol=1e-4, atol=0)


def test_a_row_that_is_not_finite_spoils_no_other(
    case: Case, answers: Dict[str, np.ndarray], emulators: Dict[str, Any], world: World
) -> None:
    y = answers["one NaN"]
    others = np.arange(16) != 3
    expected = Emulator(emulators[case.network], "cpu").predict(world.x[:16], check=False)
    assert np.isnan(y[3]).any()
    require_equal(y[others], expected[others], emulators[case.network])


@pytest.mark.parametrize("name", [*NETWORKS, BLEND])
def test_a_safetensors_file_predicts_what_its_checkpoints_do_to_the_last_bit(
    name: str, files: Path, emulators: Dict[str, Any], world: World
) -> None:
    path = files / Case(name, ".safetensors").file
    loaded = leapkit.load(weights=path, device="cpu")
    y = loaded.predict(world.x[:16], check=False)
    expected = Emulator(emulators[name], "cpu").predict(world.x[:16], check=False)
    assert y.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_safetensors_file_holds_each_checkpoint_for_any_reader(
    name: str, files: Path, emulators: Dict[str, Any]
) -> None:
    """Read as the format says: a length, JSON of names, the numbers."""
    content = (files / Case(name, ".safetensors").file).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    (network,) = emulators[name].networks
    for number, module in enumerate(network.modules()):
        for tensor_name, tensor in module.state_dict().items():
            entry = header[f"0.{number}.{tensor_name}"]
            first, end = entry["data_offsets"]
            assert entry["shape"] == list(tensor.shape) and entry["dtype"] == "F32"
            assert content[start + first : start + end] == tensor.numpy().tobytes()


def test_no_file_names_this_machine_a_device_or_what_is_not_repeatable(files: Path) -> None:
    """torch writes the source lines of a trace into its archives, with the folders of the kit."""
    of_machine = [os.sep + "leapkit" + os.sep, "site-packages", sys.prefix, str(files.parent)]
    forbidden = [*of_machine, "cuda:", "aten::rand", "PythonOp", "aten::print", "print("]
    checked = sorted(path for path in files.iterdir() if path.is_file())
    assert {case.file for case in CASES} < {path.name for path in checked}
    for path in checked:
        for name, content in contents(path):
            found = [word for word in forbidden if word.encode() in content]
            assert not found, f"{path.name}: {name} holds {found}"


def contents(path: Path) -> Iterator[Tuple[str, bytes]]:
    """Yield (name, bytes) of what a file holds: of an archive, each of its files."""
    if not zipfile.is_zipfile(str(path)):
        yield path.name, path.read_bytes()
        return
    with zipfile.ZipFile(str(path)) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


@pytest.mark.skipif(MODERN, reason="an older torch does not read what a newer one wrote")
def test_a_newer_torch_reads_the_files_of_an_old_one(
    files: Path, emulators: Dict[str, Any], world: World, question: Question
) -> None:
    """A climate model brings a LibTorch of its own."""
    other = os.environ.get("OTHER_PYTHON", "")
    if not other:
        pytest.skip("OTHER_PYTHON names no python of another stack (make test does)")
    paths = {name: str(files / Case(name, ".pt").file) for name in NETWORKS}
    answers, _ = question.ask(other, {path: "coupled" for path in paths.values()})
    for name, path in paths.items():
        expected = Emulator(emulators[name], "cpu").predict(world.x, check=False)
        require_equal(answers[f"{path}|strided"], expected, emulators[name])
