"""Whether a file is whole and what its name says: each check raises Damaged, a KitError, with the reason."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Iterator, Sequence

from fetch.places import Checkpoint
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sha256
from leapkit.data.checkpoints import read_state
from leapkit.data.csv_checks import require_whole
from leapkit.data.row_index import read_index

REMEDY = "fetch it again"


class Damaged(KitError):
    """The content is not what it should be; the machine is not to blame."""


@contextlib.contextmanager
def _refusals(remedy: str = "") -> Iterator[None]:
    """What leapkit's readers refuse is damage."""
    try:
        yield
    except KitError as error:
        raise Damaged(error.what, error.where, remedy or error.remedy) from error


def require_csv(path: Path, columns: Sequence[str]) -> None:
    """A CSV with exactly these columns, one row at least, and a last line that ends."""
    with _refusals(REMEDY):
        require_whole(path, columns)


def require_statistics(path: Path) -> None:
    """A number for each of the 556 inputs and 368 targets."""
    try:
        with explain_os_errors(path):
            found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Damaged("is no JSON file", path, REMEDY) from error
    if (
        not isinstance(found, dict)
        or set(found) != set(INPUTS + TARGETS)
        or not all(isinstance(value, (int, float)) for value in found.values())
    ):
        raise Damaged(
            "does not hold a number for each of the %d columns" % len(INPUTS + TARGETS),
            path,
            REMEDY,
        )


def require_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """A whole state_dict of tensors, read without executing anything, with the team's prefix for this network's names.

    Shapes are left to the network, which needs torch to be built.
    """
    assert checkpoint.row.published is not None
    with _refusals():
        prefix, _ = read_state(path)
    if prefix != checkpoint.row.published.prefix:
        raise Damaged(
            "the names of its tensors begin {} `module.`, unlike those of the team's {}".format(
                "with" if prefix else "without", checkpoint.row.name
            ),
            path,
            "put this network's own checkpoint there",
        )


def require_row_index(path: Path) -> None:
    """The team's choice of rows as training reads it; nothing of it is executed."""
    with _refusals():
        read_index(path)


def require_sha256(path: Path, expected: str) -> None:
    """The file's content is the expected one; where it is not, the file is removed."""
    if sha256(path) != expected:
        path.unlink()
        raise Damaged(f"had another sha256 than {expected[:12]}... and was removed", path, REMEDY)
