"""Every number of every stored trajectory's recipe changed in a copy, each by itself.

PYTHONPATH=shared:. python -m tests.helpers.deliberate_changes    prints what each change moved
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, replace
from typing import Any, ContextManager, Dict, Iterator, List, Optional, Tuple

import torch

from leapkit.core.experiments import Experiment
from leapkit.core.recipes import CosineRestarts, PlateauSchedule
from tests.helpers import choice_constants as choice_constants
from tests.helpers import loop_constants, trajectories
from tests.helpers import loss_constants as loss_constants
from tests.helpers import trajectory_rule as rule
from tests.helpers.other_numbers import changed
from tests.helpers.parity import EXPERIMENTS
from tests.helpers.trajectories import KINDS, Difference, first_difference
from tests.helpers.trajectory_recording import Event, record

REFUSED = Difference("refused", float("inf"))


@dataclass(frozen=True)
class Change:
    """One number of a kind's experiment, or one constant of the loop, that is another one.

    of          the experiment whose stored trajectory it is compared with
    what        dotted name of the number; what the loop does instead
    values      the old value and the new one; () for a constant
    experiment  with the new value; None if its own checks refuse that
    unseen      why a trajectory cannot show it; "" if it must
    """

    of: str
    what: str
    values: Tuple[Any, ...]
    experiment: Optional[Experiment]
    unseen: str = ""

    def difference(self) -> Optional[Difference]:
        """Return what is the first to differ from the stored trajectory; None if nothing does."""
        if self.experiment is None:
            return REFUSED
        with self._patched():
            return first_difference(self.experiment, KINDS[self.of], stored(self.of))

    def effect(self) -> float:
        """Return the largest difference of any number; inf if something else happened too."""
        if self.experiment is None:
            return REFUSED.size
        events: List[Event] = []
        with self._patched():
            record(self.experiment, KINDS[self.of], events.append)
        return trajectories.largest_difference(events, stored(self.of))

    def _patched(self) -> ContextManager[None]:
        return contextlib.nullcontext() if self.values else loop_constants.CONSTANTS[self.what]()


@functools.lru_cache(maxsize=None)
def stored(name: str) -> List[Event]:
    return trajectories.read(name)


def changes() -> Iterator[Change]:
    """Yield every number of every kind, then the constants of the loop."""
    for name in KINDS:
        yield from _of_recipe(name)
        yield from _of_experiment(name)
    for what, of in loop_constants.SHOWN_BY.items():
        yield Change(of, what, (), rule.tiny(EXPERIMENTS[of], KINDS[of]))


def _of_recipe(name: str) -> Iterator[Change]:
    experiment = rule.tiny(EXPERIMENTS[name], KINDS[name])
    for what, old, new, recipe in changed(experiment.recipe["full"]):
        made = rule.with_recipe(experiment, recipe) if recipe else None
        yield Change(name, what, (old, new), made, _unseen(name, what))


def _of_experiment(name: str) -> Iterator[Change]:
    """Yield what is not of the recipe and decides a training: where it starts, what it keeps."""
    experiment = rule.tiny(EXPERIMENTS[name], KINDS[name])
    last = experiment.network["full"].parts[-1]
    if experiment.parent:
        old = experiment.reinitialised
        for new in ((*old, f"{last}.0.bias"), ()):
            if new != old:
                made = replace(experiment, reinitialised=new)
                yield Change(name, "reinitialised", (old, new), made)
    if experiment.groups:
        for what, was, new, groups in changed(experiment.groups):
            yield Change(name, f"groups.{what}", (was, new), replace(experiment, groups=groups))


# ---- what a trajectory cannot show ---------------------------------------------------------------


def _unseen(name: str, what: str) -> str:
    """Return why the trajectory of a kind is the same whatever a number is, "" if it is not."""
    experiment = EXPERIMENTS[name]
    recipe = experiment.recipe["full"]
    events = stored(name)
    reasons = {
        "validation_batch": "a prediction does not depend on the rows beside its own",
        "rows.index": "it names rows of whole months, and a trajectory has none",
    }
    if recipe.rows.fraction == 1:
        reasons["rows.seed"] = "every row is learned from"
    if experiment.groups:
        reasons["smooth_l1_beta"] = "a group's loss has beta 1"
    if recipe.weight_decay == 0:
        reasons["optimiser"] = "Adam and AdamW differ in the decay alone, which is 0"
    if isinstance(recipe.schedule, CosineRestarts) and recipe.epochs <= recipe.schedule.first:
        reasons["schedule.factor"] = "the run ends with its first cycle"
    if isinstance(recipe.schedule, PlateauSchedule) and len(_rates(events)) == 1:
        for number in ("factor", "patience", "min_lr"):
            reasons["schedule." + number] = "every evaluation is a better one: the rate stays"
    if max(recipe.evaluations_in(0) - recipe.skipped_evaluations, recipe.epochs) == 1:
        reasons["min_gain"] = "the only evaluation is the best one"
    epochs, without_best = _epochs(events)
    stops_early = epochs < recipe.epochs
    if stops_early:
        reasons["epochs"] = "it stops early"
    if not (stops_early or without_best):
        reasons["early_stop"] = "every epoch but the last has a new best score"
    return reasons.get(what, "")


def _rates(events: List[Event]) -> List[float]:
    return sorted({numbers[1] for what, _, numbers in events if what == "update"})


def _epochs(events: List[Event]) -> Tuple[int, List[int]]:
    """Return how many epochs were made, and those before the last without a new best score."""
    all_of_them: Dict[int, bool] = {}
    for what, where, _ in events:
        if what == "evaluation":
            epoch = int(where.split(" ")[-1 - where.endswith(" best")].split(".")[0])
            all_of_them[epoch] = all_of_them.get(epoch, False) or where.endswith(" best")
    last = max(all_of_them)
    return last, [epoch for epoch, best in all_of_them.items() if not best and epoch < last]


# ---- the list and its table ----------------------------------------------------------------------


def once_each() -> List[Change]:
    """Return the changes, each value of each number once: in the shortest trajectory that has it.

    Of those that a trajectory cannot show, once for each reason.
    """
    chosen: Dict[Tuple[Any, ...], Change] = {}
    shortest_first = sorted(changes(), key=lambda change: len(stored(change.of)))
    for change in shortest_first:
        number = (change.what, str(change.values[:1]))
        chosen.setdefault((change.unseen,) if change.unseen else number, change)
    return list(chosen.values())


def group(what: str) -> str:
    """Return what the table calls a number: one name for all entries of a tuple or a mapping."""
    first = what.split(".")[0]
    return first if first in ("lr", "betas", "evaluations_per_epoch") else what


def table() -> str:
    """Return the list as Markdown: a line per name, with the largest and smallest effect of it."""
    lines: Dict[str, List[Change]] = {}
    for change in once_each():
        lines.setdefault(group(change.what), []).append(change)
    rows = ["| changed | times | moved a number by | not seen where |", "|---|---|---|---|"]
    for what, made in sorted(lines.items(), key=lambda line: bool(line[1][0].values), reverse=True):
        effects = [change.effect() for change in made if not change.unseen]
        why = "; ".join(dict.fromkeys(change.unseen for change in made if change.unseen))
        rows.append(f"| {what} | {len(effects)} | {_sizes(effects)} | {why} |")
    return "\n".join(rows)


def _sizes(effects: List[float]) -> str:
    sizes = sorted(size for size in effects if size < float("inf"))
    texts = []
    if sizes:
        texts.append(" to ".join(dict.fromkeys(f"{size:.0e}" for size in (sizes[0], sizes[-1]))))
    if len(sizes) < len(effects):
        texts.append("other events")
    return ", ".join(texts)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
