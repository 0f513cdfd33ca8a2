"""Load an emulator: one network, a blend of several, or what `make export` wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional, Sequence, Union

from leapkit.core.errors import KitError
from leapkit.core.experiments import PROFILES
from leapkit.emulators import packed, parts
from leapkit.emulators.emulator import Emulator
from leapkit.emulators.parts import EmulatorParts
from leapkit.run.devices import tune_libraries
from leapkit.run.precision import PRECISIONS

PathLike = Union[str, "os.PathLike[str]"]
_DEVICES = ("auto", "cpu", "cuda")


def load(
    name: str = "",
    weights: PathLike = "",
    raw_data: PathLike = "",
    *,
    profile: Optional[str] = None,
    device: str = "auto",
    precision: str = "auto",
    constraints: Optional[Sequence[str]] = None,
) -> Emulator:
    """Return a network or a blend as a function of columns.

    name         a network ("max2020/022", or the name of its parquet), or the weights of a blend:
                 "v10" (the published ones), "searched" (yours), or a table file
    weights      checkpoints: a file, a folder of one network's, a member's weights folder,
                 `members`, or a submission folder; or a file of `make export` (.safetensors), which
                 needs nothing else
    raw_data     statistics: a world such as raw_data/sample, or the team's folder of them
    profile      width of the networks, "sample" or "full"; the checkpoints say it if you do not
    device       "cpu", "cuda", or "auto": a GPU if there is one
    precision    "float32", "tf32", "bf16", or "auto": tf32 on a GPU, float32 on a CPU
    constraints  bounds of physics that predictions are held to (leapkit.emulators.constraints);
                 None for those that a file was exported with, else for none

    Raises KitError: one sentence that names what is missing, damaged or unknown, and the remedy.
    """
    _require_one_of("device", device, _DEVICES)
    _require_one_of("precision", precision, ("auto", *PRECISIONS))
    _require_one_of("profile", profile or PROFILES[0], PROFILES)
    if not str(weights):
        raise KitError("are not given", "weights", 'give weights="submission", or another folder')
    tune_libraries()
    file = Path(weights)
    if packed.is_packed(file):
        held = packed.constraints(file) if constraints is None else constraints
        return Emulator(_of_file(name, file), device, precision, held)
    for argument, value in (("name", name), ("raw_data", raw_data)):
        if not str(value):
            remedy = "give it, or as weights a .safetensors file that `make export` wrote"
            raise KitError("is not given", argument, remedy)
    found = parts.find(name, file, Path(raw_data), profile)
    return Emulator(found, device, precision, constraints or ())


def _require_one_of(argument: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise KitError(f"cannot be {value!r}", argument, f"choose among {', '.join(known)}")


def _of_file(name: str, file: Path) -> EmulatorParts:
    """Return an exported emulator. Raises KitError if it is not the one of that name."""
    found = packed.read(file)
    if name and name != found.name:
        raise KitError(f"holds {found.name} and not {name}", file, "give its name, or none")
    return found
