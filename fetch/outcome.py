"""What a run tells: what it does, how far a transfer is, and what it refused, which is never in the way of the rest."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Callable, Iterator, List, Optional

from leapkit.core.errors import KitError
from leapkit.data.progress import progress


class Outcome:
    """The refusals of one run."""

    def __init__(self) -> None:
        self.refused: List[str] = []

    def refuse(self, error: KitError) -> None:
        self.refused.append(str(error))
        print(f"error: {error}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """A KitError of the body is told and remembered; what follows goes on."""
        try:
            yield
        except KitError as error:
            self.refuse(error)


def say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def watched(name: str, total: Optional[int], done: Callable[[], int]) -> Iterator[None]:
    """A bar for a transfer whose client has none that may be shown: Kaggle's prints addresses with signatures.

    done  bytes that are there
    """
    over = threading.Event()

    def look() -> None:
        with progress(total=total, initial=done(), desc=name, unit="B", unit_scale=True) as bar:
            ended = False
            while not ended:
                ended = over.wait(1.0)
                with contextlib.suppress(OSError):  # the client renames its files meanwhile
                    bar.update(done() - bar.n)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def size_text(size: float) -> str:
    """Decimal units, as disks are sold."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= length / 20:
            return f"{size / length:.1f} {unit}"
    return "%d bytes" % size
