"""The smallest commands that write every kind of file: a member's run and a blend of two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional

from leapkit.core.experiments import Experiment
from leapkit.core.files import sha256
from leapkit.core.layout import RawData
from leapkit.core.recipes import Recipe, RowSelection
from tests.helpers import small_run

# One epoch of one month: three updates and an evaluation.
_RECIPE: Recipe = replace(
    small_run.RECIPE,
    epochs=1,
    evaluations_per_epoch=1,
    rows=RowSelection(first_month="0008-04", pool=200),
)
TRAINED: Experiment = replace(
    small_run.EXPERIMENT, recipe={profile: _RECIPE for profile in ("sample", "full")}
)
_TUNING: Recipe = replace(small_run.TUNING, rows=_RECIPE.rows, evaluations_per_epoch=1)
TUNED: Experiment = replace(
    small_run.TUNED, recipe={profile: _TUNING for profile in ("sample", "full")}
)
TWO = ("adam_200_78362.oof", "adam_195_78569.oof")


def member(arguments: List[str]) -> int:
    """Run the member's command line in this process."""
    from leapkit.run.member import main
    from members.adam.networks import build

    return main("adam", (TRAINED, TUNED), build, arguments)


def blend(arguments: List[str]) -> Optional[int]:
    """Run the blend's command line in this process."""
    from blend.__main__ import main

    return main(arguments)


def reproduces(world: Path, submission: Path, experiment: Experiment) -> List[str]:
    """Return the arguments of a member that trains and predicts one experiment."""
    arguments = small_run.arguments("reproduce", world, submission, "--alone")
    arguments[arguments.index(small_run.EXPERIMENT.id)] = experiment.id
    return arguments


def blends(world: Path, submission: Path) -> List[str]:
    """Return the arguments of a blend of two artifacts, under weights of a file of the world."""
    return _blends(world, submission, "--table", str(world / "mine.csv"))


def searches(world: Path, submission: Path) -> List[str]:
    """Return the arguments of a blend of two artifacts, under weights that it searches."""
    artifacts = "searched=" + ",".join(TWO)
    return _blends(world, submission, "--table", "searched", "--artifacts", artifacts)


def _blends(world: Path, submission: Path, *table: str) -> List[str]:
    return ["run", "--raw-data", str(world), "--submission", str(submission), *table]


def world_to_blend(world: Path, folder: Path) -> Path:
    """Return a world with a table of weights, and without the truth: a blend is not scored."""
    folder.mkdir()
    for path in world.iterdir():
        if path not in RawData(world).truth.parents:
            (folder / path.name).symlink_to(path)
    rows = "".join(f"{artifact},0.5\n" for artifact in TWO)
    (folder / "mine.csv").write_text("artifact,weight\n" + rows)
    return folder


def results(submission: Path) -> Dict[str, str]:
    """Return {path: sha256} of what a command made.

    Without receipts, logs and pages, which name times, and without caches and locks.
    """
    return {
        str(path.relative_to(submission)): sha256(path)
        for path in sorted(submission.rglob("*"))
        if path.is_file()
        and path.suffix in (".parquet", ".pt", ".npy", ".csv", ".f32")
        and ".cache" not in path.parts
    }


def leftovers(submission: Path) -> List[str]:
    """Return the unfinished files that a command should not have left."""
    return [
        str(path.relative_to(submission))
        for pattern in (".partial-*", "*.f32", "*.state*", ".*.part")
        for path in submission.rglob(pattern)
    ]
