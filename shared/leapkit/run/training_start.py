"""Where a run begins: at new weights, at its parent's, or where an unfinished run ended."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import torch
from torch import nn

from leapkit.core.errors import KitError
from leapkit.data import checkpoints
from leapkit.data.loader import Loader
from leapkit.run import devices, provenance, training_state
from leapkit.run.lowered import lower
from leapkit.run.precision import BF16
from leapkit.run.processes import Processes
from leapkit.run.training_run import Run, Task


def begin(
    build: Callable[[], nn.Module],
    waiting: List[Task],
    rows: Loader,
    device: torch.device,
    processes: Processes,
) -> List[Run]:
    """Begin as many of the tasks `waiting` as the device has room for; take them off that list.

    A run begins anew, or where an unfinished one of the same task ended.
    """
    runs = [_begin(build, waiting.pop(0), rows, device, processes)]
    room = processes.of_first(devices.networks_at_once(runs[0].network, device))
    while waiting and len(runs) < room:
        runs.append(_begin(build, waiting.pop(0), rows, device, processes))
    return runs


def _begin(
    build: Callable[[], nn.Module],
    task: Task,
    rows: Loader,
    device: torch.device,
    processes: Processes,
) -> Run:
    run = _start(build, task, rows, device, processes)
    _continue_unfinished(run)
    if run.step == run.steps:
        run.end_epoch()
    return run


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
    devices.make_repeatable(task.recipe.seed, task.precision)
    network = build()
    if task.start is not None and processes.is_first:  # the others get the first one's weights
        tensors = task.start(network)
        checkpoints.load_into(network, tensors, f"the parent of {task.files.stem}")
    if task.precision == BF16:
        lower(network)
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
