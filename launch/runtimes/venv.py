"""One virtual environment: made whole, once, and never changed after that."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator, List, Mapping, Sequence

from launch import machine
from launch.bundles import bundled
from launch.folders import expanded, require_writable
from launch.registry import REPOSITORY
from launch.runtimes import pip
from leapkit.core import file_lock
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sha256, sha256_json, write_text

MARKER = ".complete"


def folder() -> Path:
    """Return the folder of all environments: LEAP_VENVS, else .venvs in the repository."""
    chosen = expanded(os.environ.get("LEAP_VENVS", ""), "LEAP_VENVS")
    return Path(chosen).absolute() if chosen else REPOSITORY / ".venvs"


def ready(name: str, version: str, locks: Sequence[Path]) -> Path:
    """Return the python of the environment `name` with everything in `locks`, and make it first.

    A whole environment is never changed: a process may be using it. If it is of other locks or of
    another version, this one is made beside it. Two commands at once make it once. Raises KitError
    if the interpreter is missing, pip fails or the folder cannot be written.
    """
    environment = Environment(name, version, locks)
    if not environment.problem():
        return environment.python
    require_writable(folder(), "name a folder that you may write to with LEAP_VENVS=folder")
    with explain_os_errors(environment.home), _alone(name):
        environment = Environment(
            name, version, locks
        )  # meanwhile another command may have made it
        problem = environment.problem()
        if problem:
            environment.make(problem)
    return environment.python


class Environment:
    """A virtual environment and what belongs into it; it is whole if its marker says so.

    name     of its folder, unless a whole environment of other content has that
    version  of its Python: "3.8"
    locks    the files that name all of its packages
    """

    def __init__(self, name: str, version: str, locks: Sequence[Path]) -> None:
        self.name = name
        self._version = version
        self._locks = locks
        self._content = "\n".join([version] + [sha256(lock) for lock in locks]) + "\n"
        self.home = folder() / name
        if _marked(self.home) not in ("", self._content):
            self.home = folder() / f"{name}-{sha256_json(self._content)[:8]}"
        self.python = self.home / "bin" / "python"

    def problem(self) -> str:
        """Return why it has to be made, "" if it is whole."""
        if _marked(self.home) != self._content:
            return "it is not made yet"
        if not self.python.exists():  # the interpreter behind the link was removed
            return "its Python does not exist any more"
        absent = pip.absent(self.home, self._version, self._locks)
        return f"it lacks {_some(absent)}" if absent else ""

    def make(self, problem: str) -> None:
        """Make it in its place, its marker last. Raises KitError if it does not become whole."""
        interpreter = machine.interpreter(self._version)
        if not interpreter:
            variable = "PYTHON_" + self._version.replace(".", "_")
            raise KitError(
                f"python{self._version} is not installed",
                self.name,
                f"install it, name one with {variable}=path, or use RUNTIME=docker",
            )
        contents = " and ".join(lock.name for lock in self._locks)
        print(f"{self.name}: installing {contents}, as {problem}", flush=True)
        self._remove()
        self._run([interpreter, "-m", "venv", str(self.home)], machine.plain_environment())
        settings = pip.variables(str(self.python))
        for lock in self._locks:
            command = [str(self.python), *pip.INSTALL, str(lock)]
            env = {**settings, **bundled.pip_settings(lock)}
            self._run(command, env, lock.stem if bundled.lacks(lock) else "")
        absent = pip.absent(self.home, self._version, self._locks)
        if absent:
            raise KitError(
                f"pip ended well and did not install {_some(absent)} into it",
                self.home,
                "look in `pip config list` for what sends packages elsewhere",
            )
        write_text(self.home / MARKER, self._content)

    def _remove(self) -> None:
        """Remove what an earlier try left, its marker first."""
        if self.home.exists():
            (self.home / MARKER).unlink(missing_ok=True)
            shutil.rmtree(str(self.home))

    def _run(self, command: List[str], env: Mapping[str, str], not_bundled: str = "") -> None:
        """Run a command. Raises KitError if it fails.

        not_bundled  the lock whose wheels the bundle of this machine lacks
        """
        if subprocess.call(command, stdin=subprocess.DEVNULL, env=dict(env)):
            remedy = (
                "check the network, the disk and pip's settings; a wheel from elsewhere goes into"
                " PIP_FIND_LINKS"
            )
            if not_bundled:
                remedy = f"make a bundle that holds {not_bundled} (STACK, EXPERIMENTS), or {remedy}"
            raise KitError("could not be installed (the lines above say why)", self.home, remedy)


def _marked(home: Path) -> str:
    """Return the content of an environment as its marker says, "" if it is not whole."""
    marker = home / MARKER
    return marker.read_text() if marker.exists() else ""


def _some(packages: Sequence[str]) -> str:
    return ", ".join(packages[:3]) + (f" and {len(packages) - 3} more" if packages[3:] else "")


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one command at a time make the environments of a name."""
    path = folder() / f"{name}.lock"
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(file_lock.try_hold(path)):
            print(f"{name}: waiting for another command that makes it", flush=True)
            stack.enter_context(file_lock.hold(path))
        yield
