"""The container engines: what answers to the name `docker`, its versions, and whether Apptainer is.

A command of that name need not be Docker: podman and nerdctl come under it too, and their Compose
differs in what the kit needs.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import NamedTuple, Optional, Tuple

from launch.machine import ask, output_of

Version = Tuple[int, int]
# BuildKit of its own, which mounts secrets and knows COPY --chmod without a registry's frontend.
OLDEST_ENGINE = (20, 10)
OLDEST_COMPOSE = (2, 24)  # anchors, merges and build secrets as compose.yaml uses them
START = "run `containers/start-engine` and `make bases`, or use RUNTIME=venv"
# A cluster has one of them, often as a module.
APPTAINERS = ("apptainer", "singularity")
INSTALL_APPTAINER = (
    "load your cluster's module of it, or install it (on Debian 12: containers/install-apptainer)"
)


class Problem(NamedTuple):
    """Why no engine can be used, and what to do about it."""

    what: str
    remedy: str


def problem() -> Optional[Problem]:
    """Return why containers cannot run here, None if they can."""
    if not shutil.which("docker"):
        return Problem("docker is not installed", START)
    name = " ".join((output_of(["docker", "--version"]) or "an unknown program").split())
    if not name.startswith("Docker version"):
        return _of_another_kind(f"`docker` is {name}")
    answer = output_of(["docker", "version", "--format", "{{json .}}"])
    if answer is None:
        return Problem(
            "no container engine answers `docker version`, or this user may not use it", START
        )
    return _problem_of_engine(answer) or _problem_of_compose()


def apptainer_program() -> str:
    """Return the path of Apptainer's command, "" if it is not installed."""
    found = filter(None, map(shutil.which, APPTAINERS))
    return next(found, "")


def apptainer_problem() -> Optional[Problem]:
    """Return why SIF files cannot be run here, None if they can."""
    program = apptainer_program()
    if not program:
        return Problem("apptainer is not installed", INSTALL_APPTAINER)
    answer = ask([program, "--nocolor", "--version"])
    if answer.code != 0:
        return Problem(f"{program} does not run ({answer.complaint})", INSTALL_APPTAINER)
    return None


def needed() -> str:
    """Return what containers need, in words."""
    return f"Docker Engine {_text(OLDEST_ENGINE)} and Compose {_text(OLDEST_COMPOSE)} or newer"


def _of_another_kind(what: str) -> Problem:
    return Problem(
        f"{what}, and not Docker",
        f"install {needed()}, or use RUNTIME=venv",
    )


def _problem_of_engine(answer: str) -> Optional[Problem]:
    """Return what is wrong with the engine that `docker version` describes as JSON."""
    try:
        server = json.loads(answer).get("Server") or {}
        names = [str(part.get("Name", "")) for part in server.get("Components") or []]
        version = str(server.get("Version", ""))
    except (ValueError, AttributeError):
        return _of_another_kind("what answers `docker version` is unknown")
    if any("podman" in name.lower() for name in names):
        return _of_another_kind("the engine behind `docker` is podman")
    return _too_old("Docker Engine", version, OLDEST_ENGINE)


def _problem_of_compose() -> Optional[Problem]:
    answer = output_of(["docker", "compose", "version", "--short"])
    if answer is None:
        return Problem("`docker compose` (Compose v2) is not installed", START)
    return _too_old("Docker Compose", " ".join(answer.split()), OLDEST_COMPOSE)


def _too_old(program: str, version: str, oldest: Version) -> Optional[Problem]:
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) >= oldest:
        return None
    what = f"{program} {version}" if numbers else f"{program} of an unknown version ({version})"
    return Problem(
        f"{what} is older than {_text(oldest)}" if numbers else what,
        f"install {program} {_text(oldest)} or newer, or use RUNTIME=venv",
    )


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def is_rootless() -> bool:
    """Return whether the engine belongs to the caller: root in its containers is the caller."""
    options = output_of(["docker", "info", "--format", "{{json .SecurityOptions}}"])
    return "name=rootless" in (options or "")


def memory() -> int:
    """Return the bytes of memory that the engine has and can limit, 0 if it can limit none."""
    answer = output_of(["docker", "info", "--format", "{{.MemoryLimit}} {{.MemTotal}}"])
    can_limit, _, total = (answer or "").strip().partition(" ")
    return int(total) if can_limit == "true" and total.isdigit() else 0
