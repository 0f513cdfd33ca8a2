"""The table of `make fetch`: what exists, what is missing, its size, source and command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

from fetch.layout import (
    CHECKPOINTS,
    CHECKPOINTS_SIZE,
    KAGGLE_SIZES,
    OLD_WEIGHTS,
    STATISTICS,
    TRAIN,
    FetchLayout,
    checkpoints,
    command,
)
from fetch.steps import PAIR_BYTES, MonthSurvey, StepSurvey
from leapkit.core import amounts
from leapkit.core.errors import KitError
from leapkit.core.files import free_bytes
from leapkit.core.splits import PUBLISHED, read_split
from leapkit.core.step_files import list_months, steps_of

GRID_SIZE = 16e3
_DRIVE = "DRIVE=<address or id>"


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    what     the word of WHAT that fetches it
    missing  whether any of it is missing
    needed   whether inference needs it
    size     approximate bytes to fetch; 0 if nobody knows
    notes    lines below it
    """

    what: str
    name: str
    state: str
    missing: bool
    needed: bool
    size: float
    source: str
    command: str
    notes: Tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield the line and its notes."""
        line = f"  {self.name:<46s} {self.state:<22s}"
        if self.missing:
            size = amounts.size(self.size) if self.size else ""
            line += f" {size:>9s}  {self.source}: {self.command}"
        yield line.rstrip()
        for note in self.notes:
            yield "      " + note


def entries(layout: FetchLayout, months: Sequence[str]) -> List[Entry]:
    """Return an entry for everything that can be fetched.

    months  of step files; if none are given, all months of the split and those that exist
    """
    kaggle = [
        _file_entry(
            TRAIN if name == TRAIN else "kaggle",
            layout.kaggle(name),
            layout,
            name != TRAIN,
            size,
            "Kaggle",
        )
        for name, size in KAGGLE_SIZES.items()
    ]
    statistics = [
        _file_entry(
            "statistics",
            layout.statistics(family, name),
            layout,
            name != OLD_WEIGHTS,
            3e4,
            "GitHub",
        )
        for family, name in STATISTICS
    ]
    row_index = _file_entry(
        "weights", layout.row_index, layout, False, 0, "Google Drive, for adam's rows", _DRIVE
    )
    return [
        *kaggle,
        *statistics,
        *_step_entries(layout, months),
        _grid_entry(layout),
        *_checkpoint_entries(layout),
        row_index,
    ]


def _file_entry(
    what: str,
    path: Path,
    layout: FetchLayout,
    needed: bool,
    size: float,
    source: str,
    *variables: str,
) -> Entry:
    exists = path.exists()
    return Entry(
        what=what,
        name=str(path.relative_to(layout.raw.root)),
        state="present" if exists else "missing" if needed else "missing, optional",
        missing=not exists,
        needed=needed,
        size=size,
        source=source,
        command=command(what, *variables),
    )


def _grid_entry(layout: FetchLayout) -> Entry:
    """Return the entry of the grid's file, which comes with steps and is none of them."""
    entry = _file_entry(
        "steps", layout.grid, layout, False, GRID_SIZE, "Hugging Face", "MONTHS=<months>"
    )
    return replace(entry, what="grid")


def _step_entries(layout: FetchLayout, months: Sequence[str]) -> Iterator[Entry]:
    """Yield an entry per month; neighbours that are all whole, or all missing, share one."""
    survey = StepSurvey()
    neighbours: List[MonthSurvey] = []
    for name in months or _months_of_the_split(layout):
        month = survey.month(layout.raw.steps, name)
        if neighbours and not (
            _mergeable_state(month)
            and _mergeable_state(month) == _mergeable_state(neighbours[-1])
            and name == _next_month(neighbours[-1].name)
        ):
            yield _month_entry(neighbours)
            neighbours = []
        neighbours.append(month)
    if neighbours:
        yield _month_entry(neighbours)


def _mergeable_state(month: MonthSurvey) -> str:
    """Return "whole" or "missing" if the month can share a line with its neighbours, else ""."""
    if month.damaged or month.unexpected or month.unfinished:
        return ""
    return "whole" if month.is_whole else "" if month.whole else "missing"


def _next_month(name: str) -> str:
    year = int(name[:4])
    month = int(name[5:])
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"


