"""The whole run, decided before anything starts: the world, every experiment, the blend, each with its reason."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

from blend.plan import judge_blend, report_path, scores_path, search_of, table_name, title
from launch import registry
from launch.settings import Settings, sample_world
from leapkit.errors import KitError
from leapkit.experiments import Experiment
from leapkit.files import HashIndex
from leapkit.plan import Hashes, Part, Places, Todo, of_experiments, refuse_shared_files
from leapkit.receipts import Verdict
from leapkit.sampleworld.plan import judge_world, sample_inputs
from leapkit.stepfiles import PUBLISHED, read_month, steps_of
from leapkit.world import RawData


@dataclass(frozen=True)
class Plan:
    """What would run: `world` is None where RAW_DATA is the user's; `blends` is empty for one member alone.

    months  the user's step files that training would take, in lines
    """

    world: Verdict | None
    months: List[str]
    todos: Dict[str, List[Todo]]
    blends: Dict[str, Verdict]
    blend_problem: str

    @property
    def blocked(self) -> List[Todo]:
        return [todo for own in self.todos.values() for todo in own if todo.blocked]

    @property
    def members_to_run(self) -> List[str]:
        return [name for name, own in self.todos.items() if any(todo.runs for todo in own)]

    @property
    def is_done(self) -> bool:
        return not (self.members_to_run or self.blocked or (self.world and not self.world.done)
                    or not all(verdict.done for verdict in self.blends.values()))

    def lines(self) -> List[str]:
        lines = list(self.months)
        if self.world:
            lines.append("%-24s %s: %s" % ("world", "is there" if self.world.done else "is made", self.world.reason))
        lines += [line for own in self.todos.values() for todo in own for line in todo.lines()]
        lines += ["%-24s %s: %s" % ("blend " + name, "is skipped" if verdict.done else "runs", verdict.reason)
                  for name, verdict in self.blends.items()]
        if self.blend_problem:
            lines.append("%-24s cannot run: %s" % ("blend", self.blend_problem))
        return lines


def make(settings: Settings, table: registry.Table, with_blend: bool) -> Plan:
    """Decides by receipts and content. Reads files, starts nothing."""
    index = HashIndex(settings.submission.hashes)
    hashes, world = Hashes(settings.raw, index), None
    if settings.is_sample_world and settings.mode == "reproduce":
        world = judge_world(sample_world(), sample_inputs(), index)
    todos: Dict[str, List[Todo]] = {}
    for member, rows in table.items():
        if world and not world.done:
            todos[member] = [_before_the_world(row) for row in rows]
        else:
            places = Places(settings.raw, settings.submission, settings.weights(member))
            todos[member] = of_experiments(rows, settings.mode, settings["PROFILE"], places, hashes)
    if settings.mode == "infer-only":
        refuse_shared_files([todo for own in todos.values() for todo in own], settings["PROFILE"], hashes)
    blends: Dict[str, Verdict] = {}
    problem = ""
    if with_blend:
        try:
            blends = {name: _judge_blend(name, settings, todos, table, index) for name in settings.tables}
        except KitError as error:
            problem = str(error)
    index.save()
    months = months_taken(settings.raw) if settings.mode == "reproduce" and not settings.is_sample_world else []
    return Plan(world, months, todos, blends, problem)


def months_taken(raw: RawData) -> List[str]:
    """Which months train and validate, and what of them is not whole."""
    try:
        split = raw.split()
        months = [read_month(raw.steps / name) for name in sorted(set(split.train + split.validation))]
    except KitError:
        return []  # what cannot run says so itself
    by_rule = "" if raw.has_own_split else " (published: %d, %d)" % (len(PUBLISHED.train), len(PUBLISHED.validation))
    lines = ["%-24s %d months train, %d validate%s" % ("step files", len(split.train), len(split.validation), by_rule)]
    odd = ["%-24s %s" % ("", month.line()) for month in months if month.odd or len(month.pairs) != steps_of(month.name)]
    return lines + odd[:8] + (["%-24s and %d more that are not whole" % ("", len(odd) - 8)] if odd[8:] else [])


def _before_the_world(row: Experiment) -> Todo:
    reason = "its world is about to be made"
    steps = ["train"] + (["infer"] if row.artifact else [])
    return Todo(row, [Part(None, Path(), True, reason)], bool(row.artifact), {step: reason for step in steps})


def _judge_blend(name: str, settings: Settings, todos: Dict[str, List[Todo]], table: registry.Table, index: HashIndex
                 ) -> Verdict:
    flat = [todo for own in todos.values() for todo in own]
    stuck = [todo.row.name for todo in flat if todo.blocked]
    if stuck:
        raise KitError("%s cannot run" % ", ".join(stuck), "blend", "mend what the lines above name")
    searches, search = registry.searches(table), search_of(name)
    if search and search.among not in searches:
        raise KitError("there is nothing to search among", "TABLE=" + name, "choose " + " or ".join(searches))
    coming = [todo.row.artifact for todo in flat if todo.runs and todo.row.artifact]
    if search:
        coming = [artifact for artifact in coming if artifact in searches[search.among]]
    places = settings.submission
    verdict = judge_blend(name, places, index, coming, registry.artifacts(registry.members()), settings.options,
                          settings.raw)
    if not verdict.done:
        return verdict
    # The blend itself judges their inputs; here it is enough that they are there for the parquet that is done.
    if settings.raw.truth.exists() and not scores_path(places, title(table_name(name), settings.options)).exists():
        return Verdict(False, "its scores are missing")
    if not report_path(places, table_name(name)).exists():
        return Verdict(False, "its report is missing")
    return verdict
