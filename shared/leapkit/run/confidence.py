"""A second head that predicts the absolute error of every target (option `confidence`).

Its loss is added to the network's: weight * SmoothL1(predicted error, |prediction - y|), where the
error itself is a constant to the gradients. They flow from the head into the layers that both heads
share, which therefore learn what is hard to predict; that is what helps. The idea is the 1st
place's (docs/options.md).

The head is a linear layer beside the network's last one and sees what that sees. It is no part of
the checkpoint, which stays one of the plain network, and lies beside it in a file of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import torch
from torch import nn
from torch.nn.functional import smooth_l1_loss

from leapkit.core.columns import OUTPUT_SCALARS, TARGETS, TENDENCY_PROFILES
from leapkit.core.errors import KitError
from leapkit.data import checkpoints

_SCALARS = len(OUTPUT_SCALARS)
_PER_LEVEL = _SCALARS + len(TENDENCY_PROFILES)  # outputs of the published networks' last layers
_OUTPUTS = (_PER_LEVEL, len(TARGETS))


class WithConfidence(nn.Module):
    """A network and its head: x (B, 556) -> (predictions, predicted errors), (B, 368) each.

    Both are standardised and in network order. Raises KitError for a network without one linear
    layer of 14 outputs per level, or of all 368, as its last.
    """

    def __init__(self, network: nn.Module, seed: int) -> None:
        super().__init__()
        self.network = network
        self._last, last = _last_layer(network)
        # Drawn apart: the network's weights, masks and batches are those of a run without a head.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # type: ignore[no-untyped-call, unused-ignore]
            self.head = nn.Linear(last.in_features, last.out_features).to(last.weight.dtype)

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        seen: List[torch.Tensor] = []
        last = self.network.get_submodule(self._last)
        hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            prediction = self.network(x)
        finally:
            hook.remove()
        # A network may apply its last layer several times, under other dropout, and take the mean.
        errors = torch.stack([self.head(features) for features in seen]).mean(dim=0)
        return prediction, errors if errors.dim() == 2 else _of_levels(errors)


def with_saved_head(network: nn.Module, head: Path) -> WithConfidence:
    """Return a trained network with the head that its training left in <stem>.confidence.pt.

    Raises KitError if that file is damaged or another network's.
    """
    both = WithConfidence(network, seed=0)
    checkpoints.load_into(both.head, checkpoints.read_tensors(head), head)
    return both


def confidence_loss(
    errors: torch.Tensor, prediction: torch.Tensor, y: torch.Tensor, targets: slice, beta: float
) -> torch.Tensor:
    """Return how far predicted errors are from the errors of some targets, as a scalar.

    errors, prediction, y  (B, 368)
    """
    true = (prediction.detach() - y).abs()
    return smooth_l1_loss(errors[:, targets], true[:, targets], beta=beta)


def _of_levels(y: torch.Tensor) -> torch.Tensor:
    """Return (B, 368) of (B, 60, 14): the scalars' eight are means over levels."""
    return torch.cat(
        [y[:, :, :_SCALARS].mean(dim=1), y[:, :, _SCALARS:].transpose(1, 2).flatten(1)], dim=1
    )


def _last_layer(network: nn.Module) -> Tuple[str, nn.Linear]:
    """Return the linear layer whose outputs are the predictions, and its name before it."""
    layers = [
        (name, layer)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and layer.out_features in _OUTPUTS
    ]
    if len(layers) != 1:
        raise KitError(
            f"has {len(layers)} linear layers of {_OUTPUTS[0]} or {_OUTPUTS[1]} outputs,"
            " and a confidence head stands beside one",
            type(network).__name__,
            "train it without the option confidence",
        )
    return layers[0]
