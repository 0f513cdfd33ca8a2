"""Write rows of step files as Kaggle's files, and the statistics that go with them."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np

from leapkit.core.columns import INPUTS, TARGETS, ZERO, kaggle_positions
from leapkit.core.files import atomic, publish_copy, write_json
from leapkit.core.layout import RawData
from leapkit.core.step_files import StepPair
from leapkit.data import kaggle_csv, scaling, statistics_tables, submission
from leapkit.data.moments import Moments
from leapkit.data.old_weights import read_weights
from leapkit.data.progress import progress
from leapkit.data.scaling_files import PublishedScaling
from leapkit.data.step_reader import StepReader, grid_columns
from leapkit.worlds.train_moments import TrainMoments, chunk_moments, iter_row_chunks


def rows_of(
    pairs: Sequence[StepPair], what: str, reader: StepReader
) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield (inputs (C, 556), targets (C, 368)) float64 of each pair, with progress."""
    for pair in progress(pairs, desc=what, unit="step"):
        yield reader.read(pair)


def write_train_csv(path: Path, pairs: Sequence[StepPair], reader: StepReader) -> TrainMoments:
    """Write train.csv of the pairs; return the moments of its 924 variables.

    They are those that train_statistics computes from the file, to the last bit.
    """

    def written() -> Iterator[np.ndarray]:
        count = 0
        for x, y in rows_of(pairs, "writing train.csv", reader):
            both = np.concatenate([x, y], axis=1)
            out.write([f"train_{count + k}" for k in range(len(both))], both)
            count += len(both)
            yield both

    moments = TrainMoments()
    with kaggle_csv.CsvWriter(path, INPUTS + TARGETS) as out:
        for part in iter_row_chunks(written()):
            moments = moments.updated_with(chunk_moments(part))
    return moments


def write_test(raw: RawData, pairs: Sequence[StepPair], seed: int, reader: StepReader) -> List[str]:
    """Write test.csv, sample_submission.csv and the withheld truth and steps.

    Returns the ids, a seeded permutation as on Kaggle.
    """
    total = len(pairs) * grid_columns(pairs[0])
    ids = [f"test_{k}" for k in np.random.RandomState(seed).permutation(total)]
    with kaggle_csv.CsvWriter(raw.test_csv, INPUTS) as out:
        start = 0
        for x, _ in rows_of(pairs, "writing test.csv", reader):
            out.write(ids[start : start + len(x)], x)
            start += len(x)
    scored = np.ones((1, len(TARGETS)), dtype=np.int64)
    scored[0, kaggle_positions(ZERO)] = 0
    write_constant_rows(raw.sample_submission, ids, scored)
    # The steps are read a second time, which is fast, so that memory does not grow with them.
    with atomic(raw.truth) as temporary:
        submission.write(
            temporary, ids, (y for _, y in rows_of(pairs, "writing the withheld truth", reader))
        )
    write_json(raw.test_steps, [pair.stamp for pair in pairs])
    return ids


def write_constant_rows(path: Path, ids: Sequence[str], row: np.ndarray) -> None:
    """Write a CSV of the 368 targets in which each id has the same values, row (1, 368)."""
    with kaggle_csv.CsvWriter(path, TARGETS) as out:
        for start in range(0, len(ids), 4096):
            chunk = ids[start : start + 4096]
            out.write(chunk, np.repeat(row, len(chunk), axis=0))


def write_scaling(
    raw: RawData,
    ids: Sequence[str],
    moments: TrainMoments,
    published: Optional[PublishedScaling],
) -> None:
    """Write old weights and both families' statistics, published ones or those of train.csv."""
    of_all_rows = moments.families["adam"]
    targets = Moments(len(TARGETS))
    targets.count = of_all_rows.count
    targets.mean = of_all_rows.mean[len(INPUTS) :]
    targets.m2 = of_all_rows.m2[len(INPUTS) :]
    weight = read_weights(published.old_weights) if published else scaling.old_weights(targets)
    write_constant_rows(raw.old_weights, ids, weight[None, :])
    for family in scaling.FAMILIES:
        if published and family in published.families:
            for name in ("mean.json", "std.json"):
                statistics_tables.read_statistics(published.families[family] / name, family, name)
                publish_copy(published.families[family] / name, raw.statistics(family) / name)
        else:
            scaling.write_scaling(raw.statistics(family), family, moments.families[family], weight)
