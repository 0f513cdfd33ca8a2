"""Which months train, validate and test; which step pairs of them a split takes."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence, Tuple

from leapkit.core.errors import KitError
from leapkit.core.files import read_json, write_json
from leapkit.core.step_files import MONTH, StepPair, list_pairs

_LONGEST_STRIDE = 1_000_000  # steps: more than all months have


@dataclass(frozen=True)
class Split:
    """Months of training, of validation and of the test set.

    Validation takes every `validation_stride`-th step of its months' sorted list. If a month serves
    both, the validation steps are left out of training. Raises ValueError if that is impossible.
    """

    train: Tuple[str, ...]
    validation: Tuple[str, ...]
    validation_stride: int = 7
    test: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for month in self.train + self.validation + self.test:
            if not MONTH.match(month):
                raise ValueError(f"a month is YYYY-MM, not {month!r}")
        for months in (self.train, self.validation, self.test):
            if len(set(months)) != len(months):
                raise ValueError("a month is listed twice")
        if not (1 <= self.validation_stride <= _LONGEST_STRIDE and self.train and self.validation):
            raise ValueError(
                "a split has training and validation months and a stride of at least 1, at most"
                f" {_LONGEST_STRIDE}"
            )
        if set(self.test) & set(self.train + self.validation):
            raise ValueError("test months are neither trained on nor validated on")


def months_between(first: str, last: str) -> Tuple[str, ...]:
    """Return the calendar months from `first` to `last`, both included.

    Raises ValueError unless these are months in order.
    """
    if not (MONTH.match(first) and MONTH.match(last) and first <= last):
        raise ValueError(f"months are YYYY-MM, the earlier one first, not {first!r} to {last!r}")
    start, end = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (first, last))
    return tuple(f"{k // 12:04d}-{k % 12 + 1:02d}" for k in range(start, end + 1))


def months_of(text: str, option: str) -> Tuple[str, ...]:
    """Return the months of a list such as `0008-01:0008-03,0008-07`, in its order.

    Raises KitError, which names the option that the text is of, for anything else.
    """
    months: List[str] = []
    for item in re.split(r"\s*,\s*|\s+", text.strip()):
        first, colon, last = item.partition(":")
        try:
            months.extend(months_between(first, last if colon else first))
        except ValueError as error:
            raise KitError(
                f"{item!r} is not a month (YYYY-MM) or a range of months",
                option,
                f"write {option}=0008-01:0008-03,0009-01, the earlier month of a range first",
            ) from error
    return tuple(months)


def with_training_months(split: Split, months: Iterable[str]) -> Split:
    """Return the split with further training months.

    Raises KitError if one of them validates or tests.
    """
    further = set(months) - set(split.train)
    held_out = sorted(further & set(split.validation + split.test))
    if held_out:
        what = f"{held_out[0]} validates or tests: nothing may be learned from its columns"
        raise KitError(what, "INPUTS", "take that month away")
    return replace(split, train=tuple(sorted({*split.train, *further})))


# 89 training months and every seventh step of the last seven: docs/reference/data_pipeline.md,
# "Splits".
PUBLISHED = Split(months_between("0001-02", "0008-06"), months_between("0008-07", "0009-01"))


def scaled_down(split: Split, existing: Sequence[str]) -> Split:
    """Return the same rule for the months that exist.

    Without a month of its validation, or of its training, all months train and the last one
    validates as well. Raises ValueError if no month exists.
    """
    train = tuple(month for month in split.train if month in existing)
    validation = tuple(month for month in split.validation if month in existing)
    if not (train and validation):
        train = tuple(existing)
        validation = train[-1:]
    return Split(train, validation, split.validation_stride)


def validation_pairs(root: Path, split: Split) -> List[StepPair]:
    """Return every stride-th pair of the sorted list over all validation months."""
    return list_pairs(root, split.validation)[:: split.validation_stride]


def training_pairs(root: Path, split: Split, first_month: str = "") -> List[StepPair]:
    """Return the pairs of the training months from `first_month` on, without those that validate.

    Raises KitError if no training month is as late, or as `list_pairs` does.
    """
    months = [month for month in split.train if month >= first_month]
    if not months:
        raise KitError(
            f"no training month is as late as {first_month}",
            root,
            "add months or choose another experiment",
        )
    validation = set(validation_pairs(root, split))
    return [pair for pair in list_pairs(root, months) if pair not in validation]


def write_split(path: Path, split: Split) -> None:
    """Write a split as JSON, atomically."""
    write_json(path, asdict(split))


def read_split(path: Path) -> Split:
    """Return the split that `write_split` wrote. Raises KitError if the file is not a split."""
    remedy = "make it again with `make split`"
    value: Dict[str, Any] = read_json(path, remedy)
    try:
        stride = value["validation_stride"]
        if type(stride) is not int:  # a bool or 7.9 is none
            raise ValueError("the stride is not a whole number")
        train, validation, test = (_listed(value[k]) for k in ("train", "validation", "test"))
        return Split(train, validation, stride, test)
    except (KeyError, TypeError, ValueError) as error:
        raise KitError(f"is not a split ({str(error)[:100]})", path, remedy) from error


def _listed(months: Any) -> Tuple[str, ...]:
    if not isinstance(months, list) or not all(isinstance(month, str) for month in months):
        raise ValueError("the months are not a list of texts")
    return tuple(months)
