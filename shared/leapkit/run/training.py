"""One training loop for every experiment; a recipe (leapkit.core.experiments) says how.

The run is a function of (rows, recipe, network, starting weights, number of threads): the order of
the rows is drawn from (seed, epoch), and the state saved at every evaluation holds the network,
optimiser, schedule and generators. Killed at any moment and started again, it continues from the
last evaluation and ends in the same bytes; a pause (leapkit.core.pauses) saves it at any step.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

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
from leapkit.run import training_state
from leapkit.run.batches import training_batches
from leapkit.run.evaluation import evaluate, evaluation_steps
from leapkit.run.lockstep import Lockstep
from leapkit.run.positivity import bounded
from leapkit.run.processes import ALONE, Processes
from leapkit.run.training_run import Run, Task, Trained
from leapkit.run.training_start import begin


def train(
    build: Callable[[], nn.Module],
    task: Task,
    rows: Loader,
    validation: Loader,
    scaling: Scaling,
    device: torch.device,
    processes: Processes = ALONE,
) -> Trained:
    """Train, or continue, one run as train_together() does; return what it reached."""
    runs = train_together(build, [task], rows, validation, scaling, device, processes)
    [(_, trained)] = runs
    return trained


def train_together(
    build: Callable[[], nn.Module],
    tasks: Sequence[Task],
    rows: Loader,
    validation: Loader,
    scaling: Scaling,
    device: torch.device,
    processes: Processes = ALONE,
) -> Iterator[Tuple[Task, Trained]]:
    """Train, or continue, runs of one recipe in lockstep; yield each when it is finished.

    Each writes checkpoint, predictions and log of its best evaluation. Its state file stays until
    the caller has written a receipt.
    processes  each calls this; the first one alone writes
    Raises KitError if the rows do not fill a batch, or if a run was begun on another stack; and,
    when the others are finished, if the loss of one was not finite.
    """
    waiting = list(tasks)
    failures: List[KitError] = []
    options = waiting[0].recipe.options
    while waiting:
        runs = begin(lambda: bounded(build(), options, scaling), waiting, rows, device, processes)
        together = Lockstep(runs)
        del runs  # a run that is finished frees its memory
        yield from _in_lockstep(together, rows, validation, scaling)
        failures += together.failures
    if failures:
        raise failures[0]


def _in_lockstep(
    together: Lockstep, rows: Loader, validation: Loader, scaling: Scaling
) -> Iterator[Tuple[Task, Trained]]:
    """Make epoch after epoch until no run is left; yield each that is finished."""
    first, *others = together.runs
    more = f" and {len(others)} more" if others else ""
    with progress(
        record=first.task.files.progress,
        parts=len(together.runs),
        total=sum(run.task.recipe.epochs * run.steps for run in together.runs),
        initial=sum(run.epoch * run.steps + run.step for run in together.runs),
        desc=f"training {first.task.files.stem}{more}",
        unit="step",
        disable=not first.processes.is_first,
    ) as bar:
        del first, others  # a run that is finished frees its memory
        while together.runs:
            for run in together.take_finished():
                assert run.best is not None  # the first evaluation always counts
                yield run.task, Trained(run.best, run.epoch, run.seconds, run.environments)
            if together.runs:
                _epoch(together, rows, validation, scaling, bar)


def _epoch(
    together: Lockstep, rows: Loader, validation: Loader, scaling: Scaling, bar: Any
) -> None:
    """Make what is left of an epoch; runs that are ahead wait until the others reach them."""
    epoch, first = together.position
    [one, *_] = together.at(epoch, first)
    recipe = one.task.recipe
    evaluations = recipe.evaluations_in(epoch)
    evaluated = evaluation_steps(one.steps, evaluations, recipe.skipped_evaluations)
    together.start_clock()
    batches = training_batches(rows, recipe, epoch, first, one.device, one.processes)
    with contextlib.closing(batches):
        for step, (x, y) in enumerate(batches, first):
            runs = together.at(epoch, step)
            for run in runs:
                with together.update(run):
                    _step(run, x, y)
                bar.update(1)
            runs = [run for run in runs if run in together.runs]
            if not runs:  # they failed
                break
            together.share_time(runs)
            _after_step(together, runs, step + 1 in evaluated, validation, scaling, bar)
    for run in together.at(epoch, one.steps):
        run.end_epoch()


def _after_step(
    together: Lockstep,
    runs: Sequence[Run],
    is_evaluated: bool,
    validation: Loader,
    scaling: Scaling,
    bar: Any,
) -> None:
    """Evaluate the runs that made a step, if it is time, and save their states.

    Raises Paused if a pause was asked for, which saves the states at any step.
    """
    is_paused = pauses.requested()
    if is_evaluated or is_paused:
        runs = together.sound(runs)
    if is_evaluated and runs:
        _evaluate_and_keep(together, runs, validation, scaling)
        bar.set_postfix_str(_best(runs), refresh=False)
    if is_evaluated or is_paused:
        for run in runs:
            together.draw(run)
            _save(run)
    if is_paused:
        raise pauses.Paused


def _best(runs: Sequence[Run]) -> str:
    """Return the best scores of runs, the lowest and the highest, as the progress shows them."""
    best = sorted(run.task.value(run.best) for run in runs if run.best)
    return "best R2 " + " to ".join(dict.fromkeys(f"{best[k]:.4f}" for k in (0, -1)))


def _save(run: Run) -> None:
    """Write the state: any number of processes may go on with it, as it is the same in each."""
    if run.processes.is_first:
        training_state.save(run.task.files.state, dict(run.state(), key=run.task.key))


def _step(run: Run, x: torch.Tensor, y: torch.Tensor) -> None:
    """Make one update from this process's rows of a batch, which are on the device.

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
    run.trained.train()
    run.trained.zero_grad()  # also parameters without a rate: the norm is of the whole network
    loss = run.objective.loss(run.forward(x), y)
    loss = run.processes.weighted(loss, recipe.batch)
    loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
    norm = nn.utils.clip_grad_norm_(run.trained.parameters(), recipe.clip)
    run.optimiser.step()
    run.average.update(run.updates)
    # An infinite gradient of a finite loss has spoilt the weights as well: 0 times it is NaN.
    return run.processes.mean(loss.detach()) + 0 * norm


