"""One whole run of the team's training loop, plainly: from the seed to the network that it keeps.

Written from docs/reference/models.md, "Training loop", "Group fine-tuning" and "Schedules", as a
second opinion on leapkit.run: nothing of leapkit is imported. Networks are handed in, as they are
proven elsewhere. All arithmetic is float64.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch

from tests.helpers import plain_formulas, plain_rows
from tests.helpers.plain_formulas import Moments, Tensors


class Numbers(NamedTuple):
    """The numbers of a recipe, as docs/reference/models.md states them.

    rates        {first part of parameter names: learning rate}, "" for all parameters
    evaluations  of each epoch
    skipped      the first so many of an epoch's evaluations are left out
    cycles       (T, m, eta) of cosine restarts; None is adam's plateau schedule
    rows         first month, fraction of each month's rows, seed of their draw
    parent       that the weights are taken from, but for the `fresh` tensors
    groups       seven copies are trained, each for a group of targets
    kept         groups that keep the parent's weights
    falls_back   a group that became worse than the parent keeps its weights
    """

    rates: Dict[str, float]
    seed: int
    evaluations: Sequence[int]
    cycles: Optional[Tuple[int, int, float]] = None
    betas: Tuple[float, float] = (0.9, 0.999)
    decay: float = 0.01
    clip: float = 9.0
    beta: float = 1.0
    skipped: int = 0
    min_gain: float = 0.0
    early_stop: bool = False
    augmented: bool = False
    rows: Tuple[str, float, int] = ("0001-02", 1.0, 0)
    parent: str = ""
    fresh: Tuple[str, ...] = ()
    groups: bool = False
    kept: Tuple[int, ...] = ()
    falls_back: bool = False
    batch: int = 48
    validation_batch: int = 40
    pool: int = 200


class Evaluation(NamedTuple):
    """One evaluation: the score that selects, and whether it was the best so far by enough."""

    epoch: int
    step: int
    score: float
    is_best: bool


class Outcome(NamedTuple):
    """What a run did and left: its best network, and that one's R2 and predictions.

    losses, rates  of each update
    r2             (368,) of the best network
    predictions    (n, targets that the run is about) float32
    """

    losses: List[float]
    rates: List[List[float]]
    evaluations: List[Evaluation]
    tensors: Tensors
    r2: np.ndarray
    predictions: np.ndarray


def train(
    build: Callable[[], Any],
    numbers: Numbers,
    world: plain_rows.World,
    steps: Sequence[plain_rows.Rows],
    start: Optional[Callable[[Tensors], Tensors]] = None,
    group: Optional[int] = None,
) -> Outcome:
    """Train a network for all targets, or for a group of them.

    start  returns the tensors to begin with, given those that the seed makes
    """
    torch.manual_seed(numbers.seed)
    network = build().double()
    if start:
        network.load_state_dict(start(copied(network)))
    parameters = dict(network.named_parameters())
    targets_of_run = list(range(368)) if group is None else plain_rows.GROUPS[group]
    validation = world.validation()
    moments: Dict[str, Moments] = {}
    plateau = plain_formulas.Plateau(numbers.rates.get("", 0.0))
    outcome = Outcome([], [], [], {}, np.empty(0), np.empty(0))
    best = float("-inf")
    time: Optional[float] = None  # of the update before, in epochs
    for epoch, count in enumerate(numbers.evaluations):
        x, y = plain_rows.shuffled(steps, numbers.pool, numbers.seed, epoch)
        updates = len(x) // numbers.batch
        points = plain_formulas.evaluation_points(updates, count)[numbers.skipped :]
        brought_a_best = False
        for k in range(updates):
            rows = slice(k * numbers.batch, (k + 1) * numbers.batch)
            inputs = torch.from_numpy(x[rows]).double()
            targets = torch.from_numpy(y[rows]).double()
            if numbers.augmented:
                inputs, targets = plain_formulas.augmented(inputs, targets, numbers.seed, epoch, k)
            rates = rates_at(numbers, plateau, time)
            network.train()
            loss, gradients = loss_and_gradients(network, inputs, targets, numbers, group)
            for name, gradient in gradients.items():
                rate = rates.get("", rates.get(name.split(".")[0]))
                if rate is not None:
                    with torch.no_grad():
                        moments[name] = plain_formulas.update(
                            parameters[name],
                            gradient,
                            moments.get(name),
                            rate,
                            numbers.betas,
                            numbers.decay,
                        )
            outcome.losses.append(loss)
            outcome.rates.append(list(rates.values()))
            time = epoch + k / updates
            if k + 1 in points:
                r2, predictions = evaluated(network, validation, world, numbers.validation_batch)
                plateau.step(-float(r2.mean()))
                score = float(r2[targets_of_run].mean())
                is_best = score > best + numbers.min_gain
                outcome.evaluations.append(Evaluation(epoch, k + 1, score, is_best))
                if is_best:
                    best = score
                    brought_a_best = True
                    outcome = outcome._replace(
                        tensors=copied(network), r2=r2, predictions=predictions[:, targets_of_run]
                    )
        if numbers.early_stop and not brought_a_best:
            break
    return outcome


def rates_at(
    numbers: Numbers, plateau: plain_formulas.Plateau, time: Optional[float]
) -> Dict[str, float]:
    """Return the rate of each prefix for an update; `time` is that of the update before."""
    if numbers.cycles is None:
        return {"": plateau.rate}
    return {
        prefix: plain_formulas.cosine(numbers.cycles, base, time)
        for prefix, base in numbers.rates.items()
    }


def loss_and_gradients(
    network: Any, x: torch.Tensor, y: torch.Tensor, numbers: Numbers, group: Optional[int]
) -> Tuple[float, Tensors]:
    """Return the loss of a batch and the clipped gradients by name.

    A layer that the forward pass does not use has none, and stays as it is.
    """
    parameters = dict(network.named_parameters())
    for parameter in parameters.values():
        parameter.grad = None
    output = network(x)
    if group is None:
        loss = plain_formulas.loss_all(output, y, numbers.beta)
    else:
        loss = plain_formulas.loss_group(output, y, group)
    loss.backward()
    gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
    return loss.item(), plain_formulas.clipped(gradients, numbers.clip)


def train_from(
    parent: Outcome,
    build: Callable[[], Any],
    numbers: Numbers,
    world: plain_rows.World,
    steps: Sequence[plain_rows.Rows],
) -> List[Outcome]:
    """Train a network that starts from another one: one for all targets, or one for each group."""

    def start(fresh: Tensors) -> Tensors:
        return {**parent.tensors, **{name: fresh[name] for name in numbers.fresh}}

    if not numbers.groups:
        return [train(build, numbers, world, steps, start)]
    outcomes = []
    for group, targets in enumerate(plain_rows.GROUPS):
        outcome = parent._replace(losses=[], rates=[], evaluations=[])
        outcome = outcome._replace(predictions=parent.predictions[:, targets])
        if group not in numbers.kept:
            tuned = train(build, numbers, world, steps, start, group)
            is_worse = tuned.r2[targets].mean() < parent.r2[targets].mean()
            if numbers.falls_back and is_worse:
                tuned = tuned._replace(tensors=outcome.tensors, predictions=outcome.predictions)
            outcome = tuned
        outcomes.append(outcome)
    return outcomes


def copied(network: Any) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def evaluated(
    network: Any, rows: plain_rows.Rows, world: plain_rows.World, batch: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Return R2 per target (368,), and the predictions (n, 368) float32, of the validation rows."""
    network.eval()
    x, y = rows
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(x[k : k + batch]).double()).numpy()
            for k in range(0, len(x), batch)
        ]
    predictions = np.concatenate(parts).astype(np.float32)
    for k, name in enumerate(plain_rows.TARGETS):
        if name in plain_rows.ZERO:
            predictions[:, k] = -world.target_mean[k] / world.target_std[k]
    return plain_rows.r2(world, y, predictions), predictions
