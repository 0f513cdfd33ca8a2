"""The forms of blend weights: how each is fitted, and what it scores on held-out months.

Shapes: T = 292 predicted targets in the P blocks of a scope, M artifacts, A = M + 1 predictions
(blend.gram).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np

from blend import climb, optimum
from blend.climb import ClimbStep
from blend.gram import FoldedGram, Gram
from blend.naming import FORMS, SCOPES, Search
from blend.scopes import GROUP_OF, STARTS, by_target
from blend.table_text import FIELDS_OF_SCOPE
from blend.tables import WeightTable
from leapkit.core.columns import GROUP_NAMES, PREDICTED, TARGETS

# Shrinkage of `ridge` in units of the mean squared error of an artifact: the best on held-out folds
# is taken.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1)
_ROUNDS = 50  # of counting targets and solving again; two or three do
# Sums of S (P, A, A) -> weights (P, M).
Solver = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FittedForm:
    """A form of weights fitted on all folds, and the errors that tell how good it is.

    weights              (P, M)
    in_sample, held_out  (T,) squared error sums: of these weights, and of weights fitted without
                         each fold on that fold; held out is None if there is only one fold
    """

    search: Search
    weights: np.ndarray
    in_sample: np.ndarray
    held_out: Optional[np.ndarray]

    @property
    def by_target(self) -> np.ndarray:
        """(T, M)."""
        return by_target(self.weights, self.search.scope)


class Fits:
    """The forms of weights fitted on one FoldedGram. Each climb runs once, whatever asks for it."""

    def __init__(self, folded: FoldedGram) -> None:
        self.folded = folded
        self._climbs: Dict[str, Tuple[np.ndarray, List[List[ClimbStep]]]] = {}

    @functools.cached_property
    def without_each_fold(self) -> Tuple[Fits, ...]:
        """The fits on all other folds, for every fold."""
        return tuple(Fits(self.folded.without(k)) for k in range(len(self.folded.folds)))

    def climb(self, scope: str = "all") -> Tuple[np.ndarray, List[List[ClimbStep]]]:
        """Climb for a scope: weights (P, M), which must not be changed, and P paths."""
        if scope not in self._climbs:
            self._climbs[scope] = climb.hill_climb(self.folded.whole, STARTS[scope])
        return self._climbs[scope]

    def fit(self, form: str, scope: str = "all") -> np.ndarray:
        """Return (P, M): the weights of a form, one vector for each block of a scope.

        All forms maximise the mean of the published R2 (Gram.metric). A block none of whose targets
        is predicted better than by raw 0 is given the weights of the scope `all`.
        """
        whole = self.folded.whole
        if form == "climb":
            return self._climbed(scope)
        if form == "ridge":
            return _ridge(whole, self._penalty(scope), scope)
        if form == "sum-one":
            # Of two local optima the better one: never below the climb, from which it starts.
            climbed = self._climbed(scope)
            exact = _exact(whole, lambda s: optimum.sum_one(s[:, :-1, :-1]), scope, climbed)
            better = _r2_of_blocks(whole, exact, scope) >= _r2_of_blocks(whole, climbed, scope)
            return np.where(better[:, None], exact, climbed)
        solvers: Dict[str, Solver] = {
            "simplex": lambda s: np.stack([optimum.simplex(each[:-1, :-1]) for each in s]),
            "non-negative": lambda s: np.stack([optimum.non_negative(each) for each in s]),
        }
        return _exact(whole, solvers[form], scope)

    def _climbed(self, scope: str) -> np.ndarray:
        whole = self.folded.whole
        weights = np.array(self.climb(scope)[0])
        counted = whole.counted(whole.errors(by_target(weights, scope)))
        lost = ~np.logical_or.reduceat(counted, STARTS[scope])
        if scope != "all" and lost.any():
            weights[lost] = self._climbed("all")
        return weights

    def _penalty(self, scope: str) -> float:
        """Choose the shrinkage of `ridge` on held-out folds; with one fold take the middle one."""
        if len(self.folded.folds) == 1:
            return PENALTIES[len(PENALTIES) // 2]

        def score(penalty: float) -> float:
            errors = self.held_out_errors(
                lambda rest: _ridge(rest.folded.whole, penalty, scope), scope
            )
            return float(self.folded.whole.metric(errors).mean())

        return PENALTIES[int(np.argmax([score(penalty) for penalty in PENALTIES]))]

    def held_out_errors(self, find: Callable[[Fits], np.ndarray], scope: str) -> np.ndarray:
        """Return (T,) the squared errors on each fold of weights found without it, summed.

        find  returns weights (P, M)
        """
        total = np.zeros(len(PREDICTED))
        for gram, rest in zip(self.folded.grams, self.without_each_fold):
            total += gram.errors(by_target(find(rest), scope))
        return total

    def fitted(self, search: Search) -> FittedForm:
        """Fit the form and scope of a search, on all folds and without each fold."""
        weights = self.fit(search.form, search.scope)
        held_out = None
        if len(self.folded.folds) > 1:
            held_out = self.held_out_errors(
                lambda rest: rest.fit(search.form, search.scope), search.scope
            )
        in_sample = self.folded.whole.errors(by_target(weights, search.scope))
        return FittedForm(search, weights, in_sample, held_out)

    def all_forms(self, among: str) -> List[FittedForm]:
        """Fit every form for every scope."""
        return [self.fitted(Search(among, form, scope)) for scope in SCOPES for form in FORMS]

    def table(self, search: Search) -> WeightTable:
        """Return the fitted weights as a table, the heaviest artifact first.

        Artifacts whose weights are all 0 are left out.

        The 76 targets that no network predicts have no use for weights: in a table by target they
        get those of the scope all.
        """
        weights = self.fit(search.form, search.scope)
        if search.scope == "target":
            of_target = dict(zip(PREDICTED, weights))
            others = self.fit(search.form)[0]
            weights = np.stack([of_target.get(name, others) for name in TARGETS])  # (368, M)
        elif search.scope == "group":
            groups = [GROUP_OF[PREDICTED[start]] for start in STARTS["group"]]
            of_group = dict(zip(groups, weights))
            weights = np.stack([of_group[name] for name in GROUP_NAMES])  # (7, M)
        used = np.flatnonzero(weights.any(axis=0))
        heaviest_first = sorted(used, key=lambda k: -float(weights[:, k].mean()))
        rows = tuple((self.folded.artifacts[k], *map(float, weights[:, k])) for k in heaviest_first)
        return WeightTable(search.name, rows, FIELDS_OF_SCOPE[search.scope])


def fit(folded: FoldedGram, form: str, scope: str = "all") -> np.ndarray:
    """Return (P, M): the weights of one form and scope (Fits.fit)."""
    return Fits(folded).fit(form, scope)


def _r2_of_blocks(whole: Gram, weights: np.ndarray, scope: str) -> np.ndarray:
    """Return (P,) the summed R2 of every block."""
    r2 = whole.metric(whole.errors(by_target(weights, scope)))
    sums: np.ndarray = np.add.reduceat(r2, STARTS[scope])
    return sums


def _ridge(whole: Gram, penalty: float, scope: str) -> np.ndarray:
    return _exact(whole, lambda s: optimum.sum_one(s[:, :-1, :-1], penalty), scope)


def _exact(
    whole: Gram, solve: Solver, scope: str, first: Optional[np.ndarray] = None
) -> np.ndarray:
    """Return (P, M): the optimum of a form over the targets that count at it.

    A target at its floor (Gram.metric) adds nothing to the slope of the score, so which targets
    count depends on the weights. Starting at the weights `first` (default: the best artifact's),
    solve over the targets that count, then count again. The score never falls, as a solution is
    best for the targets counted before, and counting again only adds to it. So it ends.
    """
    starts = STARTS[scope]
    weights = np.array(climb.best_artifact(whole, starts) if first is None else first)
    counted = whole.counted(whole.errors(by_target(weights, scope)))
    for _ in range(_ROUNDS):
        counts = np.logical_or.reduceat(counted, starts)  # (P,)
        if counts.any():
            counted_only = np.where(counted[:, None, None], whole.scaled, 0.0)
            sums = np.add.reduceat(counted_only, starts)  # (P, A, A)
            weights[counts] = solve(sums[counts])
        if scope != "all" and not counts.all():
            weights[~counts] = _exact(whole, solve, "all", None if first is None else first[:1])
        before = counted
        # A block that has been given up stays so.
        counted = (
            whole.counted(whole.errors(by_target(weights, scope)))
            & by_target(counts[:, None], scope)[:, 0]
        )
        if (counted == before).all():
            break
    return weights
