"""The kinds of networks whose training and inference are measured, and a small world for them.

A CPU gets narrow networks, those of the sample world, on one thread; a GPU the published ones with
the published batches.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Tuple

from benchmarks.case import Case, SideError
from leapkit.core import nvidia
from leapkit.core.experiments import Experiment
from leapkit.core.layout import RawData
from leapkit.core.registry import discover
from leapkit.core.splits import Split

if TYPE_CHECKING:
    from leapkit.data.loader import Loader

NAME = "networks"  # of the folder with the world
REPOSITORY = Path(__file__).resolve().parent.parent
HAS_GPU = bool(nvidia.driver()) and not nvidia.hidden_by()
PROFILE = "full" if HAS_GPU else "sample"
DEVICE = "cuda" if HAS_GPU else "cpu"
PRECISIONS = ("float32", "tf32", "bf16") if HAS_GPU else ("float32",)
# A CPU learns from a part of the rows of two steps of each month.
PAIRS_OF_A_MONTH = 1_000_000 if HAS_GPU else 2
FRACTION = 1.0 if HAS_GPU else 0.25
TUNING_FRACTION = 1.0 if HAS_GPU else 0.05  # for each of seven parts


@dataclass(frozen=True)
class Kind:
    """A kind of network.

    experiment  one of it that is trained from random weights
    tuned       one that fine-tunes seven copies of it, measured instead; "" for none
    """

    title: str
    experiment: str
    tuned: str = ""


KINDS = {
    "residual": Kind("residual LSTM", "forcewithme/18"),
    "mamba": Kind("LSTM + Mamba", "forcewithme/40-stage1"),
    "convolution": Kind("convolutions + LSTM", "forcewithme/39-stage1"),
    "attention": Kind("LSTM + attention", "joseph/907"),
    "groups": Kind("seven parts of a residual LSTM", "forcewithme/18", "forcewithme/32"),
}


def experiment_of(name: str) -> Experiment:
    """Return an experiment with one epoch and one evaluation, without an artifact."""
    [chosen] = [
        experiment
        for experiments in discover(REPOSITORY).values()
        for experiment in experiments
        if experiment.name == name
    ]
    recipe = chosen.recipe[PROFILE]
    short = replace(
        recipe,
        epochs=1,
        evaluations_per_epoch=1,
        skipped_evaluations=0,
        rows=replace(
            recipe.rows,
            first_month="0001-01",
            fraction=TUNING_FRACTION if chosen.groups else FRACTION,
            index="",
        ),
    )
    recipes = {profile: short for profile in chosen.recipe}
    return replace(chosen, recipe=recipes, artifact="", published=None, blended=False)


def builder(experiment: Experiment) -> Callable[[Any], Any]:
    """Return what builds the network of a record."""
    build: Callable[[Any], Any] = importlib.import_module(
        f"members.{experiment.member}.networks"
    ).build
    return build


def make_world(case: Case) -> None:
    """Make a world of some step pairs of each of the case's months, once for all kinds.

    Raises SideError for fewer than three months.
    """
    from leapkit.core.step_files import list_months, read_month
    from leapkit.worlds import make_world as worlds

    folder = case.folder_of(NAME)
    if (folder / "world" / "split.json").exists():
        return
    months = list_months(Path(case.steps))
    if len(months) < 3:
        raise SideError(f"{case.steps} has fewer than three months")
    for month in months:
        (folder / "steps" / month).mkdir(parents=True, exist_ok=True)
        for pair in read_month(Path(case.steps, month)).pairs[:PAIRS_OF_A_MONTH]:
            for file in (pair.mli, pair.mlo):
                os.symlink(str(file.resolve()), str(folder / "steps" / month / file.name))
    split = Split(tuple(months[:-2]), (months[-2],), 1, (months[-1],))
    worlds.make_world(folder / "steps", folder / "steps", folder / "world", split, None, 0, 1)


def world(case: Case) -> RawData:
    """Return the world that `make_world` made."""
    return RawData(case.folder_of(NAME) / "world")


def scaling(case: Case, experiment: Experiment) -> Any:
    """Return the scaling of an experiment's family."""
    from leapkit.data.scaling import load_scaling

    raw = world(case)
    return load_scaling(raw.statistics(experiment.family), experiment.family, raw.old_weights)


def loaders(case: Case, experiment: Experiment) -> Tuple[Loader, Loader]:
    """Return the loaders of training and of validation."""
    from leapkit.data.loader import Loader
    from leapkit.data.step_rows import StepRows

    raw = world(case)
    recipe = experiment.recipe[PROFILE]
    scale = scaling(case, experiment)
    training = StepRows(raw.training_pairs(recipe.rows.first_month), scale, recipe.rows)
    validation = StepRows(raw.validation_pairs(), scale)
    return Loader(training, recipe.rows.pool), Loader(validation, recipe.rows.pool)
