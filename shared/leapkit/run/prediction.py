"""Predicts one experiment: from checkpoints and the test set to a verified parquet with a receipt.

Beside the parquet the blend gets the experiment's validation predictions, if it was trained here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set

import numpy as np
import torch
from torch import nn

from leapkit.core import plan, receipts
from leapkit.core.columns import GROUPS, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.files import publish_copy, sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RunFiles, scratch_path
from leapkit.core.ownership import proves_training
from leapkit.data import validation_predictions
from leapkit.data.inference_set import prepare_once
from leapkit.data.scaling import Scaling
from leapkit.run import (
    devices,
    inference,
    precision,
    precision_cost,
    provenance,
    unfinished_predictions,
)
from leapkit.run.inference import GroupCheckpoint
from leapkit.run.lowered import lower
from leapkit.run.options import RunOptions
from leapkit.run.positivity import bounded

CPU_BATCH = 256  # most rows per forward pass on a CPU; an experiment's own batch is for a GPU


def predict_experiment(
    experiment_plan: plan.ExperimentPlan,
    options: RunOptions,
    scaling: Scaling,
    device: torch.device,
) -> None:
    """Write the parquet of one experiment, a copy of it beside its checkpoints, and its receipt.

    Raises KitError if a checkpoint does not fit, if the test set is damaged, or if an output is not
    finite.
    """
    started = receipts.now()
    clock = time.monotonic()
    experiment = experiment_plan.experiment
    layout = options.layout
    results = layout.results
    arithmetic = precision.choose(options.precision, device)
    beyond = experiment.recipe[options.profile].options
    network = bounded(options.build(experiment.network[options.profile]), beyond, scaling)
    checkpoints = _group_checkpoints(experiment_plan)
    _check(network, checkpoints, experiment, options)
    devices.make_repeatable(0, arithmetic)
    if arithmetic == precision.BF16:
        lower(network)
    test_set = prepare_once(layout.raw, scaling, results, experiment_plan.inference_inputs)
    folder = results.experiment(experiment.member, experiment.id)
    scratch = scratch_path(folder, experiment_plan.inference_inputs)
    unfinished_predictions.remove_others(scratch)
    environments = unfinished_predictions.environments(
        scratch, provenance.environment(device, precision=arithmetic)
    )
    batch = batch_rows(experiment, device)
    z = inference.predictions(network.to(device), checkpoints, test_set, batch, scratch, device)
    details: Dict[str, Any] = {
        "experiment": experiment.name,
        "rows": len(test_set.ids),
        "network": experiment.network_record(options.profile),
        "profile": options.profile,
        "checkpoints": [checkpoint.path.name for checkpoint in checkpoints],
        "parents": _weights_of_parents(experiment_plan),
        "seconds": round(time.monotonic() - clock, 1),
        "environments": environments,
        **devices.describe(device),
        "precision": arithmetic,
    }
    if arithmetic == precision.BF16:
        exact = bounded(options.build(experiment.network[options.profile]), beyond, scaling)
        again = inference.predict_chunks(
            exact.to(device), checkpoints, test_set.inputs, batch, device
        )
        details["precision cost"] = precision_cost.of_inference(experiment.name, z, again)
    if options.mode == "reproduce":  # a published checkpoint has no validation predictions
        details["oof"] = publish_validation_predictions(
            experiment, folder, results.validation_predictions(experiment.artifact)
        )
    parquet = results.parquet(experiment.artifact)
    digest = inference.write_submission(parquet, z, test_set, scaling)
    # A quirk of the published scripts: they name a network's predictions exp195_new.parquet.
    # Whoever knows those scripts finds the file under the same name here.
    publish_copy(parquet, folder / f"exp{experiment.id}_new.parquet")
    details["peak memory"] = devices.peak_memory()
    details["ran because"] = experiment_plan.reasons["infer"]
    # Last: a run that is stopped before this line repeats what comes after the predictions.
    receipts.write(
        parquet,
        "submission",
        experiment_plan.inference_inputs,
        started,
        details,
        artifact=experiment.artifact,
        digest=digest,
    )
    unfinished_predictions.remove(scratch)
    seconds = time.monotonic() - clock
    rows = len(test_set.ids)
    print(f"{experiment.name}: {rows} rows in {seconds:.0f} s -> {parquet}", flush=True)


def batch_rows(experiment: Experiment, device: torch.device) -> int:
    """Return the rows of a forward pass.

    Rows do not depend on each other: on a CPU smaller batches save gigabytes and stay in its
    caches.
    """
    return experiment.batch if device.type == "cuda" else min(experiment.batch, CPU_BATCH)


def targets_of(group: Optional[int]) -> slice:
    """Return the targets, network order, that a group's checkpoint predicts; None has all."""
    return slice(0, len(TARGETS)) if group is None else GROUPS[group]


