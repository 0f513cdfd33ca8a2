"""make predict and make export: what runs, where, and what is refused before anything does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch import emulating, settings
from launch.__main__ import main
from launch.choices import Choice
from launch.emulating import Step
from launch.runtimes import apptainer, containers, environments
from tests.helpers.refusals import refused

STEP = "E3SM-MMF.mli.0008-07-01-00000.nc"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with data, two trained networks and inputs, from which commands are given."""
    names = ("raw/statistics", "results/outputs/adam/195", "results/outputs/max2020/022", "in")
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "results/outputs/adam/195/195.pt").touch()
    (tmp_path / "results/outputs/max2020/022/022_g0.pt").touch()
    (tmp_path / "in" / STEP).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> List[Step]:
    """Collect the steps that would be started."""
    steps: List[Step] = []

    def start(step: Step) -> int:
        steps.append(step)
        return 0

    monkeypatch.setattr(emulating, "start", start)
    return steps


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "runtime", lambda _: Choice("docker", "an engine answers"))


def words(*more: str, command: str = "predict", network: str = "adam/195") -> List[str]:
    given = ("--raw-data=raw", "--submission=results", "--inputs=in")[
        : 3 if command == "predict" else 2
    ]
    return [command, f"--network={network}", *given, *more]


def options(arguments: List[str]) -> Dict[str, str]:
    return dict(word[2:].split("=", 1) for word in arguments if word.startswith("--"))


def test_a_network_runs_on_its_own_stack_and_both_runtimes_name_the_same_files(
    world: Path, started: List[Step], docker: None
) -> None:
    assert main(words("--to=out/a.nc", "--device=cpu")) == 0
    [step] = started
    assert step.settings.emulator.name == "py38-torch1.10"
    here, inside = options(step.here()), options(step.inside())
    assert here["weights"] == str(world / "results") and inside["weights"] == "/weights"
    assert here["to"] == str(world / "out/a.nc") and inside["to"] == "/to/a.nc"
    assert here["raw-data"] == str(world / "raw") and inside["raw-data"] == "/raw_data"
    assert step.here()[0] == step.inside()[0] == "predict"
    assert here["device"] == inside["device"] == "cpu" and "profile" not in here


def test_without_to_the_predictions_lie_with_the_results(world: Path, started: List[Step]) -> None:
    main(words(network="022"))
    assert options(started[0].here())["to"] == str(world / "results/predictions/max2020_022.nc")
    assert started[0].settings.emulator.name == "py310-torch1.12"


def test_a_container_sees_patterns_and_files_below_its_mounts(
    world: Path, started: List[Step], docker: None
) -> None:
    checkpoint = world / "results/outputs/adam/195/195.pt"
    main(words(f"--weights={checkpoint}", f"--inputs={world}/in/*.mli.*", "--to=a.nc"))
    [step] = started
    inside = options(step.inside())
    assert inside["inputs"] == "/inputs/*.mli.*" and inside["weights"] == "/weights/195.pt"
    assert step.mounts == {
        "LEAP_WEIGHTS": checkpoint.parent,
        "LEAP_INPUTS": world / "in",
        "LEAP_TO": world,
    }
    variables = containers.variables(step.settings, "", containers.User(1, 1))
    assert variables["LEAP_EMULATOR"] == "py38-torch1.10" and variables["LEAP_STACK"] == "published"


def test_a_blend_and_every_export_run_on_the_modern_stack(
    world: Path, started: List[Step], docker: None
) -> None:
    (world / "table.csv").touch()
    main(words(network="v10"))
    main(words(network=str(world / "table.csv")))
    main(words(command="export"))
    assert [step.settings["STACK"] for step in started] == ["modern"] * 3
    assert {step.settings.emulator.name for step in started} == {"py311-torch2.13"}
    assert [options(step.inside())["network"] for step in started] == [
        *("v10", "/tables/table.csv", "adam/195"),
    ]
    assert options(started[2].here())["to"] == str(world / "results/exports/adam_195")
    for command, network in (("predict", "v10"), ("export", "adam/195")):
        with refused("STACK=published", "modern stack", "STACK=modern"):
            main(words("--stack=published", command=command, network=network))


def test_without_inputs_the_steps_that_validate_are_predicted(
    tiny_world: Path, world: Path, started: List[Step]
) -> None:
    with refused("raw/ClimSim_low-res/train", "the folder of step files is missing"):
        main(words("--inputs="))
    shutil.rmtree(str(world / "raw"))
    (world / "raw").symlink_to(tiny_world)
    main(words("--inputs="))
    assert "inputs" not in options(started[0].here())


@pytest.mark.parametrize(
    "more, complaint",
    [
        (["--inputs=none"], "INPUTS=none: does not exist"),
        (["--inputs=raw"], "holds no .mli step file"),
        (["--to=/proc/none/a.nc"], "cannot be written to"),
        (["--weights=none"], "WEIGHTS=none: does not exist"),
        (["--raw-data=none"], "the folder does not exist"),
        (["--postprocess=none"], "POSTPROCESS=none: is no constraint: none"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_starts(
    world: Path, started: List[Step], more: List[str], complaint: str
) -> None:
    with pytest.raises(Exception, match=complaint.replace("(", r"\(")):
        main(words(*more))
    assert not started


def test_an_export_into_a_file_is_refused(world: Path, started: List[Step]) -> None:
    with refused(world / "in" / STEP, "is a file", "name a folder"):
        main(words(f"--to=in/{STEP}", command="export"))


def test_without_containers_a_step_runs_in_its_members_environment(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: List[Any] = []
    monkeypatch.setattr(environments, "member_python", lambda *names: Path("/".join(names)))
    monkeypatch.setattr(
        emulating.process, "run", lambda command, env: commands.append((command, env)) or 0
    )
    main(words("--runtime=venv", network="022"))
    main(words("--runtime=venv", network="v10"))
    (one, env), (blend, _) = commands
    assert one[:4] == ["max2020/published/cpu", "-m", "leapkit.emulators", "predict"]
    assert env["LEAP_STACK"] == "published"
    assert blend[0] == "adam/modern/cpu"


@pytest.mark.parametrize("network, lock", [("022", "py310-torch1.12"), ("v10", "py311-torch2.13")])
def test_the_image_of_a_network_becomes_a_file_if_it_is_named_and_members_keep_their_stack(
    docker: None, monkeypatch: pytest.MonkeyPatch, network: str, lock: str
) -> None:
    made: List[Any] = []
    monkeypatch.setattr(apptainer, "make_files", lambda *given: made.append(given) or [])
    main(["sifs", "--experiments=195", f"--network={network}"])
    images = {}
    for chosen, services in made:
        images.update(apptainer.images_of(chosen, services))
    assert images == {
        "adam": "leap-adam:published-cpu",
        "blend": "leap-blend:cpu",
        "emulator": f"leap-emulator:{lock}-cpu",
    }
