"""The options: each is a variable of `make` (RUNTIME=venv) and a flag (--runtime venv)."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple

from launch import stacks
from leapkit.core.errors import KitError
from leapkit.core.experiments import PROFILES
from leapkit.core.plan import MODES
from leapkit.core.step_files import PRECISIONS


@dataclass(frozen=True)
class Option:
    """One choice of the user.

    variable  its name for `make` and in the environment
    form      what its value looks like
    help      what it decides, and what is taken without it
    allowed   its values, where they are a closed list
    """

    variable: str
    form: str
    help: str
    allowed: Tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        return "--" + self.variable.lower().replace("_", "-")


def _closed(variable: str, allowed: Sequence[str], text: str) -> Option:
    return Option(variable, "|".join(allowed), text, tuple(allowed))


_ALL = (
    _closed("RUNTIME", ("docker", "venv"), "containers, or virtual environments on this machine"),
    _closed("STACK", stacks.STACKS, "the team's versions of Python and torch, or today's"),
    _closed("PROFILE", PROFILES, "the size of networks and training; full for real data"),
    _closed("MODE", MODES, "train and predict, or predict with the published checkpoints"),
    _closed("DEVICE", ("auto", "cpu", "cuda"), "what networks run on"),
    Option("RAW_DATA", "FOLDER", "the data; raw_data, or the sample world in raw_data/sample"),
    _closed("STEP_PRECISION", PRECISIONS, "float32 accepts step files in float32; float64"),
    Option("SUBMISSION", "FOLDER", "the results; submission"),
    Option("WEIGHTS", "FOLDER", "the published checkpoints; members/<name>/weights"),
    Option("EXPERIMENTS", "NAME,..", "networks by id, name or artifact, as 195,max2020/022"),
    Option("TABLE", "NAME,..", "weights: v10, searched[.form][.scope], file.csv or file.pt"),
    Option("POSTPROCESS", "NAME,..", "positivity, fluxes or both, beside the published one"),
    Option("ARTIFACTS", "NAME,..", "the parquets in submission/subs to check; all of them"),
    Option("WHAT", "NAME,..", "what to fetch: kaggle train.csv steps statistics weights drop"),
    Option("MONTHS", "MONTH,..", "months of step files to fetch, as 0008-01:0008-03,0009-01"),
    Option("DRIVE", "ADDRESS", "the team's Google Drive folder, which their README names"),
    Option("DROP", "FOLDER", "files that you downloaded by hand; raw_data/drop"),
)
OPTIONS: Mapping[str, Option] = {option.variable: option for option in _ALL}


def add_flags(parser: argparse.ArgumentParser, variables: Sequence[str]) -> None:
    """Give a parser the flag of each variable; `make` fills the environment, its default."""
    for variable in variables:
        option = OPTIONS[variable]
        parser.add_argument(
            option.flag,
            dest=variable,
            metavar=option.form,
            default=os.environ.get(variable, ""),
            help=option.help,
        )


def requested(values: Mapping[str, str]) -> Dict[str, str]:
    """Return {variable: the user's value}, without the empty ones.

    Raises KitError for a value that its option does not allow.
    """
    given = {variable: value.strip() for variable, value in values.items() if value.strip()}
    for variable, value in given.items():
        allowed = OPTIONS[variable].allowed
        if allowed and value not in allowed:
            raise KitError(f"{value!r} is not allowed", variable, "choose " + " or ".join(allowed))
    return given


def table() -> List[str]:
    """Return a line for each variable of `make`."""
    return [f"  {option.variable + '=' + option.form:<36} {option.help}" for option in _ALL]
