"""Progress with an ETA: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from typing import Any, Iterable, Optional

from tqdm import tqdm

_LINE_EVERY = 15.0  # seconds between two lines of a log


class _Log:
    """Ends every refresh of the bar as a line, so that line-buffered readers see it."""

    def write(self, text: str) -> None:
        text = text.strip()
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(steps: Optional[Iterable[Any]] = None, **options: Any) -> tqdm[Any]:
    """Return tqdm(steps, **options), as a bar on a terminal and as lines of a log elsewhere."""
    if sys.stderr.isatty():
        return tqdm(steps, dynamic_ncols=True, **options)
    return tqdm(
        steps, file=_Log(), mininterval=_LINE_EVERY, miniters=1, ncols=110, ascii=True, **options
    )
