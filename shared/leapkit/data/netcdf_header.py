"""What a netCDF file of any form says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Tuple

import numpy as np


@dataclass(frozen=True)
class Variable:
    """One variable: the names of its axes, its shape, its numpy dtype, its attributes' values."""

    name: str
    dimensions: Tuple[str, ...]
    shape: Tuple[int, ...]
    dtype: str
    attributes: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Header:
    """The dimensions and variables of a file in any form."""

    dimensions: Dict[str, int]
    variables: Dict[str, Variable]
