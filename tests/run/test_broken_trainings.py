"""The plain trainings tell a broken loop from the kit's: each fault below is made in its source.

A fault is a piece of one function and what it is replaced by.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import textwrap
from typing import Any, Callable, Dict, NamedTuple

import pytest

torch = pytest.importorskip("torch")

from tests.helpers import watched_training  # noqa: E402
from tests.helpers.compared_trainings import Case, Runs, by_hand, by_the_kit, compared  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack, pytest.mark.modern]

torch.set_num_threads(1)

SHORT = {"evaluations": (2,)}
CASES = {
    "stage": Case(
        ["joseph/907"],
        {
            "joseph/907": {
                "evaluations": (2, 3, 5),
                "cycles": (1, 2, 1e-6),
                "clip": 0.1,
                "beta": 0.5,
                "decay": 0.1,
                "min_gain": 1e-3,
            }
        },
    ),
    "left out": Case(
        ["max2020/007"],
        {"max2020/007": {"rates": {"lstml": 8e-4}, "clip": 0.05, "evaluations": (2,)}},
    ),
    "dropout": Case(["adam/195"], {"adam/195": {"evaluations": (2, 2)}}),
    "plateau": Case(["adam/200"], {"adam/200": {"rates": {"": 0.1}, "batch": 96}}),
    "groups": Case(
        ["joseph/912", "joseph/912sep"],
        {
            "joseph/912": SHORT,
            "joseph/912sep": {"rates": {"lstm_layers": 6e-2, "attention": 4e-2, "final_fc": 8e-2}},
        },
    ),
    "stages": Case(
        ["forcewithme/40-stage1", "forcewithme/40-stage2"],
        {"forcewithme/40-stage1": SHORT, "forcewithme/40-stage2": SHORT},
    ),
    "ties": Case(
        ["zuiye/A"],
        {"zuiye/A": {"rates": {"": 1e-30}, "cycles": (1, 1, 0.0), "evaluations": (2,)}},
    ),
}


class Fault(NamedTuple):
    """What is replaced by what in a function of leapkit, and the case that shows it."""

    case: str
    function: str
    piece: str
    replacement: str


CLIP = "    norm = nn.utils.clip_grad_norm_(run.trained.parameters(), recipe.clip)\n"
STEP = "    run.optimiser.step()\n"
STEPPED = "run.schedule.after_update(run.epoch, run.step, run.steps)"
LATE = "run.schedule.after_update(run.epoch, max(run.step - 1, 0), run.steps)"
EARLY = "run.schedule.after_update(run.epoch, run.step + 1, run.steps)"
UPDATE = "run.training._update"
OBJECTIVE = "run.objective.Objective."
SCHEDULE = "run.optimisation.Schedule.__init__"
FAULTS = {
    # the learning rate
    "the schedule is one update late": Fault("stage", "run.training._step", STEPPED, LATE),
    "the schedule is one update early": Fault("stage", "run.training._step", STEPPED, EARLY),
    "cycles do not grow": Fault("stage", SCHEDULE, "T_mult=schedule.factor", "T_mult=1"),
    "cycles end at zero": Fault("stage", SCHEDULE, "eta_min=schedule.min_lr", "eta_min=0.0"),
    "one rate for all prefixes": Fault(
        "stage",
        "run.optimisation.make_optimiser",
        'parameters, "lr": rate',
        'parameters, "lr": 6e-4',
    ),
    "the plateau is more patient": Fault("plateau", SCHEDULE, "schedule.patience", "3"),
    "the plateau sees the score's opposite": Fault(
        "plateau", "run.optimisation.Schedule.after_evaluation", "-score", "score"
    ),
    # the update
    "gradients are not clipped": Fault("stage", UPDATE, CLIP, "    norm = 0.0\n"),
    "gradients are clipped after the step": Fault("stage", UPDATE, CLIP + STEP, STEP + CLIP),
    "gradients are never cleared": Fault("stage", UPDATE, "run.trained.zero_grad()", "pass"),
    "gradients of layers without a rate are never cleared": Fault(
        "left out", UPDATE, "run.trained.zero_grad()", "run.optimiser.zero_grad()"
    ),
    "decay goes through the gradient": Fault(
        "stage", "run.optimisation.make_optimiser", "torch.optim.AdamW", "torch.optim.Adam"
    ),
    "another beta of the optimiser": Fault(
        "stage", "run.optimisation.make_optimiser", "betas=recipe.betas", "betas=(0.9, 0.95)"
    ),
    "training has no dropout": Fault(
        "dropout", UPDATE, "run.trained.train()", "run.trained.eval()"
    ),
    # the loss
    "another beta of the loss": Fault(
        "stage", OBJECTIVE + "__init__", "recipe.smooth_l1_beta", "1.0"
    ),
    "differences count six times": Fault("stage", "run.losses.loss_all", "+ shape", "+ 6 * shape"),
    "differences do not count": Fault("stage", "run.losses.loss_all", "+ shape", ""),
    "targets that are always 0 are left out": Fault(
        "dropout",
        "run.losses.loss_all",
        "_smooth_l1(prediction, label, beta, weights)",
        "_smooth_l1(prediction[:, label.bool().any(0)], label[:, label.bool().any(0)], beta, None)",
    ),
    "a group's differences do not count": Fault(
        "groups", "run.losses.loss_group", "if group == 0", "if True"
    ),
    "a group learns all targets": Fault(
        "groups",
        OBJECTIVE + "loss",
        "loss_group(prediction, y, self._group, weights)",
        "loss_all(prediction, y, 1.0)",
    ),
    # the rows
    "rows are not augmented": Fault(
        "stage", "run.batches._augmented", "if recipe.augmentation:", "if False:"
    ),
    "each update augments alike": Fault(
        "stage", "run.batches._augmented", "epoch, update))", "epoch, 0))"
    ),
    "targets are not rolled": Fault(
        "stage", "run.augmentation.augment", "_moved(y, _TARGET_SCALARS, source)", "y"
    ),
    "each epoch has the first one's order": Fault(
        "stage",
        "run.batches.training_batches",
        "recipe.seed, epoch, start)",
        "recipe.seed, 0, start)",
    ),
    "pools are mixed alike": Fault(
        "stage", "data.loader.Loader.shuffled", "shard[0], k])", "shard[0], 0])"
    ),
    # evaluation and selection
    "evaluations are one update early": Fault(
        "stage", "run.training._epoch", "step + 1 in evaluated", "step + 2 in evaluated"
    ),
    "each epoch is evaluated like the first": Fault(
        "stage", "run.training._epoch", "evaluations_in(epoch)", "evaluations_in(0)"
    ),
    "no evaluation is skipped": Fault(
        "groups", "run.training._epoch", "recipe.skipped_evaluations", "0"
    ),
    "dropout while evaluating": Fault(
        "dropout", "run.evaluation.evaluate", "network.eval()", "network.train()"
    ),
    "zero targets are predicted": Fault(
        "stage", "run.evaluation.evaluate", "predictions[:, zero] = raw_zero", "pass"
    ),
    "an equal score is better": Fault("ties", "run.training._keep", ") > task", ") >= task"),
    "any gain is enough": Fault("stage", "run.training._keep", " + task.recipe.min_gain", ""),
    "the last network is kept": Fault("plateau", "run.training._keep", "if is_best and", "if"),
    "a group is selected by all columns": Fault(
        "groups", "run.training_run.Task.value", "score.groups[self.group]", "score.all_columns"
    ),
    "it stops an epoch later": Fault(
        "plateau", "run.training_run.Run._stops_early", "self.epoch - 1", "self.epoch - 2"
    ),
    # the parent
    "the last layer's bias is not the parent's": Fault(
        "stages",
        "run.fine_tuning.Parent.weights",
        "self.child.reinitialised",
        "[*self.child.reinitialised, 'fc.0.bias']",
    ),
    "the better of parent and child is dropped": Fault(
        "groups", "run.fine_tuning.Parent.score_against_parent", "score < parent", "score > parent"
    ),
}


@pytest.fixture(scope="module")
def plain(tiny_world) -> Callable[[str], Runs]:
    """Return what gives the plain implementation's runs of a case, each made once."""
    made: Dict[str, Runs] = {}

    def of(name: str) -> Runs:
        if name not in made:
            made[name] = by_hand(CASES[name], tiny_world)
        return made[name]

    return of


