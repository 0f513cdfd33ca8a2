"""One training run: its task, and all that its state file holds while it is unfinished."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import GROUP_NAMES, GROUPS, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.layout import RunFiles
from leapkit.core.recipes import Recipe
from leapkit.data.score import Score
from leapkit.run import devices, provenance
from leapkit.run.confidence import WithConfidence
from leapkit.run.loss_sum import LossSum
from leapkit.run.objective import Objective
from leapkit.run.optimisation import Schedule, load_optimiser, make_optimiser
from leapkit.run.precision import FLOAT32
from leapkit.run.processes import ALONE, Processes
from leapkit.run.weight_average import WeightAverage


@dataclass(frozen=True)
class Task:
    """What a run writes, how it trains, and for which targets.

    files      where the checkpoint, the validation predictions, the log and the state go
    recipe     of the experiment
    key        identifies the run (inputs, network, recipe): the state of another run is not
               continued
    start      maps the freshly initialised network to the {tensor name: array} that training starts
               from; None keeps the initialisation
    group      the group of targets that is fine-tuned; None for all targets
    precision  that the network computes in
    """

    files: RunFiles
    recipe: Recipe
    key: str
    start: Optional[Callable[[nn.Module], Mapping[str, np.ndarray]]] = None
    group: Optional[int] = None
    precision: str = FLOAT32

    @property
    def targets(self) -> slice:
        """The predictions that the run keeps, in network order."""
        return slice(0, len(TARGETS)) if self.group is None else GROUPS[self.group]

    def value(self, score: Score) -> float:
        """Return the R2 that decides which evaluation is the best."""
        return score.all_columns if self.group is None else score.groups[self.group]

    def line(self, score: Score) -> str:
        """Return the score as the log and the terminal show it."""
        if self.group is None:
            return score.line()
        return f"R2 {self.value(score):.5f} of {GROUP_NAMES[self.group]}"


@dataclass(frozen=True)
class Trained:
    """The outcome of a finished run.

    score, epochs, seconds  the best score, the epochs run, the seconds of training
    environments            what it was computed on, the last one last
    """

    score: Score
    epochs: int
    seconds: float
    environments: List[provenance.Environment]


class Run:
    """A training run: the network, its optimiser, where it is and what it reached so far.

    epoch, step  epochs finished, and updates done in the current epoch
    steps        updates of a whole epoch
    losses       of the current epoch's updates
    seconds      of training so far; of runs in lockstep, its share
    environments what the run has been computed on so far
    random       the state of torch's generators when the run last drew from them
    processes    that train the network together
    trained      the network, with its confidence head if it has one
    forward      what training calls instead of that, so that gradients are averaged
    head         the confidence head; None without that option
    objective    what is minimised
    average      of the weights, which evaluations and the checkpoint have if that option is on
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        steps: int,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self.task = task
        self.device = device
        self.processes = processes
        recipe = task.recipe
        self.network = network.to(device)
        self.trained = self.network
        self.head: Optional[nn.Module] = None
        if recipe.options.confidence:
            both = WithConfidence(self.network, recipe.seed).to(device)
            self.trained, self.head = both, both.head
        self.forward = processes.joined(self.trained, recipe.batch)
        self.optimiser = make_optimiser(self.network, recipe, self.head)
        self.schedule = Schedule(recipe, self.optimiser)
        self.objective = Objective(recipe, task.group, device, processes)
        self.average = WeightAverage(self.trained, recipe.options.ema)
        self.steps = steps
        self.epoch = 0
        self.step = 0
        self.losses = LossSum(device)
        self.best: Optional[Score] = None
        self.best_epoch = -1
        self.log: List[str] = []
        self.seconds = 0.0
        self.environments = [provenance.environment(device, processes.size, task.precision)]
        self.random = devices.random_state()

    def end_epoch(self) -> None:
        self.epoch += 1
        self.step = 0
        self.losses.begin()

    def loss(self) -> float:
        """Return the sum of the epoch's losses so far. Raises KitError if it is not finite."""
        return self.losses.value(self.epoch, self.step)

    @property
    def updates(self) -> int:
        """The updates made so far, of all epochs."""
        return self.epoch * self.steps + self.step

    @property
    def is_finished(self) -> bool:
        return self.epoch >= self.task.recipe.epochs or self._stops_early

    @property
    def _stops_early(self) -> bool:
        """The team's early stop: a whole epoch went by without a new best score."""
        starts_an_epoch = self.epoch > 0 and self.step == 0
        return self.task.recipe.early_stop and starts_an_epoch and self.best_epoch < self.epoch - 1

    @property
    def _optional(self) -> Dict[str, Any]:
        """What options add to the state: by name, what has state_dict() and load_state_dict()."""
        parts = {"head": self.head, "average": self.average, "weights": self.objective.weights}
        return {name: part for name, part in parts.items() if part and part.state_dict()}

    def state(self) -> Dict[str, Any]:
        optional = {name: part.state_dict() for name, part in self._optional.items()}
        return {
            **({"options": optional} if optional else {}),
            "network": dict(self.network.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": devices.random_state(),
            "epoch": self.epoch,
            "step": self.step,
            "best": asdict(self.best) if self.best else None,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "losses": self.loss(),
            "log": self.log,
            "environments": self.environments,
        }

    def restore(self, state: Dict[str, Any]) -> None:
        """Continue from what state() returned.

        Raises KitError if the run was begun where it would have given other bytes.
        """
        begun = provenance.environments_of(state)
        [now] = self.environments
        if not provenance.may_go_on(begun[-1], now):
            raise KitError(
                f"is of a training on {provenance.name(begun[-1])}, and ended here, on"
                f" {provenance.name(now)}, it would give the bytes of neither",
                self.task.files.state,
                "go on with the stack, device and precision that began it, or remove this file to"
                " train anew",
            )
        self.environments = provenance.joined(begun, now)
        self.network.load_state_dict(state["network"])
        for name, part in self._optional.items():
            part.load_state_dict(state["options"][name])
        load_optimiser(self.optimiser, state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.random = state["random"]
        self.epoch = state["epoch"]
        self.step = state["step"]
        best = state["best"]
        self.best = Score(**dict(best, groups=tuple(best["groups"]))) if best else None
        self.best_epoch = state["best_epoch"]
        self.seconds = state["seconds"]
        self.losses.begin(state["losses"], self.step)
        self.log = state["log"]
