"""ClimSim's step files: their names, and which of them exist.

Layout on disk: <root>/YYYY-MM/E3SM-MMF.{mli,mlo}.YYYY-MM-DD-SSSSS.nc. A pair of files is one model
step of 1200 s, 384 columns (docs/reference/data_pipeline.md, "Step files").
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from leapkit.core.errors import KitError

MONTH = re.compile(r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")
PRECISIONS = ("float64", "float32")  # of the numbers in a file: the published one, then lower ones
STEPS_PER_DAY = 72  # of 1200 s
COLUMNS = 384  # of the grid: rows of a step
_NAME = re.compile(r"E3SM-MMF\.(ml[io])\.(([0-9]{4}-[0-9]{2})-([0-9]{2})-([0-9]{5}))\.nc")


@dataclass(frozen=True)
class StepPair:
    """The two files of one model step. Small, as the published split has 195,048 of them."""

    __slots__ = ("folder", "stamp")
    folder: Path  # of the month
    stamp: str  # YYYY-MM-DD-SSSSS

    @property
    def month(self) -> str:
        return self.stamp[:7]

    @property
    def mli(self) -> Path:
        return self.folder / file_name("mli", self.stamp)

    @property
    def mlo(self) -> Path:
        return self.folder / file_name("mlo", self.stamp)


def steps_of(month: str) -> int:
    """Return the number of steps of a whole month; ClimSim's calendar has no leap years."""
    number = month[5:]
    days = 28 if number == "02" else 30 if number in ("04", "06", "09", "11") else 31
    return STEPS_PER_DAY * days


@dataclass(frozen=True)
class MonthListing:
    """What a month's folder holds.

    pairs       complete steps, sorted
    unpaired    names of step files whose counterpart is missing, sorted
    unexpected  names that are not step files of this month, sorted
    """

    name: str
    pairs: Tuple[StepPair, ...]
    unpaired: Tuple[str, ...]
    unexpected: Tuple[str, ...]

    def line(self) -> str:
        """Return what the folder holds as one line of text."""
        whole = steps_of(self.name)
        count = len(self.pairs)
        text = f"{self.name}: "
        text += f"whole, {whole} steps" if count == whole else f"{count} of {whole} steps"
        if self.unpaired:
            text += "; without their counterpart: " + _some(self.unpaired)
        if self.unexpected:
            text += "; not step files: " + _some(self.unexpected)
        return text


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


class StepName(NamedTuple):
    """What the name of a step file says."""

    kind: str  # mli or mlo
    stamp: str  # YYYY-MM-DD-SSSSS


def file_name(kind: str, stamp: str) -> str:
    return f"E3SM-MMF.{kind}.{stamp}.nc"


def parse_name(name: str) -> Optional[StepName]:
    """Return the kind and the stamp of a step file; None if it is not a step of the calendar."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    kind, stamp, month, day, second = match.groups()
    if (
        not MONTH.match(month)
        or not 1 <= int(day) <= steps_of(month) // STEPS_PER_DAY
        or int(second) not in range(0, 86400, 1200)
    ):
        return None
    return StepName(kind, stamp)


def read_month(folder: Path) -> MonthListing:
    """List a month's folder. Raises KitError if it is missing."""
    if not folder.is_dir():
        raise KitError("the month is missing", folder, "download it, or leave it out of the split")
    stamps: Dict[str, Set[str]] = {"mli": set(), "mlo": set()}
    unexpected = []
    for name in os.listdir(str(folder)):
        step = parse_name(name)
        if step and step.stamp[:7] == folder.name:
            stamps[step.kind].add(step.stamp)
        else:
            unexpected.append(name)
    paired = stamps["mli"] & stamps["mlo"]
    unpaired = [
        file_name(kind, stamp) for kind in stamps for stamp in stamps[kind] if stamp not in paired
    ]
    return MonthListing(
        folder.name,
        tuple(StepPair(folder, stamp) for stamp in sorted(paired)),
        tuple(sorted(unpaired)),
        tuple(sorted(unexpected)),
    )


def list_months(root: Path) -> List[str]:
    """Return the months below `root` (folders named YYYY-MM), in calendar order.

    Raises KitError if `root` is missing.
    """
    if not root.is_dir():
        raise KitError(
            "the folder of step files is missing",
            root,
            "put ClimSim low-res months there (YYYY-MM folders) or give RAW_DATA=",
        )
    return sorted(
        folder.name for folder in root.iterdir() if folder.is_dir() and MONTH.match(folder.name)
    )


def list_pairs(root: Path, months: Optional[Sequence[str]] = None) -> List[StepPair]:
    """Return all step pairs of the months (None: of all), sorted by path as ClimSim sorts them.

    Raises KitError if a month is missing or empty, or if a file has no counterpart.
    """
    pairs: List[StepPair] = []
    for name in list_months(root) if months is None else months:
        pairs.extend(require_pairs(read_month(root / name), root / name))
    return pairs


def require_pairs(month: MonthListing, folder: Path) -> Tuple[StepPair, ...]:
    """Return a month's pairs. Raises KitError if it has none, or a file without its counterpart."""
    if month.unpaired:
        name = month.unpaired[0]
        others = len(month.unpaired) - 1
        more = f" (and {others} more are)" if others else ""
        raise KitError(
            f"its counterpart {_counterpart(name)} is missing{more}",
            folder / name,
            "download the missing file",
        )
    if not month.pairs:
        raise KitError(
            "the month holds no step files", folder, "download it, or leave it out of the split"
        )
    return month.pairs


def _counterpart(name: str) -> str:
    """Return the name of the other file of a step."""
    step = parse_name(name)
    assert step is not None
    return file_name("mlo" if step.kind == "mli" else "mli", step.stamp)
