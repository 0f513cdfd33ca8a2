"""The whole run, decided before anything starts: the world, every experiment, the blend, each with its reason."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

from blend import tables
from blend.plan import SEARCHED, judge_blend, scores_path
from launch import registry
from launch.settings import Settings, sample_world
from leapkit.errors import KitError
from leapkit.experiments import Experiment
from leapkit.files import HashIndex
from leapkit.plan import Places, Todo, of_experiment
from leapkit.receipts import Verdict
from leapkit.sampleworld.plan import judge_world, sample_inputs

HASHES = ".cache/hashes.json"


@dataclass(frozen=True)
class Plan:
    """What would run: `world` is None where RAW_DATA is the user's; `blend` is None for one member alone."""

    world: Verdict | None
    todos: Dict[str, List[Todo]]
    blend: Verdict | None
    blend_problem: str

    @property
    def blocked(self) -> List[Todo]:
        return [todo for own in self.todos.values() for todo in own if todo.blocked]

    @property
    def members_to_run(self) -> List[str]:
        return [name for name, own in self.todos.items() if any(t.train or t.infer for t in own)]

    @property
    def is_done(self) -> bool:
        return not (self.members_to_run or self.blocked or (self.world and not self.world.done)
                    or (self.blend and not self.blend.done))

    def lines(self) -> List[str]:
        lines = []
        if self.world:
            lines.append("%-12s %s: %s" % ("world", "is there" if self.world.done else "is made", self.world.reason))
        lines += [line for own in self.todos.values() for todo in own for line in todo.lines()]
        if self.blend_problem:
            lines.append("%-12s cannot run: %s" % ("blend", self.blend_problem))
        elif self.blend:
            lines.append("%-12s %s: %s" % ("blend", "is skipped" if self.blend.done else "runs", self.blend.reason))
        return lines


def make(settings: Settings, table: Dict[str, Tuple[Experiment, ...]], with_blend: bool) -> Plan:
    """Decides by receipts and content. Reads files, starts nothing."""
    places, index = settings.submission, HashIndex(settings.submission.root / HASHES)
    world = None
    if settings.is_sample_world and settings.mode == "reproduce":
        world = judge_world(sample_world(), sample_inputs(), index)
    todos: Dict[str, List[Todo]] = {}
    for member, rows in table.items():
        todos[member] = []
        for row in rows:
            if world and not world.done:
                todo = Todo(row.name, row.artifact, train=True, infer=True)
                todo.reasons = {"train": "its world is about to be made", "infer": "its world is about to be made"}
            else:
                weights = registry.REPOSITORY / "members" / member / "weights"
                todo = of_experiment(row, settings.mode, settings["PROFILE"],
                                     Places(settings.raw, places, weights), index)
            todos[member].append(todo)
    blend, problem = None, ""
    if with_blend:
        try:
            blend = _judge_blend(settings, todos, index)
        except KitError as error:
            problem = str(error)
    index.save()
    return Plan(world, todos, blend, problem)


def _judge_blend(settings: Settings, todos: Dict[str, List[Todo]], index: HashIndex) -> Verdict:
    flat = [todo for own in todos.values() for todo in own]
    stuck = [todo.name for todo in flat if todo.blocked]
    if stuck:
        raise KitError("%s cannot run" % ", ".join(stuck), "blend", "mend what the lines above name")
    coming = [todo.artifact for todo in flat if todo.train or todo.infer]
    mine = registry.artifacts(registry.members())
    table, places = settings["TABLE"], settings.submission
    verdict = judge_blend(table, places, index, coming, mine)
    if not verdict.done or not settings.raw.truth.exists():
        return verdict
    # The blend itself judges the scores' inputs; here it is enough that they are there for the parquet that is done.
    if not scores_path(places, SEARCHED if table == SEARCHED else tables.find(table).name).exists():
        return Verdict(False, "its scores are missing")
    return verdict
