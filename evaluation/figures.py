"""The files of figures: JSON with everything, and tables as ClimSim's `create_metrics_df` has them.

<name>.json        all figures, from which the page is made
<name>.csv         the 14 variables: variable, MAE, RMSE, R2, bias, and what ClimSim has not
<name>_levels.csv  the 368 outputs, by their index, with the same metrics
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from evaluation.predictions import Prediction
from evaluation.truths import Truth
from leapkit.climate.results import EvaluationResult, plain
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError
from leapkit.core.files import read_json, write_json, write_text

FORM = 1  # of the JSON file: raise it when a page of another form could not be made of it
# ClimSim's names of its metrics, then those beside them: {header: field of a ScoreTable}
METRICS = {
    "MAE": "mae",
    "RMSE": "rmse",
    "R2": "r2",
    "bias": "bias",
    "R2_clipped": "r2_clipped",
    "kaggle_R2": "kaggle_r2",
    "unit": "units",
}
AGAIN = "remove it and run `make evaluate` again"


def files(folder: Path, name: str) -> List[Path]:
    """Return the files of a prediction's figures, the one with everything first."""
    return [folder / f"{name}.json", folder / f"{name}.csv", folder / f"{name}_levels.csv"]


def write(
    folder: Path,
    prediction: Prediction,
    truth: Truth,
    result: EvaluationResult,
    land: np.ndarray,
    inputs: Mapping[str, str],
) -> None:
    """Write all figures of a prediction.

    land    (C,) the fraction of land of the grid's columns
    inputs  {role: sha256} of what they were made from
    """
    everything, variables, levels = files(folder, prediction.name)
    names = result.variables.names
    write_text(variables, _table("variable", names, result.variables))
    write_text(levels, _table("output_idx", range(len(TARGETS)), result.targets, TARGETS))
    content = {
        "form": FORM,
        "name": prediction.name,
        "origin": prediction.origin,
        "rows": truth.title,
        "inputs": dict(inputs),
        "land": plain(land),
        "result": plain(result),
    }
    write_json(everything, content)


def read(path: Path) -> Dict[str, Any]:
    """Return the figures of a prediction. Raises KitError if a file holds none of this form."""
    content = read_json(path, AGAIN)
    if not isinstance(content, dict) or content.get("form") != FORM:
        raise KitError("holds no figures of this version of the kit", path, AGAIN)
    return content


def _table(index: str, labels: Sequence[Any], scores: Any, names: Sequence[str] = ()) -> str:
    """Return a CSV file: the label of a row, its name if labels are numbers, and its metrics."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    columns = [getattr(scores, field) for field in METRICS.values()]
    out.writerow([index, *METRICS, *(["name"] if names else [])])
    for row, label in enumerate(labels):
        cells = [_cell(column[row]) for column in columns]
        out.writerow([label, *cells, *([names[row]] if names else [])])
    return text.getvalue()


def _cell(value: Any) -> str:
    """Return a number so that it reads back to the same float64; nothing for NaN."""
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else repr(float(value))
