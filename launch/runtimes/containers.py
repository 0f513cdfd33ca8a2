"""The docker runtime: `docker compose build` makes images, `docker compose run` runs each step."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from launch import machine, process, registry
from launch.bundles import bundled
from launch.code_version import code_version
from launch.registry import REPOSITORY
from launch.runtimes import container_user, engine, stacks
from launch.runtimes.container_user import User
from launch.settings import Settings
from leapkit.core import allotment
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sha256_json
from leapkit.core.layout import Results

WHEELS = "leap-wheels:local"
# The project of all builds. Compose labels an image with it: with a run's own, the same content
# would be another image, and another SIF, for each folder of results.
BUILDS = "leap"
MEMORY_SHARE = 0.9  # of the engine's memory for one container: the rest keeps the machine alive
TABLES = "/tables"  # where a container sees the folder of the user's own weight tables


def project(settings: Settings) -> str:
    """Return the name of a run's project: two runs of other clones or results do not meet."""
    return "leap-" + sha256_json([str(REPOSITORY), str(settings.results.root)])[:8]


def compose(settings: Settings, name: str) -> List[str]:
    """Return `docker compose` with the files of a run and the name of a project."""
    files = ["compose.yaml"] + (["compose.gpu.yaml"] if settings["ACCELERATOR"] == "cuda" else [])
    command = ["docker", "compose", "--ansi", "never", "--project-name", name]
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
        "LEAP_EMULATOR": settings.emulator.name,
        "LEAP_BASE_EMULATOR": stacks.base_image(settings.emulator.python),
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


def folders_of(results: Results, services: Sequence[str]) -> List[Path]:
    """Return the folders of the results that services may write to."""
    members = [service for service in services if service in registry.members()]
    stacks = [results.stacks] if "stacking" in services else []
    return [results.subs, results.blend, *map(results.outputs, members), *stacks]


def make_folders(settings: Settings, services: Sequence[str]) -> User:
    """Create the folders of the results, which are mounted, and return who may write them.

    Raises KitError if that user may not write them, or not read what else is mounted.
    """
    user = container_user.of(settings.results.root)
    folders = folders_of(settings.results, services)
    for path in folders:
        with explain_os_errors(path):
            path.mkdir(parents=True, exist_ok=True)
    container_user.give(folders, user)
    read = [settings.raw.root]
    if settings.mode == "infer-only":
        read += [settings.weights(name) for name in services if name in registry.members()]
    container_user.require_readable(read, user)
    return user


def build_images(settings: Settings, services: Sequence[str], user: User) -> Dict[str, str]:
    """Build the images of services; return the environment for `docker compose`.

    The tools beside the blend have its image. Raises KitError if an image cannot be built.
    """
    env = variables(settings, code_version(), user)
    own = {name: name for name in (*registry.members(), "emulator")}
    own["stacking"] = "emulator"
    images = [own.get(service, "blend") for service in services]
    build(settings, images, env)
    return env


def names_of(settings: Settings, services: Sequence[str], env: Mapping[str, str]) -> Dict[str, str]:
    """Return {service: its image}, as Compose reads compose.yaml. Raises KitError if it cannot."""
    # Without a profile, `config` leaves out the tools and who is trained on request.
    profile = ["--profile", "tools"]
    answer = machine.ask(
        [*compose(settings, BUILDS), *profile, "config", "--format", "json"], env=env
    )
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
    # Compose is asked only where a bundle may have brought them.
    images = list(names_of(settings, services, env).values()) if bundled.images() else []
    if images and bundled.has_images(images):
        print(f"the images of {names} are those of the bundle", flush=True)
        return
    print(f"building the images of {names} (cached layers are not built again)", flush=True)
    if process.run([*compose(settings, BUILDS), "build", "--quiet", *services], env):
        remedy = "run `make bases` if a base image is missing, or use RUNTIME=venv"
        absent = set(images) - set(bundled.images())
        if absent:
            remedy = f"make a bundle that holds {min(absent)} (STACK, EXPERIMENTS), or {remedy}"
        raise KitError("an image could not be built (the lines above say why)", names, remedy)


def step(settings: Settings, service: str, arguments: Sequence[str]) -> List[str]:
    """Return the command that runs one step in a container of its service, and no other.

    The engine removes the container when it ends, also if nothing waits for it any more.
    """
    name = f"{project(settings)}-{service}-{os.getpid()}"
    wrapper = [sys.executable, str(REPOSITORY / "launch" / "runtimes" / "container_run.py"), name]
    command = [*compose(settings, project(settings)), "run", "--rm", "--no-deps", "-T"]
    return [*wrapper, *command, "--name", name, service, *arguments]


def on_results(settings: Settings, steps: Mapping[str, Sequence[str]]) -> int:
    """Run {service: arguments} side by side on the data and the results.

    Return the first exit code that is not 0.
    """
    env = build_images(settings, list(steps), make_folders(settings, list(steps)))
    commands = {name: step(settings, name, arguments) for name, arguments in steps.items()}
    return process.side_by_side(commands, env)


def on_folder(
    settings: Settings,
    service: str,
    arguments: Sequence[str],
    mounts: Mapping[str, Path],
    made: Path,
) -> int:
    """Run a service that writes to one folder: `world`, `evaluate`, `report` or `emulator`.

    mounts  {variable of compose.yaml: folder}
    made    the folder in which files or folders are made
    Raises KitError if the container's user may not write there, or not read what it is given.
    """
    user = container_user.of(made)
    container_user.prepare(made, user)
    container_user.require_readable([settings.raw.root, *mounts.values()], user)
    env = build_images(settings, [service], user)
    env.update((variable, str(folder)) for variable, folder in mounts.items())
    return process.run(step(settings, service, arguments), env)
