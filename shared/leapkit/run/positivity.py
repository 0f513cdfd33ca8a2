"""The water that a step leaves, bounded by 0 inside the network's arithmetic (option `positivity`).

A tendency of vapour, cloud liquid or cloud ice is at least -q / 1200 s, as blend/postprocess.py has
it for submissions. In standardised units, with x the state's input, that is

    z >= slope x + intercept,  slope = -input_std weight / (1200 target_std),
                               intercept = (-input_mean weight / 1200 - target_mean) / target_std

computed in float64 and cast once. The bound holds for the 292 targets that networks predict, and
wherever the network predicts: in training, at evaluations, in the blend's validation predictions
and in the parquet. A submission is exact to float32's rounding; POSTPROCESS=positivity makes it so.

A gradient passes the bound as if it were not there. What is below it is too low whenever the truth
is above, and with the gradient of a clamp, which is 0 there, it would never learn so.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import (
    INPUTS,
    NETWORK_INPUTS,
    NETWORK_TARGETS,
    PREDICTED,
    STEP_SECONDS,
    TARGETS,
)
from leapkit.core.training_options import TrainingOptions
from leapkit.data.scaling import Scaling

_WATER = tuple(name for name in PREDICTED if name.startswith("ptend_q"))


def bounded(network: nn.Module, options: TrainingOptions, scaling: Scaling) -> nn.Module:
    """Return the network, whose predictions are bounded from now on if the options say so."""
    if options.positivity:
        network.register_forward_hook(WaterBound(scaling))
    return network


class WaterBound:
    """Bounds what a network returns: a forward hook, so the network's tensors stay as they are."""

    def __init__(self, scaling: Scaling) -> None:
        self._states, self._slope, self._intercept = _constants(scaling)
        self._there: Dict[torch.device, Tuple[torch.Tensor, ...]] = {}

    def __call__(self, network: nn.Module, inputs: Any, prediction: torch.Tensor) -> torch.Tensor:
        """Return the bounded prediction (B, 368) of inputs x (B, 556), both in network order."""
        bounded: torch.Tensor = _AtLeast.apply(prediction, self.floor(inputs[0]))  # type: ignore
        return bounded

    def floor(self, x: torch.Tensor) -> torch.Tensor:
        """Return the least standardised values (B, 368), -inf where there is no bound."""
        if x.device not in self._there:
            constants = (self._states, self._slope, self._intercept)
            self._there[x.device] = tuple(tensor.to(x.device) for tensor in constants)
        states, slope, intercept = self._there[x.device]
        return x.index_select(1, states) * slope + intercept


class _AtLeast(torch.autograd.Function):
    """max(values, floor), with the gradient of `values`."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, floor: torch.Tensor) -> torch.Tensor:
        return torch.maximum(values, floor)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:  # type: ignore[override, unused-ignore]
        return gradient, None


def _constants(scaling: Scaling) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (states, slope, intercept), (368,) each, network order.

    states  the position of each target's state among the network's inputs; 0 where there is none
    """
    states = np.zeros(len(TARGETS), dtype=np.int64)
    slope = np.zeros(len(TARGETS))
    intercept = np.full(len(TARGETS), -np.inf)
    for name in _WATER:
        state = name.replace("ptend", "state")
        place = NETWORK_TARGETS.index(name)
        i, t = INPUTS.index(state), TARGETS.index(name)
        per_kg = scaling.weight[t] / STEP_SECONDS
        states[place] = NETWORK_INPUTS.index(state)
        slope[place] = -scaling.input_std[i] * per_kg / scaling.target_std[t]
        intercept[place] = (
            -scaling.input_mean[i] * per_kg - scaling.target_mean[t]
        ) / scaling.target_std[t]
    return (
        torch.from_numpy(states),
        torch.from_numpy(slope.astype(np.float32)),
        torch.from_numpy(intercept.astype(np.float32)),
    )
