"""How far a run is, in a small file that others read while it goes on.

The file is written now and then, is gone when the run has ended well, and decides nothing: it says
what a stopped run reached, and `make plan` tells from it how long one that goes on will take.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Optional

from leapkit.core.errors import KitError
from leapkit.core.files import read_json, write_json

WRITE_EVERY = 30.0  # seconds


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    done, total     steps or rows, of all processes that ran it one after the other
    parts           checkpoints that are trained together, of which these are the steps
    resumed         what was done when this process went on with it
    began, updated  when this process began, and was at `done`: seconds since 1970
    """

    done: int
    total: int
    parts: int
    resumed: int
    began: float
    updated: float

    @property
    def fraction(self) -> float:
        return self.done / self.total

    @property
    def seconds_each(self) -> float:
        """Seconds that this process has taken for a step or row so far."""
        return (self.updated - self.began) / (self.done - self.resumed)

    @property
    def seconds_left(self) -> float:
        """Seconds that what is left takes at that rate."""
        return (self.total - self.done) * self.seconds_each

    @property
    def seconds_of_part(self) -> float:
        """Seconds that a whole part takes at that rate."""
        return self.total * self.seconds_each / self.parts


def read(path: Path) -> Optional[Progress]:
    """Return what a file says; None if it is missing, damaged, or says nothing of a rate yet."""
    if not path.exists():
        return None
    with contextlib.suppress(KitError, TypeError, KeyError):
        value = read_json(path)
        progress = Progress(**{field.name: value[field.name] for field in fields(Progress)})
        if 0 <= progress.resumed < progress.done <= progress.total and progress.parts >= 1:
            return progress if progress.began < progress.updated else None
    return None


class Recorder:
    """Writes a run's progress, at most every WRITE_EVERY seconds.

    What a run before it left is removed: until there is a rate of this one, nothing is said.
    """

    def __init__(self, path: Path, total: int, resumed: int, parts: int = 1) -> None:
        self._path = path
        now = time.time()
        self._progress = Progress(resumed, total, parts, resumed, now, now)
        self._due = time.monotonic() + WRITE_EVERY
        self.remove()

    def add(self, done: Any) -> None:
        """Count what was done since; write the file if it is due."""
        self._progress = replace(self._progress, done=self._progress.done + int(done))
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + WRITE_EVERY
            self._progress = replace(self._progress, updated=time.time())
            # A full disk stops what has to be written; this may be missing.
            with contextlib.suppress(OSError, KitError):
                write_json(self._path, asdict(self._progress))

    def remove(self) -> None:
        """Remove the file of a run that has ended well."""
        with contextlib.suppress(OSError):
            self._path.unlink()
