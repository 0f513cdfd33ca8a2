"""From raw columns to raw tendencies and fluxes, in the arithmetic of the kit's parquets.

Raw float64 inputs are standardised as test.csv is, cast to float32 once, go through each network in
the batches of its parquet, and come back to raw float64; a blend adds them up in its table's order.
So on the same stack, device and number of threads the numbers are those of `make infer-only` and
`make blend`, bit for bit.
"""

from __future__ import annotations

import math
import threading
from typing import Dict, List

import numpy as np
import torch
from torch import nn

from leapkit.core import allotment
from leapkit.core.columns import INPUTS, LINEAR, LINEAR_INPUTS, TARGETS, kaggle_positions
from leapkit.core.errors import KitError
from leapkit.emulators.parts import EmulatorParts
from leapkit.run import devices, inference, precision
from leapkit.run.lowered import lower
from leapkit.run.prediction import batch_rows

# Rows that are in work at a time: 36 MB of raw inputs on a CPU.
_CPU_BLOCK = 1 << 13
_GPU_BLOCK = 1 << 14
_LINEAR_INPUTS = [INPUTS.index(name) for name in LINEAR_INPUTS]
_LINEAR = kaggle_positions(LINEAR)


class Networks:
    """The networks of an emulator, loaded when they are first needed.

    They are kept if all together take at most a quarter of the memory that this process may use
    (half of a GPU's): a single network always does, the sixteen of v10 take 5 GB. Else each one is
    read again for every block of rows, which takes seconds beside its minutes of computing, and
    only one is in memory at a time.
    """

    def __init__(self, parts: EmulatorParts, device: torch.device, arithmetic: str) -> None:
        self._parts = parts
        self._device = device
        self._arithmetic = arithmetic
        self._kept: Dict[int, List[nn.Module]] = {}
        # One block at a time: torch itself uses all cores, and Dask calls from several threads.
        self._lock = threading.Lock()
        batches = [batch_rows(part.experiment, device) for part in parts.networks]
        self._batches = batches
        self.block = _block(batches, _CPU_BLOCK if device.type == "cpu" else _GPU_BLOCK)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return (n, 368) float64 raw, Kaggle order, from x (n, 556) float64 raw, Kaggle order.

        n is at most `block`. Raises KitError if an output is not finite.
        """
        with self._lock, devices.repeatable(self._arithmetic):
            y = self._blended(x)
        if not np.isfinite(y).all():
            raise KitError(
                "the network's output is NaN or infinite",
                self._parts.name,
                "check the checkpoint, and the columns for unusual values",
            )
        return y

    def _blended(self, x: np.ndarray) -> np.ndarray:
        """Return the weighted sum in the table's order, from 0, as blend.apply adds it.

        A linear target whose weights do not sum to 1 within 1e-9 keeps its formula.
        """
        weights = self._parts.weights
        if len(weights) == 1 and (weights == 1).all():
            return self._of_network(0, x)
        total = np.zeros((len(x), len(TARGETS)))
        y = total
        for number, network_weights in enumerate(weights):
            y = self._of_network(number, x)
            total += y * network_weights
        formulas = [k for k in _LINEAR if abs(weights[:, k].sum() - 1.0) > 1e-9]
        total[:, formulas] = y[:, formulas]
        return total

    def _of_network(self, number: int, x: np.ndarray) -> np.ndarray:
        """Return one network's raw predictions (n, 368) float64, Kaggle order."""
        part = self._parts.networks[number]
        inputs = part.scaling.scaled_test_inputs(x)
        z = np.empty((len(x), len(TARGETS)), dtype=np.float32)
        for module, checkpoint in zip(self._modules(number), part.checkpoints):
            row = 0
            for rows in inference.predict(module, inputs, self._batches[number], self._device):
                z[row : row + len(rows), checkpoint.targets] = rows[:, checkpoint.targets]
                row += len(rows)
        return part.scaling.raw(z, x[:, _LINEAR_INPUTS])

    def _modules(self, number: int) -> List[nn.Module]:
        if number in self._kept:
            return self._kept[number]
        modules = [module.to(self._device) for module in self._parts.networks[number].modules()]
        if self._arithmetic == precision.BF16:
            modules = [lower(module) for module in modules]
        if self._parts.file_bytes <= _budget(self._device):
            self._kept[number] = modules
        return modules


def _block(batches: List[int], rows: int) -> int:
    """Return about `rows`, a multiple of all batches if that is possible.

    The batches of a network are then those of one long pass.
    """
    common = 1
    for batch in batches:
        common = common * batch // math.gcd(common, batch)
    return common * max(1, rows // common) if common <= 4 * rows else rows


def _budget(device: torch.device) -> int:
    """Return the bytes that kept networks may take."""
    if device.type == "cpu":
        return allotment.memory() // 4
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return memory // 2
