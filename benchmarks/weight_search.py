"""The search of blend weights: scoring each candidate on all rows against one Gram matrix.

The naive way takes hours at the team's size, so it is timed on a slice. The slice fits into the
caches better than all rows would, so the ratio is a lower bound. The kit reads all rows, the step
files and 16 files of validation predictions, and climbs on the Gram matrix.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from benchmarks import source
from benchmarks.case import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    from blend.gram import FoldedGram
    from leapkit.core.step_files import StepPair

NAME = "weight_search"
MODELS = 16
N_COLUMNS = 384  # atmospheric columns of a step
SLICE = 768  # rows that the naive way is timed on


def _pairs(case: Case) -> List[StepPair]:
    """Return the step pairs of all rows; if too few exist, they are repeated."""
    from leapkit.core.step_files import list_pairs

    existing = list_pairs(Path(case.steps))
    count = -(-case.search_rows // N_COLUMNS)
    return (existing * (1 + count // len(existing)))[:count]


def _rows(case: Case) -> int:
    return N_COLUMNS * len(_pairs(case))


def _slice(case: Case) -> int:
    return min(SLICE, _rows(case))


def _predictions_path(case: Case, model: int, rows: int) -> Path:
    return case.folder_of(NAME) / f"oof_{model:02d}_{rows}.npy"


def make(case: Case) -> None:
    """Write 16 files of validation predictions, (rows, 368) float32, as training does."""
    import numpy as np

    from leapkit.core.columns import TARGETS_TO_NETWORK
    from leapkit.data import validation_predictions
    from leapkit.data.step_reader import StepReader

    scaling = source.save_statistics(case, NAME, "fdzm")
    spread = source.real_spread(case, scaling)[list(TARGETS_TO_NETWORK)]

    def blocks(model: int) -> Any:
        private = np.random.default_rng(model + 1)
        shared = np.random.default_rng(0)
        reader = StepReader()
        for pair in _pairs(case):
            truth = scaling.scaled_targets(reader.read(pair)[1])
            yield source.with_errors(truth, spread, model, private, shared)

    def write_predictions(model: int) -> None:
        path = _predictions_path(case, model, _rows(case))
        validation_predictions.save(path, _rows(case), 368, blocks(model))
        if _slice(case) < _rows(case):
            first_rows = validation_predictions.read(path)[: _slice(case)]
            np.save(_predictions_path(case, model, _slice(case)), first_rows)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write_predictions, range(MODELS)))


def published(case: Case) -> Dict[str, Any]:
    """Climb as the public hill climbs do (docs/reference/performance.md, "Blend"), on SLICE rows.

    Each unused model is tried at 101 weights and enters once, at its best weight. Each candidate is
    scored by R2 over all rows: of the 292 predicted targets, none below the score of raw 0, as in
    the team's validation (docs/reference/data_pipeline.md, "Score").
    """
    import numpy as np

    from leapkit.core.columns import PREDICTED, TARGETS_TO_NETWORK, network_positions
    from leapkit.data.step_reader import StepReader

    predicted = network_positions(PREDICTED)
    scaling = source.load_statistics(case, NAME, "fdzm")
    count = _slice(case)
    mean, std = (
        values[list(TARGETS_TO_NETWORK)][predicted]
        for values in (scaling.target_mean, scaling.target_std)
    )
    y = np.concatenate(
        [StepReader().read(pair)[1] for pair in _pairs(case)[: -(-count // N_COLUMNS)]]
    )[:count]
    truth = (y * scaling.weight)[:, list(TARGETS_TO_NETWORK)][:, predicted]
    predictions = [
        np.load(_predictions_path(case, m, count), mmap_mode="r")[:, predicted].astype(np.float64)
        * std
        + mean
        for m in range(MODELS)
    ]
    total = np.square(truth - truth.mean(axis=0)).sum(axis=0)
    counted = total > 0
    floor = np.square(truth).sum(axis=0)
    constant = int((~counted & (floor == 0)).sum())  # raw 0 predicts them exactly

    def score(blend: np.ndarray) -> float:
        residual = np.minimum(np.square(truth - blend).sum(axis=0), floor)
        return float(((1 - residual[counted] / total[counted]).sum() + constant) / len(total))

    singles = [score(p) for p in predictions]
    first = int(np.argmax(singles))
    best = singles[first]
    weights = np.eye(MODELS)[first]
    blend = predictions[first]
    candidates = MODELS
    path = [(first, 1.0, best)]
    unused = [k for k in range(MODELS) if k != first]
    while unused:
        improvement = None
        for k in unused:
            for step in range(-50, 51):
                share = round(step / 100, 2)
                value = score(blend * (1 - share) + predictions[k] * share)
                candidates += 1
                if value > best:
                    best = value
                    improvement = (k, share)
        if improvement is None:
            break
        k, share = improvement
        blend = blend * (1 - share) + predictions[k] * share
        weights = weights * (1 - share) + np.eye(MODELS)[k] * share
        unused.remove(k)
        path.append((k, share, best))
    return {"path": path, "weights": weights.tolist(), "candidates": candidates}


def _gram(case: Case, count: int) -> FoldedGram:
    from blend.validation import ValidationPredictions
    from blend.validation_errors import validation_gram

    scaling = source.load_statistics(case, NAME, "fdzm")
    members = [
        ValidationPredictions(str(m), _predictions_path(case, m, count), scaling)
        for m in range(MODELS)
    ]
    return validation_gram(_pairs(case)[: count // N_COLUMNS], members)


def _climb(gram: FoldedGram) -> Dict[str, Any]:
    import time

    from blend.climb import hill_climb
    from blend.forms import fit
    from blend.gram import score
    from blend.scopes import STARTS

    started = time.perf_counter()
    weights, paths = hill_climb(gram.whole, STARTS["all"])
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    exact = fit(gram, "sum-one")
    climb_score, exact_score = (
        score(gram.whole.metric(gram.whole.errors(w[0]))).predicted for w in (weights, exact)
    )
    return {
        "path": paths[0],
        "weights": weights[0].tolist(),
        "climb_seconds": seconds,
        "climb": climb_score,
        "exact": exact_score,
        "exact_seconds": time.perf_counter() - started,
    }


def ours(case: Case) -> Dict[str, Any]:
    return _climb(_gram(case, _rows(case)))


def evidence(case: Case, side: str, result: Dict[str, Any]) -> Dict[str, Any]:
    """Return the climb; for ours also that on the slice of the naive way."""
    if side == "published":
        return result
    return {"all": result, "slice": _climb(_gram(case, _slice(case)))}


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
    """Require the same path and weights on the slice, and R2 equal to rounding."""
    published = evidence["published"]
    ours = evidence["ours"]["slice"]
    whole = evidence["ours"]["all"]
    steps = [[(k, share) for k, share, _ in side["path"]] for side in (published, ours)]
    if steps[0] != steps[1]:
        raise UnequalError(f"the paths differ: {steps[0][:4]} and {steps[1][:4]}")
    # Sums of squares in another order and unit: R2 = 1 - error/SST agrees to rounding.
    difference = max(abs(a[2] - b[2]) for a, b in zip(published["path"], ours["path"]))
    if difference > 1e-10 or published["weights"] != ours["weights"]:
        raise UnequalError(f"same path, but other weights, or R2 (by {difference:g})")
    if whole["exact"] < whole["climb"]:
        raise UnequalError(
            f"the exact optimum {whole['exact']:.9f} is below the climb's {whole['climb']:.9f}"
        )
    count = published["candidates"]
    microseconds = whole["climb_seconds"] / count * 1e6
    return (
        f"on {_slice(case)} rows the same {len(steps[0])} steps and weights, "
        f"R2 within {difference or 1e-16:.0e}; "
        f"{count} candidates, a climb alone {microseconds:.1f} us each; "
        f"exact optimum {whole['exact']:.6f} in {whole['exact_seconds']:.2f} s, "
        f"climb {whole['climb']:.6f}"
    )


STEP = Step(
    title="weight search, 16 models",
    goal=">= 1000x at 849,408 rows",
    cores=0,
    sides={
        "published": Side(("numpy", "leapkit.data.step_reader"), published),
        "ours": Side(("numpy", "blend.validation_errors", "blend.forms"), ours),
    },
    size=lambda case: f"16 x {_rows(case)} x 368, naive on {_slice(case)} rows",
    make=make,
    evidence=evidence,
    compare=compare,
    work=lambda case, side: _slice(case) if side == "published" else _rows(case),
)
