"""One training loop for every experiment; a recipe (leapkit.core.experiments) says how.

The run is a function of (rows, recipe, network, starting weights, number of threads): the order of the rows is drawn
from (seed, epoch), and the state saved at every evaluation holds the network, optimiser, schedule and generators.
Killed at any moment and started again, it goes on from the last evaluation and ends in the same bytes.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import (
    GROUP_NAMES,
    GROUPS,
    TARGETS,
    ZERO,
    kaggle_positions,
    network_positions,
)
from leapkit.core.errors import KitError
from leapkit.core.files import write_text
from leapkit.core.layout import RunFiles
from leapkit.core.recipes import Recipe
from leapkit.data import checkpoints
from leapkit.data.loader import Loader
from leapkit.data.progress import progress
from leapkit.data.scaling import Scaling
from leapkit.data.score import R2, Score, score_network_order, validation_r2
from leapkit.data.validation_predictions import PredictionsWriter
from leapkit.run import devices, training_state
from leapkit.run.augmentation import augment
from leapkit.run.losses import loss_all, loss_group
from leapkit.run.optimisation import Schedule, make_optimiser


@dataclass(frozen=True)
class Task:
    """One run of the loop: what it writes, how it trains, and for which targets.

    files  where the checkpoint, the out-of-fold predictions, the log and the state go
    key    identifies the run (inputs, network, recipe): the state of another run is not gone on with
    start  gives the {tensor name: array} to begin with, of the freshly drawn network; that itself where None
    group  the group of targets that is fine-tuned; all targets where None
    """

    files: RunFiles
    recipe: Recipe
    key: str
    start: Optional[Callable[[nn.Module], Mapping[str, np.ndarray]]] = None
    group: Optional[int] = None

    @property
    def columns(self) -> slice:
        """The predictions that the run is about, in network order."""
        return slice(0, len(TARGETS)) if self.group is None else GROUPS[self.group]

    def value(self, score: Score) -> float:
        """What selection looks at."""
        return score.all_columns if self.group is None else score.groups[self.group]

    def line(self, score: Score) -> str:
        return (
            score.line()
            if self.group is None
            else f"R2 {self.value(score):.5f} of {GROUP_NAMES[self.group]}"
        )


@dataclass(frozen=True)
class Trained:
    """What a finished run says of itself: the best evaluation's score, epochs run, seconds of training."""

    score: Score
    epochs: int
    seconds: float


