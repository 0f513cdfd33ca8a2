"""One process at a time in a folder of results, with the index of the hashes of what it read."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator

from leapkit.core import file_lock
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex


@contextlib.contextmanager
def alone(folder: Path, work: str) -> Iterator[HashIndex]:
    """Yield the index of hashes in a folder, which one process at a time works in.

    work  what others that wait are told: "another blend"
    """
    lock = folder / ".cache" / "lock"
    busy = KitError(f"{work} is at work", folder, "wait for it to end")
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(file_lock.hold(lock, busy))
        except KitError as error:
            if error is not busy:
                raise
            print(f"waiting: {work} is at work in {folder}", flush=True)
            held.enter_context(file_lock.hold(lock))
        index = HashIndex(folder / ".cache" / "hashes.json")
        try:
            yield index
        finally:
            index.save()
