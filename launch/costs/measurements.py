"""What finished runs reached, from their receipts: FLOP per second of each network."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from statistics import median
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from launch.costs.rates import Hardware, Rate
from leapkit.core import receipts
from leapkit.core.experiments import PROFILES, Experiment
from leapkit.core.files import sha256_json
from leapkit.core.layout import Results, RunFiles
from leapkit.core.multiplications import FORWARD_FLOP, TRAINING_FLOP
from leapkit.core.recipes import Recipe


@dataclass(frozen=True)
class Measurement:
    """One finished step.

    step       train or infer
    network    its record
    flops      FLOP per second that it reached
    device     the GPU's name, or cpu
    cores      of the machine
    precision  of the arithmetic
    together   processes that trained the network together
    """

    step: str
    profile: str
    network: Any
    flops: float
    device: str
    cores: int
    precision: str
    together: int

    def is_of(self, hardware: Hardware) -> bool:
        """Return whether the same would be computed on this hardware."""
        if hardware.gpus:
            same = self.device == hardware.card
        else:
            same = self.device == "cpu" and self.cores == hardware.cores
        return same and self.precision == hardware.precision


def evaluations(recipe: Recipe, epochs: int) -> int:
    """Return how often a run of so many epochs is evaluated."""
    inside = sum(recipe.evaluations_in(epoch) for epoch in range(epochs))
    return inside - epochs * recipe.skipped_evaluations


def training_flop(network: Any, recipe: Recipe, rows: int, validation: int, epochs: int) -> float:
    """Return the FLOP of a training of so many epochs, its evaluations included."""
    updates = TRAINING_FLOP * rows * epochs
    evaluated = FORWARD_FLOP * validation * evaluations(recipe, epochs)
    return float(network.multiplications * (updates + evaluated))


def of_results(results: Results, experiments: Sequence[Experiment]) -> List[Measurement]:
    """Return the finished steps that receipts below `results` tell of."""
    measurements: List[Measurement] = []
    for experiment in experiments:
        for receipt in _receipts(results, experiment):
            # A receipt of another version of the kit, or a damaged one, tells of nothing.
            with contextlib.suppress(KeyError, TypeError, ValueError, IndexError, AttributeError):
                measurements += _measured(experiment, receipt["kind"], receipt["details"])
    return measurements


def _receipts(results: Results, experiment: Experiment) -> Iterator[Dict[str, Any]]:
    folder = results.experiment(experiment.member, experiment.id)
    if not folder.is_dir():
        return
    for group in experiment.checkpoint_groups:
        yield receipts.read(RunFiles(folder, experiment.id, group).checkpoint)
    if experiment.artifact:
        yield receipts.read(results.parquet(experiment.artifact))


def _measured(
    experiment: Experiment, kind: str, details: Mapping[str, Any]
) -> Iterator[Measurement]:
    """Yield what one receipt tells, if it is of the network and recipe that the kit knows now."""
    recorded = sha256_json(details["network"])
    [profile] = [
        profile
        for profile in PROFILES
        if sha256_json(experiment.network_record(profile)) == recorded
    ]
    network = experiment.network[profile]
    if kind == "training":
        recipe = experiment.recipe[profile]
        if details["recipe"]["batch"] != recipe.batch:
            return
        rows = int(details["training rows"])
        epochs = int(details["epochs"])
        flop = training_flop(network, recipe, rows, int(details["validation rows"]), epochs)
    else:
        rows = int(details["rows"]) * len(details["checkpoints"])
        flop = float(FORWARD_FLOP * network.multiplications * rows)
    environment = details["environments"][-1]
    if details["seconds"] > 0:
        yield Measurement(
            "train" if kind == "training" else "infer",
            profile,
            network,
            flop / details["seconds"],
            details["device"],
            details["cores"],
            environment.get("precision", "float32"),
            environment.get("processes", 1),
        )


def measured(
    measurements: Sequence[Measurement],
    hardware: Hardware,
    profile: str,
    step: str,
    network: Any,
) -> Optional[Rate]:
    """Return the rate that earlier runs on the same hardware reached; None if there were none.

    Those of the same network come first, then those of its kind, then all of its profile.
    """
    alike = [
        measurement
        for measurement in measurements
        if (measurement.profile, measurement.step) == (profile, step)
        and measurement.together == (hardware.per_network if step == "train" else 1)
        and measurement.is_of(hardware)
    ]
    for chosen, what in (
        ([one for one in alike if one.network == network], "of this network"),
        ([one for one in alike if type(one.network) is type(network)], "of its kind"),
        (alike, "of others"),
    ):
        if chosen:
            runs = f"{len(chosen)} run{'s' * (len(chosen) > 1)}"
            return Rate(median(one.flops for one in chosen), f"measured in {runs} {what}")
    return None