class Run:
    """A training run and everything that its state file holds."""

    def __init__(self, network: nn.Module, task: Task, device: torch.device) -> None:
        self.task, self.device, self.network = task, device, network.to(device)
        self.optimiser = make_optimiser(network, task.recipe)
        self.schedule = Schedule(task.recipe, self.optimiser)
        self.epoch, self.step, self.best_epoch = 0, 0, -1
        self.best: Optional[Score] = None
        self.seconds, self.losses = 0.0, 0.0
        self.log: List[str] = []

    def state(self) -> Dict[str, Any]:
        return {
            "network": dict(self.network.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": devices.random_state(),
            "epoch": self.epoch,
            "step": self.step,
            "best": asdict(self.best) if self.best else None,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "losses": self.losses,
            "log": self.log,
        }

    def restore(self, state: Dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        devices.restore_random_state(state["random"])
        self.epoch, self.step, self.best_epoch = state["epoch"], state["step"], state["best_epoch"]
        self.best = (
            Score(**dict(state["best"], groups=tuple(state["best"]["groups"])))
            if state["best"]
            else None
        )
        self.seconds, self.losses, self.log = state["seconds"], state["losses"], state["log"]


def evaluation_steps(steps: int, evaluations: int, skipped: int = 0) -> List[int]:
    """After which steps of an epoch to evaluate: floor(steps / n) apart, the last one at the end, the first few skipped."""
    apart = max(1, steps // evaluations)
    return sorted(
        {apart * k for k in range(1 + skipped, evaluations) if apart * k < steps} | {steps}
    )


def evaluate(
    network: nn.Module,
    batch: int,
    rows: Loader,
    statistics: Scaling,
    device: torch.device,
    keep: Callable[[np.ndarray], None],
) -> Score:
    """Scores a network on the validation rows; gives `keep` its predictions (n, 368), zero columns -mean/std."""
    sums, zero = R2(len(TARGETS)), network_positions(ZERO)
    # -0.0 where the mean is 0: what the published files hold.
    constant = (-statistics.target_mean / statistics.target_std)[kaggle_positions(ZERO)].astype(
        np.float32
    )
    network.eval()
    with contextlib.closing(rows.in_order(batch)) as batches, torch.no_grad():
        for inputs, targets in batches:
            block = network(torch.from_numpy(inputs).to(device)).float().cpu().numpy()
            block[:, zero] = constant
            sums.add(targets, block)
            keep(block)
    return score_network_order(validation_r2(sums, statistics))


def _generator(*numbers: int) -> torch.Generator:
    """A CPU generator that is a function of some numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number) % 2**62
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def train(
    build: Callable[[], nn.Module],
    task: Task,
    rows: Loader,
    validation: Loader,
    statistics: Scaling,
    device: torch.device,
) -> Trained:
    """Trains, or goes on with, one run; leaves the checkpoint, predictions and log of the best evaluation.

    The state file stays until the caller has written a receipt. Raises KitError when the rows do not fill a batch or
    the loss is not finite.
    """
    recipe, name, state_file = task.recipe, task.files.stem, task.files.state
    devices.make_repeatable(recipe.seed)
    network = build()
    if task.start is not None:
        checkpoints.load_into(network, task.start(network), "the parent of " + name)
    run = Run(network, task, device)
    steps = rows.steps(recipe.batch)
    if not steps:
        raise KitError(
            "%d training rows do not fill one batch of %d" % (len(rows), recipe.batch),
            task.files.folder,
            "add months to the training split",
        )
    if state_file.exists():
        state = training_state.load(state_file)
        if state["key"] == task.key:
            run.restore(state)
            print(
                "%s: goes on after epoch %d, step %d of %d"
                % (name, run.epoch + 1, run.step, steps),
                flush=True,
            )
        else:
            print(
                f"{name}: starts anew, the unfinished run in {task.files.folder} had other inputs",
                flush=True,
            )
    with progress(
        total=recipe.epochs * steps,
        initial=run.epoch * steps + run.step,
        desc=f"training {name}",
        unit="step",
    ) as bar:
        while run.epoch < recipe.epochs and not _stops(run):
            points = evaluation_steps(
                steps, recipe.evaluations_in(run.epoch), recipe.skipped_evaluations
            )
            started = time.monotonic()
            with contextlib.closing(
                rows.shuffled(recipe.batch, recipe.seed, run.epoch, run.step)
            ) as batches:
                for inputs, targets in batches:
                    x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
                    if recipe.augmentation:
                        x, y = augment(
                            x, y, recipe.augmentation, _generator(recipe.seed, run.epoch, run.step)
                        )
                    run.losses += _update(run, x.to(device), y.to(device))
                    run.schedule.after_update(run.epoch, run.step, steps)
                    run.step += 1
                    bar.update(1)
                    if run.step in points:
                        with PredictionsWriter(
                            task.files.validation_predictions, len(validation), task.columns
                        ) as oof:
                            score = evaluate(
                                run.network,
                                recipe.validation_batch,
                                validation,
                                statistics,
                                device,
                                oof.add,
                            )
                            run.schedule.after_evaluation(score.all_columns)
                            run.seconds += time.monotonic() - started
                            started = time.monotonic()
                            _keep(run, score, oof, steps)
                        bar.set_postfix_str(
                            f"R2 {task.value(score):.4f}, best {task.value(run.best or score):.4f}",
                            refresh=False,
                        )
                        training_state.save(state_file, dict(run.state(), key=task.key))
            run.epoch, run.step, run.losses = run.epoch + 1, 0, 0.0
    assert run.best is not None  # the first evaluation always counts
    return Trained(run.best, run.epoch, run.seconds)


def _stops(run: Run) -> bool:
    """The team's early stop: an epoch went by without a new best score."""
    return (
        run.task.recipe.early_stop
        and run.epoch > 0
        and run.step == 0
        and run.best_epoch < run.epoch - 1
    )


def _update(run: Run, x: torch.Tensor, y: torch.Tensor) -> float:
    recipe, group = run.task.recipe, run.task.group
    run.network.train()
    run.optimiser.zero_grad()
    prediction = run.network(x)
    loss = (
        loss_all(prediction, y, recipe.smooth_l1_beta)
        if group is None
        else loss_group(prediction, y, group)
    )
    loss.backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip)
    run.optimiser.step()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise KitError(
            "the loss became NaN or infinite in epoch %d, step %d" % (run.epoch + 1, run.step + 1),
            "training",
            "look for odd values in the training months, or lower the learning rate",
        )
    return value


def _keep(run: Run, score: Score, oof: PredictionsWriter, steps: int) -> None:
    """Writes the checkpoint and its predictions when the score is the best so far; extends the log."""
    task, rates = run.task, [group["lr"] for group in run.optimiser.param_groups]
    better = run.best is None or task.value(score) > task.value(run.best) + task.recipe.min_gain
    run.log.append(
        "epoch %d step %d/%d lr %s loss %.6f %s%s"
        % (
            run.epoch + 1,
            run.step,
            steps,
            " ".join(f"{rate:g}" for rate in rates),
            run.losses / run.step,
            task.line(score),
            " *" if better else "",
        )
    )
    if better:
        run.best, run.best_epoch = score, run.epoch
        checkpoints.save(run.network, task.files.checkpoint)
        oof.keep()
    write_text(task.files.log, "".join(line + "\n" for line in run.log))
