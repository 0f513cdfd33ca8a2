"""A network's checkpoints, wherever they lie below the folder that a user names."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from leapkit.core.ownership import published_checkpoints
from leapkit.run.inference import GroupCheckpoint
from leapkit.run.prediction import targets_of


def find(experiment: Experiment, weights: Path, index: HashIndex) -> Tuple[GroupCheckpoint, ...]:
    """Return a network's checkpoints, one of all targets or one per group.

    weights  a checkpoint, a folder of one network's checkpoints, a member's weights folder,
             `members`, or a submission folder
    Raises KitError if one is missing, or if several files with its names differ.
    """
    groups = experiment.checkpoint_groups
    if weights.is_file():
        if len(groups) > 1:
            what = f"is one file, and {experiment.name} has a checkpoint for each of seven groups"
            raise KitError(what, weights, "give the folder that holds all seven")
        return (GroupCheckpoint(weights, targets_of(None)),)
    files = published_checkpoints(experiment, _folder(experiment, weights), index)
    return tuple(GroupCheckpoint(file, targets_of(group)) for group, file in zip(groups, files))


def _folder(experiment: Experiment, weights: Path) -> Path:
    """Return the folder below `weights` that holds checkpoints of a network."""
    if not weights.is_dir():
        raise KitError("the folder or file of weights is missing", weights, "check the path")
    folders = (
        weights,
        weights / experiment.member / "weights",
        weights / experiment.member,
        Results(weights).experiment(experiment.member, experiment.id),
    )
    for folder in folders:
        for group in experiment.checkpoint_groups:
            if any(path.exists() for path in experiment.checkpoint_candidates(folder, group)):
                return folder
    train = f"`make {experiment.member} EXPERIMENTS={experiment.id}` trains one"
    fetch = "`make fetch WHAT=weights` gets the published one and " if experiment.published else ""
    raise KitError(
        f"holds no checkpoint of {experiment.name}",
        weights,
        f"give a checkpoint, a weights folder, `members` or a submission folder; {fetch}{train}",
    )
