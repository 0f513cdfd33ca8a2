"""make distil: what it refuses before anything starts, and the three steps that it starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest

from launch import blend_tools, distil, emulating, run
from launch.choices import Choice
from launch.runtimes import environments
from launch.settings import Settings
from leapkit.core.errors import KitError
from leapkit.core.splits import Split, write_split
from leapkit.core.step_files import file_name
from tests.helpers.refusals import refused

MONTHS = {"0008-01": 3, "0008-02": 2, "0008-07": 1}


def steps(root: Path, months: Dict[str, int], kinds: Sequence[str] = ("mli", "mlo")) -> Path:
    """Make empty step files: the launcher looks at names."""
    for month, count in months.items():
        for k in range(count):
            for kind in kinds:
                file = root / month / file_name(kind, f"{month}-{k + 1:02d}-00000")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"")
    return root


@pytest.fixture
def world(tmp_path: Path) -> Path:
    root = tmp_path / "world"
    steps(root / "ClimSim_low-res" / "train", MONTHS)
    write_split(root / "split.json", Split(("0008-01", "0008-02"), ("0008-07",), 1, ("0009-02",)))
    return root


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """Return what is started, in order: command lines, and the choices of the student's run."""
    commands: List[Any] = []

    def command(argv: List[str], env: object = None) -> int:
        commands.append(argv)
        return 0

    monkeypatch.setattr(emulating.process, "run", command)
    monkeypatch.setattr(blend_tools.process, "run", command)
    monkeypatch.setattr(environments, "member_python", lambda *names: Path("python"))
    monkeypatch.setattr(environments, "blend_python", lambda: Path("python"))
    monkeypatch.setattr(run, "run", lambda chosen: commands.append(chosen) or 0)
    return commands


def given(world: Path, **more: str) -> Dict[str, str]:
    """Return the variables of a command that could run."""
    weights = world.parent / "weights"
    weights.mkdir(exist_ok=True)
    return {
        "RUNTIME": "venv",
        "PROFILE": "sample",
        "RAW_DATA": str(world),
        "SUBMISSION": str(world.parent / "submission"),
        "WEIGHTS": str(weights),
        "TEACHER": "max2020/022",
        **more,
    }


def test_the_teacher_predicts_the_training_months_and_the_student_learns_from_their_world(
    world: Path, started: List[Any]
) -> None:
    assert distil.distil(given(world)) == 0
    predict, make_world, student = started
    to = world.parent / "submission" / "distilled" / "max2020_022"
    months = [world / "ClimSim_low-res" / "train" / month for month in ("0008-01", "0008-02")]
    assert predict[1:4] == ["-m", "leapkit.emulators", "predict"]
    assert [word for word in predict if word.startswith("--inputs")] == [
        f"--inputs={month}" for month in months
    ]
    assert {"--network=max2020/022", f"--to={to / 'labels' / '0008-01'}"} <= set(predict)
    assert make_world[1:] == [
        *("-m", "leapkit.worlds.teacher_world", f"--raw-data={world}", f"--to={to / 'world'}"),
        f"--labels={to / 'labels' / '0008-01'}",
    ]
    assert student.raw.root == to / "world" and student.results.root == to / "submission"
    [(member, experiments)] = student.experiments().items()
    assert member == "student" and [each.id for each in experiments] == ["stack"]
    assert [blend.source for blend in student.blends] == ["searched-student"]


def test_a_world_of_many_steps_is_predicted_in_parts_of_whole_months_that_a_disk_holds(
    world: Path, started: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distil, "STEPS_AT_ONCE", 4)
    further = steps(world.parent / "further", {"0007-01": 1, "0007-02": 4}, kinds=["mli"])
    assert distil.distil(given(world, INPUTS=str(further), TO=str(world.parent / "to"))) == 0
    words = [[Path(word).name for word in argv if "--inputs" in word] for argv in started[:-2]]
    assert words == [["0008-01"], ["0008-02", "0007-01"], ["0007-02"]]
    labels = [Path(word).name for word in started[-2] if "--labels" in word]
    assert labels == ["0008-01", "0008-02", "0007-02"]


def test_a_step_that_fails_ends_the_command_with_its_code(
    world: Path, started: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulating.process, "run", lambda argv, env=None: 3)
    assert distil.distil(given(world)) == 3
    assert not started


