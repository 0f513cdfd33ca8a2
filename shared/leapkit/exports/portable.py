"""Copies of networks that trace and export to files which any device and any batch can run.

A trace records what a layer does, and some layers do what a file must not hold:

* torch's LSTM makes its first state on the device of the trace: here it is expanded from a buffer;
* torch's attention and transformer layer take a fused kernel that other versions, CUDA or ONNX do
  not have: here they are written out. That changes roundings, by some 1e-7 of an output's range;
* Mamba's scan has its own backward pass and works on chunks of rows: here it is a plain loop, equal
  bit for bit.

Parameters are shared with the network, not copied.
"""

from __future__ import annotations

import copy
import math
from typing import Callable

import torch
from torch import nn

from leapkit.nets.blocks import BiLSTM, SelfAttention
from leapkit.nets.mamba import Mamba, scan_by_level

Scan = Callable[..., torch.Tensor]


def portable(network: nn.Module, scan: Scan = scan_by_level) -> nn.Module:
    """Return such a copy of a network.

    scan  of Mamba layers: scan_by_level, or the same one scripted, which keeps its loop in a file
    """
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return _replaced(copy.deepcopy(network, dict(shared)), scan).eval()


def _replaced(module: nn.Module, scan: Scan) -> nn.Module:
    if isinstance(module, nn.TransformerEncoderLayer):
        return PortableEncoderLayer(module)
    if isinstance(module, SelfAttention):
        return PortableAttention(module)
    if isinstance(module, BiLSTM):
        return PortableLstm(module)
    if isinstance(module, nn.LSTM):
        return PortableLstmAndState(module)
    if isinstance(module, Mamba):
        module.scan = scan
    for name, child in module.named_children():
        module.add_module(name, _replaced(child, scan))
    return module


class PortableLstm(nn.Module):
    """BiLSTM: (B, 60, inputs) -> (B, 60, 2 hidden)."""

    first: torch.Tensor

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm
        self.register_buffer("first", torch.zeros(2 * lstm.num_layers, 1, lstm.hidden_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lstm = self.lstm
        # Contiguous, as cuDNN wants it.
        state = self.first.expand(-1, x.shape[0], -1).contiguous()
        weights = [getattr(lstm, name) for name in lstm._flat_weights_names]
        y: torch.Tensor = torch.lstm(
            x, (state, state), weights, True, lstm.num_layers, 0.0, False, True, True
        )[0]
        return y


class PortableLstmAndState(PortableLstm):
    """torch's own LSTM, whose callers expect a second value."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x), self.first  # type: ignore[return-value]


class PortableAttention(nn.Module):
    """Multi-head self-attention over levels: (B, 60, width) -> the same."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        attention = self.attention
        heads, size = attention.num_heads, attention.head_dim
        projected = nn.functional.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        query, key, value = (
            part.reshape(x.shape[0], x.shape[1], heads, size).transpose(
                1, 2
            )  # (B, heads, 60, size)
            for part in projected.chunk(3, dim=2)
        )
        similarity = torch.matmul(query / math.sqrt(size), key.transpose(2, 3))
        y = torch.matmul(torch.softmax(similarity, dim=3), value)
        y = y.transpose(1, 2).reshape(x.shape[0], x.shape[1], heads * size)
        projection = attention.out_proj
        return nn.functional.linear(y, projection.weight, projection.bias)


class PortableEncoderLayer(nn.Module):
    """Post-norm transformer layer, without dropout: (B, 60, width) -> the same."""

    def __init__(self, layer: nn.TransformerEncoderLayer) -> None:
        super().__init__()
        self.layer = layer
        self.attention = PortableAttention(layer.self_attn)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layer = self.layer
        x = layer.norm1(x + self.attention(x))
        y: torch.Tensor = layer.norm2(x + layer.linear2(layer.activation(layer.linear1(x))))
        return y
