"""Ways to choose weights side by side: what each scores and loses without each artifact."""

from __future__ import annotations

from typing import Callable, List, Optional

import numpy as np

from blend import climb
from blend.forms import Fits, FittedForm
from blend.gram import FoldedGram, Gram, score
from blend.naming import Search
from blend.payload import FormScore, Loss, Quality
from blend.scopes import STARTS, by_target


def quality(errors: np.ndarray, gram: Gram) -> Quality:
    """Score (T,) squared error sums of the rows of a Gram matrix."""
    scores = score(gram.metric(errors))
    return Quality(scores.all_columns, scores.predicted, list(scores.groups))


def form_score(
    name: str,
    search: Optional[Search],
    weights: np.ndarray,
    in_sample: Quality,
    held_out: Optional[Quality],
    holdout: Optional[Gram],
) -> FormScore:
    """Describe weights (T, M), with their quality on the test rows if `holdout` holds them."""
    one_vector = bool((weights == weights[0]).all())
    return FormScore(
        name=name,
        form=search.form if search else name,
        scope=search.scope if search else "all",
        in_sample=in_sample,
        held_out=held_out,
        test=quality(holdout.errors(weights), holdout) if holdout else None,
        sum=float(weights[0].sum()) if one_vector else None,
        negative=int((weights[0] < 0).sum()) if one_vector else None,
    )


def score_of_fitted(fitted: FittedForm, whole: Gram, holdout: Optional[Gram]) -> FormScore:
    """Describe a form that was fitted to the validation rows."""
    return form_score(
        fitted.search.name,
        fitted.search,
        fitted.by_target,
        quality(fitted.in_sample, whole),
        None if fitted.held_out is None else quality(fitted.held_out, whole),
        holdout,
    )


def baselines(fits: Fits, holdout: Optional[Gram]) -> List[FormScore]:
    """Describe the artifact that is best on the folds that it is chosen on, and equal weights."""
    folded = fits.folded
    count = len(folded.artifacts)

    def best(rest: Fits) -> np.ndarray:
        return climb.best_artifact(rest.folded.whole, STARTS["all"])

    def equal(_: Fits) -> np.ndarray:
        return np.full((1, count), 1 / count)

    return [
        _baseline("best artifact", best, fits, holdout),
        _baseline("equal weights", equal, fits, holdout),
    ]


def _baseline(
    name: str, find: Callable[[Fits], np.ndarray], fits: Fits, holdout: Optional[Gram]
) -> FormScore:
    whole = fits.folded.whole
    weights = by_target(find(fits), "all")
    held_out = None
    if len(fits.folded.folds) > 1:
        held_out = quality(fits.held_out_errors(find, "all"), whole)
    return form_score(name, None, weights, quality(whole.errors(weights), whole), held_out, holdout)


def losses_of_searched(folded: FoldedGram, fitted: FittedForm) -> List[Loss]:
    """Return the loss of R2 over 368 targets without each artifact, of searched weights.

    The weights are searched again without the artifact.

    Held out only if one vector serves all targets: the other scopes are a hundred times the work.
    """
    search = fitted.search
    whole = folded.whole
    losses = []
    for rest in _without_each_artifact(folded):
        if rest is None:
            losses.append(Loss(None, None))
            continue
        fits = Fits(rest)
        after = by_target(fits.fit(search.form, search.scope), search.scope)
        in_sample = _all(whole, fitted.in_sample) - _all(whole, rest.whole.errors(after))
        held_out = None
        if search.scope == "all" and fitted.held_out is not None:
            errors = fits.held_out_errors(lambda each: each.fit(search.form), "all")
            held_out = _all(whole, fitted.held_out) - _all(whole, errors)
        losses.append(Loss(in_sample, held_out))
    return losses


def losses_of_given(folded: FoldedGram, weights: np.ndarray) -> List[Loss]:
    """Return the loss of R2 over 368 targets without each artifact, of weights of a given table.

    The other weights keep their proportions and their sum.

    weights  (T, M) of a given table: nothing in it was fitted to these rows, so in sample and held
             out are the same
    """
    whole = folded.whole
    losses = []
    for artifact, rest in enumerate(_without_each_artifact(folded)):
        others = np.delete(weights, artifact, axis=1)
        sum_of_others = others.sum(axis=1, keepdims=True)
        if rest is None or (np.abs(sum_of_others) < 1e-9).any():
            losses.append(Loss(None, None))
            continue
        others = others * weights.sum(axis=1, keepdims=True) / sum_of_others
        loss = _all(whole, whole.errors(weights)) - _all(whole, rest.whole.errors(others))
        losses.append(Loss(loss, loss))
    return losses


def _without_each_artifact(folded: FoldedGram) -> List[Optional[FoldedGram]]:
    """Leave each artifact out in turn; None for the only one."""
    count = len(folded.artifacts)
    if count == 1:
        return [None]
    return [
        folded.choosing([k for k in range(count) if k != left_out]) for left_out in range(count)
    ]


def _all(whole: Gram, errors: np.ndarray) -> float:
    return score(whole.metric(errors)).all_columns
