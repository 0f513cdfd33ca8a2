"""Progress with an ETA: a bar on a terminal, a line now and then in a log, a file for others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Iterable, Optional

from tqdm import tqdm

from leapkit.core.run_progress import Recorder

_LINE_EVERY = 15.0  # seconds between two lines of a log


class _Log:
    """Ends every refresh of the bar as a line, so that line-buffered readers see it."""

    def write(self, text: str) -> None:
        text = text.strip()
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


class _Recorded(tqdm):  # type: ignore[misc]
    """A bar that also writes the run's file of progress, which an error or a stop leaves there."""

    def __init__(
        self, record: Path, parts: int, total: int, initial: int = 0, **options: Any
    ) -> None:
        self._recorder = Recorder(record, total, initial, parts)
        super().__init__(total=total, initial=initial, **options)

    def update(self, n: Optional[float] = 1) -> Optional[bool]:
        self._recorder.add(n)
        is_shown: Optional[bool] = super().update(n)
        return is_shown

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self._recorder.remove()
        super().__exit__(kind, error, trace)


def progress(
    steps: Optional[Iterable[Any]] = None,
    record: Optional[Path] = None,
    parts: int = 1,
    **options: Any,
) -> tqdm[Any]:
    """Return tqdm(steps, **options), as a bar on a terminal and as lines of a log elsewhere.

    record  the file that says how far it is (leapkit.core.run_progress); needs `total`
    parts   checkpoints whose training it is
    """
    if sys.stderr.isatty():
        options.update(dynamic_ncols=True)
    else:
        options.update(file=_Log(), mininterval=_LINE_EVERY, miniters=1, ncols=110, ascii=True)
    if record and not options.get("disable"):
        return _Recorded(record, parts, **options)
    return tqdm(steps, **options)
