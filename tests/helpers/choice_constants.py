"""Rows, evaluations, what is kept and where fine-tuning begins, otherwise than in the loop."""

from __future__ import annotations

from typing import Any, Callable, ContextManager, Dict
from unittest import mock

import numpy as np
from torch import nn

from leapkit.core.columns import LINEAR, network_positions
from leapkit.data.loader import Loader
from leapkit.run import batches, checkpoint_training, evaluation, training
from leapkit.run.fine_tuning import Parent
from leapkit.run.training_run import Run, Task
from tests.helpers.loop_constants import constant

# ---- rows and evaluations ------------------------------------------------------------------------


@constant("every epoch has the same order of rows", "forcewithme/37-stage1")
def _() -> ContextManager[Any]:
    original = Loader.shuffled
    return mock.patch.object(
        Loader, "shuffled", lambda self, batch, seed, epoch, start=0: original(self, batch, seed, 0)
    )


@constant("all rows are shuffled together, not in pools", "forcewithme/37-stage1")
def _() -> ContextManager[Any]:
    return mock.patch.object(checkpoint_training, "Loader", lambda rows, pool: Loader(rows, 10**6))


@constant("the rows left over at an epoch's end make a smaller batch", "joseph/912")
def _() -> ContextManager[Any]:
    original = Loader._batches

    def batches_of(self: Loader, *arguments: Any) -> Any:
        return original(self, *arguments[:-1], False)

    def steps(self: Loader, batch: int, *_: Any) -> int:
        return -(-len(self) // batch)

    return mock.patch.multiple(Loader, _batches=batches_of, steps=steps)


@constant("the augmentation is a function of the epoch alone", "joseph/907")
def _() -> ContextManager[Any]:
    original = batches._generator
    return mock.patch.object(
        batches, "_generator", lambda seed, epoch, update, *more: original(seed, epoch, 0, *more)
    )


@constant("the targets are not augmented with the inputs", "joseph/907")
def _() -> ContextManager[Any]:
    original = batches.augment
    return mock.patch.object(batches, "augment", lambda x, y, *more: (original(x, y, *more)[0], y))


@constant("evaluations are ceil(N / n) updates apart", "forcewithme/18")
def _() -> ContextManager[Any]:
    def steps(steps: int, evaluations: int, skipped: int = 0) -> Any:
        apart = -(-steps // evaluations)
        inside = {apart * k for k in range(1 + skipped, evaluations) if apart * k < steps}
        return sorted(inside | {steps})

    return mock.patch.object(training, "evaluation_steps", steps)


@constant("the last evaluations are skipped, not the first", "joseph/912sep")
def _() -> ContextManager[Any]:
    original = training.evaluation_steps

    def steps(steps: int, evaluations: int, skipped: int = 0) -> Any:
        return original(steps, evaluations)[: evaluations - skipped]

    return mock.patch.object(training, "evaluation_steps", steps)


# ---- what is kept --------------------------------------------------------------------------------


@constant("the best evaluation is the one of the predicted targets", "joseph/907")
def _() -> ContextManager[Any]:
    return mock.patch.object(Task, "value", lambda self, score: score.predicted)


@constant("a group's best evaluation is the one of all targets", "joseph/912sep")
def _() -> ContextManager[Any]:
    return mock.patch.object(Task, "value", lambda self, score: score.all_columns)


@constant("the early stop waits two epochs", "adam/195")
def _() -> ContextManager[Any]:
    def stops(run: Run) -> bool:
        starts = run.epoch > 0 and run.step == 0
        return run.task.recipe.early_stop and starts and run.best_epoch < run.epoch - 2

    return mock.patch.object(Run, "_stops_early", property(stops))


@constant("the last network is kept, not the best", "adam/195")
def _() -> ContextManager[Any]:
    original = training._keep

    def keep(run: Run, *more: Any) -> None:
        run.best = None
        original(run, *more)

    return mock.patch.object(training, "_keep", keep)


@constant("the zero targets are predicted as the network has them", "zuiye/A")
def _() -> ContextManager[Any]:
    nowhere: Any = lambda names: []  # noqa: E731
    return mock.patch.multiple(evaluation, network_positions=nowhere, kaggle_positions=nowhere)


def _r2(changed: Callable[[np.ndarray], np.ndarray]) -> ContextManager[Any]:
    original = evaluation.validation_r2
    return mock.patch.object(
        evaluation, "validation_r2", lambda sums, scaling: changed(original(sums, scaling))
    )


@constant("the linear targets count what they reach, not 1", "forcewithme/40-stage2")
def _() -> ContextManager[Any]:
    def counted(r2: np.ndarray) -> np.ndarray:
        r2[network_positions(LINEAR)] = 0.5
        return r2

    return _r2(counted)


@constant("a target below 0 counts as it is, though raw 0 were better", "forcewithme/40-stage2")
def _() -> ContextManager[Any]:
    return mock.patch.object(
        evaluation.R2, "of_raw_zero", lambda self, mean, std: np.full(len(mean), -np.inf)
    )


# ---- fine-tuning ---------------------------------------------------------------------------------


@constant("fine-tuning begins at new weights, not at the parent's", "forcewithme/40-stage2")
def _() -> ContextManager[Any]:
    def weights(self: Parent, network: nn.Module) -> Dict[str, np.ndarray]:
        return {name: tensor.numpy() for name, tensor in network.state_dict().items()}

    return mock.patch.object(Parent, "weights", weights)


@constant("every group begins where the group before it ended", "max2020/010")
def _() -> ContextManager[Any]:
    original = Parent.weights
    ended: Dict[str, Any] = {}

    def weights(self: Parent, network: nn.Module) -> Dict[str, Any]:
        tensors = dict(original(self, network))
        tensors.update({name: value * (1 + 1e-6) for name, value in ended.items()})
        ended.update(tensors)
        return tensors

    return mock.patch.object(Parent, "weights", weights)


@constant("a parent's weights are kept where its score is lower", "joseph/912sep")
def _() -> ContextManager[Any]:
    original = Parent._recorded

    def recorded(self: Parent, *keys: Any) -> Any:
        value = original(self, *keys)
        return -value if keys[0] == "validation" else value

    return mock.patch.object(Parent, "_recorded", recorded)
