"""Which device networks run on, and what is said if a GPU is there and cannot be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

pytest.importorskip("torch")

import torch

from leapkit.core import nvidia
from leapkit.core.errors import KitError
from leapkit.run import devices, member

pytestmark = pytest.mark.stack

OLD_DRIVER = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU"
    " driver by downloading and installing a new version"
)
UNKNOWN = "CUDA unknown error - this may be due to an incorrectly set up environment. Setting the"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the machine a driver, and torch a build for CUDA and a GPU that it knows."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(nvidia, "driver", lambda: "/proc/driver/nvidia/version")
    monkeypatch.setattr(torch.version, "cuda", "11.3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_70", "sm_80", "compute_90"])


def refuse(monkeypatch: pytest.MonkeyPatch, message: Optional[str]) -> None:
    """Let torch see no GPU and CUDA say why, if at all."""

    def init() -> None:
        if message:
            raise RuntimeError(message)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)


def test_a_gpu_that_torch_knows_is_taken_unless_the_cpu_is_requested(gpu: None) -> None:
    assert devices.choose_device("auto").type == "cuda"
    assert devices.choose_device("cuda", for_weeks=True).type == "cuda"
    assert devices.choose_device("cpu", for_weeks=True).type == "cpu"


def obstacle_of(monkeypatch: pytest.MonkeyPatch, obstacle: str) -> str:
    """Bring about an obstacle and return what is said of it."""
    if obstacle == "too new":
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
        return "knows no GPU of compute capability 9.0"
    if obstacle == "cpu build":
        monkeypatch.setattr(torch.version, "cuda", None)
        return "was built without CUDA"
    refuse(monkeypatch, {"old": OLD_DRIVER, "unknown": UNKNOWN, "nothing": None}[obstacle])
    return {
        "old": "The NVIDIA driver on your system is too old (found version 11040)",
        "unknown": "CUDA unknown error - this may be due to an incorrectly set up environment",
        "nothing": "torch sees no GPU",
    }[obstacle]


@pytest.mark.parametrize("obstacle", ["old", "unknown", "nothing", "too new", "cpu build"])
def test_a_gpu_that_is_there_and_cannot_be_used_is_never_left_in_silence(
    gpu: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    obstacle: str,
) -> None:
    reason = obstacle_of(monkeypatch, obstacle)
    assert devices.choose_device("auto").type == "cpu"
    assert capsys.readouterr().out.startswith("device: cpu, because ")
    for requested, for_weeks in (("cuda", False), ("auto", True)):
        with pytest.raises(KitError) as refused:
            devices.choose_device(requested, for_weeks)
        assert reason in refused.value.what and refused.value.where == f"DEVICE={requested}"
        assert "DEVICE=cpu" in refused.value.remedy
    assert devices.choose_device("cpu", for_weeks=True).type == "cpu"


def test_without_a_driver_the_cpu_is_what_there_is(
    gpu: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nvidia, "driver", lambda: "")
    refuse(monkeypatch, "Found no NVIDIA driver on your system. Please check that you have one")
    assert devices.choose_device("auto", for_weeks=True).type == "cpu"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_gpu_that_the_user_hides_is_not_missed(
    gpu: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hidden: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert devices.choose_device("auto", for_weeks=True).type == "cpu"
    assert capsys.readouterr().out == ""
    with pytest.raises(KitError, match=f"CUDA_VISIBLE_DEVICES={hidden} hides all GPUs"):
        devices.choose_device("cuda")


def test_a_driver_is_shown_by_the_kernels_files(tmp_path: Path) -> None:
    assert nvidia.driver(tmp_path) == ""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    assert nvidia.driver(tmp_path) == ""
    (tmp_path / "dev" / "nvidia3").touch()
    assert nvidia.driver(tmp_path) == "/dev/nvidia3"


def test_in_an_allotment_of_two_of_64_cores_three_small_networks_start_and_not_65(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    options = member.arguments("adam", ["reproduce", "--profile=sample"])
    assert member._slots(tmp_path, options).count == 3  # one more than cores: docs/running.md
    options = member.arguments("adam", ["reproduce", "--profile=sample", "--jobs=7"])
    assert member._slots(tmp_path, options).count == 7


@pytest.mark.parametrize(
    "command, together, slots", [("reproduce", 1, 5), ("reproduce", 2, 2), ("infer-only", 2, 5)]
)
def test_networks_on_several_gpus_are_as_many_as_these_allow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, together: int, slots: int
) -> None:
    """A prediction takes one GPU."""
    monkeypatch.setattr(devices, "choose_device", lambda *_, **__: torch.device("cuda"))
    monkeypatch.setattr(devices, "gpus", lambda: list("01234"))
    options = member.arguments("adam", [command, "--profile=full", f"--gpus={together}"])
    found = member._slots(tmp_path, options)
    assert found.count == slots
    assert len(found._environment(1)["CUDA_VISIBLE_DEVICES"].split(",")) == 5 // slots


def test_torch_is_given_no_more_threads_than_are_allotted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert devices.threads(0) == 1
    assert devices.threads(3) == 3  # as the user says
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert devices.threads(0) <= max(torch.get_num_threads(), 1) <= (os.cpu_count() or 1)
