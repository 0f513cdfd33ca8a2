"""The multiplications that a network's record answers are those that the real network makes."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict, List, Tuple, Type

import pytest
import torch
from torch import nn

from launch import registry
from leapkit.core import multiplications
from leapkit.core.experiments import PROFILES
from leapkit.nets import blocks
from leapkit.nets.mamba import Mamba

# One record of each kind and size: experiments share networks.
RECORDS: Dict[Tuple[str, Any], str] = {
    (member, experiment.network[profile]): f"{experiment.name} {profile}"
    for member, experiments in registry.members().items()
    for experiment in reversed(experiments)
    for profile in PROFILES
}


def of_linear(layer: nn.Linear, x: torch.Tensor, y: torch.Tensor) -> int:
    return y.numel() * layer.in_features


def of_convolution(layer: nn.Conv1d, x: torch.Tensor, y: torch.Tensor) -> int:
    return y.numel() * layer.weight[0].numel()


def of_lstm(layer: nn.LSTM, x: torch.Tensor, y: torch.Tensor) -> int:
    weights = [p.numel() for name, p in layer.named_parameters() if "weight" in name]
    return x.shape[0] * x.shape[1] * sum(weights)


def of_attention(layer: nn.MultiheadAttention, x: torch.Tensor, y: torch.Tensor) -> int:
    assert layer.in_proj_weight is not None
    rows, levels, width = x.shape
    projected = rows * levels * (layer.in_proj_weight.numel() + layer.out_proj.weight.numel())
    return projected + 2 * rows * layer.num_heads * levels**2 * (width // layer.num_heads)


def of_scan(layer: Mamba, x: torch.Tensor, y: torch.Tensor) -> int:
    """Of the scan alone: the layer's other parts are layers themselves.

    `leapkit.nets.mamba._step` has three products of a state, and y_t = h_t . C_t the fourth.
    """
    return 4 * x.shape[0] * x.shape[1] * layer.A_log.numel()


COUNTS: Dict[Type[nn.Module], Callable[..., int]] = {
    nn.Linear: of_linear,
    nn.Conv1d: of_convolution,
    nn.LSTM: of_lstm,
    nn.MultiheadAttention: of_attention,
    Mamba: of_scan,
}


def counted(network: nn.Module, rows: int) -> int:
    """Return what all layers that a forward pass goes through multiply."""
    counts: List[int] = []

    def count(layer: nn.Module, arguments: Any, result: Any) -> None:
        [of] = [of for kind, of in COUNTS.items() if isinstance(layer, kind)]
        y = result[0] if isinstance(result, tuple) else result
        counts.append(of(layer, arguments[0], y))

    for layer in network.modules():
        if isinstance(layer, tuple(COUNTS)):
            layer.register_forward_hook(count)
    network.eval()
    with torch.no_grad():
        network(torch.zeros(rows, 556))
    return sum(counts)


@pytest.mark.parametrize(("member", "record"), RECORDS, ids=list(RECORDS.values()))
def test_a_record_answers_what_its_network_multiplies(member: str, record: Any) -> None:
    build = importlib.import_module(f"members.{member}.networks").build
    with torch.device("meta"):  # no weight is drawn, as none matters
        network = build(record)
    assert counted(network.to_empty(device="cpu"), rows=2) == 2 * record.multiplications


def test_the_numbers_of_input_and_output_are_those_of_the_networks() -> None:
    assert (multiplications.CHANNELS, multiplications.OUTPUTS) == (blocks.CHANNELS, blocks.OUTPUTS)


def test_the_published_sizes_are_the_known_ones() -> None:
    """8 LSTMs of 2 x 256: 1.39 GFLOP forward, 4.2 in training; 10 of them 1.78 and 5.3."""
    by_name = {name: record for (_, record), name in RECORDS.items()}
    eight = by_name["forcewithme/18 full"].multiplications
    ten = by_name["max2020/022-stage1 full"].multiplications
    forward, training = multiplications.FORWARD_FLOP, multiplications.TRAINING_FLOP
    assert [round(n * forward / 1e9, 2) for n in (eight, ten)] == [1.39, 1.77]
    assert [round(n * training / 1e9, 1) for n in (eight, ten)] == [4.2, 5.3]