def test_a_container_sees_the_labels_and_the_world_below_one_folder_so_that_it_can_link_them(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: List[Any] = []
    monkeypatch.setattr(
        distil.image_runtimes, "on_world", lambda *given: seen.append(given[1:]) or 0
    )
    chosen = {"RUNTIME": Choice("docker", ""), "RAW_DATA": Choice(str(world), "")}
    to = world.parent / "to"
    assert distil.make_world(Settings("reproduce", chosen), [to / "labels" / "0008-01"], to) == 0
    [(arguments, mounts, made)] = seen
    assert arguments[:2] == ["-m", "leapkit.worlds.teacher_world"] and made == to
    assert arguments[2:] == [
        "--raw-data=/steps",
        "--to=/world/world",
        "--labels=/world/labels/0008-01",
    ]
    assert mounts == {"LEAP_RAW_DATA_PARENT": to, "LEAP_STEPS": world}


@pytest.mark.parametrize(
    "wrong, where, words",
    [
        ({"TEACHER": ""}, "make distil", "lacks TEACHER"),
        ({"TEACHER": "max2020/023"}, "TEACHER=max2020/023", "is neither a network nor"),
        ({"TEACHER": "searched", "WEIGHTS": ""}, "searched", "were not searched yet"),
        ({"TEACHER": "v10", "STACK": "published"}, "STACK=published", "modern stack"),
        ({"RAW_DATA": "/nowhere"}, "/nowhere", "does not exist"),
        ({"INPUTS": "held"}, "INPUTS", "0008-07 validates or tests"),
        ({"INPUTS": "tested"}, "INPUTS", "0009-02 validates or tests"),
        ({"INPUTS": "world"}, "INPUTS=", "is no folder of months"),
        ({"INPUTS": "empty"}, "0007-01", "holds no .mli step file"),
        ({"TO": "file"}, "TO=", "is a file"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_misuse_is_one_sentence_before_anything_starts(
    world: Path,
    started: List[Any],
    monkeypatch: pytest.MonkeyPatch,
    wrong: Dict[str, str],
    where: str,
    words: str,
) -> None:
    monkeypatch.chdir(world.parent)
    steps(Path("held"), {"0008-07": 1})
    steps(Path("tested"), {"0009-02": 1})
    Path("empty/0007-01").mkdir(parents=True)
    Path("file").write_text("mine")
    with refused(where, words):
        distil.distil({name: value for name, value in given(world, **wrong).items() if value})
    assert not started


def test_a_student_without_an_image_is_refused_before_the_teacher_predicts(
    world: Path, started: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(chosen: Settings, services: List[str]) -> None:
        assert services == ["student"] and chosen["SUBMISSION"].endswith("/submission")
        raise KitError("holds no SIF of leap-student", "sifs", "run `make sifs`")

    monkeypatch.setattr(distil.image_runtimes, "require", lacking)
    with refused("sifs", "holds no SIF of leap-student"):
        distil.distil(given(world))
    assert not started


def test_a_world_without_step_files_is_refused(world: Path, started: List[Any]) -> None:
    shutil.rmtree(str(world / "ClimSim_low-res"))
    with pytest.raises(KitError, match="0008-01"):
        distil.distil(given(world))
    os.remove(str(world / "split.json"))
    with pytest.raises(KitError, match="folder of step files is missing"):
        distil.distil(given(world))
    assert not started


def test_the_students_score_stands_beside_its_teachers_where_both_are_known(
    world: Path, started: List[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from leapkit.core.files import write_json

    submission = world.parent / "submission"
    rows = {"max_022_deeper_gf_cv7908_lbUnknown": 0.5, "ridge regression": 0.1}
    scores = [{"name": name, "predicted": r2} for name, r2 in rows.items()]
    write_json(submission / "blend" / "scores_searched.json", scores)
    taught = submission / "distilled" / "max2020_022" / "submission" / "blend"
    learned = [{"name": "student_stack", "predicted": 0.495}]
    write_json(taught / "scores_searched-student.json", learned)
    distil.distil(given(world))
    assert "student 0.49500, teacher 0.50000: 99.0% of it" in capsys.readouterr().out
