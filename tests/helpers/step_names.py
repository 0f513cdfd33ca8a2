"""The names of step files, spelled without the kit, and empty files under them."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple


def mli_name(stamp: str) -> str:
    return f"E3SM-MMF.mli.{stamp}.nc"


def mlo_name(stamp: str) -> str:
    return f"E3SM-MMF.mlo.{stamp}.nc"


def make_names(
    root: Path, month: str, stamps: Tuple[str, ...], kinds: Tuple[str, ...] = ("mli", "mlo")
) -> None:
    """Make empty step files of a month. Stamps are DD-SSSSS."""
    (root / month).mkdir(exist_ok=True)
    for stamp in stamps:
        for kind in kinds:
            (root / month / f"E3SM-MMF.{kind}.{month}-{stamp}.nc").touch()
