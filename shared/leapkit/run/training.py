"""One training loop for every experiment; a recipe (leapkit.core.experiments) says how.

The run is a function of (rows, recipe, network, starting weights, number of threads): the order of
the rows is drawn from (seed, epoch), and the state saved at every evaluation holds the network,
optimiser, schedule and generators. Killed at any moment and started again, it continues from the
last evaluation and ends in the same bytes; a pause (leapkit.core.pauses) saves it at any step.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Optional

import torch
from torch import nn

from leapkit.core import pauses
from leapkit.core.errors import KitError
from leapkit.core.files import write_text
from leapkit.data import checkpoints
from leapkit.data.loader import Loader
from leapkit.data.progress import progress
from leapkit.data.scaling import Scaling
from leapkit.data.score import Score
from leapkit.data.validation_predictions import PredictionsWriter
from leapkit.run import devices, provenance, training_state
from leapkit.run.batches import training_batches
from leapkit.run.evaluation import evaluate, evaluation_steps
from leapkit.run.losses import loss_all, loss_group
from leapkit.run.processes import ALONE, Processes
from leapkit.run.training_run import Run, Task, Trained


def train(
    build: Callable[[], nn.Module],
    task: Task,
    rows: Loader,
    validation: Loader,
    scaling: Scaling,
    device: torch.device,
    processes: Processes = ALONE,
) -> Trained:
    """Train, or continue, one run; write checkpoint, predictions and log of its best evaluation.

    processes  each calls this; the first one alone writes
    The state file stays until the caller has written a receipt. Raises KitError if the rows do not
    fill a batch, if the loss is not finite, or if the run was begun on another stack.
    """
    run = _start(build, task, rows, device, processes)
    _continue_unfinished(run)
    with progress(
        total=task.recipe.epochs * run.steps,
        initial=run.epoch * run.steps + run.step,
        desc=f"training {task.files.stem}",
        unit="step",
        disable=not processes.is_first,
    ) as bar:
        while not run.is_finished:
            _epoch(run, rows, validation, scaling, bar)
    assert run.best is not None  # the first evaluation always counts
    return Trained(run.best, run.epoch, run.seconds, run.environments)


def _start(
    build: Callable[[], nn.Module],
    task: Task,
    rows: Loader,
    device: torch.device,
    processes: Processes,
) -> Run:
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
    if task.start is not None and processes.is_first:  # the others get the first one's weights
        tensors = task.start(network)
        checkpoints.load_into(network, tensors, f"the parent of {task.files.stem}")
    return Run(network, task, steps, device, processes)


def _continue_unfinished(run: Run) -> None:
    """Restore the state that an unfinished run of the same task left, in every process."""
    state = run.processes.of_first(_unfinished(run) if run.processes.is_first else None)
    if state:
        run.restore(state)


def _unfinished(run: Run) -> Dict[str, Any]:
    """Return the state that an unfinished run of the same task left, {} if there is none."""
    files = run.task.files
    if not files.state.exists():
        return {}
    state: Dict[str, Any] = training_state.load(files.state)
    if state["key"] != run.task.key or not provenance.same_arithmetic(state):
        message = f"starts anew, the unfinished run in {files.folder} had other inputs"
        state = {}
    else:
        step = f"step {state['step']} of {run.steps}"
        message = f"continues after epoch {state['epoch'] + 1}, {step}"
    print(f"{files.stem}: {message}", flush=True)
    return state


def _epoch(run: Run, rows: Loader, validation: Loader, scaling: Scaling, bar: Any) -> None:
    """Make the updates and evaluations that are left of the current epoch."""
    recipe = run.task.recipe
    evaluations = recipe.evaluations_in(run.epoch)
    evaluated = evaluation_steps(run.steps, evaluations, recipe.skipped_evaluations)
    run.start_clock()
    batches = training_batches(rows, recipe, run.epoch, run.step, run.device, run.processes)
    with contextlib.closing(batches):
        for x, y in batches:
            _step(run, x, y)
            bar.update(1)
            is_paused = pauses.requested()
            if run.step in evaluated or is_paused:
                run.loss()  # one that is not finite ends the run before anything is saved
            if run.step in evaluated:
                score = _evaluate_and_keep(run, validation, scaling)
                best = run.task.value(run.best or score)
                bar.set_postfix_str(
                    f"R2 {run.task.value(score):.4f}, best {best:.4f}", refresh=False
                )
            if run.step in evaluated or is_paused:
                run.count_time()
                _save(run)
            if is_paused:
                raise pauses.Paused
    run.epoch += 1
    run.step = 0
    run.losses.begin()


def _save(run: Run) -> None:
    """Write the state: any number of processes may go on with it, as it is the same in each."""
    if run.processes.is_first:
        training_state.save(run.task.files.state, dict(run.state(), key=run.task.key))


def _step(run: Run, x: torch.Tensor, y: torch.Tensor) -> None:
    """Make one update from this process's slice of a batch, which is on the device.

    x (B, 556), y (B, 368), standardised, network order. Raises KitError if a loss is not finite, on
    a GPU not at once.
    """
    loss = _update(run, x, y)
    run.schedule.after_update(run.epoch, run.step, run.steps)
    run.step += 1
    run.losses.add(loss, run.epoch, run.step)


def _update(run: Run, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Step the optimiser on this process's slice of a batch and return the loss of the batch.

    The host waits for nothing that a GPU computes.
    """
    recipe = run.task.recipe
    group = run.task.group
    run.network.train()
    run.optimiser.zero_grad()
    prediction = run.forward(x)
    if group is None:
        loss = loss_all(prediction, y, recipe.smooth_l1_beta)
    else:
        loss = loss_group(prediction, y, group)
    loss = run.processes.weighted(loss, recipe.batch)
    loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
    norm = nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip)
    run.optimiser.step()
    # An infinite gradient of a finite loss has spoilt the weights as well: 0 times it is NaN.
    return run.processes.mean(loss.detach()) + 0 * norm


