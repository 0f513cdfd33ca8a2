"""What the machine decides: the runtime, the stack, the build of torch, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from launch import gpus, machine
from launch.bundles import bundled
from launch.gpus import Gpu
from launch.runtimes import engine, sifs, stacks
from leapkit.core.errors import KitError

AS_REQUESTED = "as requested"


@dataclass(frozen=True)
class Choice:
    """A value and why it was taken.

    doubt  what makes it a bad one for weeks of training, and what to do about it; None if nothing
    """

    value: str
    reason: str
    doubt: Optional[KitError] = None


def runtime(requested: str = "") -> Choice:
    """Choose docker if an engine answers and its base images can be had.

    Else apptainer, if it is installed and SIF files were made or copied; else venv. Raises KitError
    if docker or apptainer is requested and cannot run.
    """
    if requested == "venv":
        return Choice("venv", AS_REQUESTED)
    if requested == "apptainer":
        problem = engine.apptainer_problem()
        if problem:
            raise KitError(problem.what, "RUNTIME=apptainer", problem.remedy)
        return Choice("apptainer", AS_REQUESTED)
    problem = engine.problem()
    needs_bases = not problem and not bundled.images()
    if needs_bases and not stacks.base_image(stacks.BLEND_PYTHON, probe=True):
        problem = engine.Problem(
            "no base image exists and no image registry answers",
            "run `make bases`, or use RUNTIME=venv",
        )
    if requested == "docker":
        if problem:
            raise KitError(problem.what, "RUNTIME=docker", problem.remedy)
        return Choice("docker", AS_REQUESTED)
    if problem and sifs.exist() and not engine.apptainer_problem():
        return Choice("apptainer", f"{problem.what}, and {sifs.folder()} holds SIF files")
    if problem:
        return Choice("venv", problem.what)
    return Choice("docker", "a container engine answers")


def stack(in_containers: bool, gpu: Gpu, requested: str = "") -> Choice:
    """Choose published if its Python can be had and its torch knows the GPU, if any; else modern.

    Raises KitError if published is requested and cannot run.
    """
    problem = _problem_of_published(in_containers, gpu)
    if requested == "published" and problem:
        remedy = "use STACK=modern, or install it (PYTHON_3_8=path names one)"
        raise KitError(problem, "STACK=published", remedy)
    if requested:
        return Choice(requested, AS_REQUESTED)
    if problem:
        return Choice("modern", "not published: " + problem)
    return Choice("published", "the team's own versions can be had here")


def _problem_of_published(in_containers: bool, gpu: Gpu) -> str:
    """Return why the published stack cannot run here, "" if it can."""
    if gpu.capability and gpu.capability[0] > gpus.PUBLISHED_NEWEST:
        major, minor = gpu.capability
        return f"its CUDA 11.3 wheels do not know a GPU of compute capability {major}.{minor}"
    versions = [] if in_containers else sorted(stacks.pythons_of("published"))
    absent = [version for version in versions if not machine.interpreter(version)]
    return f"python{absent[0]} is not installed" if absent else ""


def accelerator(by_engine: bool, gpu: Gpu, device: str = "") -> Choice:
    """Choose which build of torch is installed: cuda if a GPU can be reached, else cpu.

    by_engine  whether a container engine must pass the GPU on
    Raises KitError if DEVICE=cuda and there is no GPU, or no way to it.
    """
    if device == "cpu":
        return Choice("cpu", "as requested with DEVICE=cpu")
    problem = "" if gpu.state == gpus.FOUND else gpu.how
    remedy = "repair the driver until `nvidia-smi` names the GPU, or use DEVICE=cpu"
    if gpu.state == gpus.HIDDEN:
        remedy = "unset it, or use DEVICE=cpu"
    if gpu.state in (gpus.FOUND, gpus.UNCLEAR) and by_engine and not machine.engine_has_gpu():
        problem = "the container engine has no NVIDIA runtime"
        remedy = "use RUNTIME=venv, install the NVIDIA Container Toolkit, or use DEVICE=cpu"
    if not problem:
        return Choice("cuda", gpu.how)
    if device == "cuda":
        raise KitError(problem, "DEVICE=cuda", remedy)
    may_exist = gpu.state in (gpus.FOUND, gpus.UNCLEAR)
    return Choice("cpu", problem, KitError(problem, "DEVICE=auto", remedy) if may_exist else None)
