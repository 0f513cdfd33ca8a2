"""Compute both families' mean.json and std.json from kaggle-data/train.csv (`make statistics`).

One pass reads the file (182 GB at full size) in any number of threads. The moments of each chunk of
CHUNK_ROWS rows are computed on their own and merged in file order (TrainMoments). So the result is
the same to the last bit, whatever the number of threads and wherever the pass was interrupted. A
scratch file holds the state of the pass, a few seconds old.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ContextManager, Dict, Iterator, List, Tuple

import numpy as np

from leapkit.core import file_lock, receipts
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError, explain_os_errors, run_cli
from leapkit.core.files import read_json, sha256, sha256_json, write_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData
from leapkit.data import csv_checks, csv_stream, ordered_map, scaling
from leapkit.data.moments import Moments
from leapkit.data.old_weights import read_weights
from leapkit.data.progress import progress
from leapkit.worlds.train_moments import TrainMoments, chunk_moments

VARIABLES = INPUTS + TARGETS
KIND = "statistics"
SCRATCH = "train_statistics.scratch.json"
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


def products(raw: RawData) -> Iterator[Tuple[str, str, Path]]:
    """Yield (family, file name, path) of the four files."""
    for family in scaling.FAMILIES:
        for name in ("mean.json", "std.json"):
            yield family, name, raw.statistics(family) / name


def is_proved(raw: RawData, stamp: List[int], weights: str) -> bool:
    """Return whether receipts prove that all four files are of this train.csv and these weights."""
    for family, _, path in products(raw):
        receipt = receipts.read(path)
        details = receipt.get("details", {})
        # Both families' files have the same names and inputs.
        if receipt.get("kind") != KIND or details.get("family") != family:
            return False
        if details.get("stamp") != stamp:
            return False
        inputs = {
            "train.csv": receipt.get("inputs", {}).get("train.csv", ""),
            "old weights": weights,
        }
        if not receipts.judge(path, inputs, HashIndex()).done:
            return False
    return True


def refuse_foreign(path: Path, content: Any = None) -> None:
    """Raise KitError if a file that this command did not write would be lost.

    content  what this command would write
    """
    if not path.exists():
        return
    receipt = receipts.read(path)
    if receipt.get("kind") == KIND and receipt["sha256"] == sha256(path):
        return
    with contextlib.suppress(KitError):
        # An earlier run may have been killed between the file and its receipt.
        if content is not None and read_json(path) == content:
            return
    raise KitError(
        "was not made by this command, which never overwrites other files",
        path,
        "keep it and do not run this command, or move it away",
    )


def publish(
    raw: RawData,
    state: State,
    weight: np.ndarray,
    inputs: Dict[str, str],
    started: str,
    stamp: List[int],
) -> None:
    """Write the four files and their receipts, after checking that all of them may be written."""
    contents = {
        path: scaling.scaling_tables(family, state.moments.families[family], weight)[name]
        for family, name, path in products(raw)
    }
    for path, content in contents.items():
        refuse_foreign(path, content)
    for family, _, path in products(raw):
        write_json(path, contents[path])
        receipts.write(
            path,
            KIND,
            inputs,
            started,
            {
                "family": family,
                "rows": state.moments.families[family].count,
                "part": scaling.CHUNK_ROWS,
                "stamp": stamp,
            },
        )


def exclusive(folder: Path) -> ContextManager[None]:
    """Hold the folder's lock. Raises KitError if another process holds it.

    The kernel releases it however this process ends.
    """
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    refusal = KitError("this command is already running here", folder, "wait for it to end")
    return file_lock.hold(folder, refusal)


def run(raw: RawData, jobs: int) -> None:
    """Read the rest of the file and write the four files, unless receipts prove them.

    Raises KitError for damage, for files of another origin, and while another run is at work.
    """
    started = receipts.now()
    path = raw.root / "kaggle-data" / "train.csv"
    weight = read_weights(raw.old_weights)
    stamp = stamp_of(path)
    # The hash of one row: the file repeats it 625,000 times.
    weights = sha256_json(weight.tolist())
    folder = raw.statistics("adam").parent
    with exclusive(folder):
        if is_proved(raw, stamp, weights):
            print(f"statistics of {path}: their receipts prove them", flush=True)
            return
        scratch = Scratch(folder / SCRATCH, stamp)
        state = scratch.load()
        if state.rows == 0 or state.end < stamp[0]:
            for _, _, product in products(raw):
                refuse_foreign(product)
            # A folder that cannot be written to is reported now, not in an hour.
            scratch.save(state)
            state = measure(path, state, scratch, jobs)
        publish(
            raw, state, weight, {"train.csv": state.chain, "old weights": weights}, started, stamp
        )
        with explain_os_errors(scratch.path):
            scratch.path.unlink()
    counts = ", ".join(
        f"{name} of {family.count}" for name, family in state.moments.families.items()
    )
    print(f"statistics of {path}: {state.rows} rows ({counts})", flush=True)


def main(argv: List[str]) -> int:
    """Compute the statistics of --raw-data."""
    parser = argparse.ArgumentParser(
        prog="leapkit.worlds.train_statistics",
        description=(
            "Write statistics/{adam,fdzm}/{mean,std}.json "
            "from kaggle-data/{train,sample_submission_old}.csv."
        ),
    )
    parser.add_argument("--raw-data", type=Path, default=Path("raw_data"))
    parser.add_argument(
        "--jobs", type=int, default=0, help="threads that parse (default: one per core, at most 8)"
    )
    options = parser.parse_args(argv)
    if options.jobs < 0:
        raise KitError("a number of threads is not negative", "--jobs", "give 0 for one per core")
    run(RawData(options.raw_data), options.jobs or csv_stream.threads())
    return 0


if __name__ == "__main__":
    run_cli(main)
