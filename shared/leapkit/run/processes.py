"""The processes that train one network together: which one this is, and what it does of each step.

Each takes its slice of the same batch, so batches, schedule and results do not depend on how many
there are, beyond rounding. The first one alone decides, holds locks, prints and writes; the others
follow. `Processes` is a process alone; leapkit.run.process_group is one of several.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np
import torch
from torch import nn


class Processes:
    """One process that trains a network alone.

    rank  the number of this process, from 0
    size  how many train the network
    """

    rank = 0
    size = 1

    @property
    def is_first(self) -> bool:
        """Whether this process decides, prints and writes."""
        return self.rank == 0

    def slice(self, rows: int) -> slice:
        """Return which of a batch's rows are this process's. Slices differ by one row at most."""
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def joined(self, network: nn.Module, batch: int) -> nn.Module:
        """Return what to call instead of `network` in training, so that gradients are averaged.

        batch  rows of a whole batch
        """
        return network

    def weighted(self, loss: torch.Tensor, batch: int) -> torch.Tensor:
        """Return the mean loss of this process's slice, weighted by its share of the batch.

        The mean of that over the processes is the mean loss of the batch.
        """
        return loss

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Return the mean of a tensor over the processes, on its device; the host does not wait."""
        return value

    def of_first(self, value: Any = None) -> Any:
        """Return the first process's value: numbers, strings, tensors, nested."""
        return value

    def has_turn(self, number: int) -> bool:
        """Return whether it is this process that predicts a batch in in_turn()."""
        return number % self.size == self.rank

    def in_turn(
        self, number: int, rows: int, predict: Callable[[], np.ndarray]
    ) -> Optional[np.ndarray]:
        """Let the processes take turns at predicting batches, of which this is one.

        predict  returns (rows, 368) float32, and is called by the process whose turn it is
        Returns the predictions to the first process, None to the others.
        """
        return predict()

    def end_training(self) -> None:
        """Give back what training together held: there is no more of it in this experiment."""


ALONE = Processes()
