"""The stored trajectories of the kit's training, and how another one is compared with them.

PYTHONPATH=shared:. python -m tests.helpers.trajectories --write    records them on this stack
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from leapkit.core.experiments import Experiment
from tests.helpers import trajectory_rule as rule
from tests.helpers.parity import EXPERIMENTS
from tests.helpers.trajectory_recording import Event, record

FOLDER = Path(__file__).parents[1] / "stored" / "trajectories"
KINDS: Dict[str, rule.Kind] = {
    kind.experiment: kind
    for kind in (
        # A network that overshoots: its rate drops to the last one, and it stops early.
        rule.Kind("adam/195", steps=4, gradients=16, output=256),
        # And one that is better at every evaluation, to its last epoch.
        rule.Kind("adam/200", steps=4, gradients=512, output=8),
        rule.Kind("forcewithme/18", gradients=2),
        rule.Kind("forcewithme/37-stage1", gradients=2),
        rule.Kind("forcewithme/40-stage1", steps=2, gradients=2),
        rule.Kind("forcewithme/40-stage2", steps=2, gradients=2),
        rule.Kind("forcewithme/32", steps=2),
        rule.Kind("forcewithme/38", steps=2),
        rule.Kind("joseph/907", gradients=8192),
        rule.Kind("joseph/912", gradients=2),
        rule.Kind("joseph/912sep", steps=5, gradients=0.5),
        rule.Kind("max2020/007", gradients=65536),
        rule.Kind("max2020/014-stage1", gradients=2),
        rule.Kind("max2020/010", gradients=16384),
        rule.Kind("max2020/015", steps=2, gradients=8192),
        rule.Kind("zuiye/A", gradients=2),
    )
}
# Largest differences allowed: relative, of scores absolute. docs/reference/training_parity.md,
# "The tolerance", says what was measured between the stacks.
TOLERANCES = {"update": 1e-10, "evaluation": 1e-9, "tensor": 1e-10, "predictions": 1e-9}
DIGITS = 12  # that are stored: a hundredth of the smallest tolerance
AGAIN = "PYTHONPATH=shared:. python -m tests.helpers.trajectories --write"


def traits(experiment: Experiment) -> Tuple[Any, ...]:
    """Return what of an experiment's loop is another way of working, not another number."""
    recipe = experiment.recipe["full"]
    groups = experiment.groups
    return (
        type(recipe.schedule).__name__,
        recipe.optimiser,
        recipe.early_stop,
        "" not in recipe.rates,
        isinstance(recipe.evaluations_per_epoch, tuple),
        recipe.skipped_evaluations > 0,
        recipe.min_gain > 0,
        recipe.smooth_l1_beta,
        recipe.betas,
        recipe.weight_decay,
        recipe.augmentation is not None,
        recipe.rows.fraction < 1,
        recipe.rows.first_month,
        bool(experiment.parent),
        experiment.reinitialised,
        groups and (bool(groups.parents), groups.keep_if_better),
    )


@dataclass(frozen=True)
class Difference:
    """The first event that is not the stored one.

    where   it happened, and what of it differs
    size    relative, of scores absolute; inf if something else happened than what is stored
    """

    where: str
    size: float

    def __str__(self) -> str:
        size = "" if self.size == float("inf") else f" by {self.size:.1e}"
        return f"{self.where} differs{size}"


class Differs(Exception):
    """Raised at the first event that is not the stored one."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference


def first_difference(
    experiment: Experiment, kind: rule.Kind, stored: List[Event]
) -> Optional[Difference]:
    """Train an experiment until something differs from what is stored; None if nothing does."""
    coming = iter(stored)

    def compare(event: Event) -> None:
        difference = _difference(event, next(coming, None))
        if difference:
            raise Differs(difference)

    try:
        record(experiment, kind, compare)
    except Differs as differs:
        return differs.difference
    missing = next(coming, None)
    return Difference(f"the end, before {_place(missing)},", float("inf")) if missing else None


def largest_difference(events: List[Event], stored: List[Event]) -> float:
    """Return the largest distance of any event; inf if other events happened."""
    places = [[event[:2] for event in each] for each in (events, stored)]
    if places[0] != places[1]:
        return float("inf")
    return max(distance(event, other) for event, other in zip(events, stored))


def distance(event: Event, other: Event) -> float:
    """Return the largest difference of two events' numbers: relative, of scores absolute."""
    floor = 1.0 if event[0] == "evaluation" else 1e-300
    return max(abs(a - b) / max(abs(a), abs(b), floor) for a, b in zip(event[2], other[2]))


def _difference(event: Event, expected: Optional[Event]) -> Optional[Difference]:
    same_place = expected and (event[:2], len(event[2])) == (expected[:2], len(expected[2]))
    if expected is None or not same_place:
        return Difference(_place(event), float("inf"))
    size = distance(event, expected)
    return None if size <= TOLERANCES[event[0]] else Difference(_place(event), size)


def _place(event: Event) -> str:
    what, where, _ = event
    return f"{what} {where}"


# ---- files ---------------------------------------------------------------------------------------


def path(name: str) -> Path:
    return FOLDER / (name.replace("/", "_") + ".jsonl")


def header(name: str) -> Dict[str, Any]:
    """Return what a trajectory is of: the rule and all that decides it."""
    experiment = rule.tiny(EXPERIMENTS[name], KINDS[name])
    made: Dict[str, Any] = {
        "rule": rule.VERSION,
        "kind": asdict(KINDS[name]),
        "network": experiment.network_record("full"),
        "recipe": EXPERIMENTS[name].recipe_record("full"),
        "reinitialised": experiment.reinitialised,
        "groups": asdict(experiment.groups) if experiment.groups else None,
    }
    return dict(json.loads(json.dumps(made)))


def read(name: str) -> List[Event]:
    """Return a stored trajectory. Raises AssertionError, in one sentence, if it is of another."""
    first, *lines = path(name).read_text().splitlines()
    stored, now = (dict(_leaves(made)) for made in (json.loads(first), header(name)))
    for key in {**stored, **now}:
        if stored.get(key) != now.get(key):
            raise AssertionError(
                f"{name}: {key} is {stored.get(key)} in the stored trajectory and {now.get(key)} in"
                f" the code; if that is meant, run `{AGAIN}` and commit what it writes"
            )
    return [_event(json.loads(line)) for line in lines]


def _event(value: Any) -> Event:
    what, where, numbers = value
    return what, where, tuple(numbers)


def _leaves(value: Any, name: str = "") -> Iterator[Tuple[str, Any]]:
    """Yield (dotted name, value) of all that JSON holds."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        full = f"{name}.{key}" if name else str(key)
        if isinstance(inner, (dict, list)) and inner:
            yield from _leaves(inner, full)
        else:
            yield full, inner


def recorded(name: str) -> List[Event]:
    events: List[Event] = []
    record(rule.tiny(EXPERIMENTS[name], KINDS[name]), KINDS[name], events.append)
    return events


def write(name: str) -> None:
    lines = [json.dumps(header(name))] + [_line(event) for event in recorded(name)]
    path(name).write_text("\n".join(lines) + "\n")


def _line(event: Event) -> str:
    what, where, numbers = event
    short = [float(f"{number:.{DIGITS}g}") for number in numbers]
    return json.dumps([what, where, short], separators=(",", ":"))


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for each in KINDS:
        write(each)
        print(path(each))