@pytest.mark.parametrize("name", CASES)
def test_a_sound_loop_agrees(name, plain, tiny_world, tmp_path, monkeypatch):
    watched = watched_training.watch(monkeypatch)
    results = by_the_kit(CASES[name], tiny_world, tmp_path)
    assert compared(CASES[name], plain(name), watched, results) == {}


# The first fault of each case; all of them take two minutes.
FIRST = {fault.case: name for name, fault in reversed(list(FAULTS.items()))}.values()
TOLD = FAULTS if os.environ.get("LEAP_LONG_TESTS") else FIRST


@pytest.mark.parametrize("name", TOLD)
def test_a_broken_loop_is_told(name, plain, tiny_world, tmp_path, monkeypatch):
    fault = FAULTS[name]
    broken(fault, monkeypatch)
    watched = watched_training.watch(monkeypatch)
    results = by_the_kit(CASES[fault.case], tiny_world, tmp_path)
    assert compared(CASES[fault.case], plain(fault.case), watched, results) != {}


def broken(fault: Fault, patch: pytest.MonkeyPatch) -> None:
    """Make a fault, wherever the function is known by its name."""
    path, name = fault.function.rsplit(".", 1)
    package, module_name, *of_class = path.split(".")
    module: Any = importlib.import_module(f"leapkit.{package}.{module_name}")
    owner = getattr(module, of_class[0]) if of_class else module
    function = inspect.getattr_static(owner, name)
    is_property = isinstance(function, property)
    source = textwrap.dedent(inspect.getsource(function.fget if is_property else function))
    assert source.count(fault.piece) == 1, "the function has changed"
    names: Dict[str, Any] = {}
    exec(source.replace(fault.piece, fault.replacement), vars(module), names)
    patch.setattr(owner, name, names[name])
    if owner is module:  # others have imported it by name
        for other in [m for path, m in sys.modules.items() if path.startswith("leapkit.")]:
            if getattr(other, name, None) is function:
                patch.setattr(other, name, names[name])
