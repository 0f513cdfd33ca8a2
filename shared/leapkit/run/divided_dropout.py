"""Dropout of a batch that several processes divide: each has its rows of the whole batch's mask.

A mask is drawn from torch's generator. If every process drew that of its own rows, the same seed
would give equal masks to all, and other masks than one process gives the same rows.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

_CROSS_ROWS = (nn.modules.batchnorm._BatchNorm,)
_OTHER_DROPOUTS = (nn.modules.dropout._DropoutNd, nn.RNNBase, nn.MultiheadAttention)


class DividedDropout(nn.Module):
    """nn.Dropout of a process that has the slice `rows` of a batch of `batch` rows.

    Every process draws the mask of all rows, so their generators stay alike, and so do the masks
    whatever the number of processes.
    """

    def __init__(self, p: float, batch: int, rows: slice) -> None:
        super().__init__()
        self.p = p
        self.batch = batch
        self.rows = rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x (rows of the slice, ...) times its part of the mask; x itself in evaluation."""
        if not self.training:
            return x
        # Dropout of ones is the mask itself, from the same kernel as nn.Dropout's.
        mask = F.dropout(_ones_of_batch(x, self.batch), self.p, training=True)
        return x * mask[self.rows]


def divide(network: nn.Module, batch: int, rows: slice) -> None:
    """Make each nn.Dropout of a network a DividedDropout, in place.

    Raises ValueError for a layer whose rows depend on each other, or whose random numbers would be
    those of the slice.
    """
    for name, layer in list(network.named_modules()):
        if isinstance(layer, _CROSS_ROWS):
            raise ValueError(f"the rows of {name} ({type(layer).__name__}) depend on each other")
        if type(layer) is nn.Dropout:
            if layer.p:
                *path, last = name.split(".")
                parent = network
                for part in path:
                    parent = getattr(parent, part)
                setattr(parent, last, DividedDropout(layer.p, batch, rows))
        elif isinstance(layer, _OTHER_DROPOUTS) and _draws(layer):
            raise ValueError(f"{name} ({type(layer).__name__}) draws numbers for its own rows")


def _draws(layer: nn.Module) -> bool:
    return any(getattr(layer, name, 0.0) for name in ("p", "dropout"))


def _ones_of_batch(x: torch.Tensor, batch: int) -> torch.Tensor:
    """Return ones for a whole batch of which x is a slice, in the same order in memory.

    Some kernels draw in the order of memory, which behind an attention layer is not that of rows.
    """
    strides = x.stride()
    order = sorted(range(x.dim()), key=lambda axis: -strides[axis])
    shape = (batch,) + tuple(x.shape[1:])
    ones = torch.ones([shape[axis] for axis in order], dtype=x.dtype, device=x.device)
    return ones.permute([order.index(axis) for axis in range(x.dim())])
