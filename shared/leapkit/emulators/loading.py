"""Load an emulator: one network, or a blend of several."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional, Sequence, Union

from leapkit.core.errors import KitError
from leapkit.emulators import parts
from leapkit.emulators.emulator import Emulator
from leapkit.run.devices import tune_libraries

PathLike = Union[str, "os.PathLike[str]"]


def load(
    name: str,
    weights: PathLike,
    raw_data: PathLike,
    *,
    profile: Optional[str] = None,
    device: str = "auto",
    precision: str = "auto",
    constraints: Sequence[str] = (),
) -> Emulator:
    """Return a network or a blend as a function of columns.

    name         a network ("max2020/022", or the name of its parquet), or the weights of a blend:
                 "v10" (the published ones), "searched" (yours), or a table file
    weights      checkpoints: a file, a folder of one network's, a member's weights folder,
                 `members`, or a submission folder
    raw_data     statistics: a world such as raw_data/sample, or the team's folder of them
    profile      width of the networks, "sample" or "full"; the checkpoints say it if you do not
    device       "cpu", "cuda", or "auto": a GPU if there is one
    precision    "float32", "tf32", "bf16", or "auto": tf32 on a GPU, float32 on a CPU
    constraints  bounds of physics that predictions are held to (leapkit.emulators.constraints)

    Raises KitError: one sentence that names what is missing, damaged or unknown, and the remedy.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise KitError(f"is no device: {device}", "device", 'give "auto", "cpu" or "cuda"')
    tune_libraries()
    found = parts.find(name, Path(weights), Path(raw_data), profile)
    return Emulator(found, device, precision, constraints)
