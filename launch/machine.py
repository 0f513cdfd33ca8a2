"""What this machine has: interpreters, a container engine, images.

No probe takes longer than its limit in seconds.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional


class Answer(NamedTuple):
    """What a probe printed, and its exit code; None if it did not start or did not end.

    complaint  in one line, why there is no output; "" if it ended well
    """

    code: Optional[int]
    output: str
    complaint: str


def ask(
    command: List[str], seconds: float = 20.0, env: Optional[Mapping[str, str]] = None
) -> Answer:
    """Return the answer of a command; one that is missing or takes longer has no exit code."""
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=None if env is None else dict(env),
            start_new_session=True,  # what it has started itself is stopped with it
        )
    except OSError as error:
        return Answer(None, "", os.strerror(error.errno or 0))
    try:
        output, errors = process.communicate(timeout=seconds)
    except BaseException as reason:
        _abandon(process)
        if isinstance(reason, subprocess.TimeoutExpired):
            return Answer(None, "", f"does not answer within {seconds:.0f} s")
        raise
    text = output.decode("utf-8", "replace")
    if process.returncode == 0:
        return Answer(0, text, "")
    said = " ".join(f"{errors.decode('utf-8', 'replace')} {text}".split())
    return Answer(process.returncode, text, said[:200] or f"ends with {process.returncode}")


def _abandon(process: subprocess.Popen[bytes]) -> None:
    """Kill a probe and all that it has started; do not wait for what hangs in a driver."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def output_of(
    command: List[str], seconds: float = 20.0, env: Optional[Mapping[str, str]] = None
) -> Optional[str]:
    """Return what a command prints, or None if it fails, is missing or takes longer."""
    answer = ask(command, seconds, env)
    return answer.output if answer.code == 0 else None


def plain_environment() -> Dict[str, str]:
    """Return the environment without what steers Python itself: PYTHONHOME, PYTHONPATH, ...

    A user whom the system does not know is given a home and a name, as the images give them: pip
    would make a folder named `~`, and torch and matplotlib would fail.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if not env.get("HOME") and not _known_home():
        env.update(HOME=tempfile.gettempdir())
    if not _known_home():
        env = {"USER": "leap", "LOGNAME": "leap", **env}
    return env


def _known_home() -> str:
    """Return the home folder that the system's list of users names, "" if it names none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def interpreter(version: str) -> Optional[str]:
    """Return the path of a CPython of this version ("3.8"), or None.

    PYTHON_3_8 comes first, then the PATH, then the newest of pyenv's versions.
    """
    named = os.environ.get("PYTHON_" + version.replace(".", "_"), "")
    candidates = [
        os.path.expanduser(named),
        shutil.which("python" + version),
        *_pyenv_interpreters(version),
    ]
    for candidate in candidates:
        # pyenv's shims exist for versions that are not active: only one that answers counts.
        if candidate:
            answer = output_of(
                [candidate, "-c", "import sys; print(sys.version)"], env=plain_environment()
            )
            if (answer or "").startswith(version):
                return candidate
    return None


def _pyenv_interpreters(version: str) -> List[str]:
    """Return the interpreters of a version that pyenv installed, the newest first."""
    # expanduser, as Path.home() raises where a user without HOME is not known.
    root = Path(os.path.expanduser(os.environ.get("PYENV_ROOT") or "~/.pyenv"))
    with contextlib.suppress(OSError):  # another user's, as of root before `su`
        installed = sorted(
            (root / "versions").glob(f"{version}.*/bin/python{version}"),
            key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.parts[-3])],
            reverse=True,
        )
        return [str(path) for path in installed]
    return []


def has_image(name: str) -> bool:
    """Return whether the engine has an image."""
    return output_of(["docker", "image", "inspect", name]) is not None


def image_id(name: str) -> str:
    """Return the id by which the engine knows an image, "" if it has none of that name."""
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
    return (output_of(command) or "").strip()


def registry_answers(image: str) -> bool:
    """Return whether an image registry has an image and can be reached."""
    return output_of(["docker", "manifest", "inspect", image], seconds=15) is not None


def engine_has_gpu() -> bool:
    """Return whether the container engine can pass a GPU on."""
    return "nvidia" in (output_of(["docker", "info", "--format", "{{json .Runtimes}}"]) or "")
