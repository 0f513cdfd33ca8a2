"""Every figure of the blend's report, from Gram matrices alone: no row is read again."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from blend import climb, forms
from blend.apply import weights_of
from blend.gram import COLUMNS, FoldedGram, Gram, score
from blend.plan import Search, search_of
from blend.tables import Table, find
from leapkit.core.columns import LEVELS, PREDICTED, TENDENCY_PROFILES

Numbers = Dict[str, Any]
_FORMULAS = 76  # of 368 columns: those that score 1 by post-processing alone


def of_blend(
    table: Table, folded: Optional[FoldedGram], test: Optional[Gram], provenance: Numbers
) -> Numbers:
    """What the page shows.

    folded  of the validation rows; None where an artifact has no out-of-fold predictions
    test    of the test rows, where their truth is known
    """
    found: Numbers = {
        "table": table.name,
        "columns": list(table.columns),
        "artifacts": list(table.artifacts),
        "weights": [list(row[1:]) for row in table.rows],
        "published": table.sha256 == find("v10").sha256,
        "provenance": provenance,
    }
    if folded:
        found["validation"] = _validation(table, folded, test)
    return found


def _validation(table: Table, folded: FoldedGram, test: Optional[Gram]) -> Numbers:
    whole, search, artifacts = folded.whole, search_of(table.name), folded.artifacts
    rows = list(_baselines(folded, test))
    chosen = own = None
    for fitted in forms.every(search.among if search else "searched", folded):
        rows.append(
            _form(
                fitted.search.name,
                fitted.search,
                fitted.by_target,
                fitted.in_fold,
                fitted.out_of_fold,
                whole,
                test,
            )
        )
        if fitted.search == search:
            chosen, own = rows[-1], fitted
    if own is None:  # a table that was given: nothing in it was fitted to these rows
        weights = _given(table, folded)
        errors = whole.errors(weights)
        chosen = _form(table.name, None, weights, errors, errors, whole, test)
        rows.insert(0, chosen)
    else:
        weights, errors = own.by_target, own.in_fold if own.out_of_fold is None else own.out_of_fold
    assert chosen is not None
    chosen["chosen"] = True
    blend_r2, alone = whole.metric(errors), _alone(whole)
    return {
        "rows": whole.truth.count,
        "folds": list(folded.folds),
        "forms": rows,
        "artifacts": list(artifacts),
        "alone": [
            _sides(alone[m], whole, None if test is None else test.products[:, m, m], test)
            for m in range(len(artifacts))
        ],
        "blend": _sides(errors, whole, None if test is None else test.errors(weights), test),
        "leave one out": [_without(m, folded, search, weights) for m in range(len(artifacts))],
        "correlation": _correlation(whole, whole.counted(errors)).tolist(),
        "levels": _levels(np.stack([whole.metric(each) for each in alone]), blend_r2),
        "path": _path(folded) if search is None or search.form == "climb" else [],
        "not counted": [
            [name, "its truth is constant" if constant else "no better than raw 0"]
            for name, constant, counts in zip(PREDICTED, whole.truth.m2 == 0, whole.counted(errors))
            if not counts
        ],
    }


def _given(table: Table, folded: FoldedGram) -> np.ndarray:
    """(T, M): a table's weights for the predicted targets, in the order of the Gram's artifacts."""
    held = weights_of(table)[:, COLUMNS]
    return np.stack(
        [held[table.artifacts.index(artifact)] for artifact in folded.artifacts], axis=1
    )


def _alone(gram: Gram) -> np.ndarray:
    """(M, T) squared error sums of every artifact by itself."""
    return np.diagonal(gram.products, axis1=1, axis2=2)[:, :-1].T


def _baselines(folded: FoldedGram, test: Optional[Gram]) -> List[Numbers]:
    """Equal weights, and the artifact that is best on the folds that it is chosen on."""
    count, whole = len(folded.artifacts), folded.whole

    def equal(_: FoldedGram) -> np.ndarray:
        return np.full((1, count), 1 / count)

    def best(rest: FoldedGram) -> np.ndarray:
        return climb.best_artifact(rest.whole, forms.STARTS["all"])

    found = []
    for name, find_weights in (("best artifact", best), ("equal weights", equal)):
        weights = forms.by_target(find_weights(folded), "all")
        held_out = forms.out_of_fold(folded, find_weights, "all") if len(folded.folds) > 1 else None
        found.append(_form(name, None, weights, whole.errors(weights), held_out, whole, test))
    return found


def _form(
    name: str,
    search: Optional[Search],
    weights: np.ndarray,
    in_fold: np.ndarray,
    out_of_fold: Optional[np.ndarray],
    whole: Gram,
    test: Optional[Gram],
) -> Numbers:
    one = bool((weights == weights[0]).all())
    return {
        "name": name,
        "form": search.form if search else name,
        "scope": search.scope if search else "all",
        "in fold": _quality(in_fold, whole),
        "out of fold": None if out_of_fold is None else _quality(out_of_fold, whole),
        "test": None if test is None else _quality(test.errors(weights), test),
        "sum": float(weights[0].sum()) if one else None,
        "negative": int((weights[0] < 0).sum()) if one else None,
        "chosen": False,
    }


def _quality(errors: np.ndarray, gram: Gram) -> Numbers:
    """The score of squared error sums: over 368 columns, over the 292 predicted, per group."""
    found = score(gram.metric(errors))
    return {"all": found.all_columns, "predicted": found.predicted, "groups": list(found.groups)}


def _sides(
    errors: np.ndarray, whole: Gram, test_errors: Optional[np.ndarray], test: Optional[Gram]
) -> Numbers:
    return {
        "validation": _quality(errors, whole),
        "test": None if test is None or test_errors is None else _quality(test_errors, test),
    }


def _without(
    artifact: int, folded: FoldedGram, search: Optional[Search], weights: np.ndarray
) -> Numbers:
    """How much the score over 368 columns falls without an artifact.

    Searched weights are searched again without it; those of a given table keep their proportions and their sum.
    Out of fold only where one vector serves all targets: the others are a hundred times the work.
    """
    if len(folded.artifacts) == 1:
        return {"in fold": None, "out of fold": None}
    rest, whole = (
        folded.choosing([k for k in range(len(folded.artifacts)) if k != artifact]),
        folded.whole,
    )
    if search is None:
        kept = np.delete(weights, artifact, axis=1)
        left = kept.sum(axis=1, keepdims=True)
        if (np.abs(left) < 1e-9).any():
            return {"in fold": None, "out of fold": None}
        kept = kept * weights.sum(axis=1, keepdims=True) / left
        lost = _all(whole, whole.errors(weights)) - _all(whole, rest.whole.errors(kept))
        return {"in fold": lost, "out of fold": lost}
    before, after = (forms.fit(each, search.form, search.scope) for each in (folded, rest))
    found = {
        "in fold": _all(whole, whole.errors(forms.by_target(before, search.scope)))
        - _all(whole, rest.whole.errors(forms.by_target(after, search.scope))),
        "out of fold": None,
    }
    if search.scope == "all" and len(folded.folds) > 1:
        held_out = [
            forms.out_of_fold(each, lambda some: forms.fit(some, search.form), "all")
            for each in (folded, rest)
        ]
        found["out of fold"] = _all(whole, held_out[0]) - _all(whole, held_out[1])
    return found


def _all(whole: Gram, errors: np.ndarray) -> float:
    return score(whole.metric(errors)).all_columns


def _correlation(whole: Gram, counted: np.ndarray) -> np.ndarray:
    """(M, M) correlation of errors, the mean over the targets that count."""
    products = (
        whole.products[counted][:, :-1, :-1] if counted.any() else whole.products[:, :-1, :-1]
    )
    size = np.sqrt(np.diagonal(products, axis1=1, axis2=2))
    scale = size[:, :, None] * size[:, None, :]
    each = np.divide(products, scale, out=np.full_like(products, np.nan), where=scale > 0)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.nanmean(each, axis=0), nan=0.0)


def _levels(alone: np.ndarray, blend: np.ndarray) -> List[Numbers]:
    """Per variable: its levels, R2 of every artifact (M, T), of the blend (T,), and the margin over the best artifact."""
    found = []
    for variable, unit in TENDENCY_PROFILES:
        own = [
            (level, PREDICTED.index("%s_%d" % (variable, level)))
            for level in range(LEVELS)
            if "%s_%d" % (variable, level) in PREDICTED
        ]
        levels, at = [level for level, _ in own], [k for _, k in own]
        margin = blend[at] - alone[:, at].max(axis=0)
        found.append(
            {
                "variable": variable,
                "unit": unit,
                "levels": levels,
                "artifacts": alone[:, at].tolist(),
                "blend": blend[at].tolist(),
                "margin": margin.tolist(),
                "best": alone[:, at].argmax(axis=0).tolist(),
                "wins": int((margin > 0).sum()),
                "losses": int((margin < 0).sum()),
            }
        )
    return found


def _path(folded: FoldedGram) -> List[List[object]]:
    """[artifact, step, R2 over 368 columns] of the climb with one vector for all targets."""
    _, (path,) = climb.hill_climb(folded.whole, forms.STARTS["all"])
    count = len(PREDICTED)
    return [
        [folded.artifacts[k], step, (_FORMULAS + count * r2) / (_FORMULAS + count)]
        for k, step, r2 in path
    ]


def forms_text(rows: Sequence[Numbers]) -> str:
    """The forms of weights side by side: R2 over the 292 predicted columns, in brackets over all 368."""
    width = max(len(row["name"]) for row in rows)
    tested = any(row["test"] for row in rows)
    lines = [
        "%-*s %19s %19s%s  %s"
        % (width, "weights", "in fold", "out of fold", "%20s" % "withheld test" * tested, "overfit")
    ]
    for row in rows:
        cells = [row["in fold"], row["out of fold"]] + [row["test"]] * tested
        overfit = (
            row["in fold"]["predicted"] - row["out of fold"]["predicted"]
            if row["out of fold"]
            else None
        )
        lines.append(
            "%-*s %s  %s%s"
            % (
                width,
                row["name"],
                " ".join(
                    "{:9.5f} ({:.5f})".format(c["predicted"], c["all"]) if c else " " * 19
                    for c in cells
                ),
                f"{overfit:8.5f}" if overfit is not None else "",
                "  <- this blend" if row["chosen"] else "",
            )
        )
    return "\n".join(lines)
