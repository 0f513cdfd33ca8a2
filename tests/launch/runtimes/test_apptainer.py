"""The apptainer runtime: what a step is started with, beside what compose.yaml says."""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch import blend_tools, registry, settings
from launch.choices import Choice
from launch.runtimes import apptainer, apptainer_run, containers, engine, sifs
from launch.slurm import member_command
from leapkit.core.errors import KitError
from tests.conftest import REPOSITORY

SERVICES = [
    *registry.members(),
    "blend",
    "verify",
    "evaluate",
    "report",
    "world",
    "emulator",
    "stacking",
]
GIVEN = (
    *("RAW_DATA_PARENT", "STEPS", "STATISTICS", "WEIGHTS", "INPUTS", "TO"),
    *("PREDICTIONS", "TRUTH", "ASKED"),
)
FOLDERS = {f"LEAP_{name}": Path("/" + name) for name in GIVEN}


def chosen(tmp_path: Path, accelerator: str = "cpu") -> settings.Settings:
    run = settings.choose("reproduce", {"SUBMISSION": str(tmp_path), "PROFILE": "sample"})
    choices = {"RUNTIME": "apptainer", "STACK": "modern", "ACCELERATOR": accelerator}
    return replace(run, choices={**run.choices, **{k: Choice(v, "") for k, v in choices.items()}})


