"""Training of each kind of network: the kit's whole run against a plain loop, same batches.

The kit's side reads step files, standardises, evaluates, and writes states and receipts as it
trains. The plain side has its batches in memory and writes nothing, as the published loop does
between two evaluations; it evaluates as often.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from benchmarks import kinds
from benchmarks.case import Case, Side, Step, UnequalError
from benchmarks.kinds import DEVICE, HAS_GPU, KINDS, PRECISIONS, PROFILE
from leapkit.core.experiments import Experiment
from leapkit.core.layout import Layout, Results, RunFiles
from leapkit.core.multiplications import TRAINING_FLOP

# rows/s that one H100 is to reach with the residual LSTM: printed, never a timed test.
GOALS = {"residual": "H100: tf32 25,000, bf16 45,000 rows/s"}
# The largest relative difference of the mean loss: other sums, other rows augmented, arithmetic.
TOLERANCE = {"ours": 5e-3, "ours float32": 5e-3, "ours tf32": 1e-2, "ours bf16": 5e-2}


def experiment_of(kind: str) -> Experiment:
    """Return the experiment that is measured."""
    return kinds.experiment_of(KINDS[kind].tuned or KINDS[kind].experiment)


def make(kind: str, case: Case) -> None:
    """Make the world, and the batches of the plain side; for parts, train the parent."""
    import numpy as np

    kinds.make_world(case)
    experiment = experiment_of(kind)
    recipe = experiment.recipe[PROFILE]
    if experiment.parent:
        parent = kinds.experiment_of(KINDS[kind].experiment)
        _run([parent], _results(case, kind), "")
    training, validation = kinds.loaders(case, experiment)
    batches = list(training.shuffled(recipe.batch, recipe.seed, 0))
    rows = list(validation.in_order(recipe.validation_batch))
    np.savez(
        _folder(case, kind) / "rows.npz",
        x=np.stack([inputs for inputs, _ in batches]),
        y=np.stack([targets for _, targets in batches]),
        validation=np.concatenate([inputs for inputs, _ in rows]),
    )


def _folder(case: Case, kind: str) -> Path:
    return case.folder_of("train_" + kind)


def _results(case: Case, kind: str) -> Tuple[Case, Results]:
    return case, Results(_folder(case, kind) / "results")


def _run(family: Sequence[Experiment], where: Tuple[Case, Results], precision: str) -> None:
    """Run the last experiment of a family as a member's command does."""
    from leapkit.run import devices
    from leapkit.run.options import RunOptions
    from leapkit.run.pipeline import run_experiment

    case, results = where
    devices.tune_libraries()
    layout = Layout(kinds.world(case), results, Path())
    known = {field.name for field in fields(RunOptions)}
    more: Dict[str, Any] = {"precision": precision} if precision and "precision" in known else {}
    options = RunOptions(
        "reproduce", PROFILE, layout, kinds.builder(family[-1]), DEVICE, 0 if HAS_GPU else 1, **more
    )
    run_experiment(family[-1], family, options)


def ours(kind: str, precision: str, case: Case) -> Dict[str, Any]:
    """Train as the kit does, in its own files, and return the losses that its logs name."""
    experiment = experiment_of(kind)
    results = _results(case, kind)[1]
    folder = results.experiment(experiment.member, experiment.id)
    shutil.rmtree(str(folder), ignore_errors=True)
    family = [kinds.experiment_of(KINDS[kind].experiment)] if experiment.parent else []
    _run([*family, experiment], (case, results), precision)
    logs = [
        RunFiles(folder, experiment.id, group).log.read_text()
        for group in experiment.checkpoint_groups
    ]
    return {"losses": [float(re.findall(r" loss (\S+)", log)[-1]) for log in logs]}


def plain(kind: str, case: Case) -> Dict[str, Any]:
    """Train with the plain loop; for parts, seven times from the parent's weights."""
    import numpy as np

    experiment = experiment_of(kind)
    if not HAS_GPU:
        import torch

        torch.set_num_threads(1)
    with np.load(_folder(case, kind) / "rows.npz") as rows:
        batches = list(zip(rows["x"], rows["y"]))
        validation = rows["validation"]
    parts = [
        _plain_part(case, kind, group, batches, validation)
        for group in experiment.checkpoint_groups
    ]
    return {"losses": parts}


