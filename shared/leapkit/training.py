"""One training loop for every experiment; a recipe (leapkit.experiments) says how.

The run is a function of (rows, recipe, network, number of threads): shuffling is a permutation drawn from
(seed, epoch), and the state saved at every evaluation holds the network, optimiser, schedule and generators. Killed at
any moment and started again, it goes on from the last evaluation and ends in the same bytes.
"""
from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import numpy as np
import torch
from torch import nn

from leapkit import checkpoints, compute, training_state
from leapkit.columns import TARGETS, ZERO, kaggle_positions, network_positions
from leapkit.errors import KitError
from leapkit.experiments import Recipe
from leapkit.files import atomic, write_text
from leapkit.losses import loss_all
from leapkit.progress import progress
from leapkit.rows import Rows
from leapkit.score import R2, Score, score_network_order, validation_r2
from leapkit.statistics import Statistics


def evaluation_steps(steps: int, evaluations: int) -> List[int]:
    """After which steps of an epoch to evaluate: floor(steps / n) apart, the last one at the end."""
    apart = max(1, steps // evaluations)
    return sorted({apart * k for k in range(1, evaluations) if apart * k < steps} | {steps})


def make_schedule(recipe: Recipe, optimiser: torch.optim.Optimizer) -> Any:
    plan = recipe.schedule
    return torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, mode="min", factor=plan.factor, patience=plan.patience, min_lr=plan.min_lr)


@dataclass(frozen=True)
class Trained:
    """What a finished run says of itself: the best evaluation's score, epochs run, seconds of training."""

    score: Score
    epochs: int
    seconds: float


class Run:
    """A training run and everything that its state file holds."""

    def __init__(self, network: nn.Module, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.network = network.to(device)
        self.parallel = nn.DataParallel(network) if torch.cuda.device_count() > 1 and device.type == "cuda" else network
        self.optimiser = torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas,
                                          weight_decay=recipe.weight_decay)
        self.schedule = make_schedule(recipe, self.optimiser)
        self.epoch, self.step, self.best, self.best_epoch = 0, 0, float("-inf"), -1
        self.seconds, self.losses = 0.0, 0.0
        self.log: List[str] = []

    def state(self) -> Dict[str, Any]:
        return {"network": dict(self.network.state_dict()), "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule.state_dict(), "random": compute.random_state(), "epoch": self.epoch,
                "step": self.step, "best": self.best, "best_epoch": self.best_epoch, "seconds": self.seconds,
                "losses": self.losses, "log": self.log}

    def restore(self, state: Dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        compute.restore_random_state(state["random"])
        self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
        self.best_epoch, self.seconds, self.losses = state["best_epoch"], state["seconds"], state["losses"]
        self.log = state["log"]


def predict(network: nn.Module, inputs: np.ndarray, batch: int, device: torch.device) -> Iterator[np.ndarray]:
    """Yields (n, 368) float32 predictions, standardised, network order, `batch` rows at a time, in order."""
    network.eval()
    with torch.no_grad():
        for at in range(0, len(inputs), batch):
            # A copy: memory-mapped inputs are read only, and torch wants memory that it may own.
            block = torch.from_numpy(np.array(inputs[at:at + batch])).to(device)
            yield network(block).float().cpu().numpy()


def evaluate(run: Run, rows: Rows, statistics: Statistics, oof: np.ndarray) -> Score:
    """Scores the network on the validation rows; leaves its predictions in `oof` (N, 368), zero columns -mean/std."""
    sums, at = R2(len(TARGETS)), 0
    zero = network_positions(ZERO)
    # -0.0 where the mean is 0: what the published files hold.
    constant = (-statistics.target_mean / statistics.target_std)[kaggle_positions(ZERO)].astype(np.float32)
    for block in predict(run.parallel, rows.inputs, run.recipe.validation_batch, run.device):
        block[:, zero] = constant
        sums.add(rows.targets[at:at + len(block)], block)
        oof[at:at + len(block)] = block
        at += len(block)
    return score_network_order(validation_r2(sums, statistics))


def _shuffled(count: int, seed: int, epoch: int) -> torch.Tensor:
    generator = torch.Generator()
    generator.manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator)


