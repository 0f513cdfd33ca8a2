"""The wheels of a bundle: those that the locks name, for the Pythons and the processor of here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Set, Tuple

from launch import machine, process
from launch.runtimes import environments, pip, stacks
from leapkit.core.errors import KitError
from leapkit.core.files import is_full, sha256

FOLDER = "wheels"
DOWNLOAD = (
    *("-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
    *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
)
# The glibc of the names that wheels had before those that say it, as manylinux_2_28 does.
_OLD_NAMES = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


def locks(members: Sequence[str], stack: str, accelerator: str) -> Dict[Path, str]:
    """Return {lock: version of its Python} of the members, the blend and `make fetch`.

    Raises KitError if one of the Pythons is not installed: pip downloads for its own alone.
    """
    pythons = {stacks.lock("blend"): stacks.BLEND_PYTHON, stacks.lock("fetch"): stacks.BLEND_PYTHON}
    for member in members:
        member_stack = stacks.stacks_of(member)[stack]
        built = environments.reachable(member_stack, accelerator)
        pythons[stacks.lock_of(member, stack, built)] = member_stack.python
    require_interpreters(sorted(set(pythons.values())))
    return pythons


def require_interpreters(versions: Sequence[str]) -> None:
    """Raises KitError if a Python is not installed."""
    absent = [version for version in versions if not machine.interpreter(version)]
    if absent:
        variable = "PYTHON_" + absent[0].replace(".", "_")
        raise KitError(
            "not installed: python" + ", python".join(absent),
            "RUNTIME=venv",
            f"install it, or name one with {variable}=path",
        )


def download(folder: Path, pythons: Mapping[Path, str]) -> List[Path]:
    """Let a folder hold the wheels of some locks, and none of other locks; return them.

    What is there is kept, and pip is asked for the rest. Raises KitError if it cannot have that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    allowed: Set[str] = set().union(*map(pip.hashes, pythons))
    held: Set[str] = set()
    for path in sorted(folder.iterdir()):
        digest = sha256(path)
        if digest in allowed - held:
            held.add(digest)
        else:  # of another lock, or cut off by a stop
            path.unlink()
    for lock, version in pythons.items():
        python = str(machine.interpreter(version))
        env = pip.variables(python)
        command = [python, *DOWNLOAD, "--dest", str(folder), "--requirement", str(lock)]
        # Whether the wheels that are there are those of this Python is pip's to say.
        may_be_whole = len(pip.hashes(lock) & held) >= len(pip.locked(lock))
        if may_be_whole and not process.run(command, {**env, **pip.only_from(folder)}, quiet=True):
            continue
        print(f"{FOLDER}: downloading those of {lock.name}", flush=True)
        if process.run(command, env):
            raise _refused(folder, lock)
    return sorted(folder.iterdir())


def _refused(folder: Path, lock: Path) -> KitError:
    """Return why pip failed, as far as it can be known."""
    if is_full(folder):
        remedy = "free some space and run the same command again"
        return KitError("the disk is full", folder, remedy)
    return KitError(
        "its wheels could not be downloaded (the lines above say why)",
        lock,
        "check the network, the disk and pip's settings; a wheel from elsewhere goes into"
        " PIP_FIND_LINKS",
    )


def glibc(wheels: Sequence[Path]) -> str:
    """Return the oldest glibc that all wheels run with, as their names say: "2.28", else ""."""
    needed = [version for wheel in wheels for version in _glibc(wheel.stem)]
    return "{}.{}".format(*max(needed)) if needed else ""


def _glibc(name: str) -> List[Tuple[int, int]]:
    """Return the oldest of the C libraries that a wheel's name says; none if it needs none.

    A name says several where one build serves all: manylinux_2_17_x86_64.manylinux2014_x86_64.
    """
    numbers = [
        (int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)", name)
    ]
    numbers += [version for old, version in _OLD_NAMES.items() if old + "_" in name]
    return [min(numbers)] if numbers else []
