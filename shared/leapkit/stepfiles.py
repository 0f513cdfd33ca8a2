"""Which ClimSim step files there are and which of them a split takes (standard library only).

Layout on disk: <root>/YYYY-MM/E3SM-MMF.{mli,mlo}.YYYY-MM-DD-SSSSS.nc; a pair of files is one model step of 1200 s,
384 columns (reference/data_pipeline.md section 1.3).
"""
from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from leapkit.errors import KitError
from leapkit.files import read_json, write_json

_NAME = re.compile(r"^E3SM-MMF\.mli\.(\d{4}-\d{2})-(\d{2})-(\d{5})\.nc$")
_MONTH = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")


@dataclass(frozen=True)
class StepPair:
    """The two files of one model step."""

    month: str  # YYYY-MM
    mli: Path
    mlo: Path


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
                raise ValueError("a month is YYYY-MM, not %r" % month)
        for months in (self.train, self.validation, self.test):
            if len(set(months)) != len(months):
                raise ValueError("a month stands there twice")
        if self.validation_stride < 1 or not self.train or not self.validation:
            raise ValueError("a split has training and validation months and a stride of at least 1")
        if set(self.test) & set(self.train + self.validation):
            raise ValueError("test months are neither trained on nor validated on")


def months_between(first: str, last: str) -> Tuple[str, ...]:
    """Calendar months from `first` to `last`, both included. Raises ValueError where these are no months in order."""
    if not (_MONTH.match(first) and _MONTH.match(last) and first <= last):
        raise ValueError("months are YYYY-MM, the earlier one first, not %r to %r" % (first, last))
    start, end = (int(m[:4]) * 12 + int(m[5:]) - 1 for m in (first, last))
    return tuple("%04d-%02d" % (k // 12, k % 12 + 1) for k in range(start, end + 1))


# 89 training months and every seventh step of the last seven (reference/data_pipeline.md section 2).
PUBLISHED = Split(months_between("0001-02", "0008-06"), months_between("0008-07", "0009-01"))


def list_months(root: Path) -> List[str]:
    """The months below `root` (folders named YYYY-MM), in calendar order."""
    if not root.is_dir():
        raise KitError("the folder of step files is missing", root,
                       "put ClimSim low-res months there (YYYY-MM folders) or give RAW_DATA=")
    return sorted(p.name for p in root.iterdir() if p.is_dir() and _MONTH.match(p.name))


def list_pairs(root: Path, months: Optional[Sequence[str]] = None) -> List[StepPair]:
    """All step pairs of the months, sorted by path as ClimSim sorts them.

    Raises KitError for a month that is missing or empty, or an mli file without its mlo twin (or the reverse).
    """
    pairs: List[StepPair] = []
    for month in (list_months(root) if months is None else months):
        folder = root / month
        if not folder.is_dir():
            raise KitError("the month is missing", folder, "download it, or leave it out of the split")
        names = sorted(p.name for p in folder.iterdir())
        outputs = {name for name in names if name.startswith("E3SM-MMF.mlo.")}
        found = [name for name in names if _NAME.match(name)]
        for name in found:
            twin = name.replace(".mli.", ".mlo.")
            if twin not in outputs:
                raise KitError("its twin %s is missing" % twin, folder / name, "download the missing file")
            outputs.discard(twin)
            pairs.append(StepPair(month, folder / name, folder / twin))
        if outputs:
            raise KitError("its mli twin is missing", folder / sorted(outputs)[0], "download the missing file")
        if not found:
            raise KitError("the month holds no step files", folder, "download it, or leave it out of the split")
    return pairs


def validation_pairs(root: Path, split: Split) -> List[StepPair]:
    """Every stride-th pair of the sorted list over all validation months."""
    return list_pairs(root, split.validation)[::split.validation_stride]


def training_pairs(root: Path, split: Split, first_month: str = "") -> List[StepPair]:
    """The pairs of the training months from `first_month` on, without those that validate."""
    months = [m for m in split.train if m >= first_month]
    if not months:
        raise KitError("no training month is as late as %s" % first_month, root, "add months or choose another row")
    held_out = {pair.mli for pair in validation_pairs(root, split)}
    return [pair for pair in list_pairs(root, months) if pair.mli not in held_out]


def write_split(path: Path, split: Split) -> None:
    write_json(path, asdict(split))


def read_split(path: Path) -> Split:
    value: Dict[str, Any] = read_json(path, "make it again with the split maker")
    try:
        return Split(tuple(value["train"]), tuple(value["validation"]), int(value["validation_stride"]),
                     tuple(value["test"]))
    except (KeyError, TypeError, ValueError) as error:
        raise KitError("is no split (%s)" % error, path, "make it again with the split maker") from error
