"""A file is read again and compared with the module that it was made of, at another batch size."""

from __future__ import annotations

from typing import Callable

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import LINEAR, TARGETS, ZERO, kaggle_positions
from leapkit.core.errors import KitError
from leapkit.data.scaling import Scaling
from leapkit.exports.contracts import Contract

# Of a target's standard deviation. Files of torch differ by 1e-6 at most, ONNX by 1e-5.
TOLERANCE = 1e-3
_ROWS = 5  # and two rows of zeros; a trace has three


def columns(contract: Contract, scaling: Scaling) -> torch.Tensor:
    """Return (7, n) float32 raw rows: around the mean state of the statistics, and two of zeros."""
    noise = np.random.RandomState(0).standard_normal((_ROWS, len(scaling.input_mean)))
    kaggle = scaling.input_mean + 0.5 * scaling.input_std * noise
    x = np.zeros((_ROWS + 2, len(contract.inputs)), dtype=np.float32)
    x[:_ROWS, contract.to_kaggle] = kaggle
    return torch.from_numpy(x)


def difference(
    where: str,
    run: Callable[[torch.Tensor], torch.Tensor],
    network: nn.Module,
    x: torch.Tensor,
    scaling: Scaling,
) -> float:
    """Return the largest difference between a file and its module, in standard deviations.

    Raises KitError if it is larger than TOLERANCE, or anything is not finite.
    """
    with torch.no_grad():
        expected = network(x).double().numpy()
        values = run(x).double().numpy()
    weight = scaling.weight.copy()
    weight[kaggle_positions(ZERO + LINEAR)] = 1.0
    largest = float((abs(values - expected) * weight / scaling.target_std).max())
    if values.shape != (len(x), len(TARGETS)) or not largest <= TOLERANCE:
        raise KitError(
            f"gives other numbers than the network: {largest:.1e} standard deviations apart",
            where,
            "report it, and use another format or another stack until then",
        )
    return largest
