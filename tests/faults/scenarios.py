"""The commands that are disturbed: where each starts, and what it makes undisturbed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple

from leapkit.core.layout import Results
from tests.faults import tiny
from tests.faults.forked_runs import Ended, Run, Runner
from tests.helpers.small_blend import Maker


class Scenario(NamedTuple):
    """A command, the submission folder that it starts from, and its undisturbed end."""

    name: str
    program: str
    start: Path
    arguments: Callable[[Path], List[str]]
    clean: Ended
    results: Dict[str, str]

    def begin(self, submission: Path) -> List[str]:
        """Make the folder that the command starts from; return the command's arguments."""
        shutil.copytree(str(self.start), str(submission))
        return self.arguments(submission)

    def require_same_end(self, runner: Runner, submission: Path, where: str) -> None:
        """Run the command again; fail unless it ends as the undisturbed one, with nothing over."""
        again = runner(Run(self.program, self.arguments(submission)))
        assert again.code == 0, where + again.output
        assert tiny.results(submission) == self.results, where + again.output
        assert tiny.leftovers(submission) == [], where


def make_all(world: Path, runner: Runner, folder: Path) -> Dict[str, Scenario]:
    """Return each command after a counting run of it."""
    raw = tiny.world_to_blend(world, folder / "raw_data")
    maker = Maker(world)
    maker.all(Results(folder / "blend"), tiny.TWO)
    maker.all(Results(folder / "search"), tiny.TWO, tiny.TWO)
    (folder / "training").mkdir()
    trains = _make("training", "member", folder, runner, _of(tiny.TRAINED, world))
    shutil.copytree(str(folder / "training-ended"), str(folder / "tuning"))
    shutil.copytree(str(folder / "training-ended"), str(folder / "inference"))
    shutil.rmtree(str(Results(folder / "inference").subs))
    made = [
        trains,
        _make("tuning", "member", folder, runner, _of(tiny.TUNED, world)),
        _make("inference", "member", folder, runner, _of(tiny.TRAINED, world)),
        _make("blend", "blend", folder, runner, lambda to: tiny.blends(raw, to)),
        _make("search", "blend", folder, runner, lambda to: tiny.searches(raw, to)),
    ]
    return {scenario.name: scenario for scenario in made}


def _of(experiment: tiny.Experiment, world: Path) -> Callable[[Path], List[str]]:
    return lambda submission: tiny.reproduces(world, submission, experiment)


def _make(
    name: str,
    program: str,
    folder: Path,
    runner: Runner,
    arguments: Callable[[Path], List[str]],
) -> Scenario:
    ended = folder / f"{name}-ended"
    shutil.copytree(str(folder / name), str(ended))
    clean = runner(Run(program, arguments(ended), str(ended)))
    assert clean.code == 0, clean.output
    # The first run of a kind is slower, and moments beyond the end of a run kill nothing.
    second = folder / f"{name}-again"
    shutil.copytree(str(folder / name), str(second))
    again = runner(Run(program, arguments(second), str(second)))
    clean = replace(clean, seconds=min(clean.seconds, again.seconds))
    return Scenario(name, program, folder / name, arguments, clean, tiny.results(ended))
