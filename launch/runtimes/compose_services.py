"""What compose.yaml and the Dockerfiles say of a service, for a runtime that reads neither."""

from __future__ import annotations

from pathlib import Path
from typing import List, Mapping, NamedTuple, Sequence

from launch.registry import REPOSITORY
from launch.runtimes import containers
from launch.settings import Settings

ENTRYPOINTS = {
    "blend": ("python", "-m", "blend"),
    "verify": ("python", "-m", "blend"),
    "evaluate": ("python", "-m", "evaluation"),
    "report": ("python", "-m", "reports"),
    "world": ("python",),
    "emulator": ("python", "-m", "leapkit.emulators"),
    "stacking": ("python", "-m", "stacking"),
}


class Mount(NamedTuple):
    """A folder of this machine and where a container sees it."""

    source: Path
    target: str
    is_writable: bool = False

    @property
    def option(self) -> str:
        """The value of --mount, a line of CSV: a path may hold commas, colons and quotes."""
        quoted = str(self.source).replace('"', '""')
        mode = "" if self.is_writable else ",ro"
        return f'type=bind,"source={quoted}",destination={self.target}{mode}'


def mounts_of(settings: Settings, service: str, folders: Mapping[str, Path]) -> List[Mount]:
    """Return what compose.yaml mounts for a service.

    folders  {variable of compose.yaml: folder} of `world`, `evaluate` and `emulator`
    """
    raw = Mount(settings.raw.root, "/raw_data")
    subs = Mount(settings.results.subs, "/submission/subs", is_writable=True)
    blend = Mount(settings.results.blend, "/submission/blend", is_writable=True)
    if service == "world":
        return [
            Mount(folders["LEAP_RAW_DATA_PARENT"], "/world", is_writable=True),
            Mount(folders.get("LEAP_STEPS", REPOSITORY / "raw_data"), "/steps"),
            Mount(folders.get("LEAP_STATISTICS", REPOSITORY / "raw_data"), "/statistics"),
        ]
    if service == "evaluate":
        results = settings.results
        return [
            raw,
            Mount(results.root, "/submission"),
            Mount(results.evaluation, "/submission/evaluation", is_writable=True),
            Mount(folders.get("LEAP_PREDICTIONS", REPOSITORY / "raw_data"), "/predictions"),
            Mount(folders.get("LEAP_TRUTH", REPOSITORY / "raw_data"), "/truth"),
        ]
    if service == "report":
        return [
            Mount(settings.results.root, "/submission"),
            Mount(folders["LEAP_ASKED"], "/asked"),
            Mount(folders["LEAP_TO"], "/to", is_writable=True),
        ]
    if service == "verify":
        return [raw, subs, blend]
    own = containers.tables_inside(settings)[1]
    tables = Mount(Path(own) if own else REPOSITORY / "blend" / "tables", "/tables")
    if service == "emulator":
        return [
            raw,
            Mount(folders["LEAP_WEIGHTS"], "/weights"),
            Mount(folders.get("LEAP_INPUTS", REPOSITORY / "raw_data"), "/inputs"),
            Mount(folders["LEAP_TO"], "/to", is_writable=True),
            tables,
        ]
    if service == "stacking":
        stacks = Mount(settings.results.stacks, "/submission/stacks", is_writable=True)
        return [raw, Mount(settings.results.root, "/submission"), subs, stacks, tables]
    if service == "blend":
        return [raw, subs._replace(is_writable=False), blend, tables]
    outputs = f"outputs/{service}"
    return [
        raw,
        Mount(settings.weights(service), "/weights"),
        subs,
        Mount(settings.results.root / outputs, f"/submission/{outputs}", is_writable=True),
    ]


def entrypoint(service: str) -> Sequence[str]:
    """Return what a container runs before its arguments: Dockerfiles and compose.yaml have it."""
    folders = ("--raw-data", "/raw_data", "--submission", "/submission", "--weights", "/weights")
    return ENTRYPOINTS.get(service, ("python", "-m", f"members.{service}", *folders))
