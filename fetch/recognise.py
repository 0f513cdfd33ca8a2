"""What a file is by its name and folders, and where it belongs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence, Tuple

from fetch.checks import (
    Damaged,
    require_checkpoint,
    require_csv,
    require_row_index,
    require_statistics,
)
from fetch.places import (
    KAGGLE_COLUMNS,
    OLD_WEIGHTS,
    ROW_INDEX,
    STATISTICS,
    Checkpoint,
    Places,
    checkpoints,
)
from fetch.publishing import Check
from fetch.steps import month_of, require_step
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError


@dataclass(frozen=True)
class Claim:
    """What a file says it is.

    target   where it is put
    counts   every place where the kit would find it, `target` among them
    check    raises where the content is not what the name says
    """

    target: Path
    counts: Tuple[Path, ...]
    check: Check

    @property
    def found(self) -> Optional[Path]:
        return next((path for path in self.counts if path.exists()), None)


class Recogniser:
    """Knows the names of everything that `make fetch` can fetch."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._checkpoints: Dict[str, Checkpoint] = {
            stem + ".pt": checkpoint for checkpoint in checkpoints() for stem in checkpoint.stems
        }
        self._digests = {digest: key for key, (_, digest) in STATISTICS.items()}

    def claim(self, parts: Sequence[str], digest: Callable[[], str]) -> Optional[Claim]:
        """The claim of a file, None for one that the kit has no use for.

        parts   its folders and its name
        digest  its sha256, asked for only where names do not tell
        """
        name, places = parts[-1], self._places
        month = month_of(name)
        if month:
            return _claim(places.raw.steps / month / name, partial(_step, name=name))
        if name in KAGGLE_COLUMNS:
            return _claim(places.kaggle(name), partial(require_csv, columns=KAGGLE_COLUMNS[name]))
        if name in self._checkpoints:
            return self.checkpoint(self._checkpoints[name])
        if name == ROW_INDEX:
            return _claim(places.row_index, require_row_index)
        if name == OLD_WEIGHTS:
            return _claim(places.statistics("adam", name), partial(require_csv, columns=TARGETS))
        if name in ("mean.json", "std.json"):
            family = self._family(parts, digest)
            return _claim(places.statistics(family, name), require_statistics) if family else None
        return None

    def checkpoint(self, checkpoint: Checkpoint) -> Claim:
        candidates = checkpoint.candidates(self._places.weights[checkpoint.row.member])
        return Claim(
            candidates[0], tuple(candidates), partial(require_checkpoint, checkpoint=checkpoint)
        )

    def _family(self, parts: Sequence[str], digest: Callable[[], str]) -> str:
        """adam or fdzm: by the content, which is known, else by the nearest folder that is called so."""
        known = self._digests.get(digest())
        if known:
            return known[0]
        for folder in reversed(parts[:-1]):
            for family in ("adam", "fdzm"):
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
