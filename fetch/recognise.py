"""Recognise a file by its name and folders, and say where it belongs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence, Tuple

from fetch.checks import (
    Damaged,
    require_checkpoint,
    require_csv,
    require_old_weights,
    require_row_index,
    require_statistics,
)
from fetch.layout import (
    KAGGLE_COLUMNS,
    OLD_WEIGHTS,
    ROW_INDEX,
    Checkpoint,
    FetchLayout,
    checkpoints,
)
from fetch.publishing import Check
from fetch.steps import month_of_step, require_step
from leapkit.core.errors import KitError
from leapkit.core.experiments import CHECKPOINT_SUFFIXES
from leapkit.data import statistics_tables
from leapkit.data.families import FAMILIES


@dataclass(frozen=True)
class Claim:
    """What a file says it is.

    target    where it is put
    accepted  every path where the kit would read it, `target` among them
    check     raises KitError unless the content is what the name says
    """

    target: Path
    accepted: Tuple[Path, ...]
    check: Check

    @property
    def existing(self) -> Optional[Path]:
        """The first accepted path that exists, else None."""
        return next((path for path in self.accepted if path.exists()), None)


class Recogniser:
    """Knows the names of all files that `make fetch` can fetch."""

    def __init__(self, layout: FetchLayout) -> None:
        self._layout = layout
        self._checkpoints: Dict[str, Checkpoint] = {
            stem + suffix: checkpoint
            for checkpoint in checkpoints()
            for stem in checkpoint.stems
            for suffix in CHECKPOINT_SUFFIXES
        }

    def claim(self, path_parts: Sequence[str], content: Callable[[], bytes]) -> Optional[Claim]:
        """Return the claim of a file, None for one that the kit does not use.

        path_parts  its folders and its name
        content     returns its bytes, called only if names are not enough
        """
        name = path_parts[-1]
        layout = self._layout
        month = month_of_step(name)
        if month:
            return _claim(layout.raw.steps / month / name, partial(_step, name=name))
        if name in KAGGLE_COLUMNS:
            return _claim(layout.kaggle(name), kaggle_check(name))
        if name in self._checkpoints:
            return self.checkpoint(self._checkpoints[name])
        if name == ROW_INDEX:
            return _claim(layout.row_index, require_row_index)
        if name == OLD_WEIGHTS:
            return _claim(layout.statistics("adam", name), statistics_check("adam", name))
        if name in ("mean.json", "std.json"):
            family = _family(path_parts, content)
            if family:
                return _claim(layout.statistics(family, name), statistics_check(family, name))
        return None

    def checkpoint(self, checkpoint: Checkpoint) -> Claim:
        """Return the claim of a checkpoint."""
        candidates = checkpoint.candidates(self._layout.weights[checkpoint.experiment.member])
        return Claim(
            candidates[0], tuple(candidates), partial(require_checkpoint, checkpoint=checkpoint)
        )


def kaggle_check(name: str) -> Check:
    """Return the check of one of Kaggle's CSV files."""
    check = require_old_weights if name == "sample_submission_old.csv" else require_csv
    return partial(check, columns=KAGGLE_COLUMNS[name])


def statistics_check(family: str, name: str) -> Check:
    """Return the check of one of the team's statistics, or of the user's own in its place."""
    if name == OLD_WEIGHTS:
        return require_old_weights
    return partial(require_statistics, family=family, name=name)


def _family(path_parts: Sequence[str], content: Callable[[], bytes]) -> str:
    """Return "adam" or "fdzm" by the numbers of the file, else by the nearest folder, else ""."""
    with contextlib.suppress(KitError):  # what is wrong with it, its check says
        numbers = statistics_tables.numbers_of(content(), path_parts[-1])
        whose = statistics_tables.owner(numbers)
        family = whose[0] if whose else statistics_tables.family_of(numbers)
        if family:
            return family
    for folder in reversed(path_parts[:-1]):
        for family in FAMILIES:
            if folder.lower().startswith(family):
                return family
    return ""


def _claim(target: Path, check: Check) -> Claim:
    return Claim(target, (target,), check)


def _step(path: Path, name: str) -> None:
    try:
        require_step(path, name)
    except KitError as error:
        raise Damaged(error.what, error.where, error.remedy) from error
