"""Losses and learning rates of every training: of its history, of an older run's its log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from leapkit.core import histories
from leapkit.core.errors import KitError, printable
from leapkit.core.layout import Results, RunFiles
from reports.record import Curve, Evaluation
from reports.traces import network_of
from reports.values import number

LONGEST_LOG = 1 << 20  # bytes: a line an evaluation is 200
# One line of a log, as leapkit.run.training writes it.
_LINE = re.compile(
    r"epoch (\d{1,9}) step (\d{1,9})/(\d{1,9}) lr ([\d.e+ -]+?) loss (\S+)"
    r" R2 (\S+) (over 368 columns|of \S+).*?( \*)?$"
)


def of_results(results: Results) -> Tuple[List[Curve], List[str]]:
    """Return the curve of every training, and a sentence for each history that cannot be read."""
    curves: List[Curve] = []
    problems: List[str] = []
    for files in _trainings(results):
        network, group = network_of(files.checkpoint)
        name = printable(network)
        logged = _of_log(files.log, name, group)
        if not files.history.exists():
            curves += [logged] if logged else []
            continue
        try:
            curves.append(_of_history(files.history, name, group, logged))
        except (KitError, ValueError) as error:
            problems.append(f"the history of {files.stem} cannot be read ({printable(error)})")
            curves += [logged] if logged else []
    return curves, problems


def _trainings(results: Results) -> Iterator[RunFiles]:
    """Yield the files of every training below the results, in order."""
    for folder in sorted(results.root.glob("outputs/*/*")):
        stems = {path.name.split(".")[0] for path in folder.glob("log*.txt")}
        stems |= {path.name.split(".")[0] for path in folder.glob("history*.json")}
        names = sorted({stem.replace("history", "log", 1) for stem in stems})
        for name in names:
            match = re.fullmatch(r"log(?:_g([0-6]))?", name)
            if match:
                group = int(match[1]) if match[1] else None
                yield RunFiles(folder, folder.name, group)


def _of_history(path: Path, network: str, group: Optional[int], logged: Optional[Curve]) -> Curve:
    """Return the curve of a history. Evaluations that are older than it are those of the log.

    Raises KitError and ValueError for a file that is no history.
    """
    content = histories.read(path)
    evaluations = [_evaluation(each) for each in content["evaluations"]]
    older = (
        [each for each in logged.evaluations if each.update <= content["begins"]] if logged else []
    )
    return Curve(
        network=network,
        group=group,
        source="history",
        steps=int(content["steps"]),
        updates=tuple(content["updates"]),
        losses=tuple(content["losses"]),
        rates=tuple(zip(*content["rates"].values())),
        evaluations=tuple(older + evaluations),
        begins=int(content["begins"]),
    )


def _evaluation(entry: Dict[str, Any]) -> Evaluation:
    return Evaluation(
        update=int(entry["update"]),
        epoch=int(entry["epoch"]),
        loss=float(entry["loss"]),
        chosen=number(entry.get("chosen")),
        r2=number(entry.get("all_columns")),
        is_best=bool(entry.get("is_best")),
    )


def _of_log(path: Path, network: str, group: Optional[int]) -> Optional[Curve]:
    """Return the curve that a log's lines draw, None if it has none.

    Its losses are means of the epoch so far, so those of an epoch's later evaluations are taken
    apart: each point is the mean of the updates since the one before.
    """
    lines = _lines(path)
    if not lines:
        return None
    updates: List[int] = []
    losses: List[float] = []
    rates: List[Tuple[float, ...]] = []
    evaluations: List[Evaluation] = []
    steps = int(lines[0][3])
    known = (0, 0, 0.0)  # epoch, step and sum of losses of the line before
    for line in lines:
        epoch, step, loss = int(line[1]) - 1, int(line[2]), float(line[5])
        update = epoch * steps + step
        if step < 1 or (updates and update <= updates[-1]):
            continue
        before = known if known[0] == epoch else (epoch, 0, 0.0)
        updates.append(update)
        losses.append((loss * step - before[2]) / (step - before[1]))
        rates.append(tuple(float(rate) for rate in line[4].split()))
        r2 = float(line[6])
        of_all = r2 if line[7].startswith("over") else None
        evaluations.append(Evaluation(update, epoch, loss, r2, of_all, bool(line[8])))
        known = (epoch, step, loss * step)
    return Curve(
        network,
        group,
        "log",
        steps,
        tuple(updates),
        tuple(losses),
        tuple(rates),
        tuple(evaluations),
    )


def _lines(path: Path) -> Sequence[re.Match[str]]:
    """Return the lines of a log that say where a training is; others are passed over."""
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            text = log.read(LONGEST_LOG)
    except OSError:
        return []
    matches = [_LINE.fullmatch(line) for line in text.splitlines()]
    return [match for match in matches if match and _are_numbers(match)]


def _are_numbers(match: re.Match[str]) -> bool:
    try:
        numbers = [float(text) for text in (match[5], match[6], *match[4].split())]
    except ValueError:
        return False
    return all(abs(number) < float("inf") for number in numbers)
