"""The verdict of the doctor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import pytest

from launch import doctor, folders, gpus, machine
from launch.gpus import Gpu

NO_GPU = Gpu(gpus.NONE, "no NVIDIA GPU")


def verdict(**requested: str) -> List[str]:
    return doctor.verdict(doctor.runtimes(NO_GPU), doctor.ways(requested))


def commands(lines: List[str], heading: str) -> List[str]:
    """Return the command at the start of each line below a heading."""
    block = lines[lines.index(heading) + 1 :]
    end = block.index("") if "" in block else len(block)
    return [line.strip() for line in block[:end] if not line.startswith("   ")]


def test_a_fresh_clone_can_reproduce_the_sample_world_and_lacks_nothing_that_it_makes(
    tmp_path: Path,
) -> None:
    lines = verdict(RAW_DATA=str(tmp_path), SUBMISSION=str(tmp_path), WEIGHTS=str(tmp_path))
    ready = commands(lines, "You can run now:")
    assert ready[0].startswith("make reproduce ") and len(ready) == 2
    assert "RUNTIME=venv" in ready[1] and "RUNTIME=docker" not in ready[1]
    assert not [line for line in lines if "sample/" in line]


def test_what_cannot_run_yet_names_the_command_that_gives_what_it_lacks(tmp_path: Path) -> None:
    lines = verdict(RAW_DATA=str(tmp_path), SUBMISSION=str(tmp_path), WEIGHTS=str(tmp_path))
    other_commands = commands(lines, "For the rest:")
    assert [line.split("  ")[0] for line in other_commands] == [
        "make infer-only",
        "make reproduce PROFILE=full",
        "make blend MODE=infer-only",
        "RUNTIME=docker",
        "RUNTIME=apptainer",
    ]
    text = "\n".join(lines)
    for remedy in (
        "make fetch WHAT=kaggle",
        "make fetch WHAT=statistics",
        "make fetch WHAT=steps",
        "make fetch WHAT=weights",
        "make bases",
        "containers/install-apptainer",
        "make sifs",
    ):
        assert remedy in text


def test_with_data_and_checkpoints_the_published_networks_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "published_checkpoints", lambda *_: [])
    for name in ("test", "sample_submission", "sample_submission_old"):
        path = tmp_path / "kaggle-data" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for family in ("adam", "fdzm"):
        for name in ("mean", "std"):
            path = tmp_path / "statistics" / family / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    lines = verdict(RAW_DATA=str(tmp_path), SUBMISSION=str(tmp_path))
    ready = commands(lines, "You can run now:")
    assert [line.split("  ")[0] for line in ready[:2]] == [
        "make reproduce PROFILE=sample",
        "make infer-only",
    ]


def test_without_any_runtime_nothing_can_run_and_both_say_what_they_lack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "interpreter", lambda version: None)
    lines = verdict(RAW_DATA=str(tmp_path), SUBMISSION=str(tmp_path))
    assert lines[0] == "You can run nothing yet: no runtime works."
    other_commands = commands(lines, "For the rest:")
    runtimes = {"RUNTIME=docker", "RUNTIME=apptainer", "RUNTIME=venv"}
    assert runtimes <= {line.split("  ")[0] for line in other_commands}


def test_the_doctor_ends_in_its_verdict_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert doctor.run({"RAW_DATA": str(tmp_path), "SUBMISSION": str(tmp_path / "results")}) == 0
    printed = capsys.readouterr().out
    assert printed.index("B free") < printed.index("You can run now:")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count, lacks", [(0, "16 of 16 parquets"), (16, "receipts")])
def test_the_blend_alone_lacks_parquets_or_their_receipts(
    tmp_path: Path, count: int, lacks: str
) -> None:
    from blend import tables

    (tmp_path / "subs").mkdir()
    for name in tables.find("v10").artifacts[:count]:
        (tmp_path / "subs" / f"{name}.parquet").touch()
    blend = doctor.ways({"RAW_DATA": str(tmp_path), "SUBMISSION": str(tmp_path)})[-1]
    assert any(lacks in reason for reason in blend.lacks)


def test_the_doctor_says_what_is_allotted_and_what_limits_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2000")
    monkeypatch.setattr(folders, "lock_problem", lambda _: "function not implemented")
    gpu = Gpu(gpus.UNCLEAR, "the driver is loaded, but nvidia-smi does not answer")
    facts = dict(doctor.machine_facts(gpu, {"SUBMISSION": tmp_path / "results" / "of mine"}))
    if not facts["cores"].startswith("1 (the processors"):
        assert facts["cores"] == "1 (SLURM_CPUS_PER_TASK)"
    assert facts["memory"] == "2.1 GB (SLURM_MEM_PER_NODE)"
    assert facts["GPU"] == "unclear: the driver is loaded, but nvidia-smi does not answer"
    assert "no file locks (function not implemented)" in facts["SUBMISSION"]
    assert sys.executable in facts["this Python"]


def test_the_doctor_names_a_folder_that_cannot_be_written_to() -> None:
    facts = dict(doctor.machine_facts(NO_GPU, {"LEAP_VENVS": Path("/proc/nothing")}))
    assert "cannot be written to" in facts["LEAP_VENVS"]
    lines = verdict(SUBMISSION="/proc/nothing")
    assert lines[0] == "You can run nothing yet: each command lacks something."
    assert sum("write access to /proc/nothing" in line for line in lines) == 4
