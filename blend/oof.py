"""The out-of-fold side of a search: validation truth and the members' predictions of it, in one common unit.

Members of two families standardise differently; R2 does not change under a scale per column, so everything is brought
to y * old weight, which is of order one.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from blend import gram
from blend.plan import mend
from leapkit.core import receipts
from leapkit.core.columns import GROUPS, NETWORK_TARGETS, PREDICTED, TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import read_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.step_files import StepPair
from leapkit.data import scaling, validation_predictions
from leapkit.data.progress import progress
from leapkit.data.step_reader import StepReader, grid_columns

_AGAIN = "run `make reproduce` again"
_STEPS_AT_ONCE = (
    8  # of one worker: their sums are added up in the order of time, whatever the number of workers
)


def _runs() -> List[Tuple[slice, slice]]:
    """The predicted targets as slices: (of network order, of the predicted targets in Kaggle order)."""
    found = []
    for group in GROUPS:
        own = [k for k in range(group.start, group.stop) if NETWORK_TARGETS[k] in set(PREDICTED)]
        at = PREDICTED.index(NETWORK_TARGETS[own[0]])
        found.append((slice(own[0], own[-1] + 1), slice(at, at + len(own))))
    return found


RUNS = _runs()


class ValidationPredictions:
    """One artifact's validation predictions (N, 368) and the statistics that they are standardised by."""

    def __init__(self, artifact: str, path: Path, scale: scaling.Scaling, sha256: str = "") -> None:
        self.artifact, self.path, self.scale, self.sha256 = artifact, path, scale, sha256
        z = validation_predictions.read(path)
        if (
            z.ndim != 2
            or z.shape[1] != len(TARGETS)
            or z.dtype != np.float32
            or not z.flags.c_contiguous
        ):
            raise KitError("is no (rows, 368) array of float32", path, _AGAIN)
        self._count, self._offset = len(z), int(getattr(z, "offset", 0))

    def __len__(self) -> int:
        return self._count

    def z(self, rows: slice, out: Optional[np.ndarray] = None) -> np.ndarray:
        """(n, 368) float32, standardised, network order. Not a map of the file, whose pages would count as memory."""
        count, width = rows.stop - rows.start, len(TARGETS)
        found = np.empty((count, width), np.float32) if out is None else out
        with explain_os_errors(self.path), open(self.path, "rb", buffering=0) as handle:
            handle.seek(self._offset + 4 * width * rows.start)
            if handle.readinto(memoryview(found).cast("B")) != found.nbytes:  # type: ignore[arg-type]
                raise KitError("was cut while it was read", self.path, _AGAIN)
        return found

    def weighted(self, rows: slice) -> np.ndarray:
        """(n, 368) float64 y * weight, Kaggle order."""
        return self.scale.weighted(self.z(rows))


def has_all(results: Results, raw: RawData, artifacts: Sequence[str]) -> bool:
    """Whether there are out-of-fold predictions of all artifacts, and step files with the truth of them.

    None were published of published checkpoints.
    """
    if not raw.steps.is_dir():
        return False
    found = [receipts.receipt_path(results.parquet(artifact)) for artifact in artifacts]
    return all(path.exists() and read_json(path).get("details", {}).get("oof") for path in found)


def of_artifacts(
    artifacts: Sequence[str], results: Results, raw: RawData, index: HashIndex
) -> List[ValidationPredictions]:
    """Raises KitError where one has none, or others than its receipt names."""
    found = []
    for artifact in artifacts:
        parquet, path = results.parquet(artifact), results.validation_predictions(artifact)
        receipt = receipts.require_valid(parquet, index, mend(artifact))
        recorded = receipt.get("details", {}).get("oof")
        if not recorded:
            raise KitError(
                "was made from a published checkpoint, which comes without out-of-fold predictions",
                parquet,
                f"train it (`make reproduce EXPERIMENTS={artifact}`), or blend with a table (TABLE=)",
            )
        if not path.exists() or index.of(path) != recorded["sha256"]:
            raise KitError(
                "is missing or not what its receipt names",
                path,
                f"run `make reproduce EXPERIMENTS={artifact}` again",
            )
        scale = scaling.load_scaling(
            raw.statistics(recorded["family"]), recorded["family"], raw.old_weights
        )
        found.append(ValidationPredictions(artifact, path, scale, recorded["sha256"]))
    return found


