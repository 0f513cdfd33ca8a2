"""One training loop for every experiment; a recipe (leapkit.core.experiments) says how.

The run is a function of (rows, recipe, network, starting weights, number of threads): the order of
the rows is drawn from (seed, epoch), and the state saved at every evaluation holds the network,
optimiser, schedule and generators. Killed at any moment and started again, it continues from the
last evaluation and ends in the same bytes.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable

import numpy as np
import torch
from torch import nn

from leapkit.core.errors import KitError
from leapkit.core.files import write_text
from leapkit.data import checkpoints
from leapkit.data.loader import Loader
from leapkit.data.progress import progress
from leapkit.data.scaling import Scaling
from leapkit.data.score import Score
from leapkit.data.validation_predictions import PredictionsWriter
from leapkit.run import devices, provenance, training_state
from leapkit.run.augmentation import augment
from leapkit.run.evaluation import evaluate, evaluation_steps
from leapkit.run.losses import loss_all, loss_group
from leapkit.run.training_run import Run, Task, Trained


def train(
    build: Callable[[], nn.Module],
    task: Task,
    rows: Loader,
    validation: Loader,
    scaling: Scaling,
    device: torch.device,
) -> Trained:
    """Train, or continue, one run; write checkpoint, predictions and log of its best evaluation.

    The state file stays until the caller has written a receipt. Raises KitError if the rows do not
    fill a batch, if the loss is not finite, or if the run was begun on another stack.
    """
    run = _start(build, task, rows, device)
    _continue_unfinished(run)
    with progress(
        record=task.files.progress,
        total=task.recipe.epochs * run.steps,
        initial=run.epoch * run.steps + run.step,
        desc=f"training {task.files.stem}",
        unit="step",
    ) as bar:
        while not run.is_finished:
            _epoch(run, rows, validation, scaling, bar)
    assert run.best is not None  # the first evaluation always counts
    return Trained(run.best, run.epoch, run.seconds, run.environments)


def _start(build: Callable[[], nn.Module], task: Task, rows: Loader, device: torch.device) -> Run:
    """Return a run at its beginning. Raises KitError if the rows do not fill a batch."""
    steps = rows.steps(task.recipe.batch)
    if not steps:
        raise KitError(
            f"{len(rows)} training rows do not fill one batch of {task.recipe.batch}",
            task.files.folder,
            "add months to the training split",
        )
    devices.make_repeatable(task.recipe.seed)
    network = build()
    if task.start is not None:
        tensors = task.start(network)
        checkpoints.load_into(network, tensors, f"the parent of {task.files.stem}")
    return Run(network, task, steps, device)


def _continue_unfinished(run: Run) -> None:
    """Restore the state that an unfinished run of the same task left."""
    files = run.task.files
    if not files.state.exists():
        return
    state = training_state.load(files.state)
    if state["key"] != run.task.key or not provenance.same_arithmetic(state):
        message = f"starts anew, the unfinished run in {files.folder} had other inputs"
    else:
        run.restore(state)
        message = f"continues after epoch {run.epoch + 1}, step {run.step} of {run.steps}"
    print(f"{files.stem}: {message}", flush=True)


def _epoch(run: Run, rows: Loader, validation: Loader, scaling: Scaling, bar: Any) -> None:
    """Make the updates and evaluations that are left of the current epoch."""
    recipe = run.task.recipe
    evaluations = recipe.evaluations_in(run.epoch)
    evaluated = evaluation_steps(run.steps, evaluations, recipe.skipped_evaluations)
    run.start_clock()
    batches = rows.shuffled(recipe.batch, recipe.seed, run.epoch, run.step)
    with contextlib.closing(batches):
        for inputs, targets in batches:
            _step(run, torch.from_numpy(inputs), torch.from_numpy(targets))
            bar.update(1)
            if run.step in evaluated:
                score = _evaluate_and_keep(run, validation, scaling)
                best = run.task.value(run.best or score)
                bar.set_postfix_str(
                    f"R2 {run.task.value(score):.4f}, best {best:.4f}", refresh=False
                )
                training_state.save(run.task.files.state, dict(run.state(), key=run.task.key))
    run.epoch += 1
    run.step = 0
    run.losses = 0.0


def _step(run: Run, x: torch.Tensor, y: torch.Tensor) -> None:
    """Make one update from x (B, 556) and y (B, 368), standardised, network order."""
    recipe = run.task.recipe
    if recipe.augmentation:
        generator = _generator(recipe.seed, run.epoch, run.step)
        x, y = augment(x, y, recipe.augmentation, generator)
    run.losses += _update(run, x.to(run.device), y.to(run.device))
    run.schedule.after_update(run.epoch, run.step, run.steps)
    run.step += 1


def _generator(*numbers: int) -> torch.Generator:
    """Return a CPU generator that is a function of some numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number) % 2**62
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def _update(run: Run, x: torch.Tensor, y: torch.Tensor) -> float:
    """Step the optimiser on a batch and return its loss. Raises KitError if that is not finite."""
    recipe = run.task.recipe
    group = run.task.group
    run.network.train()
    run.optimiser.zero_grad()
    prediction = run.network(x)
    if group is None:
        loss = loss_all(prediction, y, recipe.smooth_l1_beta)
    else:
        loss = loss_group(prediction, y, group)
    loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
    nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip)
    run.optimiser.step()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise KitError(
            f"the loss became NaN or infinite in epoch {run.epoch + 1}, step {run.step + 1}",
            "training",
            "look for unusual values in the training months, or lower the learning rate",
        )
    return value


def _evaluate_and_keep(run: Run, validation: Loader, scaling: Scaling) -> Score:
    """Score the network on the validation rows, step the schedule, keep the best network."""
    task = run.task
    with PredictionsWriter(
        task.files.validation_predictions, len(validation), task.targets
    ) as predictions:
        score = evaluate(
            run.network,
            task.recipe.validation_batch,
            validation,
            scaling,
            run.device,
            predictions.add,
        )
        # A plateau schedule sees the score of all columns, also where one group is fine-tuned and
        # selection looks at that group alone. No published recipe does both: fine-tuning always has
        # a cosine schedule, which sees no score.
        run.schedule.after_evaluation(score.all_columns)
        run.count_time()
        _keep(run, score, predictions)
    return score


def _keep(run: Run, score: Score, predictions: PredictionsWriter) -> None:
    """Write the checkpoint and its predictions if the score is the best so far; extend the log."""
    task = run.task
    is_best = run.best is None or task.value(score) > task.value(run.best) + task.recipe.min_gain
    rates = " ".join(f"{group['lr']:g}" for group in run.optimiser.param_groups)
    mark = " *" if is_best else ""
    run.log.append(
        f"epoch {run.epoch + 1} step {run.step}/{run.steps} lr {rates}"
        f" loss {run.losses / run.step:.6f} {task.line(score)}{mark}"
    )
    if is_best:
        run.best = score
        run.best_epoch = run.epoch
        checkpoints.save(run.network, task.files.checkpoint)
        predictions.keep()
    write_text(task.files.log, "".join(line + "\n" for line in run.log))
