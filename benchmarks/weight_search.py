"""The search of blend weights: rescoring every candidate on all rows against one Gram matrix and a climb on it."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Tuple

from benchmarks import source
from benchmarks.measure import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    import numpy as np

NAME, MODELS, BLOCK = "weight_search", 16, 384


def make(case: Case) -> None:
    """Validation truth and 16 out-of-fold files, (search_rows, 368) float32, as training leaves them."""
    import numpy as np
    for model in range(MODELS):
        truth, z = (np.concatenate(parts) for parts in zip(*source.predictions(case, case.search_rows, model)))
        np.save(case.place(NAME) / ("oof_%02d.npy" % model), z)
    np.save(case.place(NAME) / "truth.npy", truth)


def _open(case: Case) -> Tuple[np.ndarray, List[np.ndarray]]:
    """-> truth and 16 predictions, each (search_rows, 368) float32, network order, mapped."""
    import numpy as np
    names = ["truth"] + ["oof_%02d" % model for model in range(MODELS)]
    arrays = [np.load(case.place(NAME) / (name + ".npy"), mmap_mode="r") for name in names]
    return arrays[0], arrays[1:]


def published(case: Case) -> Dict[str, Any]:
    """The public hill climbs in their plain form (reference/performance.md (d)): every unused model at 101 weights,
    each scored by R2 over all rows (the 292 predicted columns); at its best weight each model enters once."""
    import numpy as np

    from leapkit.columns import PREDICTED, network_positions
    mapped, models = _open(case)
    columns = network_positions(PREDICTED)
    truth = mapped[:, columns].astype(np.float64)
    predictions = [z[:, columns].astype(np.float64) for z in models]
    total = np.square(truth - truth.mean(axis=0)).sum(axis=0)
    counted = total > 0

    def score(blend: np.ndarray) -> float:
        residual = np.square(truth - blend).sum(axis=0)
        return float((1 - residual[counted] / total[counted]).mean())

    singles = [score(p) for p in predictions]
    first = int(np.argmax(singles))
    best, weights, blend, candidates = singles[first], np.eye(MODELS)[first], predictions[first], MODELS
    path, unused = [(first, 1.0, best)], [k for k in range(MODELS) if k != first]
    while unused:
        found = None
        for k in unused:
            for step in range(-50, 51):
                share = round(step / 100, 2)
                value, candidates = score(blend * (1 - share) + predictions[k] * share), candidates + 1
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


def _blocks(case: Case) -> Iterator[Tuple[np.ndarray, List[np.ndarray]]]:
    """As blend.oof.blocks: one validation step at a time, (n, 368) float64, Kaggle order."""
    import numpy as np

    from leapkit.columns import TARGETS_TO_KAGGLE
    truth, models = _open(case)
    for at in range(0, len(truth), BLOCK):
        yield (truth[at:at + BLOCK, TARGETS_TO_KAGGLE].astype(np.float64),
               [z[at:at + BLOCK, TARGETS_TO_KAGGLE].astype(np.float64) for z in models])


def ours(case: Case) -> Dict[str, Any]:
    import time

    from blend.climb import hill_climb
    from blend.gram import error_gram
    gram = error_gram(_blocks(case), MODELS, worst=float("-inf")).matrix
    started = time.perf_counter()
    weights, path = hill_climb(gram)
    return {"path": path, "weights": weights.tolist(), "climb_seconds": time.perf_counter() - started}


def compare(case: Case, found: Mapping[str, Any]) -> str:
    published, ours = found["published"], found["ours"]
    steps = [[(k, share) for k, share, _ in side["path"]] for side in (published, ours)]
    if steps[0] != steps[1]:
        raise UnequalError("the paths differ: %s and %s" % (steps[0][:4], steps[1][:4]))
    # Sums in another order: R2 = 1 - error/SST agrees to rounding, relative to a score that may be far below -1.
    difference = max(abs(a[2] - b[2]) / max(1, abs(a[2])) for a, b in zip(published["path"], ours["path"]))
    if difference > 1e-10 or published["weights"] != ours["weights"]:
        raise UnequalError("same path, but other weights, or R2 (by %g relative)" % difference)
    count = published["candidates"]
    return "same %d steps and weights, R2 within %.0e; %d candidates, the climb alone %.1f us each" % (
        len(steps[0]), difference or 1e-16, count, ours["climb_seconds"] / count * 1e6)


STEP = Step(
    title="weight search, 16 models", goal=">= 1000x at 849,408 rows", cores=0,
    sides={"published": Side(("numpy", "leapkit.columns"), published),
           "ours": Side(("numpy", "blend.gram", "blend.climb"), ours)},
    size=lambda case: "16 x %d x 292" % case.search_rows, make=make,
    evidence=lambda case, side, result: result, compare=compare)
