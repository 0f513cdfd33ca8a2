"""The docker runtime: images by `docker compose build`, runs by `up` (all) or `run --no-deps` (one room)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence

from blend import tables
from blend.plan import search_of
from launch import machine, registry, stacks
from launch.registry import REPOSITORY
from launch.settings import Settings
from leapkit.core.errors import KitError
from leapkit.core.files import sha256_json

WHEELS = "leap-wheels:local"


def compose(settings: Settings) -> List[str]:
    files = ["compose.yaml"] + (["compose.gpu.yaml"] if settings["ACCELERATOR"] == "cuda" else [])
    # One project per clone and result folder, so that two runs on a machine do not meet.
    project = "leap-" + sha256_json([str(REPOSITORY), str(settings.results.root)])[:8]
    command = ["docker", "compose", "--ansi", "never", "--project-name", project]
    return command + [part for name in files for part in ("-f", str(REPOSITORY / name))]


def variables(settings: Settings, code: str) -> Dict[str, str]:
    """What compose.yaml is filled with."""
    stack, raw = settings["STACK"], settings.raw.root
    own = {
        "LEAP_UID": str(os.getuid()),
        "LEAP_GID": str(os.getgid()),
        "LEAP_STACK": stack,
        "LEAP_ACCELERATOR": settings["ACCELERATOR"],
        "LEAP_MODE": settings.mode,
        "LEAP_PROFILE": settings["PROFILE"],
        "LEAP_POSTPROCESS": settings["POSTPROCESS"],
        "LEAP_DEVICE": settings["DEVICE"],
        "LEAP_RAW_DATA": str(raw),
        "LEAP_RAW_DATA_PARENT": str(raw.parent),
        "LEAP_RAW_DATA_NAME": raw.name,
        "LEAP_SUBMISSION": str(settings.results.root),
        "LEAP_CODE": code,
        "LEAP_BASE_BLEND": stacks.base_image(stacks.BLEND_PYTHON),
        "DOCKER_BUILDKIT": "1",
    }
    for member in registry.members():
        own["LEAP_WEIGHTS_" + member.upper()] = str(settings.weights(member))
        own["LEAP_BASE_" + member.upper()] = stacks.base_image(stacks.python_of(member, stack))
    # Behind a proxy that inspects TLS, pip inside a build needs the certificates that this machine trusts.
    trusted = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if "LEAP_BUILD_CA" not in os.environ and trusted and Path(trusted).is_file():
        own["LEAP_BUILD_CA"] = trusted
    if "LEAP_WHEELS" not in os.environ and machine.has_image(WHEELS):
        own["LEAP_WHEELS"] = WHEELS
    own.update(_table_variables(settings))
    return dict(os.environ, **own)


def _table_variables(settings: Settings) -> Dict[str, str]:
    """Tables of the user's own lie outside the image: their folder is mounted. Raises KitError where they have several."""
    inside, folders = [], set()
    for name in settings.tables:
        if search_of(name) is None and name not in tables.shipped():
            folders.add(Path(name).resolve().parent)
            name = "/tables/" + Path(name).name
        inside.append(name)
    if len(folders) > 1:
        raise KitError(
            "its files lie in %d folders, and a container sees one" % len(folders),
            "TABLE=" + settings["TABLE"],
            "put them into one folder, or use RUNTIME=venv",
        )
    found = {"LEAP_TABLE": ",".join(inside)}
    found.update(("LEAP_TABLES", str(folder)) for folder in folders)
    return found


def make_folders(settings: Settings, members: Sequence[str]) -> None:
    """Creates what is mounted: the engine would make missing folders itself, as root."""
    layout = settings.results
    for path in [layout.subs, layout.blend] + [layout.outputs(m) for m in members]:
        path.mkdir(parents=True, exist_ok=True)


def build(settings: Settings, services: Sequence[str], env: Dict[str, str]) -> None:
    print(
        "building the images of {} (cached layers are not built again)".format(", ".join(services)),
        flush=True,
    )
    if _call(compose(settings) + ["build", "--quiet"] + list(services), env):
        raise KitError(
            "an image could not be built (the lines above say why)",
            ", ".join(services),
            "see README, 'Containers', or use RUNTIME=venv",
        )


def run_one(settings: Settings, service: str, arguments: Sequence[str], env: Dict[str, str]) -> int:
    """One container and no other."""
    return _call(
        compose(settings) + ["run", "--rm", "--no-deps", "-T", service] + list(arguments), env
    )


def up(settings: Settings, members: Sequence[str], env: Dict[str, str]) -> int:
    """All members side by side, each to its end. Returns the first exit code that is not 0."""
    command = compose(settings)
    try:
        _call(command + ["up", "--no-build"] + list(members), env)
        codes = {member: _exit_code(command, member, env) for member in members}
    finally:
        _call(command + ["down", "--timeout", "60"], env, quiet=True)
    for member, code in codes.items():
        if code:
            print(
                "%s: its container ended with code %d; what the others made is kept"
                % (member, code),
                flush=True,
            )
    return next((code if code is not None else 1 for code in codes.values() if code != 0), 0)


def _exit_code(command: List[str], service: str, env: Dict[str, str]) -> int | None:
    """The exit code of a service's container, None when it was never started."""
    done = subprocess.run(
        command + ["ps", "--all", "--quiet", service], env=env, stdout=subprocess.PIPE, check=False
    )
    identifier = done.stdout.decode().strip()
    if not identifier:
        return None
    shown = machine.output_of(
        ["docker", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", identifier]
    )
    state = (shown or "").split()
    return int(state[1]) if state and state[0] == "exited" else None


def _call(command: List[str], env: Dict[str, str], quiet: bool = False) -> int:
    process = subprocess.Popen(
        command,
        env=env,
        cwd=str(REPOSITORY),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.DEVNULL if quiet else None,
    )
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Compose stops the containers; their state is kept
