"""Find and read the grid of a world: ClimSim's grid file, or the sample world's formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from leapkit.climate.grid import Grid
from leapkit.core.columns import LEVELS
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData
from leapkit.core.step_files import list_months, read_month
from leapkit.data import step_file

NAME = "ClimSim_low-res_grid-info.nc"
REMEDY = f"put {NAME} of LEAP/ClimSim_low-res there"
# variable -> its axes; ilev are the interfaces of the levels
_AXES = {
    "lat": ("ncol",),
    "lon": ("ncol",),
    "area": ("ncol",),
    "hyai": ("ilev",),
    "hybi": ("ilev",),
    "hyam": ("lev",),
    "hybm": ("lev",),
    "P0": (),
}
_CLOSE = 1e-6  # relative, of pressure: real files agree to 2e-16, float32 ones to 1e-7


def places(raw: RawData) -> List[Path]:
    """Return where the grid file is looked for: beside the months, in RAW_DATA, and beside it."""
    return [raw.steps.parent / NAME, raw.steps / NAME, raw.root / NAME, raw.root.parent / NAME]