@pytest.fixture
def sif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every service have one SIF, and return its path."""
    path = tmp_path / "some.sif"
    monkeypatch.setattr(engine, "apptainer_program", lambda: "/usr/bin/apptainer")
    monkeypatch.setattr(
        sifs, "find", lambda _, image: sifs.ImageFile(path, image, "sha256:1", "abc", "", 0)
    )
    return path


@pytest.fixture(scope="module")
def compose() -> Dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    services: Dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    return services


@pytest.mark.parametrize("service", SERVICES)
def test_a_step_sees_the_folders_that_compose_mounts_and_may_write_to_the_same(
    tmp_path: Path, compose: Dict[str, Any], service: str
) -> None:
    run = chosen(tmp_path)
    variables = {
        "LEAP_RAW_DATA": run.raw.root,
        "LEAP_SUBMISSION": run.results.root,
        "LEAP_TABLES": REPOSITORY / "blend" / "tables",
        **{f"LEAP_WEIGHTS_{member.upper()}": run.weights(member) for member in registry.members()},
        **FOLDERS,
    }

    def source(text: str) -> Path:
        return Path(re.sub(r"\$\{(\w+):-[^}]*\}", lambda match: str(variables[match[1]]), text))

    expected = [
        apptainer.Mount(source(m["source"]), m["target"], not m.get("read_only", False))
        for m in compose[service]["volumes"]
    ]
    assert sorted(apptainer.mounts_of(run, service, FOLDERS)) == sorted(expected)


@pytest.mark.parametrize("service", [*registry.members(), "blend", "verify", "stacking"])
def test_what_a_step_on_the_results_writes_to_is_made_and_given_to_it_first(
    tmp_path: Path, service: str
) -> None:
    run = chosen(tmp_path)
    written = {mount.source for mount in apptainer.mounts_of(run, service, {}) if mount.is_writable}
    assert written <= set(containers.folders_of(run.results, [service]))


@pytest.mark.parametrize("service", SERVICES)
def test_a_step_begins_with_the_entrypoint_of_its_image(
    compose: Dict[str, Any], service: str
) -> None:
    words = compose[service].get("entrypoint")
    if not words:
        text = (REPOSITORY / compose[service]["build"]["dockerfile"]).read_text()
        words = re.findall('"(.*?)"', text.split("\nENTRYPOINT")[1].split("\nCMD")[0])
        assert f"HOME={apptainer.HOME} " in text
    assert list(apptainer.entrypoint(service)) == words


def test_a_step_is_confined_and_its_arguments_come_last(tmp_path: Path, sif: Path) -> None:
    argv, env = apptainer.command(chosen(tmp_path), "adam", ["reproduce", "--device=cpu"])
    assert env == {} and argv[:2] == [sys.executable, str(apptainer.RUNNER)]
    options, inside = argv[2 : argv.index(str(sif))], argv[argv.index(str(sif)) + 1 :]
    assert options[:3] == ["/usr/bin/apptainer", "--quiet", "exec"]
    confined = "--containall --cleanenv --no-home --no-privs --no-mount bind-paths --net"
    assert f"{confined} --network none" in " ".join(options)
    assert "LEAP_IMAGE=leap-adam:modern-cpu sif sha256:abc" in options
    assert "LEAP_STACK=modern" in options and "--nv" not in options
    assert inside[:5] == ["env", "HOME=/tmp", "python", "-m", "members.adam"]
    assert inside[-2:] == ["reproduce", "--device=cpu"]


def test_only_an_image_for_gpus_is_given_some(tmp_path: Path, sif: Path) -> None:
    run = chosen(tmp_path, "cuda")
    (tmp_path / "blend").mkdir()
    assert "--nv" in apptainer.command(run, "adam", [])[0]
    assert "--nv" not in apptainer.command(run, "blend", [])[0]


def test_a_path_may_hold_what_separates_the_parts_of_a_mount() -> None:
    path = 'a:ro,b "c",destination=/x'
    [fields] = csv.reader([apptainer.Mount(Path(path), "/raw_data").option])
    assert fields == ["type=bind", f"source={path}", "destination=/raw_data", "ro"]


def test_a_container_is_told_of_its_allotment_and_nothing_else_of_the_caller() -> None:
    passed = {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "SLURM_CPUS_PER_TASK": "4",
        "OMP_NUM_THREADS": "4",
        "MKL_NUM_THREADS": "4",
    }
    site = {"APPTAINER_BIND": "/scratch", "SINGULARITYENV_X": "1", "APPTAINERENV_LD_PRELOAD": "x"}
    kept = {"APPTAINER_TMPDIR": "/fast", "SINGULARITY_CACHEDIR": "/fast", "PATH": "/bin"}
    env = apptainer_run.environment({**passed, **site, **kept, "LEAP_PARENT": "1"}, "/scratch/1")
    inside = {name[13:]: value for name, value in env.items() if name.startswith("APPTAINERENV_")}
    assert inside == passed
    assert not set(site) & set(env) and kept.items() <= env.items()
    assert env["APPTAINER_WORKDIR"] == env["SINGULARITY_WORKDIR"] == "/scratch/1"


def test_without_a_sif_and_an_engine_the_command_that_makes_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAP_SIFS", str(tmp_path))
    with pytest.raises(KitError, match=r"holds no SIF of leap-adam:modern-cpu; run `make sifs "):
        apptainer.prepare(chosen(tmp_path), ["adam"])


@pytest.mark.parametrize("service", ["joseph", "blend", "world"])
def test_a_batch_job_runs_the_same_step_once_its_sif_and_folders_are_made(
    tmp_path: Path, sif: Path, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    run = chosen(tmp_path / "results")
    prepared: List[str] = []
    monkeypatch.setattr(apptainer, "prepare", lambda _, services: prepared.extend(services))
    argv, variables = member_command.command(run, service, ["--an=argument"])
    folders = {"LEAP_RAW_DATA_PARENT": settings.sample_world().parent}
    assert (argv, variables) == apptainer.command(run, service, ["--an=argument"], folders)
    assert prepared == [service]
    mounted = apptainer.mounts_of(run, service, folders)
    assert all(mount.source.is_dir() for mount in mounted if tmp_path in mount.source.parents)
    assert argv[-1] == "--an=argument"


def test_a_job_makes_the_sample_world_where_its_container_sees_it(tmp_path: Path) -> None:
    folder = f"{blend_tools.WORLD}/{settings.sample_world().name}"
    assert blend_tools.world_arguments(chosen(tmp_path))[-1] == f"--to={folder}"
