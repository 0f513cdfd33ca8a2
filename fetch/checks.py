"""Check that a file is whole and is what its name says.

Each check raises Damaged, a KitError, with the reason.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator, Sequence

from fetch.layout import Checkpoint
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sha256
from leapkit.data import statistics_tables
from leapkit.data.checkpoints import read_state
from leapkit.data.csv_checks import require_whole
from leapkit.data.old_weights import read_weights
from leapkit.data.row_index import read_index

REMEDY = "fetch it again"


class Damaged(KitError):
    """The content is not what it should be, whichever machine reads it."""


@contextlib.contextmanager
def _damage(remedy: str = "") -> Iterator[None]:
    """Turn the refusals of leapkit's readers into Damaged, with `remedy` if given."""
    try:
        yield
    except KitError as error:
        raise Damaged(error.what, error.where, remedy or error.remedy) from error


def require_csv(path: Path, columns: Sequence[str]) -> None:
    """A CSV with exactly these columns, one row at least, and a last line that ends."""
    with _damage():
        require_whole(path, columns)


def require_old_weights(path: Path, columns: Sequence[str] = TARGETS) -> None:
    """Raise Damaged unless the CSV holds weights that can be the old ones.

    columns  of the file: the 368 targets, after a sample_id in Kaggle's file
    """
    require_csv(path, columns)
    with _damage():
        read_weights(path)


def require_statistics(path: Path, family: str, name: str) -> None:
    """Raise Damaged unless the JSON file can be the family's mean.json or std.json."""
    with _damage():
        statistics_tables.read_statistics(path, family, name)


def require_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Raise Damaged unless the file is a whole state_dict with this network's published prefix.

    The file is read without executing anything. The network itself, which needs torch, checks the
    shapes later.
    """
    assert checkpoint.experiment.published is not None
    with _damage():
        prefix, _ = read_state(path)
    if prefix != checkpoint.experiment.published.prefix:
        raise Damaged(
            f"the names of its tensors begin {'with' if prefix else 'without'} `module.`, "
            f"unlike those of the team's {checkpoint.experiment.name}",
            path,
            "put this network's own checkpoint there",
        )


def require_row_index(path: Path) -> None:
    """Raise Damaged unless training can read the team's row index.

    Nothing of the file is executed.
    """
    with _damage():
        read_index(path)


def require_sha256(path: Path, expected: str) -> None:
    """Remove the file and raise Damaged if its sha256 is not the expected one."""
    if sha256(path) != expected:
        with explain_os_errors(path):
            path.unlink()
        raise Damaged(f"had another sha256 than {expected[:12]}... and was removed", path, REMEDY)
