"""Whether a file lists the sample ids of another one, in the same order."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from leapkit.core.errors import KitError

_IDS_FILE = "sample_submission.csv"


class IdChecker:
    """Compares a file's ids, block by block, with all that are expected, in order."""

    def __init__(self, expected: Sequence[str], path: Path, remedy: str) -> None:
        self._expected = expected
        self._path = path
        self._remedy = remedy
        self._checked = 0

    def take(self, ids: Sequence[str]) -> slice:
        """Return which rows these are. Raises KitError naming the first row that differs."""
        rows = slice(self._checked, self._checked + len(ids))
        require_ids(ids, self._expected[rows], rows.start, self._path, self._remedy)
        self._checked = rows.stop
        return rows

    def finish(self) -> None:
        """Raise KitError if the file has fewer rows than are expected."""
        if self._checked != len(self._expected):
            what = f"has {self._checked} rows, {_IDS_FILE} has {len(self._expected)}"
            raise KitError(what, self._path, self._remedy)


def require_ids(
    ids: Sequence[str],
    expected: Sequence[str],
    start: int,
    path: Path,
    remedy: str,
    ids_file: str = _IDS_FILE,
) -> None:
    """Raise KitError unless a block of `path`, from row `start` on, has the expected ids.

    expected  as many as the block may hold; fewer only at the end of the file that they are from
    ids_file  that file, as the message names it
    """
    if ids == expected:  # the usual case, and by far the fastest way to see it
        return
    for k, (actual, wanted) in enumerate(zip(ids, expected)):
        if actual != wanted:
            raise KitError(
                f"row {start + k + 1} has the sample_id {actual}, {ids_file} has {wanted}: "
                "the two files must list the same rows in the same order",
                path,
                remedy,
            )
    if len(ids) > len(expected):
        raise KitError(f"has more rows than {ids_file} ({start + len(expected)})", path, remedy)
    if len(ids) < len(expected):
        raise KitError(f"has fewer rows than {ids_file}", path, remedy)
