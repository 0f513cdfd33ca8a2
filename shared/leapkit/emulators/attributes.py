"""What a result says of itself: CF attributes of its variables, and what made it.

Standard names are those of the CF table that mean the variable: the tendencies are of the model's
physics without its dynamics, and CF has that of temperature and specific humidity alone. Other
variables have a long name.
"""

from __future__ import annotations

import hashlib
import json
import platform
from typing import Dict, Sequence

import numpy as np
import torch

import leapkit
from leapkit.core.columns import UNITS
from leapkit.core.files import sha256
from leapkit.data.scaling import Scaling
from leapkit.emulators.parts import EmulatorParts

CONVENTIONS = {
    "Conventions": "CF-1.8",
    "title": "Tendencies and surface fluxes of E3SM-MMF's physics, emulated",
}
_STANDARD_NAMES = {
    "ptend_t": "tendency_of_air_temperature_due_to_model_physics",
    "ptend_q0001": "tendency_of_specific_humidity_due_to_model_physics",
    "cam_out_NETSW": "surface_net_downward_shortwave_flux",
    "cam_out_FLWDS": "surface_downwelling_longwave_flux_in_air",
    "cam_out_PRECSC": "lwe_convective_snowfall_rate",
    "cam_out_PRECC": "lwe_convective_precipitation_rate",
}
_LONG_NAMES = {
    "ptend_t": "heating by the model's physics",
    "ptend_q0001": "moistening by the model's physics",
    "ptend_q0002": "tendency of cloud liquid water due to the model's physics",
    "ptend_q0003": "tendency of cloud ice due to the model's physics",
    "ptend_u": "tendency of the eastward wind due to the model's physics",
    "ptend_v": "tendency of the northward wind due to the model's physics",
    "cam_out_NETSW": "net solar flux at the surface",
    "cam_out_FLWDS": "downward longwave flux at the surface",
    "cam_out_PRECSC": "snowfall rate (water equivalent)",
    "cam_out_PRECC": "precipitation rate",
    "cam_out_SOLS": "downward visible direct solar flux at the surface",
    "cam_out_SOLL": "downward near-infrared direct solar flux at the surface",
    "cam_out_SOLSD": "downward visible diffuse solar flux at the surface",
    "cam_out_SOLLD": "downward near-infrared diffuse solar flux at the surface",
}


def of_variable(name: str) -> Dict[str, str]:
    """Return units, long name and, where CF has one, standard name of a predicted variable."""
    standard = {"standard_name": _STANDARD_NAMES[name]} if name in _STANDARD_NAMES else {}
    return {**standard, "long_name": _LONG_NAMES[name], "units": UNITS[name]}


def provenance(
    parts: EmulatorParts, device: str, precision: str, constraints: Sequence[str]
) -> Dict[str, str]:
    """Return what made a result: networks, sha256 of all that decides it, versions, device.

    The sha256 of a checkpoint is that of its file; those of statistics and of a blend's weights are
    of their numbers as little-endian float64, so that another layout of a file hides nothing.
    """
    networks = [part.experiment.name for part in parts.networks]
    families = {part.scaling.family.name: part.scaling for part in parts.networks}
    files = {
        f"{part.experiment.name}/{file.path.name}": file.path
        for part in parts.networks
        for file in part.checkpoints
    }
    digests = {path: sha256(path) for path in set(files.values())}
    return {
        "source": f"leapkit {leapkit.__version__}: {parts.name}",
        "emulator": parts.name,
        "networks": " ".join(networks),
        "profile": " ".join(sorted({part.profile for part in parts.networks})),
        "checkpoints_sha256": _json({name: digests[path] for name, path in files.items()}),
        "statistics_sha256": _json({name: _digest(*_numbers(s)) for name, s in families.items()}),
        **({"weights_sha256": _digest(parts.weights)} if len(parts.networks) > 1 else {}),
        "constraints": " ".join(constraints) or "none",
        "precision": precision,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "stack": f"Python {platform.python_version()}, torch {torch.__version__},"
        f" NumPy {np.__version__}",
    }


def _json(table: Dict[str, str]) -> str:
    return json.dumps(table, sort_keys=True)


def _numbers(scaling: Scaling) -> Sequence[np.ndarray]:
    return (
        scaling.input_mean,
        scaling.input_std,
        scaling.target_mean,
        scaling.target_std,
        scaling.weight,
    )


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
