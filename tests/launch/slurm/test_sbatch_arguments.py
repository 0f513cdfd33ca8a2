"""What SLURM, HOURS, GPUS and PACK give, and that no more can be smuggled in."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

import pytest

from launch.slurm import sbatch_arguments
from launch.slurm.job_graph import Job, Task
from leapkit.core.errors import KitError
from tests.launch.slurm.conftest import EXPERIMENTS


def test_jobs_of_one_network_and_folder_share_a_name_and_no_others(tmp_path: Path) -> None:
    network = Job("adam/195", "adam-195", "")
    others = [Job("adam/197", "adam-197", ""), Job("joseph/195", "joseph-195", "")]

    def name(job: Job, results: Path) -> str:
        given = sbatch_arguments.arguments(job, sbatch_arguments.Allocation(), results, tmp_path)
        return next(word for word in given if word.startswith("--job-name="))

    (tmp_path / "same").symlink_to(tmp_path)
    assert name(network, tmp_path) == name(network, tmp_path / "same")
    names = {name(job, folder) for job in [network, *others] for folder in (tmp_path, Path("/s"))}
    assert len(names) == 6


@pytest.mark.parametrize(
    "hours, minutes, notice", [("24", 1440, 600), ("0.5", 30, 450), ("0.1", 6, 90), ("0.05", 3, 60)]
)
def test_a_short_job_is_told_later_to_save_its_state(hours: str, minutes: int, notice: int) -> None:
    asked = sbatch_arguments.allocation({"HOURS": hours}, "auto")
    assert (asked.minutes, asked.notice) == (minutes, notice)


def test_gpus_are_asked_for_once_and_a_cpu_needs_none() -> None:
    job = Job("adam/195", "adam-195", "", tasks=(Task(EXPERIMENTS["adam/195"]),))

    def gpus(device: str = "auto", **values: str) -> List[str]:
        words = sbatch_arguments.allocation(values, device).of(job)
        return [word for word in words if "gpu" in word]

    assert gpus() == ["--gres=gpu:1"]
    assert gpus(GPUS="4") == ["--gres=gpu:4"]
    assert gpus(device="cpu") == []
    assert gpus(SLURM="--gpus-per-node=a100:1") == ["--gpus-per-node=a100:1"]


@pytest.mark.parametrize(
    "value",
    [
        "--account=x ; touch executed",
        "--account x",
        "other.sh",
        "--wrap=reboot",
        "--dependency=afterany:1",
        "--dep=afterany:1",
        "-dafterany:1",
        "--array=0-9",
        "-o/dev/null",
        "--time=5",
        "-- x",
        "'open",
    ],
)
def test_what_would_change_the_graph_or_is_no_option_is_one_sentence(value: str) -> None:
    with pytest.raises(KitError) as error:
        sbatch_arguments.allocation({"SLURM": value}, "auto")
    assert error.value.where == "SLURM" and error.value.remedy


@pytest.mark.parametrize(
    "values, where",
    [
        ({"HOURS": "soon"}, "HOURS=soon"),
        ({"HOURS": "nan"}, "HOURS=nan"),
        ({"HOURS": "-1"}, "HOURS=-1"),
        ({"PACK": "4", "GPUS": "2"}, "PACK=4"),
    ],
)
def test_hours_and_packs_that_cannot_be_are_one_sentence(
    values: Dict[str, str], where: str
) -> None:
    with pytest.raises(KitError) as error:
        sbatch_arguments.allocation(values, "auto")
    assert error.value.where == where
