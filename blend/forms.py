"""The forms of blend weights: how they are found, for which targets one vector holds, and what they score out of fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np

from blend import climb, optimum
from blend.gram import FoldedGram, Gram
from blend.plan import FORMS, SCOPES, Search
from blend.tables import COLUMNS_OF, Table
from leapkit.core.columns import GROUP_NAMES, PREDICTED, TARGETS

# Shrinkage of `ridge` in units of the mean squared error of an artifact: the best on folds held out is taken.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1)
_ROUNDS = 50  # of counting targets and solving again; two or three do
_GROUP = {
    name: "scalars" if name.startswith("cam_out") else name.rsplit("_", 1)[0] for name in PREDICTED
}


def _starts(scope: str) -> np.ndarray:
    """(P,) the first of the predicted targets (Kaggle order) of every part that has weights of its own."""
    labels = {
        "all": [""] * len(PREDICTED),
        "group": [_GROUP[name] for name in PREDICTED],
        "target": list(PREDICTED),
    }[scope]
    return np.array([k for k, label in enumerate(labels) if not k or label != labels[k - 1]])


STARTS: Dict[str, np.ndarray] = {scope: _starts(scope) for scope in SCOPES}


def by_target(weights: np.ndarray, scope: str) -> np.ndarray:
    """(P, M) -> (T, M)."""
    return np.repeat(weights, np.diff(np.append(STARTS[scope], len(PREDICTED))), axis=0)


def fit(folded: FoldedGram, form: str, scope: str = "all") -> np.ndarray:
    """-> (P, M): the weights of a form, one vector for each part of a scope.

    All forms maximise the mean of the published R2 (Gram.metric). A part none of whose targets is predicted better than
    by raw 0 is given the weights of the scope `all`.
    """
    if form == "climb":
        whole, weights = folded.whole, climb.hill_climb(folded.whole, STARTS[scope])[0]
        lost = ~np.logical_or.reduceat(
            whole.counted(whole.errors(by_target(weights, scope))), STARTS[scope]
        )
        if scope != "all" and lost.any():
            weights[lost] = fit(folded, form)
        return weights
    if form == "ridge":
        penalty = PENALTIES[len(PENALTIES) // 2]
        if len(folded.folds) > 1:
            totals = [
                _mean(folded, out_of_fold(folded, _ridge(p, scope), scope)) for p in PENALTIES
            ]
            penalty = PENALTIES[int(np.argmax(totals))]
        return _ridge(penalty, scope)(folded)
    if (
        form == "sum-one"
    ):  # of two local optima the better one: never below the climb, from which it starts
        climbed = fit(folded, "climb", scope)
        exact = _exact(folded.whole, lambda s: optimum.sum_one(s[:, :-1, :-1]), scope, climbed)
        better = _by_part(folded.whole, exact, scope) >= _by_part(folded.whole, climbed, scope)
        return np.where(better[:, None], exact, climbed)
    return _exact(
        folded.whole,
        {
            "simplex": lambda s: np.stack([optimum.simplex(each[:-1, :-1]) for each in s]),
            "non-negative": lambda s: np.stack([optimum.non_negative(each) for each in s]),
        }[form],
        scope,
    )


def _by_part(whole: Gram, weights: np.ndarray, scope: str) -> np.ndarray:
    """(P,) summed R2 of every part."""
    found: np.ndarray = np.add.reduceat(
        whole.metric(whole.errors(by_target(weights, scope))), STARTS[scope]
    )
    return found


def _ridge(penalty: float, scope: str) -> Callable[[FoldedGram], np.ndarray]:
    return lambda folded: _exact(
        folded.whole, lambda s: optimum.sum_one(s[:, :-1, :-1], penalty), scope
    )


def _exact(
    whole: Gram,
    solve: Callable[[np.ndarray], np.ndarray],
    scope: str,
    first: Optional[np.ndarray] = None,
) -> np.ndarray:
    """The optimum of a form over the targets that count at it: P sums of S (A, A) -> weights (P, M) by `solve`.

    A target at its floor (Gram.metric) adds nothing to the slope of the score, so which targets count depends on the
    weights. From the `first` ones on (the best artifact's): solve over those that count, count again. The score never
    falls, as a solution is best for the targets counted before and counting again only adds to it. So it ends.
    """
    starts = STARTS[scope]
    weights = np.array(climb.best_artifact(whole, starts) if first is None else first)
    counted = whole.counted(whole.errors(by_target(weights, scope)))
    for _ in range(_ROUNDS):
        counts = np.logical_or.reduceat(counted, starts)  # (P,)
        if counts.any():
            sums = np.add.reduceat(
                np.where(counted[:, None, None], whole.scaled, 0.0), starts
            )  # (P, A, A)
            weights[counts] = solve(sums[counts])
        if scope != "all" and not counts.all():
            weights[~counts] = _exact(whole, solve, "all", None if first is None else first[:1])
        before = counted
        # A part that has been given up stays so.
        counted = (
            whole.counted(whole.errors(by_target(weights, scope)))
            & by_target(counts[:, None], scope)[:, 0]
        )
        if (counted == before).all():
            break
    return weights


def out_of_fold(
    folded: FoldedGram, find: Callable[[FoldedGram], np.ndarray], scope: str
) -> np.ndarray:
    """(T,) squared error sums of weights (P, M) that were found, for every fold, on all other folds."""
    total = np.zeros(len(PREDICTED))
    for k, part in enumerate(folded.parts):
        total += part.errors(by_target(find(folded.without(k)), scope))
    return total


def _mean(folded: FoldedGram, errors: np.ndarray) -> float:
    return float(folded.whole.metric(errors).mean())


@dataclass(frozen=True)
class Fitted:
    """A form of weights on all folds, and the errors that tell how good it is.

    in_fold, out_of_fold  (T,) squared error sums; out of fold is None where there is one fold only
    """

    search: Search
    weights: np.ndarray  # (P, M)
    in_fold: np.ndarray
    out_of_fold: np.ndarray | None

    @property
    def by_target(self) -> np.ndarray:
        return by_target(self.weights, self.search.scope)


def fitted(folded: FoldedGram, search: Search) -> Fitted:
    weights = fit(folded, search.form, search.scope)
    held_out = None
    if len(folded.folds) > 1:
        held_out = out_of_fold(
            folded, lambda rest: fit(rest, search.form, search.scope), search.scope
        )
    return Fitted(search, weights, folded.whole.errors(by_target(weights, search.scope)), held_out)


def every(among: str, folded: FoldedGram) -> List[Fitted]:
    return [fitted(folded, Search(among, form, scope)) for scope in SCOPES for form in FORMS]


def table_of(search: Search, folded: FoldedGram, weights: np.ndarray) -> Table:
    """The table of weights (P, M), the heaviest artifact first, without artifacts that no target gives a weight.

    The 76 targets that no network predicts have no use for weights: in a table by target they get those of the scope all.
    """
    if search.scope == "target":
        own = dict(zip(PREDICTED, weights))
        rest = fit(folded, search.form)[0]
        columns = np.stack([own.get(name, rest) for name in TARGETS])  # (368, M)
    elif search.scope == "group":
        of_group = dict(zip((_GROUP[PREDICTED[k]] for k in STARTS["group"]), weights))
        columns = np.stack([of_group[name] for name in GROUP_NAMES])  # (7, M)
    else:
        columns = weights
    order = sorted(np.flatnonzero(columns.any(axis=0)), key=lambda k: -float(columns[:, k].mean()))
    rows: List[Tuple[object, ...]] = [
        (folded.artifacts[k],) + tuple(map(float, columns[:, k])) for k in order
    ]
    return Table(search.name, tuple(rows), COLUMNS_OF[search.scope])
