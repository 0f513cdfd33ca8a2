"""Where the files of one world lie: below RAW_DATA, submission and a member's weights folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional

from leapkit.core.errors import KitError
from leapkit.core.experiments import group_stem
from leapkit.core.files import sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.recipes import RowSelection
from leapkit.core.splits import (
    PUBLISHED,
    Split,
    read_split,
    scaled_down,
    training_pairs,
    validation_pairs,
)
from leapkit.core.step_files import StepPair, list_months, list_pairs

GRID_FILE = "ClimSim_low-res_grid-info.nc"  # of LEAP/ClimSim_low-res: where each column lies


def grid_file_places(steps: Path) -> List[Path]:
    """Return where the grid file of step files may lie: beside their folder, or in it.

    The folder may be a link to one elsewhere, beside which its grid lies.
    """
    folders = dict.fromkeys([steps.parent, steps, steps.resolve().parent])
    return [folder / GRID_FILE for folder in folders]


@dataclass(frozen=True)
class RawData:
    """The user's data, read only: Kaggle's CSVs, ClimSim's step files, the team's statistics.

    float32_steps  whether the user accepts step files in float32
    """

    root: Path
    float32_steps: bool = False

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
        """The withheld targets of test.csv, which only a world of `make split` has."""
        return self.root / "withheld" / "test_truth.parquet"

    @property
    def test_steps(self) -> Path:
        """The stamps of the steps that are the rows of test.csv, in order, each for a whole grid.

        Worlds that older versions of the kit made have none, and no receipt names it.
        """
        return self.root / "withheld" / "test_steps.json"

    @property
    def steps(self) -> Path:
        return self.root / "ClimSim_low-res" / "train"

    @property
    def grid_files(self) -> List[Path]:
        """Where the grid file is looked for: beside the steps, in RAW_DATA, and beside it."""
        more = [self.root / GRID_FILE, self.root.parent / GRID_FILE]
        return list(dict.fromkeys([*grid_file_places(self.steps), *more]))

    def statistics(self, family: str) -> Path:
        return self.root / "statistics" / family

    @property
    def has_own_split(self) -> bool:
        return (self.root / "split.json").exists()

    def split(self) -> Split:
        """Return the split of split.json if it exists, else the published one.

        The published split is cut down to the months that exist. Raises KitError if none does.
        """
        if self.has_own_split:
            return read_split(self.root / "split.json")
        months = list_months(self.steps)
        if not months:
            raise KitError(
                "holds no month (YYYY-MM) of step files",
                self.steps,
                "run `make fetch WHAT=steps MONTHS=...`, or give RAW_DATA=",
            )
        return scaled_down(PUBLISHED, months)

    def training_pairs(self, first_month: str = "") -> List[StepPair]:
        return training_pairs(self.steps, self.split(), first_month)

    def validation_pairs(self) -> List[StepPair]:
        return validation_pairs(self.steps, self.split())

    def row_index(self, selection: RowSelection) -> Optional[Path]:
        """Return the file that names the selection's rows, if it has one and the user has it."""
        path = self.root / selection.index
        return path if selection.index and path.exists() else None

    def scaling_files(self, family: str) -> Dict[str, Path]:
        """Return what the numbers of a family depend on, by role."""
        folder = self.statistics(family)
        return {
            "mean.json": folder / "mean.json",
            "std.json": folder / "std.json",
            "old weights": self.old_weights,
        }

    def test_files(self) -> Dict[str, Path]:
        """Return what says which rows are predicted, by role."""
        return {"test.csv": self.test_csv, "sample_submission.csv": self.sample_submission}


@dataclass(frozen=True)
class Results:
    """The results: a folder per experiment, the shared folder of parquets, the blend."""

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

    @property
    def stacks(self) -> Path:
        """The networks that correct blends, a folder for each table (`make stack`)."""
        return self.root / "stacks"

    @property
    def evaluation(self) -> Path:
        return self.root / "evaluation"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def scores(self) -> Path:
        """Kaggle's answers to what was sent there (leapkit.core.score_receipts)."""
        return self.root / "scores"

    def parquet(self, artifact: str) -> Path:
        return self.subs / (artifact + ".parquet")

    def outputs(self, member: str) -> Path:
        return self.root / "outputs" / member

    def experiment(self, member: str, number: str) -> Path:
        return self.outputs(member) / number

    def validation_predictions(self, artifact: str) -> Path:
        """The blend's copy of an artifact's validation predictions."""
        return self.subs / (artifact + ".npy")


@dataclass(frozen=True)
class RunFiles:
    """What one training run leaves in an experiment's folder.

    It trains all targets (<id>.pt, oof.npy, ...) or one group of them (<id>_g0.pt, oof_g0.npy).
    """

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
    def confidence(self) -> Path:
        """The confidence head of the checkpoint, if it was trained with one."""
        return self.folder / (self.stem + ".confidence.pt")

    @property
    def progress(self) -> Path:
        """How far the run is, while it goes on (leapkit.core.run_progress)."""
        return self.folder / (self.stem + ".progress.json")

    @property
    def validation_predictions(self) -> Path:
        return self.folder / (group_stem("oof", self.group) + ".npy")

    @property
    def log(self) -> Path:
        return self.folder / (group_stem("log", self.group) + ".txt")

    @property
    def history(self) -> Path:
        """Losses and learning rates of the training (leapkit.core.histories)."""
        return self.folder / (group_stem("history", self.group) + ".json")

    @property
    def lock(self) -> Path:
        """What a process holds that writes these files."""
        return self.folder / (".lock" if self.group is None else f".g{self.group}.lock")


@dataclass(frozen=True)
class Layout:
    """Where the world, the results and a member's published checkpoints lie."""

    raw: RawData
    results: Results
    weights: Path


def scratch_path(folder: Path, inference_inputs: Mapping[str, str]) -> Path:
    """Return the file of unfinished predictions, named after everything that decides them."""
    return folder / f"predictions-{sha256_json(dict(inference_inputs))[:16]}.f32"


def progress_path(scratch: Path) -> Path:
    """Return the file that says how far unfinished predictions are."""
    return scratch.with_suffix(".progress.json")


# What `make split` writes beside the step files.
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
    """Return {name: sha256} of a world's files, its step files as one.

    Raises KitError if a file is missing.
    """
    steps = RawData(root).steps
    hashes = {name: index.of(root / name) for name in WORLD_FILES}
    files = [file for pair in list_pairs(steps) for file in (pair.mli, pair.mlo)]
    hashes["steps"] = index.of_many(files, steps)
    return hashes
