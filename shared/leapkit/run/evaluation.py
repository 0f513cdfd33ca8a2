"""When an epoch is evaluated, and the score of a network on the validation rows."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Callable, Generator, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import TARGETS, ZERO, kaggle_positions, network_positions
from leapkit.data.loader import Loader
from leapkit.data.scaling import Scaling
from leapkit.data.score import R2, Score, score_network_order, validation_r2
from leapkit.run.batches import Outputs, Tensors, on_device
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

    def predicted(arrived: Callable[[], np.ndarray]) -> np.ndarray:
        predictions = arrived()
        predictions[:, zero] = raw_zero
        return predictions

    for network in networks:
        network.eval()
    outputs = Outputs(device)
    batches = on_device(_host_batches(rows, batch), device, copied=1)
    with contextlib.closing(batches), torch.no_grad():
        passes = _passes(networks, batches, outputs, processes)
        for number, k, targets, arrived in outputs.one_behind(passes):
            predictions = processes.in_turn(number, len(targets), partial(predicted, arrived))
            add_these = add[k]
            if predictions is not None and add_these:
                sums[k].add(targets.numpy(), predictions)
                add_these(predictions)
    scores: List[Score] = processes.of_first(
        [score_network_order(validation_r2(each, scaling)) for each in sums]
        if processes.is_first
        else None
    )
    return scores


def _host_batches(rows: Loader, batch: int) -> Generator[Tensors, None, None]:
    with contextlib.closing(rows.in_order(batch)) as drawn:
        for inputs, targets in drawn:
            yield torch.from_numpy(inputs), torch.from_numpy(targets)


def _passes(
    networks: Sequence[nn.Module],
    batches: Iterable[Tensors],
    outputs: Outputs,
    processes: Processes,
) -> Iterator[Tuple[int, int, torch.Tensor, Callable[[], np.ndarray]]]:
    """Begin each network's pass over each batch; yield what waits for its predictions.

    Yields (number of the batch, number of the network, targets, what returns the predictions).
    """
    for number, (x, targets) in enumerate(batches):
        for k, network in enumerate(networks):
            arrived = _another_ones_turn
            if processes.has_turn(number):
                arrived = outputs.begin(network(x).float())
            yield number, k, targets, arrived


def _another_ones_turn() -> np.ndarray:
    raise AssertionError("another process has these predictions")
