"""The docker runtime: `docker compose build` makes images, `docker compose run` runs each step."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from launch import bundled, container_user, engine, machine, process, registry, stacks
from launch.container_user import User
from launch.registry import REPOSITORY
from launch.settings import Settings
from leapkit.core import allotment, job_runner
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sha256_json

WHEELS = "leap-wheels:local"
MEMORY_SHARE = 0.9  # of the engine's memory for one container: the rest keeps the machine alive
TABLES = "/tables"  # where a container sees the folder of the user's own weight tables


def project(settings: Settings) -> str:
    """Return the name of a run's project: two runs of other clones or results do not meet."""
    return "leap-" + sha256_json([str(REPOSITORY), str(settings.results.root)])[:8]


def compose(settings: Settings) -> List[str]:
    """Return `docker compose` with the files and the project of a run."""
    files = ["compose.yaml"] + (["compose.gpu.yaml"] if settings["ACCELERATOR"] == "cuda" else [])
    command = ["docker", "compose", "--ansi", "never", "--project-name", project(settings)]
    return command + [argument for name in files for argument in ("-f", str(REPOSITORY / name))]


def variables(settings: Settings, code: str, user: User) -> Dict[str, str]:
    """Return the environment that fills compose.yaml: mounts, images, bases, limits and the user.

    LEAP_MEMORY, LEAP_CORES and LEAP_PIDS of the caller's environment are the limits, else
    MEMORY_SHARE of the engine's memory, what the launcher itself may use, and what compose.yaml
    says.
    """
    stack, raw = settings["STACK"], settings.raw.root
    env = {
        "LEAP_UID": str(user.uid),
        "LEAP_GID": str(user.gid),
        "LEAP_STACK": stack,
        "LEAP_ACCELERATOR": settings["ACCELERATOR"],
        "LEAP_RAW_DATA": str(raw),
        "LEAP_RAW_DATA_PARENT": str(raw.parent),
        "LEAP_SUBMISSION": str(settings.results.root),
        "LEAP_CODE": code,
        "LEAP_BASE_BLEND": stacks.base_image(stacks.BLEND_PYTHON),
        "DOCKER_BUILDKIT": "1",
    }
    for member in registry.members():
        env["LEAP_WEIGHTS_" + member.upper()] = str(settings.weights(member))
        env["LEAP_BASE_" + member.upper()] = stacks.base_image(stacks.python_of(member, stack))
    # Behind a proxy that inspects TLS, pip inside a build needs this machine's certificates.
    trusted = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if "LEAP_BUILD_CA" not in os.environ and trusted and Path(trusted).is_file():
        env["LEAP_BUILD_CA"] = trusted
    if "LEAP_WHEELS" not in os.environ and machine.has_image(WHEELS):
        env["LEAP_WHEELS"] = WHEELS
    if "LEAP_MEMORY" not in os.environ:
        env["LEAP_MEMORY"] = str(int(engine.memory() * MEMORY_SHARE))
    if "LEAP_CORES" not in os.environ and allotment.is_limited():
        env["LEAP_CORES"] = str(allotment.cores())
    folder = tables_inside(settings)[1]
    if folder:
        env["LEAP_TABLES"] = folder
    return dict(os.environ, **env)


def tables_inside(settings: Settings) -> Tuple[List[str], str]:
    """Return (the tables by their names inside a container, the folder to mount there or "").

    A table file of the user's own is outside the image. Raises KitError if several folders hold
    such files.
    """
    names = []
    folders = set()
    for blend in settings.blends:
        if blend.is_own_file:
            path = Path(blend.source)
            folders.add(str(path.resolve().parent))
            names.append(f"{TABLES}/{path.name}")
        else:
            names.append(blend.source)
    if len(folders) > 1:
        raise KitError(
            f"its files lie in {len(folders)} folders, and a container sees one",
            "TABLE=" + settings["TABLE"],
            "put them into one folder, or use RUNTIME=venv",
        )
    return names, "".join(folders)


def make_folders(settings: Settings, members: Sequence[str]) -> User:
    """Create the folders of the results, which are mounted, and return who may write them.

    Raises KitError if that user may not write them, or not read what else is mounted.
    """
    results = settings.results
    user = container_user.of(results.root)
    folders = [results.subs, results.blend] + [results.outputs(member) for member in members]
    for path in folders:
        with explain_os_errors(path):
            path.mkdir(parents=True, exist_ok=True)
    container_user.give(folders, user)
    read = [settings.raw.root]
    if settings.mode == "infer-only":
        read += [settings.weights(member) for member in members]
    container_user.require_readable(read, user)
    return user


def images(settings: Settings, services: Sequence[str], env: Mapping[str, str]) -> Dict[str, str]:
    """Return {service: its image}, as Compose reads compose.yaml. Raises KitError if it cannot."""
    answer = machine.ask([*compose(settings), "config", "--format", "json"], env=env)
    if answer.code != 0:
        remedy = "check compose.yaml, or use RUNTIME=venv"
        raise KitError(f"Compose cannot read it ({answer.complaint})", "compose.yaml", remedy)
    described = json.loads(answer.output)["services"]
    return {service: described[service]["image"] for service in services}


def build(settings: Settings, services: Sequence[str], env: Mapping[str, str]) -> None:
    """Build the images of services, unless a bundle brought them.

    Raises KitError if one cannot be built.
    """
    names = ", ".join(services)
    if bundled.images() and bundled.has_images(list(images(settings, services, env).values())):
        print(f"the images of {names} are those of the bundle", flush=True)
        return
    print(f"building the images of {names} (cached layers are not built again)", flush=True)
    if process.run(compose(settings) + ["build", "--quiet"] + list(services), env):
        raise KitError(
            "an image could not be built (the lines above say why)",
            names,
            "run `make bases` if a base image is missing, or use RUNTIME=venv",
        )


def step(settings: Settings, service: str, arguments: Sequence[str]) -> List[str]:
    """Return the command that runs one step in a container of its service, and no other.

    The engine removes the container when it ends, also if nothing waits for it any more.
    """
    name = f"{project(settings)}-{service}-{os.getpid()}"
    wrapper = [sys.executable, str(REPOSITORY / "launch" / "container_run.py"), name]
    command = [*compose(settings), "run", "--rm", "--no-deps", "-T", "--name", name, service]
    return [*wrapper, *command, *arguments]


def run(settings: Settings, service: str, arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one step and return its exit code."""
    return process.run(step(settings, service, arguments), env)


def side_by_side(
    settings: Settings, steps: Mapping[str, Sequence[str]], env: Mapping[str, str]
) -> int:
    """Run {service: arguments} side by side, and return the first exit code that is not 0."""
    return job_runner.run(
        [
            job_runner.Job(service, step(settings, service, arguments), env=env)
            for service, arguments in steps.items()
        ]
    )
