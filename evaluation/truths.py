"""The steps that predictions are compared with: their inputs and their truth, one after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Protocol, Sequence

import numpy as np

from blend.reblocked import Reblocked
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.files import read_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData
from leapkit.core.step_files import StepPair, list_pairs, parse_name
from leapkit.data import kaggle_csv
from leapkit.data.step_reader import StepReader, grid_columns
from leapkit.data.submission import OpenedParquet

AGAIN = "make the world again (`make world`, `make split`)"


@dataclass(frozen=True)
class Step:
    """All columns of the grid at one model step, in the grid's order.

    number  its position among the steps
    stamp   YYYY-MM-DD-SSSSS, "" if it is not known
    ids     of the rows of test.csv; empty elsewhere
    inputs  (C, 556) float64 raw, Kaggle order; what a source does not hold is NaN
    truth   (C, 368) float64 raw, Kaggle order
    """

    number: int
    stamp: str
    ids: Sequence[str]
    inputs: np.ndarray
    truth: np.ndarray

    @property
    def month(self) -> str:
        return self.stamp[:7]


class Truth(Protocol):
    """A source of steps, which may be gone through several times.

    title    what a page calls its rows
    columns  of the grid
    stamps   of its steps in order, "" where they are not known
    """

    title: str
    columns: int

    @property
    def stamps(self) -> Sequence[str]: ...

    def steps(self) -> Iterator[Step]: ...

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        """Return {role: sha256} of all that decides the steps."""
        ...


class WithheldRows:
    """The rows of test.csv and their withheld truth. Raises KitError if they are no whole steps.

    `leapkit.worlds.make_world` writes them step by step, so row k is column k % C of step k // C.
    """

    title = "withheld test rows"

    def __init__(self, raw: RawData, columns: int) -> None:
        self._raw = raw
        self._truth = OpenedParquet(raw.truth)
        self.columns = columns
        rows = self._truth.rows
        if not rows or rows % columns:
            what = f"holds {rows} rows, which are no whole steps of {columns} columns"
            raise KitError(what, raw.truth, AGAIN)
        self.stamps = _test_stamps(raw, rows // columns)

    def steps(self) -> Iterator[Step]:
        truth = Reblocked(self._raw.truth, self._truth.blocks())
        ids: List[str] = []
        x = np.empty((0, len(INPUTS)))
        number = 0
        for more_ids, more in kaggle_csv.read_test_csv(self._raw.test_csv):
            ids, x = ids + more_ids, np.concatenate([x, more])
            whole = len(ids) - len(ids) % self.columns
            for start in range(0, whole, self.columns):
                rows = slice(start, start + self.columns)
                self._require_more(number)
                expected = truth.take(ids[rows])
                yield Step(number, self.stamps[number], ids[rows], x[rows], expected)
                number += 1
            ids, x = ids[whole:], x[whole:]
        if ids or number != len(self.stamps):
            raise KitError("has another number of rows than its truth", self._raw.test_csv, AGAIN)

    def _require_more(self, number: int) -> None:
        if number == len(self.stamps):
            raise KitError("has more rows than its truth", self._raw.test_csv, AGAIN)

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        files = {"test.csv": index.of(self._raw.test_csv), "truth": self._truth.digest(index)}
        if self._raw.test_steps.exists():
            files["test steps"] = index.of(self._raw.test_steps)
        return files


def _test_stamps(raw: RawData, count: int) -> List[str]:
    """Return the stamps of the test steps; "" of a world that does not keep them."""
    if not raw.test_steps.exists():
        return [""] * count
    stamps = read_json(raw.test_steps, AGAIN)
    if not isinstance(stamps, list) or not all(map(_is_stamp, stamps)):
        raise KitError("is not a list of steps (YYYY-MM-DD-SSSSS)", raw.test_steps, AGAIN)
    if len(stamps) != count:
        raise KitError(f"names {len(stamps)} steps of {count}", raw.test_steps, AGAIN)
    return stamps


def _is_stamp(text: object) -> bool:
    return isinstance(text, str) and parse_name(f"E3SM-MMF.mli.{text}.nc") is not None


class StepFiles:
    """Pairs of step files: the validation steps, or those of predictions from elsewhere."""

    def __init__(self, title: str, pairs: Sequence[StepPair], root: Path) -> None:
        self.title = title
        self._pairs = pairs
        self._root = root
        self.columns = grid_columns(pairs[0])
        self.stamps = [pair.stamp for pair in pairs]

    def steps(self) -> Iterator[Step]:
        reader = StepReader(accept_float32=True)  # accepted and recorded where members trained
        shape = (self.columns, len(INPUTS))
        for number, pair in enumerate(self._pairs):
            x, y = reader.read(pair, np.empty(shape), np.empty((self.columns, len(TARGETS))))
            yield Step(number, pair.stamp, (), x, y)

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        files = [file for pair in self._pairs for file in (pair.mli, pair.mlo)]
        return {"steps": index.of_many(files, self._root)}


def validation_steps(raw: RawData) -> StepFiles:
    """Return the validation steps of a world. Raises KitError if it has none."""
    return StepFiles("validation rows", raw.validation_pairs(), raw.steps)


def steps_of(root: Path, stamps: Sequence[str]) -> StepFiles:
    """Return the step files below `root` (YYYY-MM folders) of these stamps, in their order.

    Raises KitError for the first that does not exist.
    """
    months = sorted({stamp[:7] for stamp in stamps})
    pairs: Dict[str, StepPair] = {}
    for month in months:
        if (root / month).is_dir():
            pairs.update((pair.stamp, pair) for pair in list_pairs(root, [month]))
    for stamp in stamps:
        if stamp not in pairs:
            raise KitError(
                f"holds no files of the step {stamp}, which was predicted",
                root,
                "name the folder of YYYY-MM folders that holds them with TRUTH=",
            )
    return StepFiles("steps of the truth", [pairs[stamp] for stamp in stamps], root)
