"""A network whose products are in bf16, and everything between them in float32.

Each LSTM, convolution, linear and attention layer gets its input and weights rounded to bf16, and
gives float32 back. The weights themselves stay float32, and gradients arrive in float32. torch's
autocast is not asked: on a CPU it leaves out LSTMs in torch 1.10 and 1.12, and some convolutions;
on a GPU it may take LSTMs to float16, which would need scaled losses.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Tuple

import torch
from torch import nn
from torch.nn import functional as F

_LOW = torch.bfloat16
# A linear layer with another number of outputs has no fast product in bf16. The networks' heads,
# 14 outputs a level, are such layers: they stay float32.
_MULTIPLE = 8
Forward = Callable[..., Any]


def lower(network: nn.Module) -> nn.Module:
    """Make a network compute in bf16, in place, and return it."""
    for layer in network.modules():
        if isinstance(layer, nn.LSTM):
            layer.forward = functools.partial(_lstm, layer, layer.forward)  # type: ignore
        elif isinstance(layer, nn.MultiheadAttention):
            layer.forward = functools.partial(_attention, layer.forward)  # type: ignore
        elif isinstance(layer, nn.Conv1d):
            layer._conv_forward = functools.partial(_convolution, layer._conv_forward)  # type: ignore
        elif isinstance(layer, nn.Linear) and layer.out_features % _MULTIPLE == 0:
            layer.forward = functools.partial(_linear, layer)  # type: ignore
    return network


def _lstm(layer: nn.LSTM, forward: Forward, x: torch.Tensor, *state: Any) -> Any:
    weights = layer._flat_weights
    layer._flat_weights = list(_Rounded.apply(*weights))  # type: ignore
    try:
        out = forward(x.to(_LOW), *state)
    finally:
        layer._flat_weights = weights
    return _float32(out)


def _float32(out: Any) -> Any:
    """Return a layer's output in float32: a tensor, or the first of what torch's layers return."""
    return out.float() if isinstance(out, torch.Tensor) else (out[0].float(), *out[1:])


class _Rounded(torch.autograd.Function):
    """An LSTM's weights in bf16, one behind the other in memory if they are so in float32.

    cuDNN wants them so, or copies them at every call.
    """

    @staticmethod
    def forward(ctx: Any, *weights: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        first = weights[0]
        starts = {w.data_ptr() - w.storage_offset() * w.element_size() for w in weights}
        if len(starts) > 1 or len(weights) == 1:
            return tuple(weight.to(_LOW) for weight in weights)
        size = first.untyped_storage().nbytes() // first.element_size()
        flat = first.as_strided((size,), (1,), 0).to(_LOW)
        return tuple(flat.as_strided(w.shape, w.stride(), w.storage_offset()) for w in weights)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        return tuple(gradient.float() for gradient in gradients)


def _attention(forward: Forward, x: torch.Tensor, *others: Any, **options: Any) -> Any:
    low = x.to(_LOW)  # an input of the weights' type would take torch 1.12's own inference path
    inputs = [low if each is x else each for each in (x, *others)]
    with torch.autocast(x.device.type, dtype=_LOW):
        return _float32(forward(*inputs, **options))


def _convolution(
    forward: Forward, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    y: torch.Tensor = forward(x.to(_LOW), weight.to(_LOW), bias.to(_LOW))
    return y.float()


def _linear(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    bias = None if layer.bias is None else layer.bias.to(_LOW)
    return F.linear(x.to(_LOW), layer.weight.to(_LOW), bias).float()
