"""When an epoch is evaluated, and the score of a network on the validation rows."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Callable, List, Optional, Sequence

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import TARGETS, ZERO, kaggle_positions, network_positions
from leapkit.data.loader import Loader
from leapkit.data.scaling import Scaling
from leapkit.data.score import R2, Score, score_network_order, validation_r2
from leapkit.run.processes import ALONE, Processes


def evaluation_steps(steps: int, evaluations: int, skipped: int = 0) -> List[int]:
    """Return the steps of an epoch (from 1) after which to evaluate, in order.

    They are floor(steps / evaluations) apart, and the last one is the epoch's end. The first
    `skipped` are left out.
    """
    apart = max(1, steps // evaluations)
    inside = {apart * k for k in range(1 + skipped, evaluations) if apart * k < steps}
    return sorted(inside | {steps})


def evaluate(
    networks: Sequence[nn.Module],
    batch: int,
    rows: Loader,
    scaling: Scaling,
    device: torch.device,
    add: Sequence[Optional[Callable[[np.ndarray], None]]],
    processes: Processes = ALONE,
) -> List[Score]:
    """Return the score of each network on the validation rows, in every process the same.

    The rows are read once for all networks.
    add        is given each network's predictions, chunk by chunk, in the first process: (n, 368)
               float32, standardised, network order; the 60 zero columns hold -mean / std, which is
               raw 0; None in the others
    processes  take turns at the batches
    """
    sums = [R2(len(TARGETS)) for _ in networks]
    zero = network_positions(ZERO)
    # -0.0 where the mean is 0: what the published files hold.
    raw_zero = (-scaling.target_mean / scaling.target_std)[kaggle_positions(ZERO)].astype(
        np.float32
    )

    def predicted(network: nn.Module, x: torch.Tensor) -> np.ndarray:
        predictions: np.ndarray = network(x).float().cpu().numpy()
        predictions[:, zero] = raw_zero
        return predictions

    for network in networks:
        network.eval()
    with contextlib.closing(rows.in_order(batch)) as batches, torch.no_grad():
        for number, (inputs, targets) in enumerate(batches):
            x = torch.from_numpy(inputs).to(device)
            for k, network in enumerate(networks):
                predictions = processes.in_turn(number, len(x), partial(predicted, network, x))
                add_these = add[k]
                if predictions is not None and add_these:
                    sums[k].add(targets, predictions)
                    add_these(predictions)
    scores: List[Score] = processes.of_first(
        [score_network_order(validation_r2(each, scaling)) for each in sums]
        if processes.is_first
        else None
    )
    return scores
