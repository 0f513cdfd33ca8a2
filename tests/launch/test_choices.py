"""What the machine decides: the runtime, the stack, the build of torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch import choices, gpus, machine, settings
from launch.gpus import Gpu
from launch.runtimes import engine
from leapkit.core.errors import KitError

NO_GPU = Gpu(gpus.NONE, "no NVIDIA GPU")


def test_without_an_engine_the_venv_runtime_is_taken_and_the_reason_said() -> None:
    chosen = settings.choose("reproduce", {}).choices["RUNTIME"]
    assert chosen.value == "venv" and "no container engine answers" in chosen.reason


def test_docker_without_an_engine_is_refused_with_the_commands_that_start_one() -> None:
    with pytest.raises(KitError, match="run `containers/start-engine` and `make bases`"):
        choices.runtime("docker")


def test_an_engine_without_bases_or_registry_is_no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "problem", lambda: None)
    chosen = choices.runtime()
    assert chosen.value == "venv" and "no base image exists" in chosen.reason
    with pytest.raises(KitError, match="run `make bases`"):
        choices.runtime("docker")


@pytest.mark.parametrize("condition", ["has_image", "registry_answers"])
def test_an_engine_with_local_bases_or_a_registry_is_taken(
    monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    monkeypatch.setattr(engine, "problem", lambda: None)
    monkeypatch.setattr(machine, condition, lambda name: True)
    assert choices.runtime().value == "docker"


def test_apptainer_is_taken_for_files_that_were_copied_if_no_engine_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "apptainer_problem", lambda: None)
    monkeypatch.setenv("LEAP_SIFS", str(tmp_path))
    assert choices.runtime().value == "venv"
    (tmp_path / "leap-adam-published-cuda-0123456789ab.tar").touch()
    chosen = choices.runtime()
    assert chosen.value == "apptainer"
    assert chosen.reason == f"no container engine answers, and {tmp_path} holds SIF files"
    monkeypatch.setattr(engine, "problem", lambda: None)
    monkeypatch.setattr(machine, "has_image", lambda name: True)
    assert choices.runtime().value == "docker"


def test_apptainer_that_is_not_installed_is_refused() -> None:
    with pytest.raises(KitError, match="apptainer is not installed; load your cluster's module"):
        choices.runtime("apptainer")


def test_files_for_another_machine_may_be_for_gpus_that_this_one_lacks() -> None:
    requested = {"DEVICE": "cuda", "RUNTIME": "venv"}
    with pytest.raises(KitError, match="DEVICE=cuda"):
        settings.choose("reproduce", requested)
    chosen = settings.choose("reproduce", requested, is_elsewhere=True)
    assert chosen["ACCELERATOR"] == "cuda"


def test_the_published_stack_is_taken_where_its_interpreter_is_and_modern_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choices.stack(False, NO_GPU).value == "published"
    monkeypatch.setattr(
        machine, "interpreter", lambda version: None if version == "3.8" else "python"
    )
    chosen = choices.stack(False, NO_GPU)
    assert chosen.value == "modern" and "python3.8 is not installed" in chosen.reason
    # its image brings the interpreter
    assert choices.stack(True, NO_GPU).value == "published"
    with pytest.raises(KitError, match="PYTHON_3_8"):
        choices.stack(False, NO_GPU, requested="published")


@pytest.mark.parametrize(
    "capability, stack", [((8, 9), "published"), ((9, 0), "modern"), ((12, 0), "modern")]
)
def test_a_gpu_that_the_published_wheels_do_not_know_takes_the_modern_stack(capability, stack):
    gpu = Gpu(gpus.FOUND, "nvidia-smi names a GPU", capability)
    assert choices.stack(True, gpu).value == stack


def test_a_gpu_that_the_engine_cannot_pass_on_is_not_reserved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Gpu(gpus.FOUND, "nvidia-smi names a GPU", (8, 0))
    assert choices.accelerator(True, gpu).value == "cpu"
    assert choices.accelerator(False, gpu).value == "cuda"
    monkeypatch.setattr(machine, "engine_has_gpu", lambda: True)
    assert choices.accelerator(True, gpu).value == "cuda"