def reading(
    pairs: Sequence[StepPair], members: Sequence[ValidationPredictions]
) -> Iterator[Tuple[StepPair, slice]]:
    """The validation steps and their rows. Raises KitError where an artifact has another number of rows."""
    columns = grid_columns(pairs[0]) if pairs else 0
    for member in members:
        if len(member) != columns * len(pairs):
            raise KitError(
                "has %d rows for %d validation rows" % (len(member), columns * len(pairs)),
                member.path,
                _AGAIN,
            )
    for k, pair in enumerate(pairs):
        yield pair, slice(k * columns, (k + 1) * columns)


def validation_gram(
    pairs: Sequence[StepPair], members: Sequence[ValidationPredictions]
) -> gram.FoldedGram:
    """One streamed pass over the validation steps and all out-of-fold predictions, on all cores, float64.

    Memory: some 60 MB a core, whatever the number of rows.
    """
    steps = list(reading(pairs, members))
    labels = gram.time_folds([pair.month for pair, _ in steps])
    folds = list(dict.fromkeys(labels))
    work: List[List[Tuple[StepPair, slice]]] = []
    for fold in folds:
        own = [step for step, label in zip(steps, labels) if label == fold]
        work += [own[at : at + _STEPS_AT_ONCE] for at in range(0, len(own), _STEPS_AT_ONCE)]
    of_work = [
        label
        for fold in folds
        for label in [folds.index(fold)] * -(-labels.count(fold) // _STEPS_AT_ONCE)
    ]

    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        with progress(
            total=len(steps),
            desc="errors of %d artifacts on validation" % len(members),
            unit="step",
        ) as bar:

            def counted(found: Iterator[gram.Gram]) -> Iterator[Tuple[int, gram.Gram]]:
                for fold, steps_of, one in zip(of_work, work, found):
                    bar.update(len(steps_of))
                    yield fold, one

            grams = pool.map(lambda own: _gram_of(own, members), work)
            return gram.folded([member.artifact for member in members], folds, counted(grams))
    finally:
        pool.shutdown(cancel_futures=True)


def _gram_of(
    steps: Sequence[Tuple[StepPair, slice]], members: Sequence[ValidationPredictions]
) -> gram.Gram:
    """The Gram matrices of some steps, in units of the first member's standard deviations: its family's predictions then
    need no scaling, and a scale per target does not change R2."""
    reader, columns = StepReader(), gram.COLUMNS
    first = members[0].scale
    unit = first.target_std[columns, None]  # (292, 1)
    length = steps[0][1].stop - steps[0][1].start
    errors = np.empty((len(columns), len(members) + 1, length))  # (292, A, C)
    z = np.empty((length, len(TARGETS)), np.float32)
    total = None
    for pair, rows in steps:
        _, y = reader.levels(pair, length)  # (368, C)
        truth = y[columns] * first.weight[columns, None] / unit  # (292, C)
        expected: Dict[
            str, np.ndarray
        ] = {}  # what a family's z must be to be right, in its own units
        for m, member in enumerate(members):
            scale, name = member.scale, member.scale.family.name
            own = scale.target_std[columns, None] / unit
            if name not in expected:
                expected[name] = (truth - scale.target_mean[columns, None] / unit) / own
            by_target = member.z(rows, z).T  # (368, C)
            for network, predicted in RUNS:
                np.subtract(by_target[network], expected[name][predicted], out=errors[predicted, m])
            if name != first.family.name:
                errors[:, m] *= own
        one = gram.of_rows(truth, errors, [member.path for member in members])
        total = one if total is None else total + one
    assert total is not None
    return total


def search_inputs(
    raw: RawData, members: Sequence[ValidationPredictions], index: HashIndex
) -> Dict[str, str]:
    """{role: sha256} of what searched weights depend on."""
    inputs = {f"{member.artifact}.npy": member.sha256 for member in members}
    inputs["validation steps"] = index.of_many(
        [f for p in raw.validation_pairs() for f in (p.mli, p.mlo)], raw.steps
    )
    return inputs
