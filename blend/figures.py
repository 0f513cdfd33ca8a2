"""Every figure of the blend's report, from Gram matrices alone: no row is read again."""

from __future__ import annotations

import dataclasses
from typing import Dict, List, Optional, Tuple

import numpy as np

from blend import comparison
from blend.comparison import quality
from blend.forms import Fits
from blend.gram import PREDICTED_POSITIONS, Gram
from blend.naming import Search, parse_search
from blend.payload import FormScore, Loss, Report, Sides, ValidationFigures, VariableLevels
from blend.tables import WeightTable, find
from blend.target_weights import weights_of
from leapkit.core.columns import LEVELS, PREDICTED, TENDENCY_PROFILES

_FORMULAS = 76  # of 368 targets: those that score 1 by post-processing alone


@dataclasses.dataclass(frozen=True)
class _Judged:
    """The blend of the page beside all other ways to choose weights.

    weights  (T, M)
    errors   (T,) squared error sums: held out if there are several folds
    """

    forms: List[FormScore]
    weights: np.ndarray
    errors: np.ndarray
    losses: List[Loss]


def of_blend(
    table: WeightTable,
    fits: Optional[Fits],
    holdout: Optional[Gram],
    provenance: Dict[str, str],
) -> Report:
    """Return what the page shows.

    fits     of the validation rows; None if an artifact has no validation predictions
    holdout  Gram matrices of the test rows; None if their truth is not known
    """
    return Report(
        table=table.name,
        fields=list(table.fields),
        artifacts=list(table.artifacts),
        weights=[list(row[1:]) for row in table.rows],
        published=table.sha256 == find("v10").sha256,
        provenance=provenance,
        validation=_validation(table, fits, holdout) if fits else None,
    )


def _validation(table: WeightTable, fits: Fits, holdout: Optional[Gram]) -> ValidationFigures:
    folded = fits.folded
    whole = folded.whole
    search = parse_search(table.name)
    judged = _searched(search, fits, holdout) if search else _given(table, fits, holdout)
    alone = _errors_alone(whole)
    tests = _errors_alone(holdout) if holdout else [None] * len(alone)
    return ValidationFigures(
        rows=whole.truth.count,
        folds=list(folded.folds),
        forms=judged.forms,
        artifacts=list(folded.artifacts),
        alone=[_sides(errors, whole, test, holdout) for errors, test in zip(alone, tests)],
        blend=_sides(
            judged.errors, whole, holdout.errors(judged.weights) if holdout else None, holdout
        ),
        leave_one_out=judged.losses,
        correlation=_correlation(whole, whole.counted(judged.errors)).tolist(),
        levels=_levels(
            np.stack([whole.metric(errors) for errors in alone]), whole.metric(judged.errors)
        ),
        path=_path(fits) if search is None or search.form == "climb" else [],
        not_counted=_not_counted(whole, judged.errors),
    )


def _searched(search: Search, fits: Fits, holdout: Optional[Gram]) -> _Judged:
    """Judge searched weights: they are one of the forms."""
    whole = fits.folded.whole
    fitted_forms = fits.all_forms(search.among)
    fitted = next(each for each in fitted_forms if each.search == search)
    scores = [comparison.score_of_fitted(each, whole, holdout) for each in fitted_forms]
    return _Judged(
        comparison.baselines(fits, holdout)
        + [
            dataclasses.replace(score, chosen=True) if each is fitted else score
            for each, score in zip(fitted_forms, scores)
        ],
        fitted.by_target,
        fitted.in_sample if fitted.held_out is None else fitted.held_out,
        comparison.losses_of_searched(fits.folded, fitted),
    )


def _given(table: WeightTable, fits: Fits, holdout: Optional[Gram]) -> _Judged:
    """Judge weights of a given table: nothing in them was fitted to these rows."""
    folded = fits.folded
    whole = folded.whole
    predicted = weights_of(table)[:, PREDICTED_POSITIONS]  # (artifacts of the table, T)
    positions = [table.artifacts.index(artifact) for artifact in folded.artifacts]
    weights = np.stack([predicted[k] for k in positions], axis=1)  # (T, M)
    errors = whole.errors(weights)
    on_all_rows = quality(errors, whole)
    chosen = comparison.form_score(table.name, None, weights, on_all_rows, on_all_rows, holdout)
    return _Judged(
        [dataclasses.replace(chosen, chosen=True)]
        + comparison.baselines(fits, holdout)
        + [
            comparison.score_of_fitted(fitted, whole, holdout)
            for fitted in fits.all_forms("searched")
        ],
        weights,
        errors,
        comparison.losses_of_given(folded, weights),
    )


def _errors_alone(gram: Gram) -> List[np.ndarray]:
    """Return (T,) squared error sums of every artifact by itself."""
    return list(np.diagonal(gram.products, axis1=1, axis2=2)[:, :-1].T)


def _sides(
    errors: np.ndarray, whole: Gram, test_errors: Optional[np.ndarray], holdout: Optional[Gram]
) -> Sides:
    test = None
    if holdout is not None and test_errors is not None:
        test = quality(test_errors, holdout)
    return Sides(quality(errors, whole), test)


def _correlation(whole: Gram, counted: np.ndarray) -> np.ndarray:
    """Return (M, M) the correlation of errors, the mean over the targets that count."""
    targets = counted if counted.any() else np.ones_like(counted)
    products = whole.products[targets][:, :-1, :-1]
    size = np.sqrt(np.diagonal(products, axis1=1, axis2=2))
    norms = size[:, :, None] * size[:, None, :]
    of_targets = np.divide(products, norms, out=np.full_like(products, np.nan), where=norms > 0)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.nan_to_num(np.nanmean(of_targets, axis=0), nan=0.0)
    return mean


def _levels(alone: np.ndarray, blend: np.ndarray) -> List[VariableLevels]:
    """Compare the blend with the artifacts level by level.

    alone  (M, T) R2 of every artifact
    blend  (T,) R2 of the blend
    """
    return [_of_variable(name, unit, alone, blend) for name, unit in TENDENCY_PROFILES]


def _of_variable(variable: str, unit: str, alone: np.ndarray, blend: np.ndarray) -> VariableLevels:
    levels = [level for level in range(LEVELS) if f"{variable}_{level}" in PREDICTED]
    targets = [PREDICTED.index(f"{variable}_{level}") for level in levels]
    margin = blend[targets] - alone[:, targets].max(axis=0)
    return VariableLevels(
        variable=variable,
        unit=unit,
        levels=levels,
        artifacts=alone[:, targets].tolist(),
        blend=blend[targets].tolist(),
        margin=margin.tolist(),
        best=alone[:, targets].argmax(axis=0).tolist(),
        wins=int((margin > 0).sum()),
        losses=int((margin < 0).sum()),
    )


def _path(fits: Fits) -> List[Tuple[str, float, float]]:
    """Return (artifact, step, R2 over 368 targets) of the climb with one vector for all targets."""
    _, (path,) = fits.climb()
    count = len(PREDICTED)
    return [
        (
            fits.folded.artifacts[entry.artifact],
            entry.step,
            (_FORMULAS + count * entry.r2) / (_FORMULAS + count),
        )
        for entry in path
    ]


def _not_counted(whole: Gram, errors: np.ndarray) -> List[Tuple[str, str]]:
    """Return (target, reason) of the targets whose score does not depend on the weights."""
    constant = whole.truth.m2 == 0
    counted = whole.counted(errors)
    return [
        (name, "its truth is constant" if constant[k] else "no better than raw 0")
        for k, name in enumerate(PREDICTED)
        if not counted[k]
    ]
