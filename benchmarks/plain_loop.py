"""A training loop as the published way is described: one file of arrays, one loss at a time.

It reads the loss of every update back to the host, copies each batch from pageable memory and waits
for the copy, takes the difference of each profile in turn, and lets every layer turn its batch
first. Sources: docs/reference/models.md, "Training loop" and "Losses".
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import smooth_l1_loss

Batch = Tuple[np.ndarray, np.ndarray]


def loss_of_all(prediction: torch.Tensor, label: torch.Tensor, beta: float) -> torch.Tensor:
    loss = smooth_l1_loss(prediction, label, beta=beta)
    for profile in range(6):
        levels = slice(8 + 60 * profile, 8 + 60 * (profile + 1))
        p = prediction[:, levels]
        y = label[:, levels]
        loss = loss + smooth_l1_loss(p[:, 1:] - p[:, :-1], y[:, 1:] - y[:, :-1], beta=beta) / 6
    return loss


def loss_of_group(prediction: torch.Tensor, label: torch.Tensor, targets: slice) -> torch.Tensor:
    p = prediction[:, targets]
    y = label[:, targets]
    loss = smooth_l1_loss(p, y)
    if targets.stop - targets.start == 60:
        loss = loss + smooth_l1_loss(p[:, 1:] - p[:, :-1], y[:, 1:] - y[:, :-1])
    return loss


def train(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Sequence[Batch],
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    clip: float,
    device: str,
    changed: Optional[Callable[[torch.Tensor, torch.Tensor], Any]] = None,
    after_step: Optional[Callable[[int], None]] = None,
) -> List[float]:
    """Train on the batches, in order, and return the losses.

    changed     returns a batch augmented
    after_step  is called with the number of the update, from 0: the schedule
    """
    network.train()
    losses: List[float] = []
    for number, (inputs, targets) in enumerate(batches):
        x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
        if changed:
            x, y = changed(x, y)
        x, y = x.to(device), y.to(device)
        optimiser.zero_grad()
        loss = loss_of(network(x), y)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimiser.step()
        if after_step:
            after_step(number)
        losses.append(loss.item())
    return losses


def predict(network: nn.Module, inputs: np.ndarray, batch: int, device: str) -> List[np.ndarray]:
    """Return the predictions of the rows, batch by batch."""
    network.eval()
    blocks: List[Any] = []
    with torch.no_grad():
        for start in range(0, len(inputs), batch):
            x = torch.from_numpy(inputs[start : start + batch]).to(device)
            blocks.append(network(x).cpu().numpy())
    return blocks
