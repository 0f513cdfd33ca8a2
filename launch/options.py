"""The options: each is a variable of `make` (RUNTIME=venv) and a flag (--runtime venv)."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import unicodedata
from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple

from launch.folders import expanded
from launch.runtimes import stacks
from leapkit.core import precisions
from leapkit.core.errors import KitError
from leapkit.core.experiments import PROFILES
from leapkit.core.plan import MODES
from leapkit.core.score_receipts import FORMS
from leapkit.core.step_files import PRECISIONS

LONGEST = 4096  # characters of a value: the longest path that Linux takes
NUMBER = "N"  # the form of a whole number from 1 on
LONGEST_NAME = 255  # bytes of one file's or folder's name
# Where the Makefile says which variables were typed on its command line.
TYPED = "LEAP_TYPED"
ROWS = ("test", "validation")  # whose truth a world may have
# {command: the variable that holds arguments of what it starts}
PASSED_ON = {
    "split": "SPLIT",
    "store": "STORE",
    "check": "ARGS",
    "test": "ARGS",
    "test-end-to-end": "ARGS",
    "bench": "BENCH",
}


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

    @property
    def names_files(self) -> bool:
        """Whether a `~` stands for the home folder."""
        return self.form in ("FOLDER", "PATH", "PATH,..") or self.variable == "TABLE"

    def checked(self, value: str) -> str:
        """Return a value, with the home folder written out.

        Raises KitError for one that is not allowed, endless or cannot be printed.
        """
        where = self.variable
        if is_inherited(self.variable, value):
            where += " (exported by your shell)"
        if len(value) > LONGEST:
            remedy = f"give at most {LONGEST}"
            raise KitError(f"has {len(value):,} characters", where, remedy)
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in re.split("[/,]", value)):
            remedy = f"give names of at most {LONGEST_NAME} bytes"
            raise KitError("holds a name that no file can have", where, remedy)
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            what = "holds a line end or another character that cannot be printed"
            raise KitError(what, where, "write it without")
        if self.allowed and value not in self.allowed:
            what = f"{value[:80]!r} is not allowed"
            raise KitError(what, where, "choose " + " or ".join(self.allowed))
        if self.form == NUMBER and not re.fullmatch("[1-9][0-9]{0,2}", value):
            what = f"{value[:80]!r} is not a number from 1 to 999"
            raise KitError(what, where, "write one")
        if not self.names_files:
            return value
        words = value.split(",") if self.form.endswith(",..") else [value]
        return ",".join(expanded(word.strip(), self.variable) for word in words)


def _closed(variable: str, allowed: Sequence[str], text: str) -> Option:
    return Option(variable, "|".join(allowed), text, tuple(allowed))


_ALL = (
    _closed("RUNTIME", ("docker", "apptainer", "venv"), "containers, or virtual environments here"),
    _closed("STACK", stacks.STACKS, "the team's versions of Python and torch, or today's"),
    _closed("PROFILE", PROFILES, "the size of networks and training; full for real data"),
    _closed("MODE", MODES, "train and predict, or predict with the published checkpoints"),
    _closed("DEVICE", ("auto", "cpu", "cuda"), "what networks run on"),
    _closed(
        "PRECISION",
        ("auto", *precisions.PRECISIONS),
        "what networks compute in; tf32 on a GPU, as the team's cards, float32 on a CPU",
    ),
    Option("GPUS", NUMBER, "GPUs that train one network together; 1"),
    Option("RAW_DATA", "FOLDER", "the data; raw_data, or the sample world in raw_data/sample"),
    _closed("STEP_PRECISION", PRECISIONS, "float32 accepts step files in float32; float64"),
    Option("SUBMISSION", "FOLDER", "the results; submission"),
    Option("WEIGHTS", "FOLDER", "the published checkpoints; members/<name>/weights"),
    Option("EXPERIMENTS", "NAME,..", "networks by id, name or artifact, as 195,max2020/022"),
    Option(
        "OPTIONS", "NAME=N,..", "training beyond the published one, as ema=0.999,confidence=0.5"
    ),
    Option("TABLE", "NAME,..", "weights: v10, searched[.form][.scope], file.csv or file.pt"),
    Option("POSTPROCESS", "NAME,..", "positivity, fluxes or both, beside the published one"),
    Option("NETWORK", "NAME", "a network, as max2020/022, or a blend: v10, searched, file.csv"),
    Option("TEACHER", "NAME", "what make distil learns from: a network or a blend, as NETWORK"),
    Option("INPUTS", "PATH,..", "step files, their folder, NetCDF or Zarr; the validation steps"),
    Option("TO", "PATH", "file.nc, file.zarr or folder; of export, report and sbom a folder"),
    Option("FORMATS", "NAME,..", "what make export writes; torchscript,pt2,onnx,safetensors"),
    _closed(
        "SUBMIT",
        ("0", "1"),
        "1 submits the jobs that make slurm shows; 0 shows what make submit would send",
    ),
    Option("SLURM", "OPTIONS", 'of sbatch for every job, as "--account=A --partition=P"'),
    Option("HOURS", "HOURS", "the time limit of a job; the partition's"),
    Option("PACK", NUMBER, "networks of one GPU each that share a whole node; 1"),
    Option(
        "ARTIFACTS",
        "NAME,..",
        "networks, or parquets in submission/subs, to check, evaluate, submit or stack",
    ),
    _closed("FORM", FORMS, "what make submit sends: the parquet itself, or a zipped CSV"),
    Option("MESSAGE", "TEXT", "a note beside a submission on Kaggle"),
    _closed(
        "ROWS", ROWS, "what make evaluate compares with; test, or validation without its truth"
    ),
    Option("PREDICTIONS", "PATH,..", "predictions from elsewhere: file.parquet, file.nc or .zarr"),
    Option(
        "TRUTH", "PATH", "step files, or file.nc, of the truth of such files; those of RAW_DATA"
    ),
    Option("CARD", "NAME", "the GPU that `make plan` reckons with, as H100; this machine's"),
    Option("WHAT", "NAME,..", "what to fetch: kaggle train.csv steps statistics weights drop"),
    Option("MONTHS", "MONTH,..", "months of step files to fetch, as 0008-01:0008-03,0009-01"),
    Option("DRIVE", "ADDRESS", "the team's Google Drive folder, which their README names"),
    Option("DROP", "FOLDER", "files that you downloaded by hand; raw_data/drop"),
    Option("BUNDLE", "FOLDER", "the bundle for a machine without a network"),
    Option("NAME", "NAME", "the name of a new member, as alice"),
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
    return {variable: OPTIONS[variable].checked(value) for variable, value in given.items()}


def is_inherited(variable: str, value: str) -> bool:
    """Return whether a value comes from the environment, and was not typed for this command."""
    typed = os.environ.get(TYPED, "").split()
    return os.environ.get(variable, "").strip() == value and variable not in typed


def inherited(command: str, values: Mapping[str, str]) -> List[str]:
    """Return a line on the options that the shell exports, as a name such as DEVICE has other uses.

    values  {variable: value} of the options that count for the command
    """
    passed_on = PASSED_ON.get(command, "")
    given = {**values, passed_on: os.environ.get(passed_on, "").strip()}
    found = [
        f"{name}={value}" for name, value in given.items() if value and is_inherited(name, value)
    ]
    return [f"exported by your shell, and counts: {' '.join(found)}"] if found else []


def require_taken(command: str, taken: Sequence[str]) -> None:
    """Check the variables of make's command line.

    command  the sub-command, which takes the options `taken`
    Raises KitError for an option of another command, and for a misspelt name.
    """
    known = [*OPTIONS, *PASSED_ON.values()]
    for name in filter(os.environ.get, os.environ.get(TYPED, "").split()):
        if name in OPTIONS and name not in taken:
            remedy = "leave it out; it takes " + (", ".join(taken) or "none")
            raise KitError(f"has no option {name}", f"make {command}", remedy)
        if name not in known and not name.startswith(("LEAP_", "PYTHON")):
            near = difflib.get_close_matches(name, known, 1, 0.8)
            if near:
                raise KitError(f"has no option {name}", f"make {command}", f"write {near[0]}=")


def table() -> List[str]:
    """Return a line for each variable of `make`."""
    return [f"  {option.variable + '=' + option.form:<36} {option.help}" for option in _ALL]
