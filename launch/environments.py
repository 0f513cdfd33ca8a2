"""The venv runtime: virtual environments from the same lock files as the images; members with the same one share it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence

from launch import machine, stacks
from launch.registry import REPOSITORY
from leapkit.core.errors import KitError
from leapkit.core.files import sha256, write_text

MARKER = ".complete"


def folder() -> Path:
    return Path(os.environ.get("LEAP_VENVS") or REPOSITORY / ".venvs")


def ready(name: str, version: str, locks: Sequence[Path]) -> Path:
    """The python of the environment `name`, made or made again when a lock file has changed. Raises KitError."""
    home = folder() / name
    content = "\n".join([version] + [sha256(lock) for lock in locks]) + "\n"
    marker, python = home / MARKER, home / "bin" / "python"
    if marker.exists() and marker.read_text() == content:
        return python
    found = machine.interpreter(version)
    if not found:
        raise KitError(
            f"python{version} is not installed",
            name,
            "install it, name one with PYTHON_{}=path, or use RUNTIME=docker".format(
                version.replace(".", "_")
            ),
        )
    print(
        "{}: installing {}".format(
            name, " and ".join(str(lock.relative_to(REPOSITORY)) for lock in locks)
        ),
        flush=True,
    )
    shutil.rmtree(str(home), ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    _run([found, "-m", "venv", str(home)], name)
    for lock in locks:
        # --no-deps: the lock is complete, and two locks on top of each other must not argue.
        _run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--requirement",
                str(lock),
            ],
            name,
        )
    write_text(marker, content)
    return python


def _run(command: List[str], name: str) -> None:
    if subprocess.call(command, stdin=subprocess.DEVNULL):
        raise KitError(
            "could not be installed (the lines above say why)",
            folder() / name,
            "check the network and pip's settings; a wheel from elsewhere goes into PIP_FIND_LINKS",
        )


def member_python(member: str, stack: str, accelerator: str) -> Path:
    """A member's environment, named by what is in it: the members whose Python and lock are the same have one."""
    accelerator = reachable(member, stack, accelerator)
    return ready(
        member_environment(member, stack, accelerator),
        stacks.python_of(member, stack),
        [stacks.lock_of(member, stack, accelerator)],
    )


def member_environment(member: str, stack: str, accelerator: str) -> str:
    """The name of a member's environment: py3.10-published-cpu-21d52b6c, by the sha256 of its lock."""
    lock = sha256(stacks.lock_of(member, stack, accelerator))
    return f"py{stacks.python_of(member, stack)}-{stack}-{accelerator}-{lock[:8]}"


def reachable(member: str, stack: str, accelerator: str) -> str:
    """`cuda` instead of `cpu` where pip reaches no CPU build of a modern torch: PyPI's CUDA build runs on a CPU too."""
    if (stack, accelerator) != ("modern", "cpu"):
        return accelerator
    made = [kind for kind in ("cpu", "cuda") if any(folder().glob(f"*-modern-{kind}*/{MARKER}"))]
    if made:  # as in the environments that are there: no question to the network
        return made[0]
    lock, python = (
        stacks.lock_of(member, stack, "cpu"),
        machine.interpreter(stacks.python_of(member, stack)),
    )
    torch = next(
        line.split()[0] for line in lock.read_text().splitlines() if line.startswith("torch==")
    )
    shown = (
        machine.output_of([python, "-m", "pip", "index", "versions", "torch"], 60)
        if python
        else None
    )
    if torch.split("==")[1] in (shown or ""):
        return "cpu"
    print(
        "no CPU build of torch can be reached, so PyPI's larger CUDA build is installed", flush=True
    )
    return "cuda"


def blend_python() -> Path:
    return ready("blend", stacks.BLEND_PYTHON, [stacks.lock_of("blend", "", "")])


def environment(extra: Dict[str, str]) -> Dict[str, str]:
    """The process environment of a room: the repository's code, nothing of the user's site-packages."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    own.update(
        PYTHONPATH=os.pathsep.join([str(REPOSITORY / "shared"), str(REPOSITORY)]),
        PYTHONNOUSERSITE="1",
        PYTHONUNBUFFERED="1",
        **extra,
    )
    return own


def run(python: Path, arguments: Sequence[str], extra: Dict[str, str]) -> int:
    """Runs a module in an environment; Ctrl-C reaches it too, and its own clean-up is waited for."""
    process = subprocess.Popen(
        [str(python), "-m"] + list(arguments), env=environment(extra), cwd=str(REPOSITORY)
    )
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
