"""What the machine decides: the runtime, the stack, the build of torch, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from launch import engine, machine, stacks
from leapkit.core.errors import KitError

AS_REQUESTED = "as requested"


@dataclass(frozen=True)
class Choice:
    """A value and why it was taken."""

    value: str
    reason: str


def runtime(requested: str = "") -> Choice:
    """Choose docker if an engine answers and its base images can be had, else venv.

    Raises KitError if docker is requested and cannot run.
    """
    if requested == "venv":
        return Choice("venv", AS_REQUESTED)
    problem = engine.problem()
    if not problem and not stacks.base_image(stacks.BLEND_PYTHON, probe=True):
        problem = engine.Problem(
            "no base image exists and no image registry answers",
            "run `make bases`, or use RUNTIME=venv",
        )
    if requested == "docker":
        if problem:
            raise KitError(problem.what, "RUNTIME=docker", problem.remedy)
        return Choice("docker", AS_REQUESTED)
    if problem:
        return Choice("venv", problem.what)
    return Choice("docker", "a container engine answers")


def stack(in_containers: bool, requested: str = "") -> Choice:
    """Choose published if its Python can be had and its torch knows the GPU, if any; else modern.

    Raises KitError if published is requested and cannot run.
    """
    problem = _problem_of_published(in_containers)
    if requested == "published" and problem:
        remedy = "use STACK=modern, or install it (PYTHON_3_8=path names one)"
        raise KitError(problem, "STACK=published", remedy)
    if requested:
        return Choice(requested, AS_REQUESTED)
    if problem:
        return Choice("modern", "not published: " + problem)
    return Choice("published", "the team's own versions can be had here")


def _problem_of_published(in_containers: bool) -> str:
    """Return why the published stack cannot run here, "" if it can."""
    capability = machine.gpu_capability()
    if capability and capability[0] > machine.PUBLISHED_NEWEST_GPU:
        major, minor = capability
        return f"its CUDA 11.3 wheels do not know a GPU of compute capability {major}.{minor}"
    versions = [] if in_containers else sorted(stacks.pythons_of("published"))
    absent = [version for version in versions if not machine.interpreter(version)]
    return f"python{absent[0]} is not installed" if absent else ""


def accelerator(in_containers: bool, device: str = "") -> Choice:
    """Choose which build of torch is installed: cuda if a GPU can be reached, else cpu."""
    if machine.gpu_capability() is None:
        return Choice("cpu", "nvidia-smi names no GPU")
    if device == "cpu":
        return Choice("cpu", "as requested with DEVICE=cpu")
    if in_containers and not machine.engine_has_gpu():
        return Choice("cpu", "the container engine has no NVIDIA runtime")
    return Choice("cuda", "nvidia-smi names a GPU")
