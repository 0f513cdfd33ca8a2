"""One pass over the validation rows: Gram matrices of all errors, in one common unit.

Artifacts of two families standardise differently. R2 does not change under a scale per target, so
all errors are brought to the standardised unit of the first artifact.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Iterable, Iterator, List, Sequence, Tuple

import numpy as np

from blend import gram
from blend.gram import PREDICTED_POSITIONS, FoldedGram, Gram
from blend.validation import ValidationPredictions, rows_of_steps
from leapkit.core import allotment
from leapkit.core.columns import GROUPS, NETWORK_TARGETS, PREDICTED, TARGETS
from leapkit.core.step_files import StepPair
from leapkit.data.progress import progress
from leapkit.data.step_reader import StepReader

# Steps of one worker's chunk. The chunks' sums are added up in the order of time, whatever the
# number of workers.
_STEPS_AT_ONCE = 8
Chunk = List[Tuple[StepPair, slice]]


def _contiguous_targets() -> List[Tuple[slice, slice]]:
    """Return the runs of targets that both orders share: (network slice, slice of PREDICTED)."""
    runs = []
    for group in GROUPS:
        network = [
            position
            for position in range(group.start, group.stop)
            if NETWORK_TARGETS[position] in set(PREDICTED)
        ]
        start = PREDICTED.index(NETWORK_TARGETS[network[0]])
        runs.append((slice(network[0], network[-1] + 1), slice(start, start + len(network))))
    return runs


CONTIGUOUS_TARGETS = _contiguous_targets()


def validation_gram(
    pairs: Sequence[StepPair], members: Sequence[ValidationPredictions]
) -> FoldedGram:
    """Multiply the errors of validation predictions in one streamed pass, on all cores, float64.

    Memory: some 60 MB a core, whatever the number of rows.
    """
    steps = rows_of_steps(pairs, members)
    labels = gram.time_folds([pair.month for pair, _ in steps])
    folds = list(dict.fromkeys(labels))
    work: List[Tuple[int, Chunk]] = []  # (fold, chunk)
    for fold, name in enumerate(folds):
        of_fold = [step for step, label in zip(steps, labels) if label == name]
        for start in range(0, len(of_fold), _STEPS_AT_ONCE):
            work.append((fold, of_fold[start : start + _STEPS_AT_ONCE]))

    pool = ThreadPoolExecutor(allotment.cores())
    try:
        with progress(
            total=len(steps), desc=f"errors of {len(members)} artifacts on validation", unit="step"
        ) as bar:

            def with_folds(grams: Iterable[Gram]) -> Iterator[Tuple[int, Gram]]:
                for (fold, chunk), chunk_gram in zip(work, grams):
                    bar.update(len(chunk))
                    yield fold, chunk_gram

            grams = pool.map(lambda item: _gram_of_chunk(item[1], members), work)
            artifacts = [member.artifact for member in members]
            return gram.folded(artifacts, folds, with_folds(grams))
    finally:
        pool.shutdown(cancel_futures=True)


def _gram_of_chunk(steps: Chunk, members: Sequence[ValidationPredictions]) -> Gram:
    """Return the Gram matrices of some steps, in units of the first member's standard deviations.

    The predictions of the first member's family then need no scaling.
    """
    reader = StepReader(accept_float32=True)  # accepted and recorded where members trained
    first = members[0].scaling
    unit = first.target_std[PREDICTED_POSITIONS, None]  # (T, 1)
    length = steps[0][1].stop - steps[0][1].start
    errors = np.empty((len(PREDICTED_POSITIONS), len(members) + 1, length))  # (T, A, C)
    z = np.empty((length, len(TARGETS)), np.float32)
    total = None
    for pair, rows in steps:
        _, y = reader.levels(pair, length)  # (368, C)
        weight = first.weight[PREDICTED_POSITIONS, None]
        truth = y[PREDICTED_POSITIONS] * weight / unit  # (T, C)
        # {family: what its z must be to be right, in its own units}
        expected: Dict[str, np.ndarray] = {}
        for m, member in enumerate(members):
            scaling = member.scaling
            family = scaling.family.name
            ratio = scaling.target_std[PREDICTED_POSITIONS, None] / unit
            if family not in expected:
                mean = scaling.target_mean[PREDICTED_POSITIONS, None]
                expected[family] = (truth - mean / unit) / ratio
            by_target = member.z(rows, z).T  # (368, C)
            for network, predicted in CONTIGUOUS_TARGETS:
                np.subtract(
                    by_target[network], expected[family][predicted], out=errors[predicted, m]
                )
            if family != first.family.name:
                errors[:, m] *= ratio
        step_gram = gram.of_rows(truth, errors, [member.path for member in members])
        total = step_gram if total is None else total + step_gram
    assert total is not None
    return total
