"""Where everything of one world lies: the seed's layout below RAW_DATA and below submission (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

from leapkit.core.errors import KitError
from leapkit.core.experiments import RowSelection, group_stem
from leapkit.core.hash_index import HashIndex
from leapkit.core.step_files import (
    PUBLISHED,
    Split,
    StepPair,
    list_months,
    list_pairs,
    read_split,
    scaled_down,
    training_pairs,
    validation_pairs,
)


@dataclass(frozen=True)
class RawData:
    """The user's data: Kaggle's CSVs, ClimSim's step files, the team's statistics. Read only."""

    root: Path

    @property
    def test_csv(self) -> Path:
        return self.root / "kaggle-data" / "test.csv"

    @property
    def sample_submission(self) -> Path:
        return self.root / "kaggle-data" / "sample_submission.csv"

    @property
    def old_weights(self) -> Path:
        return self.root / "kaggle-data" / "sample_submission_old.csv"

    @property
    def truth(self) -> Path:
        """The withheld targets of test.csv: only the split maker's worlds have them, Kaggle never gave its own."""
        return self.root / "withheld" / "test_truth.parquet"

    @property
    def steps(self) -> Path:
        return self.root / "ClimSim_low-res" / "train"

    def statistics(self, family: str) -> Path:
        return self.root / "statistics" / family

    @property
    def has_own_split(self) -> bool:
        return (self.root / "split.json").exists()

    def split(self) -> Split:
        """split.json where the split maker wrote one, else the published months, as far as they are there.

        Raises KitError where no month is there.
        """
        if self.has_own_split:
            return read_split(self.root / "split.json")
        there = list_months(self.steps)
        if not there:
            raise KitError(
                "holds no month (YYYY-MM) of step files", self.steps, "see README, 'Real data'"
            )
        return scaled_down(PUBLISHED, there)

    def training_pairs(self, first_month: str = "") -> List[StepPair]:
        return training_pairs(self.steps, self.split(), first_month)

    def validation_pairs(self) -> List[StepPair]:
        return validation_pairs(self.steps, self.split())

    def row_index(self, rows: RowSelection) -> Optional[Path]:
        """The team's own choice of rows, where these rows have one and the user has its file."""
        path = self.root / rows.index
        return path if rows.index and path.exists() else None

    def scaling_files(self, family: str) -> Dict[str, Path]:
        """What the numbers of a family depend on, by role."""
        folder = self.statistics(family)
        return {
            "mean.json": folder / "mean.json",
            "std.json": folder / "std.json",
            "old weights": self.old_weights,
        }

    def test_files(self) -> Dict[str, Path]:
        return {"test.csv": self.test_csv, "sample_submission.csv": self.sample_submission}


@dataclass(frozen=True)
class Results:
    """The results: one folder per experiment, the shared folder of parquets, the blend."""

    root: Path

    @property
    def subs(self) -> Path:
        return self.root / "subs"

    @property
    def cache(self) -> Path:
        """What all members and the blend may use again: in the one folder that they all see."""
        return self.subs / ".cache"

    @property
    def hashes(self) -> Path:
        return self.cache / "hashes.json"

    @property
    def blend(self) -> Path:
        return self.root / "blend"

    def parquet(self, artifact: str) -> Path:
        return self.subs / (artifact + ".parquet")

    def outputs(self, member: str) -> Path:
        return self.root / "outputs" / member

    def experiment(self, member: str, number: str) -> Path:
        return self.outputs(member) / number

    def validation_predictions(self, artifact: str) -> Path:
        """A blend's view of an artifact's out-of-fold predictions."""
        return self.subs / (artifact + ".npy")


@dataclass(frozen=True)
class RunFiles:
    """What one training run leaves: of all targets, or of one group of them (<id>_g0.pt, oof_g0.npy, ...)."""

    folder: Path
    id: str
    group: Optional[int] = None

    @property
    def stem(self) -> str:
        return group_stem(self.id, self.group)

    @property
    def checkpoint(self) -> Path:
        return self.folder / (self.stem + ".pt")

    @property
    def state(self) -> Path:
        return self.folder / (self.stem + ".state.pt")

    @property
    def validation_predictions(self) -> Path:
        return self.folder / (group_stem("oof", self.group) + ".npy")

    @property
    def log(self) -> Path:
        return self.folder / (group_stem("log", self.group) + ".txt")


# What the split maker writes beside the step files.
WORLD_FILES = (
    "kaggle-data/train.csv",
    "kaggle-data/test.csv",
    "kaggle-data/sample_submission.csv",
    "kaggle-data/sample_submission_old.csv",
    "withheld/test_truth.parquet",
    "split.json",
    "statistics/adam/mean.json",
    "statistics/adam/std.json",
    "statistics/fdzm/mean.json",
    "statistics/fdzm/std.json",
)


def world_receipt(root: Path) -> Path:
    return root / "world.receipt.json"


def world_files(root: Path, index: HashIndex) -> Dict[str, str]:
    """{name: sha256} of a world's files, its step files as one. Raises KitError where one is missing."""
    steps = RawData(root).steps
    files = {name: index.of(root / name) for name in WORLD_FILES}
    files["steps"] = index.of_many(
        [f for pair in list_pairs(steps) for f in (pair.mli, pair.mlo)], steps
    )
    return files


@dataclass(frozen=True)
class Layout:
    """Where the world, the results and a member's published checkpoints lie."""

    raw: RawData
    results: Results
    weights: Path
