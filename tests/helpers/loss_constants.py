"""The loss, the update and the learning rate done otherwise than the loop does them."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, Callable, ContextManager, Iterator
from unittest import mock

import torch
from torch import nn

from leapkit.core.columns import GROUPS, LINEAR, ZERO, network_positions
from leapkit.run import losses, objective, training, training_run
from leapkit.run.optimisation import Schedule
from leapkit.run.training_run import Run
from tests.helpers.loop_constants import constant

# ---- the loss ------------------------------------------------------------------------------------


def _without(names: Any) -> ContextManager[Any]:
    """Leave targets out of the loss of all: the prediction counts as met exactly."""
    original = objective.loss_all
    positions = network_positions(names)

    def loss(prediction: torch.Tensor, label: torch.Tensor, *more: Any) -> torch.Tensor:
        met = prediction.clone()
        met[:, positions] = label[:, positions].double()
        return original(met, label, *more)

    return mock.patch.object(objective, "loss_all", loss)


def _loss(name: str, changed: Callable[..., torch.Tensor]) -> ContextManager[Any]:
    return mock.patch.object(objective, name, partial(changed, getattr(objective, name)))


@constant("the difference loss counts twice", "zuiye/A")
def _() -> ContextManager[Any]:
    def loss(original: Any, p: torch.Tensor, y: torch.Tensor, beta: float, *more: Any) -> Any:
        values = nn.functional.smooth_l1_loss(p, y, beta=beta)
        return 2 * original(p, y, beta, *more) - values

    return _loss("loss_all", loss)


@constant("a group's difference loss is left out", "max2020/015")
def _() -> ContextManager[Any]:
    def loss(_: Any, p: torch.Tensor, y: torch.Tensor, group: int, *__: Any) -> Any:
        return nn.functional.smooth_l1_loss(p[:, GROUPS[group]], y[:, GROUPS[group]])

    return _loss("loss_group", loss)


@constant("a group's loss has beta 0.5", "max2020/015")
def _() -> ContextManager[Any]:
    original = losses.smooth_l1_loss

    def smooth(p: torch.Tensor, y: torch.Tensor, beta: float = 1.0, **more: Any) -> torch.Tensor:
        return original(p, y, beta=0.5, **more)

    return mock.patch.object(losses, "smooth_l1_loss", smooth)


@constant("a group is tuned by the loss of all targets", "forcewithme/32")
def _() -> ContextManager[Any]:
    def loss(_: Any, p: torch.Tensor, y: torch.Tensor, __: int, *more: Any) -> torch.Tensor:
        return objective.loss_all(p, y, 1.0)

    return _loss("loss_group", loss)


@constant("the 60 zero targets are left out of the loss", "forcewithme/18")
def _() -> ContextManager[Any]:
    return _without(ZERO)


@constant("the 16 linear targets are left out of the loss", "joseph/912")
def _() -> ContextManager[Any]:
    return _without(LINEAR)


@constant("one level of one profile is left out of the loss", "joseph/907")
def _() -> ContextManager[Any]:
    return _without(("ptend_v_59",))


# ---- the update ----------------------------------------------------------------------------------


@constant("the gradient is clipped after the step, not before", "joseph/912")
def _() -> ContextManager[Any]:
    def norm(parameters: Any, _: float) -> torch.Tensor:
        return torch.tensor(0.0, dtype=torch.float64)

    return mock.patch.object(nn.utils, "clip_grad_norm_", norm)


@constant("every value of the gradient is clipped, not its norm", "joseph/912")
def _() -> ContextManager[Any]:
    def values(parameters: Any, limit: float) -> torch.Tensor:
        nn.utils.clip_grad_value_(parameters, limit / 16)
        return torch.tensor(0.0, dtype=torch.float64)

    return mock.patch.object(nn.utils, "clip_grad_norm_", values)


@constant("gradients are added up over updates", "zuiye/A")
def _() -> ContextManager[Any]:
    return mock.patch.object(nn.Module, "zero_grad", lambda *_, **__: None)


def _optimiser(**changed: Any) -> ContextManager[Any]:
    original = training_run.make_optimiser

    def made(*arguments: Any) -> torch.optim.Optimizer:
        optimiser = original(*arguments)
        for group in optimiser.param_groups:
            group.update(changed)
        return optimiser

    return mock.patch.object(training_run, "make_optimiser", made)


@constant("the optimiser's eps is 1e-7, not 1e-8", "zuiye/A")
def _() -> ContextManager[Any]:
    return _optimiser(eps=1e-7)


@constant("the optimiser is AMSGrad", "zuiye/A")
def _() -> ContextManager[Any]:
    return _optimiser(amsgrad=True)


def _zero_gradients() -> ContextManager[Any]:
    """Give tensors that no forward pass sees gradients of 0."""
    original = nn.utils.clip_grad_norm_

    def norm(parameters: Any, limit: float) -> torch.Tensor:
        parameters = list(parameters)
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return original(parameters, limit)

    return mock.patch.object(nn.utils, "clip_grad_norm_", norm)


@constant("tensors that no forward pass sees get gradients of zero", "zuiye/A")
def _() -> ContextManager[Any]:
    """As of the team's wrapper for several GPUs: AdamW then decays them."""
    return _zero_gradients()


@constant("parameters that no prefix names are decayed too", "joseph/907")
@contextlib.contextmanager
def _() -> Iterator[None]:
    original = training_run.make_optimiser

    def made(network: nn.Module, *more: Any) -> torch.optim.Optimizer:
        optimiser = original(network, *more)
        optimiser.param_groups[0]["params"].extend(network.layer_norm.parameters())
        return optimiser

    with _zero_gradients(), mock.patch.object(training_run, "make_optimiser", made):
        yield


# ---- the schedule --------------------------------------------------------------------------------


def _after_update(changed: Callable[..., None]) -> ContextManager[Any]:
    return mock.patch.object(Schedule, "after_update", changed)


@constant("the schedule is stepped with the index of the next update", "max2020/014-stage1")
def _() -> ContextManager[Any]:
    original = Schedule.after_update
    return _after_update(lambda self, e, step, steps: original(self, e, step + 1, steps))


@constant("the schedule is stepped before the update", "max2020/014-stage1")
def _() -> ContextManager[Any]:
    original = training._update

    def update(run: Run, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        run.schedule.after_update(run.epoch, run.step + 1, run.steps)
        return original(run, x, y)

    return mock.patch.object(training, "_update", update)


@constant("the schedule is stepped once an epoch", "max2020/007")
def _() -> ContextManager[Any]:
    original = Schedule.after_update
    return _after_update(lambda self, epoch, _, steps: original(self, epoch, 0, steps))


def _plateau(**changed: Any) -> ContextManager[Any]:
    original = torch.optim.lr_scheduler.ReduceLROnPlateau

    def made(optimiser: Any, **options: Any) -> Any:
        return original(optimiser, **{**options, **changed})

    return mock.patch.object(torch.optim.lr_scheduler, "ReduceLROnPlateau", made)


@constant("a plateau's threshold is 0.1, not 1e-4", "adam/195")
def _() -> ContextManager[Any]:
    return _plateau(threshold=0.1)


@constant("a plateau's threshold is absolute", "adam/200")
def _() -> ContextManager[Any]:
    return _plateau(threshold_mode="abs", threshold=1e-2)


@constant("a plateau is given the score, not its negative", "adam/195")
def _() -> ContextManager[Any]:
    original = Schedule.after_evaluation
    return mock.patch.object(
        Schedule, "after_evaluation", lambda self, score: original(self, -score)
    )
