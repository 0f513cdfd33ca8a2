"""The search of blend weights: rescoring every candidate on all rows against one Gram matrix and a climb on it.

The naive way takes hours at the team's size, so it is timed on a slice (whose arrays fit in the caches better than all
rows would: the ratio is a lower bound); the kit reads all rows, the step files and 16 out-of-fold files, and climbs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from benchmarks import source
from benchmarks.measure import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    from blend.gram import FoldedGram
    from leapkit.core.step_files import StepPair

NAME, MODELS, COLUMNS = "weight_search", 16, 384
SLICE = 768  # rows that the naive way is timed on


def _pairs(case: Case) -> List[StepPair]:
    """Step pairs of all rows, those that there are over and over."""
    from leapkit.core.step_files import list_pairs

    found = list_pairs(Path(case.steps))
    count = -(-case.search_rows // COLUMNS)
    return (found * (1 + count // len(found)))[:count]


def _rows(case: Case) -> int:
    return COLUMNS * len(_pairs(case))


def _slice(case: Case) -> int:
    return min(SLICE, _rows(case))


def _oof(case: Case, model: int, rows: int) -> Path:
    return case.place(NAME) / ("oof_%02d_%d.npy" % (model, rows))


def make(case: Case) -> None:
    """16 out-of-fold files, (rows, 368) float32, as training leaves them, beside the step files that hold the truth."""
    import numpy as np

    from leapkit.core.columns import TARGETS_TO_NETWORK
    from leapkit.data import validation_predictions
    from leapkit.data.step_reader import StepReader

    scale = source.keep_statistics(case, NAME, "fdzm")
    spread = source.spread(case, scale)[list(TARGETS_TO_NETWORK)]

    def blocks(model: int) -> Any:
        own, shared, reader = (
            np.random.default_rng(model + 1),
            np.random.default_rng(0),
            StepReader(),
        )
        for pair in _pairs(case):
            truth = scale.scaled_targets(reader.read(pair)[1])
            yield source.with_errors(truth, spread, model, own, shared)

    def one(model: int) -> None:
        validation_predictions.save(_oof(case, model, _rows(case)), _rows(case), 368, blocks(model))
        if _slice(case) < _rows(case):
            np.save(
                _oof(case, model, _slice(case)),
                validation_predictions.read(_oof(case, model, _rows(case)))[: _slice(case)],
            )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(MODELS)))


def published(case: Case) -> Dict[str, Any]:
    """The public hill climbs in their plain form (reference/performance.md (d)): every unused model at 101 weights,
    each scored by R2 over all rows (the 292 predicted columns, none below the score of raw 0, as the team's validation
    has it); at its best weight each model enters once. On the first SLICE rows."""
    import numpy as np

    from leapkit.core.columns import PREDICTED, TARGETS_TO_NETWORK, network_positions
    from leapkit.data.step_reader import StepReader

    columns, scale, count = (
        network_positions(PREDICTED),
        source.kept_statistics(case, NAME, "fdzm"),
        _slice(case),
    )
    mean, std = (
        values[list(TARGETS_TO_NETWORK)][columns]
        for values in (scale.target_mean, scale.target_std)
    )
    y = np.concatenate(
        [StepReader().read(pair)[1] for pair in _pairs(case)[: -(-count // COLUMNS)]]
    )[:count]
    truth = (y * scale.weight)[:, list(TARGETS_TO_NETWORK)][:, columns]
    predictions = [
        np.load(_oof(case, m, count), mmap_mode="r")[:, columns].astype(np.float64) * std + mean
        for m in range(MODELS)
    ]
    total = np.square(truth - truth.mean(axis=0)).sum(axis=0)
    counted, floor = total > 0, np.square(truth).sum(axis=0)
    constant = int((~counted & (floor == 0)).sum())  # met exactly by raw 0

    def score(blend: np.ndarray) -> float:
        residual = np.minimum(np.square(truth - blend).sum(axis=0), floor)
        return float(((1 - residual[counted] / total[counted]).sum() + constant) / len(total))

    singles = [score(p) for p in predictions]
    first = int(np.argmax(singles))
    best, weights, blend, candidates = (
        singles[first],
        np.eye(MODELS)[first],
        predictions[first],
        MODELS,
    )
    path, unused = [(first, 1.0, best)], [k for k in range(MODELS) if k != first]
    while unused:
        found = None
        for k in unused:
            for step in range(-50, 51):
                share = round(step / 100, 2)
                value, candidates = (
                    score(blend * (1 - share) + predictions[k] * share),
                    candidates + 1,
                )
                if value > best:
                    best, found = value, (k, share)
        if found is None:
            break
        k, share = found
        blend = blend * (1 - share) + predictions[k] * share
        weights = weights * (1 - share) + np.eye(MODELS)[k] * share
        unused.remove(k)
        path.append((k, share, best))
    return {"path": path, "weights": weights.tolist(), "candidates": candidates}


def _gram(case: Case, count: int) -> FoldedGram:
    from blend.oof import ValidationPredictions, validation_gram

    scale = source.kept_statistics(case, NAME, "fdzm")
    members = [ValidationPredictions(str(m), _oof(case, m, count), scale) for m in range(MODELS)]
    return validation_gram(_pairs(case)[: count // COLUMNS], members)


def _climb(found: FoldedGram) -> Dict[str, Any]:
    import time

    from blend.climb import hill_climb
    from blend.forms import STARTS, fit
    from blend.gram import score

    started = time.perf_counter()
    weights, paths = hill_climb(found.whole, STARTS["all"])
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    exact = fit(found, "sum-one")
    both = [score(found.whole.metric(found.whole.errors(w[0]))).predicted for w in (weights, exact)]
    return {
        "path": paths[0],
        "weights": weights[0].tolist(),
        "climb_seconds": seconds,
        "climb": both[0],
        "exact": both[1],
        "exact_seconds": time.perf_counter() - started,
    }


def ours(case: Case) -> Dict[str, Any]:
    return _climb(_gram(case, _rows(case)))


def evidence(case: Case, side: str, result: Dict[str, Any]) -> Dict[str, Any]:
    """Of ours also the same slice that the naive way climbs on."""
    return (
        result
        if side == "published"
        else {"all": result, "slice": _climb(_gram(case, _slice(case)))}
    )


def compare(case: Case, found: Mapping[str, Any]) -> str:
    published, ours, whole = found["published"], found["ours"]["slice"], found["ours"]["all"]
    steps = [[(k, share) for k, share, _ in side["path"]] for side in (published, ours)]
    if steps[0] != steps[1]:
        raise UnequalError(f"the paths differ: {steps[0][:4]} and {steps[1][:4]}")
    # Sums of squares in another order and unit: R2 = 1 - error/SST agrees to rounding.
    difference = max(abs(a[2] - b[2]) for a, b in zip(published["path"], ours["path"]))
    if difference > 1e-10 or published["weights"] != ours["weights"]:
        raise UnequalError(f"same path, but other weights, or R2 (by {difference:g})")
    if whole["exact"] < whole["climb"]:
        raise UnequalError(
            "the exact optimum {:.9f} is below the climb's {:.9f}".format(
                whole["exact"], whole["climb"]
            )
        )
    count = published["candidates"]
    return (
        "on %d rows the same %d steps and weights, R2 within %.0e; %d candidates, a climb alone %.1f us each; exact "
        "optimum %.6f in %.2f s, climb %.6f"
        % (
            _slice(case),
            len(steps[0]),
            difference or 1e-16,
            count,
            whole["climb_seconds"] / count * 1e6,
            whole["exact"],
            whole["exact_seconds"],
            whole["climb"],
        )
    )


STEP = Step(
    title="weight search, 16 models",
    goal=">= 1000x at 849,408 rows",
    cores=0,
    sides={
        "published": Side(("numpy", "leapkit.data.step_reader"), published),
        "ours": Side(("numpy", "blend.oof", "blend.forms"), ours),
    },
    size=lambda case: "16 x %d x 368, naive on %d rows" % (_rows(case), _slice(case)),
    make=make,
    evidence=evidence,
    compare=compare,
    work=lambda case, side: _slice(case) if side == "published" else _rows(case),
)
