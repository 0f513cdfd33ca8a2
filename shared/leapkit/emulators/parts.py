"""What an emulator is made of: networks with checkpoints and scaling, and their weights.

A name finds them: that of an experiment, of a weight table that the kit ships, of a search, or a
table file. The networks' code and the tables are the packages `members` and `blend`, which are
imported by name when they are asked for: leapkit depends on neither.
"""

from __future__ import annotations

import copy
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError
from leapkit.core.experiments import PROFILES, Experiment
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from leapkit.core.ownership import proves_training
from leapkit.core.registry import discover, select
from leapkit.data import checkpoints
from leapkit.data.scaling import Scaling
from leapkit.data.scaling_files import find_scaling
from leapkit.emulators import checkpoint_files
from leapkit.run.inference import GroupCheckpoint, load
from leapkit.run.prediction import refuse_indistinguishable

_REMEDY = "install it (`pip install ./shared[networks]` in a clone), or run from a clone's root"


@dataclass(frozen=True)
class NetworkParts:
    """One network: what it is, its checkpoints, its scaling.

    profile      "sample" or "full", the width of the network
    checkpoints  one of all targets, or one per group with the targets (network order) it predicts
    """

    experiment: Experiment
    profile: str
    checkpoints: Tuple[GroupCheckpoint, ...]
    scaling: Scaling

    def build(self) -> nn.Module:
        """Return the network, freshly initialised, in evaluation mode."""
        return _build(self.experiment, self.profile)

    def modules(self) -> List[nn.Module]:
        """Return one loaded copy per checkpoint: float32, on the CPU, in evaluation mode.

        Raises KitError if a checkpoint does not fit, or may be another network's.
        """
        modules = [self.build()]
        # A copy is made faster than the initial weights of another one, which nobody needs.
        modules += [copy.deepcopy(modules[0]) for _ in self.checkpoints[1:]]
        prefixes: Set[str] = {
            load(module, checkpoint.path) for module, checkpoint in zip(modules, self.checkpoints)
        }
        refuse_indistinguishable(self.experiment, list(self.checkpoints), prefixes, self.profile)
        return modules


@dataclass(frozen=True)
class EmulatorParts:
    """Networks in the order in which they are summed, and their weights.

    name     "max2020/022", "v10", "searched"
    weights  (M, 368) float64, Kaggle order; ones for one network
    """

    name: str
    networks: Tuple[NetworkParts, ...]
    weights: np.ndarray

    @property
    def file_bytes(self) -> int:
        """The bytes of all files of checkpoints, which are about those of their numbers."""
        files = {file.path for part in self.networks for file in part.checkpoints}
        return sum(file.stat().st_size for file in files)


def find(name: str, weights: Path, raw_data: Path, profile: Optional[str] = None) -> EmulatorParts:
    """Find the parts of one network, or of a blend.

    name      an experiment's name, id or artifact; a shipped table; a search, whose weights lie in
              the submission folder; a table file
    weights   a checkpoint, a folder of one network's checkpoints, a member's weights folder,
              `members`, or a submission folder
    raw_data  a world, or a folder of statistics and old weights as the team laid them out
    profile   "sample" or "full"; the first checkpoint's shapes decide if it is not given

    Raises KitError for an unknown name, and for what is missing, damaged or another network's.
    """
    experiments = _experiments()
    index = HashIndex()
    scaling: Dict[str, Scaling] = {}

    def network(experiment: Experiment) -> NetworkParts:
        files = checkpoint_files.find(experiment, weights, index)
        size = profile or _profile(experiment, files[0].path)
        for file in files:
            proves_training(file.path, experiment, size, index)  # refuses another network's
        if experiment.family not in scaling:
            scaling[experiment.family] = find_scaling(raw_data, experiment.family)
        return NetworkParts(experiment, size, files, scaling[experiment.family])

    if name in _aliases(experiments):
        chosen = _one(experiments, name)
        return EmulatorParts(chosen.name, (network(chosen),), np.ones((1, len(TARGETS))))
    table = _table(name, weights, experiments)
    by_artifact = {experiment.artifact: experiment for experiment in experiments}
    unknown = [artifact for artifact in table.artifacts if artifact not in by_artifact]
    if unknown:
        raise KitError(
            f"weighs {unknown[0]}, which is no network of the kit but a parquet from elsewhere",
            table.where,
            "choose a table of the kit's own networks",
        )
    return EmulatorParts(
        table.name,
        tuple(network(by_artifact[artifact]) for artifact in table.artifacts),
        _package("blend.target_weights").weights_of(table),
    )


def experiment_named(name: str) -> Experiment:
    """Return an experiment of the members. Raises KitError for an unknown name."""
    return _one(_experiments(), name)


def _package(name: str) -> Any:
    """Return a module of the packages beside leapkit. Raises KitError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.split(".")[0]
        if error.name and error.name.split(".")[0] == package:
            raise KitError(f"the package `{package}` is not installed", name, _REMEDY) from error
        raise


def _experiments() -> List[Experiment]:
    """Return all experiments of the members that are installed."""
    repository = Path(_package("members").__file__).resolve().parent.parent
    return [experiment for member in discover(repository).values() for experiment in member]


def _aliases(experiments: List[Experiment]) -> Set[str]:
    return {
        alias
        for experiment in experiments
        for alias in (experiment.id, experiment.name, experiment.artifact)
        if alias
    }


def _one(experiments: List[Experiment], name: str) -> Experiment:
    chosen = select(experiments, name)
    if len(chosen) > 1:
        names = " or ".join(experiment.name for experiment in chosen)
        raise KitError("is the name of several networks", name, f"give {names}")
    return chosen[0]


def _table(name: str, weights: Path, experiments: List[Experiment]) -> Any:
    """Return the blend's WeightTable of a name. Raises KitError if there is none."""
    naming = _package("blend.naming")
    is_table = naming.parse_search(name) or name in naming.tables.shipped() or Path(name).exists()
    if not is_table:
        raise KitError(
            "is neither a network, nor a weight table, nor a file",
            name,
            "choose v10, searched or one of "
            + ", ".join(experiment.name for experiment in experiments),
        )
    return naming.BlendName.parse(name).read_table(Results(weights))


def _build(experiment: Experiment, profile: str) -> nn.Module:
    networks = _package(f"members.{experiment.member}.networks")
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn from the user's generator
        network: nn.Module = networks.build(experiment.network[profile])
    return network.eval()


def _profile(experiment: Experiment, checkpoint: Path) -> str:
    """Return the profile whose network has the checkpoint's shapes.

    The sample one is tried, as it is built at once; what fits neither is refused when it is loaded.
    """
    sample, full = PROFILES
    shapes = {name: tensor.shape for name, tensor in checkpoints.read_tensors(checkpoint).items()}
    expected = _build(experiment, sample).state_dict()
    return sample if shapes == {name: tuple(t.shape) for name, t in expected.items()} else full
