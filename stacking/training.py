"""Trains the network on some folds, from the blend on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Sequence

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import PREDICTED, network_positions
from leapkit.core.errors import KitError
from leapkit.run import devices
from stacking.networks import StackConfig, StackNetwork
from stacking.rows import Rows, ValidationRows

BATCH = 256  # rows per forward pass where nothing is learned


@dataclass(frozen=True)
class StackRecipe:
    """How the network is trained.

    The loss is the squared error of the 292 predicted targets in standardised units, which is what
    the score counts. AdamW; the learning rate falls to 0 as a cosine.

    passes, updates  over the rows; at least so many updates
    """

    lr: float = 2e-3
    weight_decay: float = 0.01
    batch: int = 128
    passes: int = 2
    updates: int = 200
    clip: float = 1.0
    seed: int = 2028

    def __post_init__(self) -> None:
        least = min(self.lr, self.batch, self.passes, self.updates, self.clip)
        if not (least > 0 and self.weight_decay >= 0):
            raise ValueError(f"{self}: every number is positive")


def train(
    rows: ValidationRows,
    steps: Sequence[int],
    members: int,
    config: StackConfig,
    recipe: StackRecipe,
    device: torch.device,
) -> StackNetwork:
    """Return a network trained on the rows of some steps.

    A function of rows, steps, config and recipe. Raises KitError if the loss is not finite.
    """
    devices.make_repeatable(recipe.seed)
    network = StackNetwork(members, config).to(device).train()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
    )
    count = sum(rows.place(step).stop - rows.place(step).start for step in steps)
    updates = max(recipe.updates, recipe.passes * (count // recipe.batch))
    predicted = torch.tensor(network_positions(PREDICTED), device=device)
    update = epoch = 0
    while update < updates:
        for batch in rows.batches(steps, recipe.batch, recipe.seed, epoch):
            if update == updates:
                break
            rate = recipe.lr * (1 + math.cos(math.pi * update / updates)) / 2
            for group in optimiser.param_groups:
                group["lr"] = rate
            _update(network, optimiser, batch, predicted, recipe.clip)
            update += 1
        epoch += 1
    return network.eval()


def _update(
    network: StackNetwork,
    optimiser: torch.optim.Optimizer,
    batch: Rows,
    predicted: torch.Tensor,
    clip: float,
) -> None:
    members, blend, inputs, truth = (torch.from_numpy(part).to(predicted.device) for part in batch)
    optimiser.zero_grad()
    error = blend + network(members, blend, inputs) - truth
    loss = error[:, predicted].square().mean()
    if not torch.isfinite(loss):
        raise KitError(
            "the loss became NaN or infinite", "make stack", "look for unusual predictions"
        )
    loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
    nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()


def correction(
    networks: Sequence[StackNetwork],
    members: np.ndarray,
    blend: np.ndarray,
    inputs: np.ndarray,
    device: torch.device,
) -> np.ndarray:
    """Return the mean correction (n, 368) of some networks, float32, BATCH rows at a time."""
    blocks: List[np.ndarray] = []
    with torch.no_grad():
        for start in range(0, len(blend), BATCH):
            rows = slice(start, start + BATCH)
            given = [
                torch.from_numpy(np.ascontiguousarray(part[rows])).to(device)
                for part in (members, blend, inputs)
            ]
            total = sum(network(*given).double() for network in networks)
            assert isinstance(total, torch.Tensor)
            blocks.append((total / len(networks)).float().cpu().numpy())
    return np.concatenate(blocks)
