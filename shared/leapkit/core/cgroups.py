"""The limits that Linux control groups set to a process: versions 1 and 2, own group to root.

A limit of any group above holds too. In a container the mount often shows only the container's own
subtree, so a group is looked for below the mount's root, and the mount itself always counts.
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Iterator, List, NamedTuple, Optional, Tuple

V1 = "cgroup"
V2 = "cgroup2"


class Mount(NamedTuple):
    """A mounted hierarchy of groups.

    version     V1 or V2
    controllers of version 1; version 2 holds all that it has in one hierarchy
    top         the group that the folder shows
    folder      where it is mounted
    """

    version: str
    controllers: Tuple[str, ...]
    top: str
    folder: str


def core_limits(root: Path) -> Iterator[Tuple[int, str]]:
    """Yield (cores, the file that says so) of every group with a quota of CPU time.

    root  the folder that stands for /, with proc and sys
    """
    for folder, version in _groups(root, "cpu"):
        path = folder / ("cpu.max" if version == V2 else "cpu.cfs_quota_us")
        words = _words(path)
        if version == V1:
            words += _words(folder / "cpu.cfs_period_us")
        numbers = [_number(word) for word in words]
        if len(numbers) == 2 and numbers[0] and numbers[1]:
            # A part of a core is time that another thread can use.
            yield math.ceil(numbers[0] / numbers[1]), _shown(path, root)


def memory_limits(root: Path) -> Iterator[Tuple[int, str]]:
    """Yield (bytes, the file that says so) of every group with a limit of memory."""
    for folder, version in _groups(root, "memory"):
        path = folder / ("memory.max" if version == V2 else "memory.limit_in_bytes")
        for number in map(_number, _words(path)):
            if number and number < 1 << 62:  # version 1 writes "no limit" as a number
                yield number, _shown(path, root)


def _groups(root: Path, controller: str) -> Iterator[Tuple[Path, str]]:
    """Yield (folder, version) of this process's groups of a controller, its own first."""
    own = dict(_own_groups(root))
    for mount in _mounts(root):
        is_named = controller in mount.controllers
        group = own.get(controller if mount.version == V1 else "")
        if group is None or (mount.version == V1 and not is_named):
            continue
        folder = root / mount.folder.lstrip("/")
        for path in _upwards(group, mount.top):
            yield folder / path, mount.version


def _upwards(group: str, top: str) -> List[str]:
    """Return the group and all above it, relative to the mount's group; "" is the mount itself."""
    try:
        below = PurePosixPath(group).relative_to(top)
    except ValueError:
        return [""]  # of another container's or namespace's view: only the mount is known
    if ".." in below.parts:
        return [""]
    return [str(path) for path in (below, *below.parents)]


def _own_groups(root: Path) -> Iterator[Tuple[str, str]]:
    """Yield (controller, group) of this process; version 2 has the controller ""."""
    for line in _lines(root / "proc/self/cgroup"):
        fields = line.split(":", 2)
        if len(fields) == 3:
            for controller in fields[1].split(","):
                yield controller, fields[2]


def _mounts(root: Path) -> Iterator[Mount]:
    """Yield the mounted hierarchies: `... / root folder options ... - type source options`."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields = before.split()
        kind = after.split()
        if len(fields) > 4 and len(kind) > 2 and kind[0] in (V1, V2):
            yield Mount(kind[0], tuple(kind[2].split(",")), fields[3], fields[4])


def _lines(path: Path) -> List[str]:
    """Return the lines of a file of the kernel; none if there is no such file or it is refused."""
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _words(path: Path) -> List[str]:
    return " ".join(_lines(path)).split()


def _number(word: str) -> Optional[int]:
    """Return a positive number; None for `max`, -1 and all else that is no limit."""
    return int(word) if word.isdigit() and len(word) < 20 and int(word) > 0 else None


def _shown(path: Path, root: Path) -> str:
    return "/" + str(path.relative_to(root))
