"""A teacher's world from the command line: `python -m leapkit.emulators teach`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Dict, List

import numpy as np

from leapkit.core.experiments import PROFILES
from leapkit.core.files import sha256, sha256_json
from leapkit.core.layout import RawData
from leapkit.core.step_files import PRECISIONS
from leapkit.emulators import teacher_world
from leapkit.emulators.parts import EmulatorParts, find


def teacher_inputs(parts: EmulatorParts) -> Dict[str, str]:
    """Return {role: sha256} of all that decides what an emulator predicts."""
    inputs = {"weights": _sha256_of(parts.weights)}
    for network in parts.networks:
        name = network.experiment.name
        inputs[name] = sha256_json(network.experiment.network_record(network.profile))
        for checkpoint in network.checkpoints:
            inputs[f"{name} {checkpoint.path.name}"] = sha256(checkpoint.path)
        scaling = network.scaling
        arrays = (scaling.input_mean, scaling.input_std, scaling.target_mean, scaling.target_std)
        inputs["scaling " + network.experiment.family] = sha256_json(
            [_sha256_of(array) for array in (*arrays, scaling.weight)]
        )
    return inputs


def _sha256_of(array: np.ndarray) -> str:
    return sha256_json(array.tolist())
