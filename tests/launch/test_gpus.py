"""Whether there is a GPU: true answers and failures of nvidia-smi, and what the kernel shows."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest

from launch import choices, gpus, machine, run, settings
from launch.choices import Choice
from launch.gpus import FOUND, HIDDEN, NONE, UNCLEAR, Gpu
from leapkit.core.errors import KitError

Smi = Callable[[str], None]
probe = gpus.probe  # the true one: conftest.py gives all tests a machine without a GPU

OLD = "echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2"
LIST = "echo 'GPU 0: Tesla V100-SXM2-16GB (UUID: GPU-8a4f3f4c)'"
BROKEN = (
    "echo 'NVIDIA-SMI has failed because it couldn'\"'\"'t communicate with the NVIDIA driver.'"
    "; exit 9"
)
A100_MIG = LIST + "; echo '  MIG 1g.5gb Device 0: (UUID: MIG-c7384736)'"


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Smi:
    """Return what installs a fake nvidia-smi: shell lines, for a query and for -L."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(lines: str) -> None:
        path = folder / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    return install


def by_argument(query: str, listed: str) -> str:
    return f'if [ "$1" = -L ]; then {listed}; else {query}; fi'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a / whose PCI bus has a network card and nothing of NVIDIA."""
    put(tmp_path / "root", {"sys/bus/pci/devices/00:01/vendor": "0x8086"})
    return tmp_path / "root"


def put(root: Path, files: Dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")


DRIVER = {"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57"}
DEVICE = {"dev/nvidia0": ""}
CARD = {"sys/bus/pci/devices/65:00/vendor": "0x10de", "sys/bus/pci/devices/65:00/class": "0x030200"}
SOUND = {"sys/bus/pci/devices/65:1/vendor": "0x10de", "sys/bus/pci/devices/65:1/class": "0x040300"}


@pytest.mark.process
@pytest.mark.parametrize(
    "lines, kernel, state, capability, how",
    [
        ("echo 8.6", {}, FOUND, (8, 6), "compute capability 8.6"),
        ("echo 8.6; echo 8.6", {}, FOUND, (8, 6), "compute capability 8.6$"),
        ("echo 10.0; echo 9.0; echo 8.0", {}, FOUND, (10, 0), "8.0, 9.0, 10.0"),
        (by_argument("echo 8.0", A100_MIG), {}, FOUND, (8, 0), "8.0"),
        (by_argument(OLD, LIST), DRIVER, FOUND, None, "-L names Tesla V100-SXM2-16GB"),
        (by_argument("echo '[N/A]'", A100_MIG), {}, FOUND, None, "Tesla V100"),
        (BROKEN, {}, NONE, None, "couldn't communicate"),
        (BROKEN, SOUND, NONE, None, "the kernel knows none"),
        (BROKEN, CARD, UNCLEAR, None, r"on the PCI bus \(65:00\), but .*couldn't communicate"),
        (BROKEN, DRIVER, UNCLEAR, None, "/proc/driver/nvidia/version exists, but nvidia-smi"),
        (BROKEN, DEVICE, UNCLEAR, None, "/dev/nvidia0 exists"),
        ("echo 'No devices were found'; exit 6", {}, NONE, None, "No devices were found"),
        ("echo 'No devices were found'", DEVICE, UNCLEAR, None, "it names no GPU"),
        ("exit 2", CARD, UNCLEAR, None, "ends with 2"),
        ("kill -9 $$", CARD, UNCLEAR, None, "ends with -9"),
        ("head -c 300000 /dev/zero | tr '\\0' x; exit 1", CARD, UNCLEAR, None, "x{50}"),
        ("", {}, NONE, None, "it names no GPU"),
    ],
)
def test_a_failed_probe_is_no_answer(smi, root, lines, kernel, state, capability, how):
    smi(lines)
    put(root, kernel)
    gpu = probe(root)
    assert (gpu.state, gpu.capability) == (state, capability), gpu
    assert re.search(how, gpu.how), gpu
    assert len(gpu.how) < 400


@pytest.mark.parametrize(
    "kernel, state", [({}, NONE), (SOUND, NONE), (DRIVER, UNCLEAR), (CARD, UNCLEAR)]
)
def test_without_nvidia_smi_the_kernel_is_asked(
    smi: Smi, root: Path, kernel: Dict[str, str], state: str
) -> None:
    put(root, kernel)
    gpu = probe(root)
    assert gpu.state == state and "nvidia-smi is not installed" in gpu.how


@pytest.mark.process
def test_a_bus_that_cannot_be_seen_leaves_a_broken_nvidia_smi_unclear(
    smi: Smi, tmp_path: Path
) -> None:
    smi(BROKEN)
    assert probe(tmp_path / "nothing").state == UNCLEAR


@pytest.mark.process
def test_a_probe_that_hangs_is_left_with_all_that_it_started(smi: Smi, root: Path) -> None:
    endless = 1_000_000 + os.getpid()  # no other run of this test has these processes
    smi(f"sleep {endless} & sleep {endless}")
    put(root, DRIVER)
    started = time.monotonic()
    gpu = probe(root, seconds=0.2)
    assert gpu.state == UNCLEAR and "does not answer within" in gpu.how
    assert time.monotonic() - started < 3
    while left(endless):  # a killed process has a moment to go
        assert time.monotonic() - started < 10


def left(seconds: int) -> List[bytes]:
    """Return the command lines of all processes that sleep so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes())
    return [line for line in found if f"sleep\0{seconds}\0".encode() in line]


