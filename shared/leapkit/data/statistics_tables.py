"""mean.json and std.json: read, and refused if they cannot be right.

A file in the wrong place parses as well as the right one and gives other numbers. So a table is
known by itself: the team's by a hash of its numbers, any other by the floor of its family and by
the ranges that physics gives (docs/reference/data_pipeline.md, "Statistics").
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from leapkit.core.columns import INPUTS, LEVELS, TARGETS, ZERO, kaggle_positions
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.data.families import FAMILIES
from leapkit.data.old_weights import WEIGHT_CAP, WEIGHTS_REMEDY

GET = "run `make fetch WHAT=statistics`, or make them with `make statistics` or `make split`"
REMEDY = f"move it away, and {GET}"
# The team's tables by the sha256 of their numbers (little-endian float64, the order of train.csv):
# another layout of the file does not hide whose they are.
PUBLISHED: Dict[str, Tuple[str, str]] = {
    "bec53ef0c92e910ec2690af2d36cb4a8c8c5d87bd81dcc71b905c9b9557debcb": ("adam", "mean.json"),
    "7d5b655344a2ff13965ecf952176a0aee3e415758e9c8a4e802afc100ecedc23": ("adam", "std.json"),
    "cf0d418c34f61a55990e1f033c6426624a1e8f5bf01fc1b5ec41aeedd5d3c66e": ("fdzm", "mean.json"),
    "257aab4747166057a1a9e6784e77dcb107a8aa125f66816b73e4d56137e17fbd": ("fdzm", "std.json"),
    "53cec07bfd4a4b7415ac3187c2d301d6555b037940b9956934edf0b3c73a20ce": ("both", "old weights"),
}
# Where the mean of an input lies in any climate, whatever months and columns it is taken over.
_MEANS: Dict[str, Tuple[float, float]] = {
    "state_t": (130.0, 350.0),
    "state_q0001": (-1e-6, 0.05),
    "state_q0002": (-1e-6, 0.01),
    "state_q0003": (-1e-6, 0.01),
    "state_u": (-200.0, 200.0),
    "state_v": (-200.0, 200.0),
    "pbuf_ozone": (0.0, 1e-3),
    "pbuf_CH4": (0.0, 1e-3),
    "pbuf_N2O": (0.0, 1e-3),
    "state_ps": (4e4, 1.1e5),
}


def read_statistics(path: Path, family: str, name: str) -> np.ndarray:
    """Return the (924,) numbers of a family's mean.json or std.json, inputs before targets.

    name  "mean.json" or "std.json", whatever the file is called
    Raises KitError for a missing or damaged file, and for one that is not what its place says.
    """
    with explain_os_errors(path, GET):
        content = Path(path).read_bytes()
    numbers = numbers_of(content, path)
    whose = owner(numbers)
    if whose and whose != (family, name):
        raise KitError(f"is the team's {whose[1]} of the family {whose[0]}", path, REMEDY)
    if name == "std.json":
        _require_std(numbers, family, path)
    else:
        _require_mean(numbers, path)
    return numbers


def numbers_of(content: bytes, path: object) -> np.ndarray:
    """Return the (924,) finite numbers of a JSON table of the inputs and targets, or KitError."""
    try:
        table: Any = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise KitError(f"is not valid JSON ({_short(error)})", path, REMEDY) from error
    names: Sequence[str] = INPUTS + TARGETS
    missing = [name for name in names if not isinstance(table, dict) or name not in table]
    if missing:
        raise KitError(f"lacks {missing[0]} ({len(missing)} are missing)", path, REMEDY)
    if len(table) > len(names):
        other = next(name for name in table if name not in set(names))
        raise KitError(f"has the unknown variable {other[:40]!r}", path, REMEDY)
    wrong = [name for name in names if type(table[name]) not in (int, float)]
    if wrong:
        raise KitError(f"the value of {wrong[0]} is not a number", path, REMEDY)
    try:
        numbers = np.array([float(table[name]) for name in names])
    except OverflowError as error:
        raise KitError("holds an integer beyond all float64", path, REMEDY) from error
    if not np.isfinite(numbers).all():
        raise KitError("holds a NaN or an infinity", path, REMEDY)
    return numbers


def owner(numbers: np.ndarray) -> Optional[Tuple[str, str]]:
    """Return (family, name) of the team's table that holds these numbers, None if none does."""
    return PUBLISHED.get(hashlib.sha256(numbers.astype("<f8").tobytes()).hexdigest())


def family_of(numbers: np.ndarray) -> str:
    """Return the family of a table of standard deviations, "" if it is of none.

    Zero targets have weight 0, so their standard deviation is exactly the family's floor.
    """
    zero = len(INPUTS) + np.array(kaggle_positions(ZERO))
    return next(
        (name for name, kind in FAMILIES.items() if (numbers[zero] == kind.std_floor).all()), ""
    )


def _require_std(numbers: np.ndarray, family: str, path: Path) -> None:
    if (numbers <= 0).any():
        raise KitError("holds a standard deviation that is not positive", path, REMEDY)
    floor = FAMILIES[family].std_floor
    kind = family_of(numbers)
    if kind and kind != family:
        floors = f"{FAMILIES[kind].std_floor:g}, and {family}'s at {floor:g}"
        what = f"is of the family {kind}: its standard deviations end at {floors}"
        raise KitError(what, path, REMEDY)
    if not kind or (numbers < floor).any():
        zero = numbers[len(INPUTS) + TARGETS.index(ZERO[0])]
        what = (
            f"is not of the family {family}, whose smallest standard deviation, that of {ZERO[0]}"
            f" too, is {floor:g}: it has {min(zero, numbers.min()):g}"
        )
        raise KitError(what, path, REMEDY)


def _require_mean(numbers: np.ndarray, path: Path) -> None:
    for variable, (least, most) in _MEANS.items():
        names = [f"{variable}_{level}" for level in range(LEVELS)]
        for name in names if names[0] in INPUTS else [variable]:
            mean = numbers[INPUTS.index(name)]
            if not least <= mean <= most:
                what = f"holds a mean of {name} of {mean:g}, which no climate has"
                raise KitError(what, path, REMEDY)


def require_one_origin(
    folder: Path, mean: np.ndarray, std: np.ndarray, weights: Path, weight: np.ndarray
) -> None:
    """Raise KitError unless the two statistics and the weights can be of the same data.

    The statistics of a target are those of target * weight, and the weight is 1 / its standard
    deviation: the product has about 1.
    """
    if bool(owner(mean)) != bool(owner(std)):
        team, other = ("mean.json", "std.json") if owner(mean) else ("std.json", "mean.json")
        raise KitError(f"is not the team's, as {team} beside it is", folder / other, REMEDY)
    if owner(std) and not owner(weight):
        what = f"holds other weights than those that the team's {folder / 'std.json'} was made with"
        raise KitError(what, weights, WEIGHTS_REMEDY)
    products = std[len(INPUTS) :]
    lively = (weight > 0) & (weight < WEIGHT_CAP) & (products > products.min())
    typical = float(np.median(products[lively])) if lively.any() else 1.0
    if not 0.1 <= typical <= 10:
        what = (
            f"does not fit the weights in {weights}: the standard deviation of target * weight is"
            f" {typical:.3g} where it should be about 1"
        )
        raise KitError(what, folder / "std.json", REMEDY)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
