"""Which ClimSim step files there are and which of them a split takes (standard library only).

Layout on disk: <root>/YYYY-MM/E3SM-MMF.{mli,mlo}.YYYY-MM-DD-SSSSS.nc; a pair of files is one model step of 1200 s,
384 columns (reference/data_pipeline.md section 1.3).
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from leapkit.core.errors import KitError
from leapkit.core.files import read_json, write_json

_NAME = re.compile(r"E3SM-MMF\.(ml[io])\.(([0-9]{4}-[0-9]{2})-([0-9]{2})-([0-9]{5}))\.nc")
_MONTH = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")


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
        return self.folder / (f"E3SM-MMF.mli.{self.stamp}.nc")

    @property
    def mlo(self) -> Path:
        return self.folder / (f"E3SM-MMF.mlo.{self.stamp}.nc")


@dataclass(frozen=True)
class Split:
    """Months of training, of validation and of the test set.

    Validation takes every `validation_stride`-th step of its months' sorted list; where a month serves both, the
    validation steps are left out of training.
    """

    train: Tuple[str, ...]
    validation: Tuple[str, ...]
    validation_stride: int = 7
    test: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for month in self.train + self.validation + self.test:
            if not _MONTH.match(month):
                raise ValueError(f"a month is YYYY-MM, not {month!r}")
        for months in (self.train, self.validation, self.test):
            if len(set(months)) != len(months):
                raise ValueError("a month stands there twice")
        if self.validation_stride < 1 or not self.train or not self.validation:
            raise ValueError(
                "a split has training and validation months and a stride of at least 1"
            )
        if set(self.test) & set(self.train + self.validation):
            raise ValueError("test months are neither trained on nor validated on")


def months_between(first: str, last: str) -> Tuple[str, ...]:
    """Calendar months from `first` to `last`, both included. Raises ValueError where these are no months in order."""
    if not (_MONTH.match(first) and _MONTH.match(last) and first <= last):
        raise ValueError(f"months are YYYY-MM, the earlier one first, not {first!r} to {last!r}")
    start, end = (int(m[:4]) * 12 + int(m[5:]) - 1 for m in (first, last))
    return tuple("%04d-%02d" % (k // 12, k % 12 + 1) for k in range(start, end + 1))


def months_of(text: str) -> Tuple[str, ...]:
    """`0008-01:0008-03,0008-07` -> four months. Raises ValueError where these are no months in order."""
    found: List[str] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        found.extend(months_between(first, last if colon else first))
    return tuple(found)


# 89 training months and every seventh step of the last seven (reference/data_pipeline.md section 2).
PUBLISHED = Split(months_between("0001-02", "0008-06"), months_between("0008-07", "0009-01"))


def scaled_down(split: Split, there: Sequence[str]) -> Split:
    """The same rule for the months that are there.

    Without a month of its validation, or of its training, all months train and the last one validates as well.
    Raises ValueError where there is no month at all.
    """
    train = tuple(m for m in split.train if m in there)
    validation = tuple(m for m in split.validation if m in there)
    if not (train and validation):
        train = tuple(there)
        validation = train[-1:]
    return Split(train, validation, split.validation_stride)


def steps_of(month: str) -> int:
    """Steps of a whole month in ClimSim's calendar, which knows no leap years."""
    return 72 * (28 if month[5:] == "02" else 30 if month[5:] in ("04", "06", "09", "11") else 31)


