"""The precision that networks compute in: float32, tf32 or bf16.

float32  every product in float32: the default on a CPU
tf32     a GPU rounds the factors of products to 10 of 23 binary digits and adds in float32: the
         default on a GPU, as the team's cards did so
bf16     factors have 7 digits. Weights, losses, norms, sums of residuals and what optimisers hold
         stay float32 (leapkit.run.lowered), so nothing has to be scaled.

The team set nothing, so its runs had the defaults of its versions: torch 1.10 took TF32 in cuDNN's
layers (LSTMs, convolutions) and in matrix products, torch 1.12 in cuDNN's layers alone. `tf32` is
that on those versions, and TF32 in both on newer ones.
"""

from __future__ import annotations

import torch
from torch import nn

from leapkit.core.errors import KitError
from leapkit.core.precisions import BF16 as BF16
from leapkit.core.precisions import FLOAT32 as FLOAT32
from leapkit.core.precisions import PRECISIONS as PRECISIONS
from leapkit.core.precisions import TF32 as TF32

_CUDNN = 91300  # the first version whose LSTM takes bf16
_AMPERE = (8, 0)  # the first compute capability with units for TF32 and bf16


def choose(requested: str, device: torch.device) -> str:
    """Return the precision for "auto", "float32", "tf32" or "bf16".

    "auto" is tf32 on a GPU and float32 on a CPU. Raises KitError for what cannot be had here.
    """
    if requested in ("", "auto"):
        return FLOAT32 if device.type == "cpu" else TF32
    obstacle = _obstacle(requested, device)
    if obstacle:
        remedy = "use PRECISION=float32" + ("" if device.type == "cpu" else " or PRECISION=tf32")
        raise KitError(obstacle, f"PRECISION={requested}", remedy)
    return requested


def _obstacle(requested: str, device: torch.device) -> str:
    """Return why a precision cannot be had on a device, "" if it can."""
    if requested == FLOAT32 or (requested == BF16 and device.type == "cpu"):
        return ""
    if device.type == "cpu":
        return "a CPU has no TF32"
    # A GPU that has no TF32 computes in float32 where it may use it.
    if requested == TF32:
        return ""
    major, minor = torch.cuda.get_device_capability(device)
    if (major, minor) < _AMPERE:
        return f"a GPU of compute capability {major}.{minor} has no units for bf16"
    version = torch.backends.cudnn.version() or 0  # type: ignore[no-untyped-call, unused-ignore]
    if version < _CUDNN or not _has_lstm_in_bf16(device):
        return f"torch {torch.__version__} with cuDNN {version} has no LSTM in bf16"
    return ""


def _has_lstm_in_bf16(device: torch.device) -> bool:
    """Return whether an LSTM computes in bf16 on a GPU by cuDNN, and not level by level."""
    lstm = nn.LSTM(8, 8).to(device, torch.bfloat16)
    try:
        output, _ = lstm(torch.ones(1, 1, 8, dtype=torch.bfloat16, device=device))
    except RuntimeError:
        return False
    return "Cudnn" in output.grad_fn.name()


def set_switches(precision: str) -> None:
    """Let torch use TF32, or not."""
    torch.backends.cudnn.allow_tf32 = precision == TF32
    old = torch.__version__.startswith("1.12")
    torch.backends.cuda.matmul.allow_tf32 = precision == TF32 and not old