def train(build: Callable[[], nn.Module], recipe: Recipe, rows: Rows, validation: Rows, statistics: Statistics,
          folder: Path, name: str, key: str, device: torch.device) -> Trained:
    """Trains, or goes on with, the run in `folder`; leaves <name>.pt, oof.npy and log.txt of the best evaluation.

    `key` identifies the run (inputs, network, recipe): the state of another run is not gone on with. The state file
    stays until the caller has written a receipt (finish). Raises KitError when the rows do not fill a batch or the
    loss is not finite.
    """
    compute.make_repeatable(recipe.seed)
    run = Run(build(), recipe, device)
    state_file = state_path(folder, name)
    steps = len(rows) // recipe.batch  # drop_last, as published
    if not steps:
        raise KitError("%d training rows do not fill one batch of %d" % (len(rows), recipe.batch), folder,
                       "add months to the training split")
    if state_file.exists():
        state = training_state.load(state_file)
        if state["key"] == key:
            run.restore(state)
            print("%s: goes on after epoch %d, step %d of %d" % (name, run.epoch + 1, run.step, steps), flush=True)
        else:
            print("%s: starts anew, the unfinished run in %s had other inputs" % (name, folder), flush=True)
    points = evaluation_steps(steps, recipe.evaluations_per_epoch)
    oof = np.empty((len(validation), len(TARGETS)), dtype=np.float32)
    inputs, targets = torch.from_numpy(rows.inputs), torch.from_numpy(rows.targets)
    with progress(total=recipe.epochs * steps, initial=run.epoch * steps + run.step, desc="training %s" % name,
              unit="step") as bar:
        while run.epoch < recipe.epochs and not _stops(run):
            order = _shuffled(len(rows), recipe.seed, run.epoch)
            started = time.monotonic()
            while run.step < steps:
                chosen = order[run.step * recipe.batch:(run.step + 1) * recipe.batch]
                run.losses += _update(run, inputs[chosen].to(device), targets[chosen].to(device))
                run.step += 1
                bar.update(1)
                if run.step in points:
                    score = evaluate(run, validation, statistics, oof)
                    run.schedule.step(-score.all_columns)
                    run.seconds += time.monotonic() - started
                    started = time.monotonic()
                    _keep(run, score, oof, folder, name, steps)
                    bar.set_postfix_str("R2 %.4f, best %.4f" % (score.all_columns, run.best), refresh=False)
                    training_state.save(state_file, dict(run.state(), key=key))
            run.epoch, run.step, run.losses = run.epoch + 1, 0, 0.0
    return Trained(_score_of(folder, validation, statistics), run.epoch, run.seconds)


def state_path(folder: Path, name: str) -> Path:
    return folder / ("%s.state.pt" % name)


def _stops(run: Run) -> bool:
    """The team's early stop: an epoch went by without a new best score."""
    return run.epoch > 0 and run.step == 0 and run.best_epoch < run.epoch - 1


def _update(run: Run, x: torch.Tensor, y: torch.Tensor) -> float:
    run.parallel.train()
    run.optimiser.zero_grad()
    loss = loss_all(run.parallel(x), y, run.recipe.smooth_l1_beta)
    loss.backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), run.recipe.clip)
    run.optimiser.step()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise KitError("the loss became NaN or infinite in epoch %d, step %d" % (run.epoch + 1, run.step + 1),
                       "training", "look for odd values in the training months, or lower the learning rate")
    return value


def _keep(run: Run, score: Score, oof: np.ndarray, folder: Path, name: str, steps: int) -> None:
    """Writes the checkpoint and its out-of-fold predictions when the score is the best so far; extends the log."""
    rate = run.optimiser.param_groups[0]["lr"]
    better = score.all_columns > run.best
    run.log.append("epoch %d step %d/%d lr %g loss %.6f %s%s" % (
        run.epoch + 1, run.step, steps, rate, run.losses / run.step, score.line(), " *" if better else ""))
    if better:
        run.best, run.best_epoch = score.all_columns, run.epoch
        checkpoints.save(run.network, folder / (name + ".pt"))
        with atomic(folder / "oof.npy") as temporary, open(temporary, "wb") as handle:
            # As np.save, whose own write does not say that it was the disk that is full.
            np.lib.format.write_array_header_1_0(handle, np.lib.format.header_data_from_array_1_0(oof))
            handle.write(oof.data)
    write_text(folder / "log.txt", "".join(line + "\n" for line in run.log))


def _score_of(folder: Path, validation: Rows, statistics: Statistics) -> Score:
    sums = R2(len(TARGETS))
    oof = np.load(str(folder / "oof.npy"), mmap_mode="r")
    for at in range(0, len(oof), 4096):
        sums.add(validation.targets[at:at + 4096], np.asarray(oof[at:at + 4096]))
    return score_network_order(validation_r2(sums, statistics))
