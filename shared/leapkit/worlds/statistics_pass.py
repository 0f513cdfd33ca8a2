"""One pass over train.csv: the moments of its rows, and a scratch file from which it continues.

The moments of each chunk of CHUNK_ROWS rows are computed on their own and merged in file order
(TrainMoments). So the result is the same to the last bit, whatever the number of threads and
wherever the pass was interrupted. The scratch file holds the state of the pass, a few seconds old.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from leapkit.core import receipts
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import read_json, write_json
from leapkit.data import csv_checks, csv_stream, ordered_map, scaling
from leapkit.data.moments import Moments
from leapkit.data.progress import progress
from leapkit.worlds.train_moments import TrainMoments, chunk_moments

VARIABLES = INPUTS + TARGETS
_SAVE_EVERY = 5.0  # seconds; a save takes milliseconds


@dataclass(frozen=True)
class ChunkMoments:
    """The result of one chunk of the file.

    digest  sha256 of its bytes
    end     byte of the file at which it ends
    """

    moments: Moments
    digest: bytes
    end: int


@dataclass(frozen=True)
class State:
    """How far the pass is.

    rows     data rows read so far
    end      byte of the file at which they end
    chain    sha256 of (the chain before the last chunk, the sha256 of that chunk's bytes). It
             identifies the content as a hash of the whole file would, but it can be continued, and
             the threads share the work
    moments  of the rows so far
    """

    rows: int = 0
    end: int = 0
    chain: str = ""
    moments: TrainMoments = field(default_factory=TrainMoments)

    def updated_with(self, chunk: ChunkMoments) -> State:
        """Return the state after the next chunk."""
        chain = hashlib.sha256(bytes.fromhex(self.chain) + chunk.digest).hexdigest()
        moments = self.moments.updated_with(chunk.moments)
        return State(self.rows + chunk.moments.count, chunk.end, chain, moments)

    def to_json(self) -> Dict[str, Any]:
        """Return the state as JSON values.

        JSON keeps a float64 exactly: Python writes the shortest decimal that reads back to it.
        """
        return {
            "rows": self.rows,
            "end": self.end,
            "chain": self.chain,
            "moments": {
                name: {
                    "count": family.count,
                    "mean": family.mean.tolist(),
                    "m2": family.m2.tolist(),
                }
                for name, family in self.moments.families.items()
            },
        }

    @staticmethod
    def from_json(value: Any) -> State:
        """Return the state of to_json's values. Raises KeyError, TypeError or ValueError."""
        state = State(int(value["rows"]), int(value["end"]), str(value["chain"]))
        for name, family in state.moments.families.items():
            stored = value["moments"][name]
            family.count = int(stored["count"])
            family.mean = np.array(stored["mean"], dtype=np.float64).reshape(len(VARIABLES))
            family.m2 = np.array(stored["m2"], dtype=np.float64).reshape(len(VARIABLES))
        return state


def stamp_of(path: Path) -> List[int]:
    """Return [size, inode, mtime, ctime], which change if the file changes.

    So 182 GB need not be read again. No user program can set ctime back. This suffices for a
    scratch file and for skipping; receipts name the content.
    """
    with explain_os_errors(path, csv_checks.REMEDY):
        status = os.stat(str(path))
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


@dataclass(frozen=True)
class Scratch:
    """The state on disk, with the stamp of the file that was read."""

    path: Path
    stamp: List[int]

    def load(self) -> State:
        """Return the last state of the same file and arithmetic, else the initial state."""
        if self.path.exists():
            with contextlib.suppress(KitError, KeyError, TypeError, ValueError):
                stored = read_json(self.path)
                if stored["of"] == self._of():
                    return State.from_json(stored["state"])
        return State()

    def save(self, state: State) -> None:
        """Write the state atomically."""
        write_json(self.path, {"of": self._of(), "state": state.to_json()})

    def _of(self) -> List[Any]:
        """Return what the state depends on."""
        firsts = {name: family.first_rows for name, family in scaling.FAMILIES.items()}
        return [self.stamp, scaling.CHUNK_ROWS, firsts, receipts.NUMERICS]


def measure(path: Path, state: State, scratch: Scratch, jobs: int) -> State:
    """Return the state at the end of the file.

    Raises KitError for a damaged row; the scratch file keeps the state before it.
    """
    parser = csv_stream.Parser(path, VARIABLES)

    def work(chunk: csv_stream.CsvChunk) -> ChunkMoments:
        rows = parser(chunk)
        if rows.damage:
            raise rows.damage
        with np.errstate(over="ignore", invalid="ignore"):
            moments = chunk_moments(rows.values)
        if not np.isfinite(moments.m2).all():
            name = VARIABLES[int(np.flatnonzero(~np.isfinite(moments.m2))[0])]
            first = chunk.rows_before + 1
            last = chunk.rows_before + moments.count
            raise KitError(
                f"rows {first} to {last}, variable {name} hold a number whose square is not finite",
                path,
                csv_checks.REMEDY,
            )
        return ChunkMoments(moments, hashlib.sha256(b"".join(chunk.lines)).digest(), chunk.end)

    chunks = csv_stream.iter_chunks(path, VARIABLES, scaling.CHUNK_ROWS, (state.rows, state.end))
    saved = time.monotonic()
    try:
        with progress(
            total=scratch.stamp[0],
            initial=state.end,
            desc="statistics of train.csv",
            unit="B",
            unit_scale=True,
        ) as bar:
            for chunk in ordered_map.ordered_map(work, chunks, jobs):
                bar.update(chunk.end - state.end)
                state = state.updated_with(chunk)
                if time.monotonic() - saved > _SAVE_EVERY:
                    scratch.save(state)
                    saved = time.monotonic()
    finally:
        scratch.save(state)
    return state
