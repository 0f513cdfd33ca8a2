"""What a room runs on: its Python, its lock file, its base image.

members/<name>/stack.py decides for a member.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Dict, List, Mapping, Set

from launch import machine, registry
from launch.registry import REPOSITORY
from leapkit.core.errors import KitError
from leapkit.core.stacks import MODERN, NAMES, Stack

STACKS = NAMES
LOCKS = REPOSITORY / "containers" / "locks"
# The blend, the tools around it and `make fetch` have one stack, without torch.
BLEND_PYTHON = MODERN.python

# Official images. The digests of 3.8 and 3.10 stand in public Dockerfiles. No digest of a 3.11
# image could be checked where this was written, so a tag names that one.
OFFICIAL = {
    "3.8": "python:3.8.10-slim-buster"
    "@sha256:68034bc33557411aae03275945a339046abc036be09e6f661ec3703de9ce222f",
    "3.10": "python:3.10.14-slim-bookworm"
    "@sha256:2407c61b1a18067393fecd8a22cf6fceede893b6aaca817bf9fbfe65e33614a3",
    "3.11": "python:3.11-slim-bookworm",
}


def members_stacks() -> Dict[str, Mapping[str, Stack]]:
    """Return {member: {"published": Stack, "modern": Stack}}, a row for each folder in members/."""
    return {member: stacks_of(member) for member in registry.members()}


def stacks_of(member: str) -> Mapping[str, Stack]:
    """Return a member's row. Raises KitError if it has no stack.py or does not name both stacks."""
    path = REPOSITORY / "members" / member / "stack.py"
    remedy = 'write STACKS = {"published": ..., "modern": MODERN}, as in members/adam/stack.py'
    if not path.exists():
        raise KitError("the file is missing", path, remedy)
    stacks: Mapping[str, Stack] = importlib.import_module(f"members.{member}.stack").STACKS
    if set(stacks) != set(NAMES):
        raise KitError(f"STACKS names {', '.join(stacks) or 'nothing'}", path, remedy)
    return stacks


def python_of(member: str, stack: str) -> str:
    """Return the version of a member's Python on a stack: "3.8"."""
    return stacks_of(member)[stack].python


def pythons_of(stack: str) -> Set[str]:
    """Return the versions of Python that the members have on a stack."""
    return {row[stack].python for row in members_stacks().values()}


def pythons() -> List[str]:
    """Return every Python that a room has on some stack, oldest first."""
    versions = {BLEND_PYTHON}.union(*map(pythons_of, STACKS))
    return sorted(versions, key=lambda version: [int(part) for part in version.split(".")])


def lock(name: str) -> Path:
    """Return a lock file by its name: `blend`, `fetch`, `tests-py38-torch1.10`, ..."""
    return LOCKS / f"{name}.txt"


def lock_of(member: str, stack: str, accelerator: str) -> Path:
    """Return the lock file of a member on a stack, for `cpu` or `cuda`."""
    return lock(f"{stacks_of(member)[stack].name}-{accelerator}")


def official_image(version: str) -> str:
    """Return the official image of a Python. Raises KitError if none is named."""
    if version not in OFFICIAL:
        raise KitError(
            f"no image of Python {version} is named",
            "launch/runtimes/stacks.py",
            "add it to OFFICIAL",
        )
    return OFFICIAL[version]


def base_image(version: str, probe: bool = False) -> str:
    """Return the image to build on for a Python.

    That is LEAP_BASE_3_8 where it is set, else the local one of containers/make-bases where it
    exists, else the official one. With `probe`, "" if the official one cannot be had.
    """
    chosen = os.environ.get("LEAP_BASE_" + version.replace(".", "_"))
    if chosen:
        return chosen
    local = "leap-base:py" + version
    if machine.has_image(local):
        return local
    official = official_image(version)
    if probe and not machine.has_image(official) and not machine.registry_answers(official):
        return ""
    return official