def _plain_part(
    case: Case, kind: str, group: Any, batches: Sequence[Any], validation: Any
) -> float:
    """Train one network in the plain way and return its mean loss."""
    import torch

    from benchmarks import plain_loop
    from leapkit.core.columns import GROUPS
    from leapkit.data import checkpoints
    from leapkit.run import devices
    from leapkit.run.augmentation import augment
    from leapkit.run.optimisation import Schedule, make_optimiser

    experiment = experiment_of(kind)
    recipe = experiment.recipe[PROFILE]
    devices.make_repeatable(recipe.seed)
    network = kinds.builder(experiment)(experiment.network[PROFILE])
    if experiment.parent:
        folder = _results(case, kind)[1].experiment(experiment.member, experiment.parent)
        tensors = checkpoints.read_tensors(RunFiles(folder, experiment.parent).checkpoint)
        checkpoints.load_into(network, tensors, "the parent")
    network.to(DEVICE)
    optimiser = make_optimiser(network, recipe)
    schedule = Schedule(recipe, optimiser)
    loss_of = (
        partial(plain_loop.loss_of_all, beta=recipe.smooth_l1_beta)
        if group is None
        else partial(plain_loop.loss_of_group, targets=GROUPS[group])
    )
    changed = None
    if recipe.augmentation:
        generator = torch.Generator()
        changed = partial(augment, augmentation=recipe.augmentation, generator=generator)
    losses = plain_loop.train(
        network,
        optimiser,
        batches,
        loss_of,
        recipe.clip,
        DEVICE,
        changed,
        lambda step: schedule.after_update(0, step, len(batches)),
    )
    plain_loop.predict(network, validation, recipe.validation_batch, DEVICE)
    return sum(losses) / len(losses)


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
    """Return how far the mean losses differ; sides augment other rows."""
    worst = {}
    for side, given in evidence.items():
        if side != "published":
            pairs = zip(given["losses"], evidence["published"]["losses"])
            worst[side] = max(abs(a - b) / abs(b) for a, b in pairs)
            if worst[side] > TOLERANCE[side]:
                raise UnequalError(f"{side}: mean losses differ by {worst[side]:.1e}")
    return "mean losses within " + ", ".join(f"{difference:.0e}" for difference in worst.values())


def amounts(kind: str, case: Case) -> Dict[str, float]:
    """Return updates, rows and GFLOP of one side, its evaluations left out."""
    experiment = experiment_of(kind)
    batch = experiment.recipe[PROFILE].batch
    training, _ = kinds.loaders(case, experiment)
    updates = training.steps(batch) * len(experiment.checkpoint_groups)
    flop = TRAINING_FLOP * experiment.network[PROFILE].multiplications
    return {
        "updates": updates,
        "rows": updates * batch,
        "GFLOP": updates * batch * flop / 1e9,
    }


def _size(kind: str, case: Case) -> str:
    counts = amounts(kind, case)
    width = "full width" if HAS_GPU else "sample width"
    return f"{counts['updates']:.0f} x {counts['rows'] / counts['updates']:.0f} rows, {width}"


def _step(kind: str) -> Step:
    packages = ("numpy", "pyarrow", "torch", "leapkit.run.pipeline")
    sides: List[Tuple[str, Any]] = [("published", partial(plain, kind))]
    for precision in PRECISIONS:
        name = f"ours {precision}" if HAS_GPU else "ours"
        sides.append((name, partial(ours, kind, precision if HAS_GPU else "")))
    return Step(
        title="training, " + KINDS[kind].title,
        goal=GOALS.get(kind, "") if HAS_GPU else ">= 1x",
        cores=0 if HAS_GPU else 1,
        sides={name: Side(packages, work) for name, work in sides},
        size=partial(_size, kind),
        make=partial(make, kind),
        evidence=lambda case, side, result: result,
        compare=compare,
        amounts=partial(amounts, kind),
        rounds=7,
        clock=time.perf_counter if HAS_GPU else time.process_time,
    )


STEPS = {"train_" + kind: _step(kind) for kind in KINDS}
