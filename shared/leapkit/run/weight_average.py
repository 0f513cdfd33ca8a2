"""The exponential moving average of the weights (option `ema`), which is evaluated and saved.

After update t, counted from 0, average = d average + (1 - d) weights with d = min(decay, (1 + t) /
(10 + t)): the first updates forget the initial weights sooner. The training itself goes on with the
weights that it has. Buffers, such as a batch norm's running moments, are averages already or
constants: they are taken as they are.
"""

from __future__ import annotations

import contextlib
from typing import Dict, Iterator

import torch
from torch import nn


class WeightAverage:
    """The average of a module's parameters, beside them on their device; of decay 0, nothing."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._parameters = dict(module.named_parameters()) if decay else {}
        self._averages = {name: p.detach().clone() for name, p in self._parameters.items()}

    def update(self, number: int) -> None:
        """Count the parameters in after an update. `number` is how many were made before it."""
        keep = min(self._decay, (1 + number) / (10 + number))
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                self._averages[name].lerp_(parameter, 1 - keep)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the module have the averaged parameters, for an evaluation and what it saves."""
        trained = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._copy(self._averages)
        try:
            yield
        finally:
            self._copy(trained)

    def _copy(self, values: Dict[str, torch.Tensor]) -> None:
        # In place: cuDNN's LSTMs want their weights to stay where they are in memory.
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(values[name])

    def state_dict(self) -> Dict[str, torch.Tensor]:
        return dict(self._averages)

    def load_state_dict(self, state: Dict[str, torch.Tensor]) -> None:
        """Go on from what state_dict() returned."""
        for name, average in self._averages.items():
            average.copy_(state[name])
