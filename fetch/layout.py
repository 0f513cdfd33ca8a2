"""What can be fetched and where it belongs, from RAW_DATA's layout and the members' experiments."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from leapkit.core.columns import INPUTS, SAMPLE_ID, TARGETS
from leapkit.core.experiments import Experiment, group_stem
from leapkit.core.files import TEMPORARY
from leapkit.core.layout import RawData
from leapkit.core.registry import discover

REPOSITORY = Path(__file__).resolve().parent.parent
TRAIN = "train.csv"
ROW_INDEX = "v3_index.pt"
OLD_WEIGHTS = "old_sample_weight.csv"

# Approximate bytes. Kaggle's test set has 625,000 rows: test.csv was extrapolated from 38,016 real
# rows, the two submissions were computed. The size of train.csv is the competition's own figure.
KAGGLE_SIZES = {
    "test.csv": 6_900_000_000,
    "sample_submission.csv": 470_000_000,
    "sample_submission_old.csv": 3_600_000_000,
    TRAIN: 182_000_000_000,
}
CHECKPOINTS_SIZE, CHECKPOINTS = 4_600_000_000, 82
KAGGLE_COLUMNS: Dict[str, Tuple[str, ...]] = {
    "test.csv": (SAMPLE_ID,) + INPUTS,
    "sample_submission.csv": (SAMPLE_ID,) + TARGETS,
    "sample_submission_old.csv": (SAMPLE_ID,) + TARGETS,
    TRAIN: (SAMPLE_ID,) + INPUTS + TARGETS,
}

# The team's statistics: (family, name) -> (path in their repository at COMMIT, sha256 of that
# file).
COMMIT = "df6df33"
STATISTICS: Dict[Tuple[str, str], Tuple[str, str]] = {
    ("adam", "mean.json"): (
        "adam_part/data/middle_result/mean.json",
        "0b96b08a8d46f4b8bb85489c2264f2b073ca22214575df53bc76037fe7bc1c4b",
    ),
    ("adam", "std.json"): (
        "adam_part/data/middle_result/std.json",
        "c49a3f06fc0e28b4930690136e8f70a905840674e1fe20b629636cdfe3b3d5c3",
    ),
    ("adam", OLD_WEIGHTS): (
        "adam_part/data/middle_result/old_sample_weight.csv",
        "004ce3b366eb7bc471a06f6d043c712658e237484cd25672dad2e64d517abbae",
    ),
    ("fdzm", "mean.json"): (
        "fdzm_part/data/mean.json",
        "fdfc95a4759ee3ce58f83d3897516467f91e21c32c66b5b283828bc44a1c60d9",
    ),
    ("fdzm", "std.json"): (
        "fdzm_part/data/std.json",
        "ef59d1bae9e08f2518d9663427cffc4ef8b0af18df97e09ea90504ee6f78bd0c",
    ),
}


@dataclass(frozen=True)
class FetchLayout:
    """Where fetched files are put, and where the user's own downloads are read from.

    raw      the layout below RAW_DATA
    weights  member -> folder of its checkpoints, as in launch.settings
    drop     folder of files that the user downloaded by hand
    """

    raw: RawData
    weights: Mapping[str, Path]
    drop: Path

    @property
    def staging(self) -> Path:
        """The folder of unfinished downloads. Nothing reads this name as a result."""
        return self.raw.root / (TEMPORARY + "fetch")

    def kaggle(self, name: str) -> Path:
        return self.raw.test_csv.parent / name

    def statistics(self, family: str, name: str) -> Path:
        return self.raw.statistics(family) / name

    @property
    def row_index(self) -> Path:
        return self.raw.root / ROW_INDEX

    @property
    def grid(self) -> Path:
        """The file of the columns' places and layers, beside the step files."""
        return self.raw.grid_files[0]


@dataclass(frozen=True)
class Checkpoint:
    """One of the team's files: the network of an experiment, or of one group of its targets."""

    experiment: Experiment
    group: Optional[int]

    @property
    def stems(self) -> Tuple[str, ...]:
        """Names under which the file was published, the usual one first."""
        return tuple(group_stem(name, self.group) for name in self.experiment.checkpoint_names)

    def candidates(self, weights: Path) -> List[Path]:
        """Return the paths where the kit would read it; a new file gets the first one."""
        return self.experiment.checkpoint_candidates(weights, self.group)

    def existing(self, weights: Path) -> Optional[Path]:
        """Return the first candidate that exists, else None."""
        return next((path for path in self.candidates(weights) if path.exists()), None)


def checkpoints() -> List[Checkpoint]:
    """Return all checkpoints that the team released, by the members' experiments."""
    return [
        Checkpoint(experiment, group)
        for experiments in discover(REPOSITORY).values()
        for experiment in experiments
        if experiment.published
        for group in experiment.checkpoint_groups
    ]


def command(what: str, *variables: str) -> str:
    """Return the command that fetches `what`, with the folders that the user gave.

    variables  further NAME=value words, appended unchanged
    """
    given = [name for name in ("RAW_DATA", "WEIGHTS", "DROP") if os.environ.get(name)]
    words = [f"{name}={shlex.quote(os.environ[name])}" for name in given] + list(variables)
    return " ".join([f"make fetch WHAT={what}"] + words)