def _evaluate_and_keep(
    together: Lockstep, runs: Sequence[Run], validation: Loader, scaling: Scaling
) -> None:
    """Score networks on the validation rows, step their schedules, keep the best of each run."""
    with contextlib.ExitStack() as opened:
        predictions = [_opened_predictions(run, len(validation), opened) for run in runs]
        for run in runs:
            opened.enter_context(run.average.in_place())
        scores = evaluate(
            [run.network for run in runs],
            runs[0].task.recipe.validation_batch,
            validation,
            scaling,
            runs[0].device,
            [each.add if each else None for each in predictions],
            runs[0].processes,
        )
        together.share_time(runs)
        for run, score, each in zip(runs, scores, predictions):
            # A plateau schedule sees the score of all columns, also where one group is fine-tuned
            # and selection looks at that group alone. No published recipe does both: fine-tuning
            # always has a cosine schedule, which sees no score.
            run.schedule.after_evaluation(score.all_columns)
            _keep(run, score, each)


def _opened_predictions(
    run: Run, rows: int, opened: contextlib.ExitStack
) -> Optional[PredictionsWriter]:
    """Return what takes the predictions of a run; None in a process that writes nothing."""
    if not run.processes.is_first:
        return None
    files = run.task.files
    writer = PredictionsWriter(files.validation_predictions, rows, run.task.targets)
    return opened.enter_context(writer)


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
        if run.head:
            checkpoints.save(run.head, task.files.confidence)
        predictions.keep()
    if predictions:
        write_text(task.files.log, "".join(line + "\n" for line in run.log))