@dataclass(frozen=True)
class Month:
    """What lies in a month's folder: whole pairs in order, names without their twin, names that are no step files."""

    name: str
    pairs: Tuple[StepPair, ...]
    lone: Tuple[str, ...]
    odd: Tuple[str, ...]

    def line(self) -> str:
        whole = steps_of(self.name)
        text = "{}: {}".format(
            self.name,
            "whole, %d steps" % whole
            if len(self.pairs) == whole
            else "%d of %d steps" % (len(self.pairs), whole),
        )
        if self.lone:
            text += "; without their twin: " + _some(self.lone)
        return text + ("; no step files: " + _some(self.odd) if self.odd else "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" and %d more" % (len(names) - 3) if len(names) > 3 else "")


def parse_name(name: str) -> Optional[Tuple[str, str]]:
    """(mli or mlo, YYYY-MM-DD-SSSSS) of a step file's name; None where it is no step of the calendar."""
    match = _NAME.fullmatch(name)
    if (
        not match
        or not _MONTH.match(match[3])
        or not 0 < int(match[4]) <= steps_of(match[3]) // 72
        or int(match[5]) not in range(0, 86400, 1200)
    ):
        return None
    return match[1], match[2]


def read_month(folder: Path) -> Month:
    """Sorts the names in a month's folder. Raises KitError where there is none."""
    if not folder.is_dir():
        raise KitError("the month is missing", folder, "download it, or leave it out of the split")
    stamps: Tuple[Set[str], Set[str]] = (set(), set())
    odd = []
    for name in os.listdir(str(folder)):
        found = parse_name(name)
        if found and found[1][:7] == folder.name:
            stamps[found[0] == "mlo"].add(found[1])
        else:
            odd.append(name)
    lone = [
        f"E3SM-MMF.{kind}.{stamp}.nc"
        for kind, own, other in (("mli",) + stamps, ("mlo",) + stamps[::-1])
        for stamp in own - other
    ]
    pairs = tuple(StepPair(folder, stamp) for stamp in sorted(stamps[0] & stamps[1]))
    return Month(folder.name, pairs, tuple(sorted(lone)), tuple(sorted(odd)))


def list_months(root: Path) -> List[str]:
    """The months below `root` (folders named YYYY-MM), in calendar order."""
    if not root.is_dir():
        raise KitError(
            "the folder of step files is missing",
            root,
            "put ClimSim low-res months there (YYYY-MM folders) or give RAW_DATA=",
        )
    return sorted(p.name for p in root.iterdir() if p.is_dir() and _MONTH.match(p.name))


def list_pairs(root: Path, months: Optional[Sequence[str]] = None) -> List[StepPair]:
    """All step pairs of the months, sorted by path as ClimSim sorts them.

    Raises KitError for a month that is missing or empty, or an mli file without its mlo twin (or the reverse).
    """
    found: List[StepPair] = []
    for name in list_months(root) if months is None else months:
        found.extend(require_pairs(read_month(root / name), root / name))
    return found


def require_pairs(month: Month, folder: Path) -> Tuple[StepPair, ...]:
    """A month's pairs. Raises KitError where there is none, or a file without its twin."""
    if month.lone:
        more = " (and %d more are)" % (len(month.lone) - 1) if month.lone[1:] else ""
        raise KitError(
            f"its twin {_twin(month.lone[0])} is missing{more}",
            folder / month.lone[0],
            "download the missing file",
        )
    if not month.pairs:
        raise KitError(
            "the month holds no step files", folder, "download it, or leave it out of the split"
        )
    return month.pairs


def _twin(name: str) -> str:
    return name.replace(".mli.", ".mlo.") if ".mli." in name else name.replace(".mlo.", ".mli.")


def validation_pairs(root: Path, split: Split) -> List[StepPair]:
    """Every stride-th pair of the sorted list over all validation months."""
    return list_pairs(root, split.validation)[:: split.validation_stride]


def training_pairs(root: Path, split: Split, first_month: str = "") -> List[StepPair]:
    """The pairs of the training months from `first_month` on, without those that validate."""
    months = [m for m in split.train if m >= first_month]
    if not months:
        raise KitError(
            f"no training month is as late as {first_month}",
            root,
            "add months or choose another row",
        )
    held_out = set(validation_pairs(root, split))
    return [pair for pair in list_pairs(root, months) if pair not in held_out]


def write_split(path: Path, split: Split) -> None:
    write_json(path, asdict(split))


def read_split(path: Path) -> Split:
    value: Dict[str, Any] = read_json(path, "make it again with the split maker")
    try:
        return Split(
            tuple(value["train"]),
            tuple(value["validation"]),
            int(value["validation_stride"]),
            tuple(value["test"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise KitError(
            f"is no split ({error})", path, "make it again with the split maker"
        ) from error
