"""The two stacks: which Python each room has, which lock file, which base image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List

from launch import machine
from launch.registry import REPOSITORY

STACKS = ("published", "modern")
# The team's own Pythons; the blend has one stack.
PYTHON: Dict[str, Dict[str, str]] = {
    "published": {
        "adam": "3.8",
        "forcewithme": "3.10",
        "joseph": "3.10",
        "max2020": "3.10",
        "zuiye": "3.10",
    },
    "modern": {
        "adam": "3.11",
        "forcewithme": "3.11",
        "joseph": "3.11",
        "max2020": "3.11",
        "zuiye": "3.11",
    },
}
BLEND_PYTHON = "3.11"

# Official images. The digests are those that practice.md section F found in public Dockerfiles; no digest of a 3.11
# image could be checked where this was written, so that one is by tag.
OFFICIAL = {
    "3.8": "python:3.8.10-slim-buster@sha256:68034bc33557411aae03275945a339046abc036be09e6f661ec3703de9ce222f",
    "3.10": "python:3.10.14-slim-bookworm@sha256:2407c61b1a18067393fecd8a22cf6fceede893b6aaca817bf9fbfe65e33614a3",
    "3.11": "python:3.11-slim-bookworm",
}


def python_of(room: str, stack: str) -> str:
    return BLEND_PYTHON if room == "blend" else PYTHON[stack][room]


def pythons() -> List[str]:
    """Every Python that some room has on some stack, oldest first."""
    versions = {version for table in PYTHON.values() for version in table.values()} | {BLEND_PYTHON}
    return sorted(versions, key=lambda version: [int(part) for part in version.split(".")])


def lock_of(room: str, stack: str, accelerator: str) -> Path:
    """The hash-locked requirements of a member or the blend."""
    if room == "blend":
        return REPOSITORY / "blend" / "locks" / "cpu.txt"
    return REPOSITORY / "members" / room / "locks" / (f"{stack}-{accelerator}.txt")


def base_image(version: str, probe: bool = False) -> str:
    """The image to build on: LEAP_BASE_3_8, a local base of containers/make-bases, else the official one.

    With `probe`, "" where none of them can be had.
    """
    named = os.environ.get("LEAP_BASE_" + version.replace(".", "_"))
    local = "leap-base:py" + version
    if named:
        return named
    if machine.has_image(local):
        return local
    official = OFFICIAL[version]
    if probe and not machine.has_image(official) and not machine.registry_answers(official):
        return ""
    return official
