"""The venv runtime: virtual environments from the same lock files as the images.

Members whose Python and lock are the same share one.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Sequence

from launch import machine
from launch.bundles import bundled
from launch.registry import REPOSITORY
from launch.runtimes import pip, stacks, venv
from leapkit.core import allotment
from leapkit.core.files import sha256
from leapkit.core.stacks import ACCELERATORS, MODERN, Stack


def member_python(member: str, stack: str, accelerator: str) -> Path:
    """Return the python of a member's environment, which is made where it does not exist."""
    accelerator = reachable(stacks.stacks_of(member)[stack], accelerator)
    return venv.ready(
        member_environment(member, stack, accelerator),
        stacks.python_of(member, stack),
        [stacks.lock_of(member, stack, accelerator)],
    )


def member_pythons(members: Sequence[str], stack: str, accelerator: str) -> Dict[str, Path]:
    """Return {member: python}. Environments that do not exist are made side by side.

    pip waits for the network about as long as it computes.
    """
    names = {member: member_environment(member, stack, accelerator) for member in members}
    one_of = {name: member for member, name in names.items()}
    with ThreadPoolExecutor() as threads:
        making = {
            name: threads.submit(member_python, member, stack, accelerator)
            for name, member in one_of.items()
        }
    return {member: making[name].result() for member, name in names.items()}


def member_environment(member: str, stack: str, accelerator: str) -> str:
    """Return the name of a member's environment: py3.10-published-cpu-21d52b6c.

    It ends in the sha256 of the lock: members whose Python and lock are the same share it, also
    one whose published stack is the modern one.
    """
    lock = sha256(stacks.lock_of(member, stack, accelerator))
    its_own = stacks.stacks_of(member)[stack]
    label = "modern" if its_own == MODERN else stack
    return f"py{its_own.python}-{label}-{accelerator}-{lock[:8]}"


def reachable(stack: Stack, accelerator: str) -> str:
    """Return the accelerator whose torch pip can reach: `cuda` for `cpu` where it must be.

    PyPI has no CPU build of a modern torch, and its CUDA build runs on a CPU too.
    """
    if (stack, accelerator) != (MODERN, "cpu"):
        return accelerator
    for built in ACCELERATORS:
        if bundled.has_lock(stacks.lock(f"{stack.name}-{built}")):
            return built
    for built in ACCELERATORS:
        # An existing environment has answered before: the network is not asked again.
        for pattern in (f"*-modern-{built}-*", f"tests-{stack.name}-{built}*"):
            if any(venv.folder().glob(f"{pattern}/{venv.MARKER}")):
                return built
    lines = stacks.lock(f"{stack.name}-cpu").read_text().splitlines()
    torch = next(line.split()[0] for line in lines if line.startswith("torch=="))
    python = machine.interpreter(stack.python)
    versions = None
    if python:
        command = [python, "-m", "pip", "index", "versions", "torch"]
        versions = machine.output_of(command, 60, pip.variables(python))
    if torch.split("==")[1] in (versions or ""):
        return "cpu"
    print("pip reaches no CPU build of torch: PyPI's larger CUDA build is installed", flush=True)
    return "cuda"


def tests_python(stack: Stack) -> Path:
    """Return the python of a stack's tests: the stack's lock and what the tests need beside it."""
    accelerator = reachable(stack, "cpu")
    return venv.ready(
        f"tests-{stack.name}-{accelerator}",
        stack.python,
        [stacks.lock(f"{stack.name}-{accelerator}"), stacks.lock(f"tests-{stack.name}")],
    )


def blend_python() -> Path:
    """Return the python of the blend and of the tools around it."""
    return venv.ready("blend", stacks.BLEND_PYTHON, [stacks.lock("blend")])


def fetch_python() -> Path:
    """Return the python of `make fetch`."""
    return venv.ready("fetch", stacks.BLEND_PYTHON, [stacks.lock("fetch")])


def environment(extra: Dict[str, str]) -> Dict[str, str]:
    """Return a room's process environment: the repository's code, no user's site-packages."""
    return {
        **machine.plain_environment(),
        **allotment.thread_variables(),
        **variables(extra),
    }


def variables(extra: Dict[str, str]) -> Dict[str, str]:
    """Return what the environment of a room's process has beside the user's own."""
    return {
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "shared"), str(REPOSITORY)]),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        **extra,
    }
