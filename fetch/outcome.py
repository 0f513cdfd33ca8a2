"""What a run prints: its steps, the progress of a transfer, and refusals.

A refusal never stops the other files.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Callable, Iterator, List, NoReturn, Optional

from leapkit.core.errors import EXIT_INTERRUPTED, LONGEST_LINE, KitError, printable, run_cli
from leapkit.data.progress import progress


class Outcome:
    """The refusals of one run."""

    def __init__(self) -> None:
        self.refused: List[str] = []

    def refuse(self, error: KitError) -> None:
        """Print the error and remember it."""
        self.refused.append(str(error))
        print(f"error: {error}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Refuse what the body raises as KitError, so that the run continues after it."""
        try:
            yield
        except KitError as error:
            self.refuse(error)


def log(text: str) -> None:
    """Print a line at once, whatever names of files and of archive members are in it."""
    print(printable(text, LONGEST_LINE), flush=True)


@contextlib.contextmanager
def progress_of(name: str, total: Optional[int], bytes_so_far: Callable[[], int]) -> Iterator[None]:
    """Show a progress bar while the body transfers a file.

    For clients whose own bar must not be shown: Kaggle's prints addresses with signatures.

    total         bytes of the whole file, None if nobody knows
    bytes_so_far  returns the bytes on disk
    """
    transfer_ended = threading.Event()

    def update_every_second() -> None:
        with progress(
            total=total, initial=bytes_so_far(), desc=printable(name, 60), unit="B", unit_scale=True
        ) as bar:
            ended = False
            while not ended:
                ended = transfer_ended.wait(1.0)
                with contextlib.suppress(OSError):  # the client renames its files meanwhile
                    bar.update(bytes_so_far() - bar.n)

    thread = threading.Thread(target=update_every_second, daemon=True)
    thread.start()
    try:
        yield
    finally:
        transfer_ended.set()
        thread.join()


def end_at_once(main: Callable[[List[str]], int]) -> NoReturn:
    """Run a command and end with its exit code, without waiting for transfers.

    A normal exit would wait for one whose server is silent; unfinished files may be cut anywhere.
    """
    code = EXIT_INTERRUPTED
    with contextlib.suppress(BrokenPipeError):  # `make fetch | head` has read enough
        try:
            run_cli(main)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            sys.stdout.flush()
            sys.stderr.flush()
    os._exit(code)
