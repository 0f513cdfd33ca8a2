"""Rows that the tables of the benchmark are made of: those of the step files, over and over, never twice the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Tuple

from benchmarks.measure import Case

if TYPE_CHECKING:
    import numpy as np

    from leapkit.core.step_files import StepPair
    from leapkit.data.moments import Moments
    from leapkit.data.scaling import Scaling


def ids(count: int) -> List[str]:
    return ["test_%d" % k for k in range(count)]


def pairs(case: Case, most: int = 0) -> List[StepPair]:
    """The step pairs of the case, or the first `most` of them."""
    from leapkit.core.step_files import list_pairs

    found = list_pairs(Path(case.steps))
    count = min(case.pairs or len(found), most or case.pairs or len(found))
    return (found * (1 + count // len(found)))[:count]


def rows(case: Case, count: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yields (inputs (n, 556), targets (n, 368)) float64, Kaggle order, `count` rows in all.

    Round k over the files is scaled by 1 + k/1024: equal values would let dictionaries and zstd pay off as they never
    do on real predictions. Inputs and targets alike, so that ptend_q0002_12..27 stays -state_q0002/1200 to rounding.
    """
    from leapkit.data.step_reader import StepReader

    reader, sources, done, turn = StepReader(), pairs(case), 0, 0
    while done < count:
        x, y = reader.read(sources[turn % len(sources)])
        scale, n = 1 + (turn // len(sources)) / 1024, min(len(x), count - done)
        yield x[:n] * scale, y[:n] * scale
        done, turn = done + n, turn + 1


def _moments(case: Case) -> Tuple[Moments, Moments]:
    """-> moments of the inputs (556) and of the targets (368) of all the step files of the case."""
    import numpy as np

    from leapkit.core.columns import INPUTS
    from leapkit.data.moments import Moments, moments_of
    from leapkit.data.step_reader import StepReader

    reader, cut = StepReader(), len(INPUTS)
    whole = moments_of((np.hstack(reader.read(pair)) for pair in pairs(case, 99)), 924)
    parts = []
    for part in (slice(None, cut), slice(cut, None)):
        moments = Moments(len(whole.mean[part]))
        moments.count, moments.mean, moments.m2 = whole.count, whole.mean[part], whole.m2[part]
        parts.append(moments)
    return parts[0], parts[1]


def statistics(case: Case, family: str) -> Scaling:
    """A family's statistics as the split maker computes them, but from all the step files of the case."""
    import numpy as np

    from leapkit.data.scaling import FAMILIES, Scaling, old_weights

    (inputs, targets), kind = _moments(case), FAMILIES[family]
    weight, cast = old_weights(targets), np.dtype(kind.cast_inputs)
    return Scaling(
        kind,
        inputs.mean.astype(cast).astype(np.float64),
        np.maximum(inputs.std(), kind.std_floor).astype(cast).astype(np.float64),
        targets.mean * weight,
        np.maximum(targets.std() * weight, kind.std_floor),
        weight,
    )


def keep_statistics(case: Case, step: str, family: str) -> Scaling:
    """A family's statistics, left for the sides of a step, which are processes of their own."""
    import numpy as np

    s = statistics(case, family)
    np.savez(
        case.place(step) / (family + ".npz"),
        mean=s.input_mean,
        std=s.input_std,
        target_mean=s.target_mean,
        target_std=s.target_std,
        weight=s.weight,
    )
    return s


def kept_statistics(case: Case, step: str, family: str) -> Scaling:
    import numpy as np

    from leapkit.data.scaling import FAMILIES, Scaling

    with np.load(case.place(step) / (family + ".npz")) as s:
        return Scaling(
            FAMILIES[family], s["mean"], s["std"], s["target_mean"], s["target_std"], s["weight"]
        )


def predictions(case: Case, count: int, model: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yields (truth, z), (n, 368) float32 standardised, network order: z is the truth with this model's own error.

    Error of model m: 0.4 + m/50 standard deviations of the column, a third of its variance shared by all models. The
    column's real deviation counts, not the floored one: an error of order one on a dead column would drown the rest.
    """
    import numpy as np

    from leapkit.core.columns import TARGETS_TO_NETWORK

    scale = statistics(case, "fdzm")
    wide = spread(case, scale)[list(TARGETS_TO_NETWORK)]
    own, shared = np.random.default_rng(model + 1), np.random.default_rng(0)
    for _, y in rows(case, count):
        truth = scale.scaled_targets(y)
        yield truth, with_errors(truth, wide, model, own, shared)


def spread(case: Case, scale: Scaling) -> np.ndarray:
    """(368,) the columns' real standard deviation in units of the floored one, Kaggle order."""
    return _moments(case)[1].std() * scale.weight / scale.target_std


def with_errors(
    truth: np.ndarray,
    spread: np.ndarray,
    model: int,
    own: np.random.Generator,
    shared: np.random.Generator,
) -> np.ndarray:
    """truth (n, 368) -> a model's predictions (n, 368) float32; spread (368,) in the same order."""
    import numpy as np

    noise = (2 / 3) ** 0.5 * own.standard_normal(truth.shape, np.float32) + (
        1 / 3
    ) ** 0.5 * shared.standard_normal(truth.shape, np.float32)
    return (truth + (0.4 + model / 50) * spread * noise).astype(np.float32)


def submissions(case: Case, count: int, model: int) -> Iterator[np.ndarray]:
    """Yields (n, 368) float64 in raw units, Kaggle order: what a member writes, by the kit's own post-processing."""
    from leapkit.core.columns import INPUTS, LINEAR_INPUTS

    scale, columns = statistics(case, "fdzm"), [INPUTS.index(name) for name in LINEAR_INPUTS]
    for (_, z), (x, _) in zip(predictions(case, count, model), rows(case, count)):
        yield scale.raw(z, x[:, columns])


def make_step_files(root: Path, count: int) -> None:
    """Writes `count` step pairs of the sample world, spread over a year. Needs netCDF4."""
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps

    write_steps(
        root,
        [StepTime(8, 1 + k % 12, 1 + k // 12 % 28, 1200 * (7 * k % 72)) for k in range(count)],
        1,
    )


def forget(case: Case, step: str) -> None:
    """Removes what one step made."""
    shutil.rmtree(str(case.place(step)), ignore_errors=True)