def _evaluate_and_keep(run: Run, validation: Loader, scaling: Scaling) -> Score:
    """Score the network on the validation rows, step the schedule, keep the best network."""
    task = run.task
    predictions = (
        PredictionsWriter(task.files.validation_predictions, len(validation), task.targets)
        if run.processes.is_first
        else None
    )
    with predictions or contextlib.nullcontext():
        score = evaluate(
            run.network,
            task.recipe.validation_batch,
            validation,
            scaling,
            run.device,
            predictions.add if predictions else None,
            run.processes,
        )
        # A plateau schedule sees the score of all columns, also where one group is fine-tuned and
        # selection looks at that group alone. No published recipe does both: fine-tuning always has
        # a cosine schedule, which sees no score.
        run.schedule.after_evaluation(score.all_columns)
        run.count_time()
        _keep(run, score, predictions)
    return score


def _keep(run: Run, score: Score, predictions: Optional[PredictionsWriter]) -> None:
    """Note the score, and whether it is the best so far; write what belongs to it.

    predictions  None in a process that writes nothing
    """
    task = run.task
    is_best = run.best is None or task.value(score) > task.value(run.best) + task.recipe.min_gain
    rates = " ".join(f"{group['lr']:g}" for group in run.optimiser.param_groups)
    mark = " *" if is_best else ""
    run.log.append(
        f"epoch {run.epoch + 1} step {run.step}/{run.steps} lr {rates}"
        f" loss {run.loss() / run.step:.6f} {task.line(score)}{mark}"
    )
    if is_best:
        run.best = score
        run.best_epoch = run.epoch
    if is_best and predictions:
        checkpoints.save(run.network, task.files.checkpoint)
        predictions.keep()
    if predictions:
        write_text(task.files.log, "".join(line + "\n" for line in run.log))