@pytest.mark.process
@pytest.mark.parametrize("hidden", ["", "-1", "-1,0", "NoDevFiles"])
def test_a_user_may_hide_all_gpus(
    smi: Smi, root: Path, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    smi("echo 8.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    gpu = probe(root)
    assert gpu == Gpu(HIDDEN, f"CUDA_VISIBLE_DEVICES={hidden} hides all GPUs")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8a4f3f4c,1")
    assert probe(root).state == FOUND


# What follows from it


def chosen(gpu: Gpu, device: str = "", in_containers: bool = False) -> Choice:
    return choices.accelerator(in_containers, gpu, device)


def test_an_old_driver_that_names_its_gpu_is_given_the_cuda_build_of_the_published_stack() -> None:
    gpu = Gpu(FOUND, "nvidia-smi -L names Tesla V100", None)
    assert chosen(gpu).value == "cuda"
    assert choices.stack(in_containers=False, gpu=gpu).value == "published"


def test_without_a_clear_answer_the_cpu_is_taken_with_its_reason_and_a_doubt() -> None:
    gpu = Gpu(UNCLEAR, "the driver is loaded, but nvidia-smi does not answer")
    choice = chosen(gpu)
    assert (choice.value, choice.reason) == ("cpu", gpu.how)
    assert choice.doubt and "DEVICE=cpu" in str(choice.doubt)
    assert chosen(Gpu(NONE, "none")).doubt is None
    assert chosen(gpu, "cpu").doubt is None


@pytest.mark.parametrize("state", [NONE, UNCLEAR])
def test_a_gpu_that_is_requested_and_does_not_answer_is_refused_before_anything_is_installed(
    state: str,
) -> None:
    with pytest.raises(KitError, match="DEVICE=cuda: why; repair the driver"):
        chosen(Gpu(state, "why"), "cuda")
    with pytest.raises(KitError, match="hides all GPUs; unset it"):
        chosen(Gpu(HIDDEN, "CUDA_VISIBLE_DEVICES=-1 hides all GPUs"), "cuda")
    with pytest.raises(KitError, match="no NVIDIA runtime; use RUNTIME=venv"):
        chosen(Gpu(FOUND, "how"), "cuda", in_containers=True)


def at_full_size(
    monkeypatch: pytest.MonkeyPatch, gpu: Gpu, device: Optional[str] = None
) -> settings.Settings:
    monkeypatch.setattr(gpus, "probe", lambda: gpu)
    requested = {"PROFILE": "full", "RUNTIME": "venv", **({"DEVICE": device} if device else {})}
    return settings.choose("reproduce", requested)


def test_training_at_full_size_never_falls_back_to_a_cpu_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unclear = Gpu(UNCLEAR, "the driver is loaded, but nvidia-smi does not answer")
    with pytest.raises(KitError, match=r"nvidia-smi does not answer.*DEVICE=cpu"):
        run.require_gpu(at_full_size(monkeypatch, unclear))
    run.require_gpu(at_full_size(monkeypatch, unclear, "cpu"))
    run.require_gpu(at_full_size(monkeypatch, Gpu(FOUND, "nvidia-smi names a GPU", (8, 0))))
    assert capsys.readouterr().out == ""
    run.require_gpu(at_full_size(monkeypatch, Gpu(NONE, "no NVIDIA GPU")))
    assert "WARNING: training at full size takes weeks on a CPU" in capsys.readouterr().out


def test_gpus_that_the_user_hides_mean_a_cpu_in_both_runtimes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = Gpu(HIDDEN, "CUDA_VISIBLE_DEVICES=-1 hides all GPUs")
    assert chosen(hidden).doubt is None and chosen(hidden, in_containers=True).doubt is None
    choice = at_full_size(monkeypatch, hidden).choices["DEVICE"]
    assert choice == Choice("cpu", hidden.how)


def test_a_gpu_that_containers_cannot_reach_is_not_left_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Gpu(FOUND, "nvidia-smi names a GPU")
    assert chosen(gpu, in_containers=True).doubt
    monkeypatch.setattr(machine, "engine_has_gpu", lambda: True)
    assert chosen(gpu, in_containers=True).value == "cuda"
