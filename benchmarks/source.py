"""Rows for the benchmarks' tables: those of the step files, repeated with a factor, never equal."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Tuple

from benchmarks.case import Case

if TYPE_CHECKING:
    import numpy as np

    from leapkit.core.step_files import StepPair
    from leapkit.data.moments import Moments
    from leapkit.data.scaling import Scaling


def ids(count: int) -> List[str]:
    """Return the sample_ids of `count` rows."""
    return [f"test_{k}" for k in range(count)]


def pairs(case: Case, most: int = 0) -> List[StepPair]:
    """Return the step pairs of the case, or the first `most` of them."""
    from leapkit.core.step_files import list_pairs

    existing = list_pairs(Path(case.steps))
    count = min(case.pairs or len(existing), most or case.pairs or len(existing))
    return (existing * (1 + count // len(existing)))[:count]


def rows(case: Case, count: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield (inputs (n, 556), targets (n, 368)) float64, Kaggle order, `count` rows in all.

    Round k over the files is multiplied by 1 + k/1024: equal values would compress better than real
    predictions do. Inputs and targets get the same factor, so that ptend_q0002_12..27 stays
    -state_q0002/1200 to rounding.
    """
    from leapkit.data.step_reader import StepReader

    reader = StepReader()
    sources = pairs(case)
    done = 0
    turn = 0
    while done < count:
        x, y = reader.read(sources[turn % len(sources)])
        factor = 1 + (turn // len(sources)) / 1024
        n = min(len(x), count - done)
        yield x[:n] * factor, y[:n] * factor
        done += n
        turn += 1


def _moments(case: Case) -> Tuple[Moments, Moments]:
    """Return the moments of the inputs (556) and of the targets (368) of the case's step files."""
    import numpy as np

    from leapkit.core.columns import INPUTS
    from leapkit.data.moments import Moments, moments_of
    from leapkit.data.step_reader import StepReader

    reader = StepReader()
    cut = len(INPUTS)
    whole = moments_of((np.hstack(reader.read(pair)) for pair in pairs(case, 99)), 924)

    def of(variables: slice) -> Moments:
        moments = Moments(len(whole.mean[variables]))
        moments.count = whole.count
        moments.mean = whole.mean[variables]
        moments.m2 = whole.m2[variables]
        return moments

    return of(slice(None, cut)), of(slice(cut, None))


def statistics(case: Case, family: str) -> Scaling:
    """Return a family's scaling as `make split` computes it, but from all the case's steps."""
    import numpy as np

    from leapkit.data.scaling import FAMILIES, Scaling, old_weights

    inputs, targets = _moments(case)
    kind = FAMILIES[family]
    weight = old_weights(targets)
    cast = np.dtype(kind.cast_inputs)
    return Scaling(
        kind,
        inputs.mean.astype(cast).astype(np.float64),
        np.maximum(inputs.std(), kind.std_floor).astype(cast).astype(np.float64),
        targets.mean * weight,
        np.maximum(targets.std() * weight, kind.std_floor),
        weight,
    )


def save_statistics(case: Case, step: str, family: str) -> Scaling:
    """Return a family's scaling, and save it for the sides of a step (processes of their own)."""
    import numpy as np

    scaling = statistics(case, family)
    np.savez(
        case.folder_of(step) / (family + ".npz"),
        mean=scaling.input_mean,
        std=scaling.input_std,
        target_mean=scaling.target_mean,
        target_std=scaling.target_std,
        weight=scaling.weight,
    )
    return scaling


def load_statistics(case: Case, step: str, family: str) -> Scaling:
    """Return what save_statistics saved."""
    import numpy as np

    from leapkit.data.scaling import FAMILIES, Scaling

    with np.load(case.folder_of(step) / (family + ".npz")) as arrays:
        names = ("mean", "std", "target_mean", "target_std", "weight")
        return Scaling(FAMILIES[family], *(arrays[name] for name in names))


def predictions(case: Case, count: int, model: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield (truth, z), (n, 368) float32 standardised, network order; z is truth plus an error.

    The error of model m is 0.4 + m/50 standard deviations of the target; all models share a third
    of its variance. The target's real deviation counts, not the floored one: an error of order one
    on a constant target would hide the other targets.
    """
    import numpy as np

    from leapkit.core.columns import TARGETS_TO_NETWORK

    scaling = statistics(case, "fdzm")
    spread = real_spread(case, scaling)[list(TARGETS_TO_NETWORK)]
    private = np.random.default_rng(model + 1)
    shared = np.random.default_rng(0)
    for _, y in rows(case, count):
        truth = scaling.scaled_targets(y)
        yield truth, with_errors(truth, spread, model, private, shared)


def real_spread(case: Case, scaling: Scaling) -> np.ndarray:
    """Return the targets' real standard deviation, (368,) in units of the floored one."""
    spread: np.ndarray = _moments(case)[1].std() * scaling.weight / scaling.target_std
    return spread


def with_errors(
    truth: np.ndarray,
    spread: np.ndarray,
    model: int,
    private: np.random.Generator,
    shared: np.random.Generator,
) -> np.ndarray:
    """Return a model's predictions (n, 368) float32 for truth (n, 368) and spread (368,)."""
    import numpy as np

    noise = (2 / 3) ** 0.5 * private.standard_normal(truth.shape, np.float32) + (
        1 / 3
    ) ** 0.5 * shared.standard_normal(truth.shape, np.float32)
    predictions: np.ndarray = (truth + (0.4 + model / 50) * spread * noise).astype(np.float32)
    return predictions


def submissions(case: Case, count: int, model: int) -> Iterator[np.ndarray]:
    """Yield (n, 368) float64 in raw units, Kaggle order, by the kit's own post-processing."""
    from leapkit.core.columns import INPUTS, LINEAR_INPUTS

    scaling = statistics(case, "fdzm")
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    for (_, z), (x, _) in zip(predictions(case, count, model), rows(case, count)):
        yield scaling.raw(z, x[:, linear])


def make_step_files(root: Path, count: int) -> None:
    """Write `count` step pairs of the sample world, spread over a year. Needs netCDF4."""
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps

    write_steps(
        root,
        [StepTime(8, 1 + k % 12, 1 + k // 12 % 28, 1200 * (7 * k % 72)) for k in range(count)],
        1,
    )


def remove_files(case: Case, step: str) -> None:
    """Remove the files of one step."""
    shutil.rmtree(str(case.folder_of(step)), ignore_errors=True)
