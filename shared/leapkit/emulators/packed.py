"""An emulator in one .safetensors file: weights, scaling, blend weights and what they are; no code.

Names of its tensors:

    weights                       (M, 368) float64, of the blend
    0.scaling.input_mean          (556,) float64, Kaggle order, and so on: of network 0
    0.0.lstm1.weight_ih_l0        of the first checkpoint of network 0, as its state_dict has it

The text `leapkit` of its metadata is JSON: the kit's version, the emulator's name, and of every
network the experiment, its record (what a receipt compares), the profile, the family, and the
targets (network order) of each checkpoint. The networks' code is that of the kit which reads it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np
from torch import nn

import leapkit
from leapkit.core import pickle_limits, safe_pickle, strict_json
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.files import atomic
from leapkit.core.pickle_limits import Kind, Limits, Refused
from leapkit.data import safetensors
from leapkit.data.checkpoints import load_into
from leapkit.data.families import FAMILIES
from leapkit.data.scaling import Scaling
from leapkit.emulators.parts import EmulatorParts, NetworkParts, experiment_named
from leapkit.run.inference import GroupCheckpoint

FORMAT = "1"  # of the names and of the metadata
_REMEDY = "export it again (`make export FORMATS=safetensors`)"
# Names and shapes of the sixteen networks of v10: 82 checkpoints.
_LIMITS = Limits(pickle_bytes=64 * pickle_limits.CHECKPOINT.pickle_bytes, steps=1, memory=1 << 30)
_KIND = Kind("an emulator that the kit exported", _LIMITS, frozenset(), _REMEDY)
_SCALING = {
    "input_mean": len(INPUTS),
    "input_std": len(INPUTS),
    "target_mean": len(TARGETS),
    "target_std": len(TARGETS),
    "weight": len(TARGETS),
}


@dataclass(frozen=True)
class PackedNetwork(NetworkParts):
    """A network whose checkpoints are in memory; the paths of all are the file's."""

    tensors: Tuple[Mapping[str, np.ndarray], ...] = ()

    def modules(self) -> List[nn.Module]:
        """Return one loaded copy per checkpoint. Raises KitError if one does not fit."""
        modules = [self.build() for _ in self.tensors]
        for module, tensors, checkpoint in zip(modules, self.tensors, self.checkpoints):
            load_into(module, tensors, checkpoint.path)
        return modules


def is_packed(path: Path) -> bool:
    """Return whether a file is an emulator that this module wrote, not a bare checkpoint."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    with safe_pickle.explained(path, _KIND):
        return "leapkit" in safetensors.read_metadata(path, _KIND)


def write(path: Path, parts: EmulatorParts, provenance: Mapping[str, str]) -> None:
    """Write an emulator atomically. The same emulator has the same bytes."""
    tensors: OrderedDict[str, np.ndarray] = OrderedDict(weights=_little(parts.weights))
    records = []
    for number, network in enumerate(parts.networks):
        for name in _SCALING:
            tensors[f"{number}.scaling.{name}"] = _little(getattr(network.scaling, name))
        for copy, module in enumerate(network.modules()):
            for name, tensor in module.state_dict().items():
                tensors[f"{number}.{copy}.{name}"] = tensor.numpy()
        records.append(_record(network))
    about = {"format": FORMAT, "kit": leapkit.__version__, "name": parts.name, "networks": records}
    metadata = {
        "leapkit": json.dumps(about, sort_keys=True),
        "provenance": json.dumps(dict(provenance), sort_keys=True),
    }
    with atomic(path) as temporary, open(temporary, "wb") as file:
        safetensors.write(file, tensors, metadata)


def read(path: Path) -> EmulatorParts:
    """Return the emulator of a file.

    Raises KitError for a damaged or hostile file, for one of a network that this kit does not have
    or builds otherwise, and for one of a later form.
    """
    with safe_pickle.explained(path, _KIND):
        metadata, tensors = safetensors.read_all(path, _KIND)
        about = strict_json.parse(metadata["leapkit"].encode("utf-8"))
        if about["format"] != FORMAT:
            raise Refused(f"form {about['format']}, and this kit reads form {FORMAT}")
        networks = tuple(
            _network(path, record, number, tensors)
            for number, record in enumerate(about["networks"])
        )
        weights = tensors["weights"]
        if weights.shape != (len(networks), len(TARGETS)) or weights.dtype != np.float64:
            raise Refused("weights of another shape or type")
        return EmulatorParts(str(about["name"]), networks, np.array(weights))


def constraints(path: Path) -> Tuple[str, ...]:
    """Return the constraints that a file was exported with. Raises KitError as `read` does."""
    with safe_pickle.explained(path, _KIND):
        metadata = safetensors.read_metadata(path, _KIND)
        record = strict_json.parse(metadata["provenance"].encode("utf-8"))
    return tuple(name for name in str(record["constraints"]).split() if name != "none")


def _little(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype="<f8")


def _record(network: NetworkParts) -> Dict[str, Any]:
    targets = [checkpoint.targets for checkpoint in network.checkpoints]
    return {
        "experiment": network.experiment.name,
        "family": network.scaling.family.name,
        "network": network.experiment.network_record(network.profile),
        "profile": network.profile,
        "targets": [[part.start, part.stop] for part in targets],
    }


def _network(
    path: Path, record: Mapping[str, Any], number: int, tensors: Mapping[str, np.ndarray]
) -> PackedNetwork:
    experiment = experiment_named(str(record["experiment"]))
    profile = record["profile"]
    # As JSON, in which a tuple is a list.
    expected = json.dumps(experiment.network_record(profile), sort_keys=True)
    if json.dumps(record["network"], sort_keys=True) != expected:
        what = f"holds a {experiment.name} of another design than this kit's"
        raise KitError(what, path, "use the version of the kit that wrote it, or export it again")
    scaling = {name: np.array(tensors[f"{number}.scaling.{name}"]) for name in _SCALING}
    for name, length in _SCALING.items():
        if scaling[name].shape != (length,) or scaling[name].dtype != np.float64:
            raise Refused(f"{name} of another shape or type")
    copies = tuple(
        OrderedDict(
            (name[len(prefix) :], value)
            for name, value in tensors.items()
            if name.startswith(prefix)
        )
        for prefix in (f"{number}.{copy}." for copy in range(len(record["targets"])))
    )
    return PackedNetwork(
        experiment,
        profile,
        tuple(GroupCheckpoint(path, slice(*map(int, part))) for part in record["targets"]),
        Scaling(FAMILIES[record["family"]], **scaling),
        copies,
    )