def _group_checkpoints(experiment_plan: plan.ExperimentPlan) -> List[GroupCheckpoint]:
    return [
        GroupCheckpoint(checkpoint.checkpoint, targets_of(checkpoint.group))
        for checkpoint in experiment_plan.checkpoints
    ]


def _check(
    network: nn.Module,
    checkpoints: List[GroupCheckpoint],
    experiment: Experiment,
    options: RunOptions,
) -> None:
    """Raise KitError if a checkpoint does not fit.

    All are checked before the first prediction: a wrong seventh one must not be found after hours.
    """
    prefixes = {inference.load(network, checkpoint.path) for checkpoint in checkpoints}
    if options.mode == "infer-only":
        refuse_indistinguishable(experiment, checkpoints, prefixes, options.profile)


def refuse_indistinguishable(
    experiment: Experiment,
    checkpoints: Sequence[GroupCheckpoint],
    prefixes: Set[str],
    profile: str,
) -> None:
    """Raise KitError if the checkpoints may belong to another network with the same tensors.

    The files of two pairs of published networks have tensors of the same names and shapes, and the
    networks compute different functions. Only the prefix of the names in the published files, or a
    receipt, tells them apart.
    """
    published = experiment.published
    if not published or not published.indistinguishable_from or prefixes == {published.prefix}:
        return
    index = HashIndex()
    if all(proves_training(file.path, experiment, profile, index) for file in checkpoints):
        return
    raise KitError(
        f"its tensors' names begin {'with' if 'module.' in prefixes else 'without'} `module.`,"
        f" unlike those of the team's files of {experiment.name}: it may be a checkpoint of"
        f" {published.indistinguishable_from}, another network whose tensors have the same names"
        " and shapes",
        checkpoints[0].path,
        "put the published file there, or the training's receipt beside your own",
    )


def _weights_of_parents(experiment_plan: plan.ExperimentPlan) -> Dict[str, str]:
    """Return {checkpoint: whose weights it has} of those that were not fine-tuned."""
    weights = {
        checkpoint.checkpoint.stem: receipts.read(checkpoint.checkpoint)
        .get("details", {})
        .get("weights", "trained")
        for checkpoint in experiment_plan.checkpoints
    }
    return {stem: origin for stem, origin in weights.items() if origin != "trained"}


def publish_validation_predictions(
    experiment: Experiment, folder: Path, target: Path
) -> Dict[str, str]:
    """Give the blend the validation predictions of all targets, and return their record.

    folder  where the experiment's training left them, of all targets or of seven groups
    target  (N, 368) float32, standardised, network order: the groups' side by side
    """
    if experiment.groups is None:
        publish_copy(RunFiles(folder, experiment.id).validation_predictions, target)
    else:
        by_group = [
            validation_predictions.read(
                RunFiles(folder, experiment.id, group).validation_predictions
            )
            for group in experiment.checkpoint_groups
        ]
        count = len(by_group[0])
        chunks = (
            np.concatenate([predictions[rows] for predictions in by_group], axis=1)
            for rows in validation_predictions.row_slices(count)
        )
        validation_predictions.save(target, count, len(TARGETS), chunks)
    return {"sha256": sha256(target), "family": experiment.family}
