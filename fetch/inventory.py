"""What is there, what is missing, how large that is, where it comes from and by which command: a table."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

from fetch.outcome import size_text
from fetch.places import (
    CHECKPOINTS,
    CHECKPOINTS_SIZE,
    KAGGLE_SIZES,
    OLD_WEIGHTS,
    STATISTICS,
    TRAIN,
    Places,
    checkpoints,
    command,
)
from fetch.steps import PAIR_BYTES, Month, Survey
from leapkit.core.errors import KitError
from leapkit.core.splits import PUBLISHED, read_split
from leapkit.core.step_files import list_months, steps_of


@dataclass(frozen=True)
class Row:
    """One line of the table.

    what     the word of WHAT that fetches it
    missing  whether something of it is
    needed   whether the kit cannot do without it (for what README's tiers say)
    size     bytes to fetch, about; 0 where nobody knows
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
        text = "  %-46s %-22s" % (self.name, self.state)
        if self.missing:
            text += " %9s  %s: %s" % (
                size_text(self.size) if self.size else "",
                self.source,
                self.command,
            )
        yield text.rstrip()
        for note in self.notes:
            yield "      " + note


def rows(places: Places, months: Sequence[str]) -> List[Row]:
    """Everything that can be fetched; of step files these months (all of the split, and those that are there, without)."""
    found = [
        _file(
            "train.csv" if name == TRAIN else "kaggle",
            places.kaggle(name),
            places,
            name != TRAIN,
            KAGGLE_SIZES[name],
            "Kaggle",
        )
        for name in KAGGLE_SIZES
    ]
    for family, name in STATISTICS:
        found.append(
            _file(
                "statistics",
                places.statistics(family, name),
                places,
                name != OLD_WEIGHTS,
                3e4,
                "GitHub",
            )
        )
    found += _steps(places, months)
    found += _weights(places)
    index = places.row_index
    found.append(
        _file(
            "weights",
            index,
            places,
            False,
            0,
            "Google Drive, for adam's rows",
            "DRIVE=<{}>".format("address or id"),
        )
    )
    return found


def _file(
    what: str, path: Path, places: Places, needed: bool, size: float, source: str, *more: str
) -> Row:
    there = path.exists()
    state = "there" if there else "missing" if needed else "missing, optional"
    return Row(
        what,
        str(path.relative_to(places.raw.root)),
        state,
        not there,
        needed,
        size,
        source,
        command(what, *more),
    )


def _steps(places: Places, months: Sequence[str]) -> Iterator[Row]:
    """A line per month; neighbours of which nothing is there, or everything, share one."""
    survey = Survey()
    run: List[Month] = []
    for name in months or wanted_months(places):
        month = survey.of(places.raw.steps, name)
        if run and not (
            _plain(month) and _plain(month) == _plain(run[-1]) and name == _next(run[-1].name)
        ):
            yield _row_of(run)
            run = []
        run.append(month)
    if run:
        yield _row_of(run)


def _plain(month: Month) -> str:
    """The state of a month of which there is nothing more to tell."""
    if month.damaged or month.odd or month.unfinished:
        return ""
    return "whole" if month.is_whole else "" if month.whole else "missing"


def _next(name: str) -> str:
    year, month = int(name[:4]), int(name[5:])
    return "%04d-%02d" % (year + month // 12, month % 12 + 1)


def _row_of(months: Sequence[Month]) -> Row:
    first, last = months[0].name, months[-1].name
    steps, pairs = (
        sum(steps_of(month.name) for month in months),
        sum(month.pairs for month in months),
    )
    files = sum(len(month.missing()) for month in months)
    notes = []
    for month in months:
        notes += ["odd name: " + name for name in month.odd]
        notes += ["{}: {}".format(*item) for item in sorted(month.damaged.items())]
        if month.unfinished:
            notes.append("%d files are being fetched, or were" % month.unfinished)
    name = "ClimSim_low-res/train/" + (first if first == last else f"{first} to {last}")
    text = (
        "whole, %d steps" % steps
        if pairs == steps
        else _plain(months[0]) or "%d of %d steps" % (pairs, steps)
    )
    return Row(
        "steps",
        name,
        text,
        pairs < steps,
        False,
        files * PAIR_BYTES / 2,
        "Hugging Face",
        command("steps", "MONTHS=" + (first if first == last else f"{first}:{last}")),
        tuple(notes),
    )


def wanted_months(places: Places) -> List[str]:
    """The months of split.json, else the published ones, and those that are there."""
    split = places.raw.root / "split.json"
    known = read_split(split) if split.exists() else PUBLISHED
    there = list_months(places.raw.steps) if places.raw.steps.is_dir() else []
    return sorted(set(known.train + known.validation) | set(there))


def _weights(places: Places) -> Iterator[Row]:
    """A line per member that published something, those of the blend and the others apart."""
    for (member, blended), group in groupby(
        sorted(checkpoints(), key=lambda c: (not c.row.blended, c.row.member)),
        lambda c: (c.row.member, c.row.blended),
    ):
        own = list(group)
        missing = [c.stems[0] + ".pt" for c in own if not c.found(places.weights[member])]
        state = (
            "%d of %d there" % (len(own) - len(missing), len(own))
            if missing
            else "there, %d" % len(own)
        )
        notes = [
            "missing: "
            + ", ".join(missing[:4])
            + (" and %d more" % len(missing[4:]) if missing[4:] else "")
        ]
        yield Row(
            "weights",
            "{}'s checkpoints{}".format(member, "" if blended else " outside the blend"),
            state,
            bool(missing),
            blended,
            CHECKPOINTS_SIZE / CHECKPOINTS * len(missing),
            "Google Drive",
            command("weights", "DRIVE=<address or id>"),
            tuple(notes) if missing else (),
        )


def show(places: Places, months: Sequence[str]) -> Iterator[str]:
    """The table and how to go on."""
    yield f"RAW_DATA {places.raw.root}, checkpoints in {_common(places)}"
    found = rows(places, months)
    for row in found:
        yield from row.lines()
    free = places.raw.root
    while not free.exists():
        free = free.parent
    needed = [row for row in found if row.missing and row.needed]
    yield "missing: {} for inference, {} of step files for training; {} are free".format(
        size_text(sum(row.size for row in needed)),
        size_text(sum(row.size for row in found if row.what == "steps")),
        size_text(shutil.disk_usage(str(free)).free),
    )
    yield "DRIVE: the address that the README of the team's repository, ChunhanLi/2nd-kaggle-LEAP, gives for its checkpoints"
    yield "by hand: put files, also zipped, into {}, then {}".format(places.drop, command("drop"))


def _common(places: Places) -> str:
    folders = sorted({str(folder) for folder in places.weights.values()})
    return folders[0] if len(folders) == 1 else "members/<name>/weights"


def require_known(what: Sequence[str], known: Sequence[str]) -> None:
    for word in what:
        if word not in known:
            raise KitError(
                f"{word!r} is nothing that can be fetched",
                "WHAT",
                "choose from " + ", ".join(known),
            )
