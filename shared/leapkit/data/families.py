"""The two families of members: how each standardises, and which targets no family scales.

Facts: docs/reference/data_pipeline.md, "Statistics". The families are never mixed: their floors
differ by a factor of 100 on dead variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from leapkit.core.columns import INPUTS, ZERO


@dataclass(frozen=True)
class Family:
    """How a family of members standardises.

    std_floor     what a smaller standard deviation is replaced by
    cast_inputs   dtype that mean and std of inputs are rounded to before use (then float64 again)
    kept_float64  inputs that stay float64 when test.csv is rounded to float32: tiny cloud liquid
    first_rows    rows of train.csv that its statistics are of, whole chunks; None for all
    """

    name: str
    std_floor: float
    cast_inputs: str
    kept_float64: Tuple[str, ...]
    first_rows: Optional[int] = None

    def __post_init__(self) -> None:
        unknown = set(self.kept_float64) - set(INPUTS)
        if unknown or self.cast_inputs not in ("float32", "float64") or not self.std_floor > 0:
            raise ValueError(f"family {self.name}: bad floor, cast or variables {sorted(unknown)}")
        if self.first_rows is not None and (self.first_rows <= 0 or self.first_rows % CHUNK_ROWS):
            raise ValueError(
                f"family {self.name}: {self.first_rows} rows are not a whole number of chunks"
            )


# Rows of train.csv whose moments are taken together: a divisor of the team's chunks of 625,000, of
# which fdzm used 15.
CHUNK_ROWS = 250
FAMILIES: Dict[str, Family] = {
    "adam": Family("adam", 1e-10, "float64", tuple(f"state_q0002_{k}" for k in range(12, 29))),
    "fdzm": Family(
        "fdzm", 1e-8, "float32", tuple(f"state_q0002_{k}" for k in range(12, 28)), 15 * 625_000
    ),
}
# Targets whose old weight is 0: the zero ones, and three levels that Kaggle ablated.
ABLATED: Tuple[str, ...] = ZERO + tuple(f"ptend_q0002_{k}" for k in (12, 13, 14))
