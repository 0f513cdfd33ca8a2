"""Writes the crate of a run: its metadata for the folder of results, and an archive to hand on."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence

from leapkit.core.files import sha256, write_text
from reports import crate, portable_crate
from reports.record import FileRecord, Record

# The folder of results may not be written to where this runs: who started it gives the file its
# place there, and its name (launch.reporting).
METADATA = "crate.json"
ARCHIVE = "crate.zip"


def write(record: Record, root: Path, to: Path, made: Sequence[Path], place: str) -> None:
    """Write the crate of a run into the folder of the report.

    root   the folder of results, which is the crate
    made   the files of the report, below `to`
    place  of `to` below `root`, as a path of the crate; "" if it is elsewhere
    """
    beside: List[FileRecord] = list(record.sboms)
    if place:
        beside += [_file(path, Path(place) / path.relative_to(to)) for path in made]
    metadata = crate.document(record, sorted(beside, key=lambda file: file.path))
    write_text(to / METADATA, crate.text(metadata))
    portable_crate.write(metadata, root, to / ARCHIVE)


def place_of(to: Path, root: Path) -> str:
    """Return where the report lies in the folder of results, "" if it does not."""
    return to.relative_to(root).as_posix() if root in to.parents else ""


def _file(path: Path, name: Path) -> FileRecord:
    return FileRecord(name.as_posix(), sha256(path), path.stat().st_size)