def _month_entry(months: Sequence[MonthSurvey]) -> Entry:
    """Return the entry of consecutive months."""
    first = months[0].name
    last = months[-1].name
    steps = sum(steps_of(month.name) for month in months)
    pairs = sum(month.pairs for month in months)
    files = sum(len(month.missing()) for month in months)
    if pairs == steps:
        state = f"whole, {steps} steps"
    else:
        state = _mergeable_state(months[0]) or f"{pairs} of {steps} steps"
    return Entry(
        what="steps",
        name="ClimSim_low-res/train/" + (first if first == last else f"{first} to {last}"),
        state=state,
        missing=pairs < steps,
        needed=False,
        size=files * PAIR_BYTES / 2,
        source="Hugging Face",
        command=command("steps", "MONTHS=" + (first if first == last else f"{first}:{last}")),
        notes=tuple(note for month in months for note in _month_notes(month)),
    )


def _month_notes(month: MonthSurvey) -> Iterator[str]:
    for name in month.unexpected:
        yield f"unexpected name: {name}"
    for name, problem in sorted(month.damaged.items()):
        yield f"{name}: {problem}"
    if month.unfinished:
        yield f"{month.unfinished} files are unfinished"


def _months_of_the_split(layout: FetchLayout) -> List[str]:
    """Return the months of split.json, else the published ones, and those that exist."""
    split_file = layout.raw.root / "split.json"
    split = read_split(split_file) if split_file.exists() else PUBLISHED
    existing = list_months(layout.raw.steps) if layout.raw.steps.is_dir() else []
    return sorted({*split.train, *split.validation, *existing})


def _checkpoint_entries(layout: FetchLayout) -> Iterator[Entry]:
    """Yield an entry per member that published checkpoints, and one for those outside the blend."""
    for (member, blended), group in groupby(
        sorted(checkpoints(), key=lambda c: (not c.experiment.blended, c.experiment.member)),
        lambda c: (c.experiment.member, c.experiment.blended),
    ):
        members_files = list(group)
        missing = [
            c.stems[0] + ".pt" for c in members_files if not c.existing(layout.weights[member])
        ]
        total = len(members_files)
        note = "missing: " + ", ".join(missing[:4])
        if missing[4:]:
            note += f" and {len(missing[4:])} more"
        yield Entry(
            what="weights",
            name=f"{member}'s checkpoints" + ("" if blended else " outside the blend"),
            state=f"{total - len(missing)} of {total} present" if missing else f"present, {total}",
            missing=bool(missing),
            needed=blended,
            size=CHECKPOINTS_SIZE / CHECKPOINTS * len(missing),
            source="Google Drive",
            command=command("weights", _DRIVE),
            notes=(note,) if missing else (),
        )


def listing(layout: FetchLayout, months: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table, the sums of what is missing, and what to do next."""
    yield f"RAW_DATA {layout.raw.root}, checkpoints in {_weights_folder(layout)}"
    table = entries(layout, months)
    for entry in table:
        yield from entry.lines()
    inference = amounts.size(sum(entry.size for entry in table if entry.missing and entry.needed))
    steps = amounts.size(sum(entry.size for entry in table if entry.what == "steps"))
    free = free_bytes(layout.raw.root)
    yield f"missing: {inference} for inference, {steps} of step files for training" + (
        "" if free is None else f"; {amounts.size(free)} are free"
    )
    yield (
        "DRIVE: the README of the team's repository, ChunhanLi/2nd-kaggle-LEAP, names the address "
        "of its checkpoints"
    )
    yield f"by hand: put files, also zipped, into {layout.drop}, then {command('drop')}"


def _weights_folder(layout: FetchLayout) -> str:
    """Return the folder of the checkpoints if all members share it, else the pattern of theirs."""
    folders = sorted({str(folder) for folder in layout.weights.values()})
    return folders[0] if len(folders) == 1 else "members/<name>/weights"


def require_known(words: Sequence[str], known: Sequence[str]) -> None:
    """Raise KitError for a word of WHAT that cannot be fetched."""
    for word in words:
        if word not in known:
            raise KitError(f"{word!r} cannot be fetched", "WHAT", "choose from " + ", ".join(known))
