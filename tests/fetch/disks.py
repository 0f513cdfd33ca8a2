"""Disks with room, and disks that fill up."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest


def enough_disk(folder: Path, size: float) -> None:
    if shutil.disk_usage(str(folder)).free < size:
        pytest.skip(f"less than {size / 1e9:.1f} GB are free, which a real download would need")


def fill_up(disk: Path) -> None:
    """Fill the disk, as another program may do at any moment."""
    with contextlib.suppress(OSError), open(disk / "filler", "ab", buffering=0) as handle:
        while True:
            handle.write(b"x" * 4096)
