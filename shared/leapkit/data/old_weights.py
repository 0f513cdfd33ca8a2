"""The weights of the competition's first sample_submission.csv, 1 / standard deviation of a target.

The current file of that name has the same columns and other numbers: weights are also looked at,
not only read (docs/reference/data_pipeline.md, "Kaggle's CSVs").
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from leapkit.core.columns import SAMPLE_ID, TARGETS
from leapkit.core.errors import KitError
from leapkit.data.csv_checks import REMEDY, explained, first_line, require_last_line_whole
from leapkit.data.families import ABLATED

WEIGHTS_REMEDY = (
    "move it away, and run `make fetch WHAT=kaggle`, or take the team's old_sample_weight.csv"
    " of `make fetch WHAT=statistics`"
)
WEIGHT_CAP = 1e15  # of a target that never changes
# 1 / weight is the standard deviation of a target: of the order of 1e-4 K/s at most where it is a
# tendency or a precipitation, of 200 W/m2 where it is a flux. Far above is no such number.
_MOST_STD = 1e-2
_MOST_STD_OF_A_FLUX = 1e4


def read_old_weights(path: Path) -> np.ndarray:
    """Return the 368 weights of the first row (all rows are equal), float64, Kaggle order.

    Accepts sample_submission_old.csv and the team's old_sample_weight.csv, which has no sample_id.
    Raises KitError for another header and for anything but 368 finite weights >= 0.
    """
    first_line(path)
    require_last_line_whole(path)
    with explained(path), open(path, encoding="utf-8-sig", newline="") as handle:
        rows = csv.reader(handle)
        names, first = next(rows, []), next(rows, [])
    if names[:1] == [SAMPLE_ID]:
        names, first = names[1:], first[1:]
    if names != list(TARGETS):
        raise KitError("its header is not the 368 target columns in Kaggle order", path, REMEDY)
    try:
        weights = np.array([float(value) for value in first])
    except ValueError as error:
        what = f"its first row holds a value that is not a number ({error})"
        raise KitError(what, path, REMEDY) from error
    if weights.shape != (len(TARGETS),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise KitError("its first row is not 368 finite weights >= 0", path, REMEDY)
    return weights


def read_weights(path: Path) -> np.ndarray:
    """Return the (368,) old weights. Raises KitError also for weights that cannot be the old ones.

    The current sample_submission.csv has the same columns and holds ones.
    """
    weight = read_old_weights(path)
    alive = weight[weight != 0]
    if len(alive) and (alive == 1).all():
        what = (
            "holds ones: it is Kaggle's current sample_submission.csv, not the competition's first"
        )
        raise KitError(what, path, WEIGHTS_REMEDY)
    dead = [name for name, zero in zip(TARGETS, weight == 0) if zero and name not in set(ABLATED)]
    if dead:
        what = f"the weight of {dead[0]} is 0, so a prediction of it has no raw value"
        raise KitError(what, path, WEIGHTS_REMEDY)
    for name, value in zip(TARGETS, weight.tolist()):
        if name in set(ABLATED):
            if value != 0:
                raise KitError(f"the weight of {name} is not 0", path, WEIGHTS_REMEDY)
            continue
        most = _MOST_STD_OF_A_FLUX if _is_flux(name) else _MOST_STD
        if 1 / value > most:
            what = f"the weight of {name} is {value:g}, which is no 1 / standard deviation of it"
            raise KitError(what, path, WEIGHTS_REMEDY)
    return weight


def _is_flux(name: str) -> bool:
    return name.startswith("cam_out_") and "PREC" not in name
