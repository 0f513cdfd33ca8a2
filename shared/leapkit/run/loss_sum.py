"""The sum of an epoch's losses, on the device, and the stop of a run whose loss is not finite."""

from __future__ import annotations

import math
from typing import Tuple

import torch

from leapkit.core.errors import KitError

GPU_INTERVAL = 100  # updates after which a GPU's sum is read, if no evaluation does so before


class LossSum:
    """Adds up the losses of an epoch's updates, in float64.

    To read a number from a GPU makes the host wait for all work that it has queued. So the sum
    stays there and is read at evaluations, before anything is saved, and every hundred updates. On
    a CPU it is read after every update.
    """

    def __init__(self, device: torch.device) -> None:
        self._interval = 1 if device.type == "cpu" else GPU_INTERVAL
        self._sum = torch.zeros((), dtype=torch.float64, device=device)
        self._read = 0  # the update after which the sum was last read
        self._last = 0.0  # what it then was

    def begin(self, total: float = 0.0, update: int = 0) -> None:
        """Begin an epoch, or go on after an update with what the sum was."""
        self._sum.fill_(total)
        self._read = update
        self._last = total

    def add(self, loss: torch.Tensor, epoch: int, update: int) -> None:
        """Add the loss of an update (from 1) of an epoch (from 0); read the sum if it is time.

        Raises KitError as `value` does.
        """
        self._sum += loss
        if update % self._interval == 0:
            self.value(epoch, update)

    def value(self, epoch: int, update: int) -> float:
        """Return the sum after an update. Raises KitError if it is not finite.

        One loss that is NaN or infinite makes the sum so, and no later one makes it finite again.
        """
        total = float(self._sum)
        if not math.isfinite(total):
            first = self._read + 1
            updates = f"step {update}" if first >= update else f"steps {first} to {update}"
            raise KitError(
                f"the loss became NaN or infinite in epoch {epoch + 1}, {updates}",
                "training",
                "look for unusual values in the training months, or lower the learning rate",
            )
        self._read = update
        self._last = total
        return total

    @property
    def last_read(self) -> Tuple[int, float]:
        """The update after which the sum was last read, and what it was; nothing is waited for."""
        return self._read, self._last
