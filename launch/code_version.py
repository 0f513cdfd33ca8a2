"""Which commit runs: receipts record it, nothing is decided by it."""

from __future__ import annotations

from launch.bundles import bundled
from launch.machine import output_of
from launch.registry import REPOSITORY


def code_version() -> str:
    """Return the commit, with a mark for uncommitted changes; "" where nothing knows it.

    What was unbundled is no clone: the bundle says it.
    """
    if not (REPOSITORY / ".git").exists() and bundled.record():
        return bundled.code_version()
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    return (output_of(command) or "").strip()
