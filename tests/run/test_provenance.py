"""What is begun on one stack is not ended on another, and receipts name all that took part."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest

from tests.helpers import small_run

torch = pytest.importorskip("torch")

from leapkit.core import errors, receipts  # noqa: E402
from leapkit.core.layout import Results  # noqa: E402
from leapkit.run import provenance, training_state, unfinished_predictions  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack]

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]
KILL_IN_TRAINING = "leapkit.run.training._keep:3:SIGKILL"
KILL_IN_INFERENCE = "leapkit.data.submission.write:1:SIGKILL"
HERE = provenance.environment(torch.device("cpu"))


@pytest.fixture(scope="module")
def killed_once(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    """Return {moment: submission folder} of runs killed in training and in inference."""
    moments = (KILL_IN_TRAINING, KILL_IN_INFERENCE)
    folders = {moment: tmp_path_factory.mktemp("killed") / "s" for moment in moments}
    jobs = [
        (moment, small_run.arguments("reproduce", tiny_world, folder))
        for moment, folder in folders.items()
    ]
    assert [code for code, _ in small_run.in_children(jobs)] == [-9, -9]
    return folders


def copy_of(folder: Path, tmp_path: Path) -> Tuple[Results, Path]:
    shutil.copytree(str(folder), str(tmp_path / "s"))
    results = Results(tmp_path / "s")
    return results, results.experiment("adam", "200")


def go_on(raw: Path, results: Results) -> int:
    with pytest.raises(SystemExit) as ended:
        errors.run_cli(small_run.run, small_run.arguments("reproduce", raw, results.root))
    return int(ended.value.code or 0)


def change_begun(state: Path, **changes: Any) -> None:
    """Let a state say that it was begun elsewhere; None forgets, as an older kit did."""
    content = training_state.load(state)
    if changes:
        content["environments"][-1].update(changes)
    else:
        del content["environments"]
    training_state.save(state, content)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"torch": "1.10.0+cpu"}, "torch 1.10.0+cpu on cpu"),
        ({"device": "NVIDIA A100"}, "on NVIDIA A100"),
        ({"machine": "aarch64", "stack": "published"}, "(STACK=published)"),
    ],
)
def test_a_training_is_not_ended_on_another_stack_and_nothing_is_lost(
    changes: Dict[str, str],
    words: str,
    killed_once: Dict[str, Path],
    tiny_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, folder = copy_of(killed_once[KILL_IN_TRAINING], tmp_path)
    state = folder / "200.state.pt"
    change_begun(state, **changes)
    before = state.read_bytes()
    assert go_on(tiny_world, results) == errors.EXIT_REFUSED
    [line] = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert str(state) in line and words in line and "remove this file to train anew" in line
    assert state.read_bytes() == before
    state.unlink()  # the remedy
    assert go_on(tiny_world, results) == 0
    details = receipts.read(folder / "200.pt")["details"]
    assert details["environments"] == [HERE]


def test_another_number_of_threads_goes_on_and_the_receipt_names_both(
    killed_once: Dict[str, Path], tiny_world: Path, tmp_path: Path
) -> None:
    results, folder = copy_of(killed_once[KILL_IN_TRAINING], tmp_path)
    change_begun(folder / "200.state.pt", threads=7)
    assert go_on(tiny_world, results) == 0
    details = receipts.read(folder / "200.pt")["details"]
    assert details["environments"] == [{**HERE, "threads": 7}, HERE]


def test_a_state_of_an_older_kit_goes_on_and_the_receipt_says_what_is_not_known(
    killed_once: Dict[str, Path], tiny_world: Path, tmp_path: Path
) -> None:
    results, folder = copy_of(killed_once[KILL_IN_TRAINING], tmp_path)
    change_begun(folder / "200.state.pt")
    assert go_on(tiny_world, results) == 0
    details = receipts.read(folder / "200.pt")["details"]
    assert details["environments"] == [provenance.UNRECORDED, HERE]


def test_a_state_of_another_arithmetic_starts_anew(
    killed_once: Dict[str, Path],
    tiny_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, folder = copy_of(killed_once[KILL_IN_TRAINING], tmp_path)
    change_begun(folder / "200.state.pt", numerics=receipts.NUMERICS - 1)
    assert go_on(tiny_world, results) == 0
    assert "starts anew" in capsys.readouterr().out


@pytest.mark.parametrize("changes", [{"torch": "1.10.0+cpu"}, {"numerics": 0}, None])
def test_predictions_of_another_stack_are_made_anew(
    changes: Dict[str, Any],
    killed_once: Dict[str, Path],
    tiny_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, folder = copy_of(killed_once[KILL_IN_INFERENCE], tmp_path)
    [record] = folder.glob("predictions-*.json")
    if changes is None:  # an older version of the kit wrote none
        record.unlink()
    else:
        record.write_text(json.dumps({"environments": [{**HERE, **changes}]}))
    assert go_on(tiny_world, results) == 0
    assert "predicts anew, it was begun on another stack" in capsys.readouterr().out
    details = receipts.read(results.parquet(small_run.EXPERIMENT.artifact))["details"]
    assert details["environments"] == [HERE]


def test_predictions_of_the_same_stack_go_on_and_name_all_that_took_part(tmp_path: Path) -> None:
    scratch = tmp_path / "predictions-0.f32"
    assert unfinished_predictions.environments(scratch, HERE) == [HERE]
    scratch.write_bytes(b"half")
    more = {**HERE, "threads": 9}
    assert unfinished_predictions.environments(scratch, more) == [HERE, more]
    assert unfinished_predictions.environments(scratch, HERE) == [HERE, more]
    assert scratch.read_bytes() == b"half"
    other = {**HERE, "device": "NVIDIA H100"}
    assert unfinished_predictions.environments(scratch, other) == [other]
    assert scratch.read_bytes() == b"", "it stays, as the proof that a parquet is the kit's own"


@pytest.mark.skipif(
    not os.environ.get("OTHER_PYTHON"),
    reason="OTHER_PYTHON names no interpreter with another torch",
)
@pytest.mark.parametrize("moment", [KILL_IN_TRAINING, KILL_IN_INFERENCE])
def test_what_a_real_other_stack_began_is_not_ended_here(
    moment: str, tiny_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other stack is killed in training, or after it, in inference."""
    results = Results(tmp_path / "s")
    argv = small_run.arguments("reproduce", tiny_world, results.root)
    program = [str(ROOT / "tests" / "helpers" / "small_run.py"), moment, *argv]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT / "shared"), str(ROOT)]))
    done = subprocess.run([os.environ["OTHER_PYTHON"], *program], env=env, cwd=str(ROOT))
    assert done.returncode == -9
    folder = results.experiment("adam", "200")
    if moment == KILL_IN_TRAINING:
        assert go_on(tiny_world, results) == errors.EXIT_REFUSED
        assert "would give the bytes of neither" in capsys.readouterr().err
        (folder / "200.state.pt").unlink()
    assert go_on(tiny_world, results) == 0
    undisturbed = Results(tmp_path / "undisturbed")
    assert go_on(tiny_world, undisturbed) == 0
    of_training = receipts.read(folder / "200.pt")
    of_inference = receipts.read(results.parquet(small_run.EXPERIMENT.artifact))
    assert [one["torch"] for one in of_inference["details"]["environments"]] == [HERE["torch"]]
    [trained_on] = of_training["details"]["environments"]
    assert (trained_on["torch"] == HERE["torch"]) == (moment == KILL_IN_TRAINING)
    if moment == KILL_IN_TRAINING:  # the same bytes as if the other stack had never begun
        name = small_run.PARQUET
        assert (results.subs / name).read_bytes() == (undisturbed.subs / name).read_bytes()
