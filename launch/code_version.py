"""Which commit runs: receipts record it, nothing is decided by it."""

from __future__ import annotations

from launch.machine import output_of
from launch.registry import REPOSITORY


def code_version() -> str:
    """Return the commit, with a mark for uncommitted changes; "" outside a git repository."""
    return (
        output_of(["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]) or ""
    ).strip()
