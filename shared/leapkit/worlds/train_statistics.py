"""python -m leapkit.worlds.train_statistics --raw-data DIR: both families' mean.json and std.json, from DIR/kaggle-data/train.csv.

One pass over the file (182 GB at full size), in any number of threads. The moments of every PART rows are taken by
themselves and merged in file order (TrainMoments), so the result is the same to the last bit whatever the
number of threads and wherever the pass was interrupted. How far it came is kept in a scratch file, a few seconds old.
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
from leapkit.data import csv_stream, kaggle_csv, scaling
from leapkit.data.moments import Moments
from leapkit.data.progress import progress
from leapkit.worlds.train_moments import TrainMoments, chunk_moments

COLUMNS = INPUTS + TARGETS
KIND = "statistics"
SCRATCH = "train_statistics.scratch.json"
_SAVE_EVERY = 5.0  # seconds; a save takes some milliseconds


@dataclass(frozen=True)
class Measured:
    """What one part of the file gives: its moments, the sha256 of its bytes, the byte that it ends at."""

    moments: Moments
    digest: bytes
    end: int


@dataclass(frozen=True)
class State:
    """How far the pass is.

    rows, end  data rows behind it and the byte that they end at
    chain      sha256 of (the chain before the last part, the sha256 of that part's bytes): names the content as the hash
               of the whole file would, but can be taken up again, and the threads share the work
    moments    of the rows so far
    """

    rows: int = 0
    end: int = 0
    chain: str = ""
    moments: TrainMoments = field(default_factory=TrainMoments)

    def then(self, part: Measured) -> State:
        chain = hashlib.sha256(bytes.fromhex(self.chain) + part.digest).hexdigest()
        return State(
            self.rows + part.moments.count, part.end, chain, self.moments.updated_with(part.moments)
        )

    def to_json(self) -> Dict[str, Any]:
        # JSON keeps a float64 exactly: Python writes the shortest decimal that reads back to it.
        return {
            "rows": self.rows,
            "end": self.end,
            "chain": self.chain,
            "moments": {
                name: {"count": own.count, "mean": own.mean.tolist(), "m2": own.m2.tolist()}
                for name, own in self.moments.families.items()
            },
        }

    @staticmethod
    def from_json(value: Any) -> State:
        state = State(int(value["rows"]), int(value["end"]), str(value["chain"]))
        for name, own in state.moments.families.items():
            held = value["moments"][name]
            own.count = int(held["count"])
            own.mean, own.m2 = (
                np.array(held[key], dtype=np.float64).reshape(len(COLUMNS))
                for key in ("mean", "m2")
            )
        return state


def stamp_of(path: Path) -> List[int]:
    """What tells, as in HashIndex, that a file on this disk is still the same without reading 182 GB again.

    No user program can set ctime back. That will do for a scratch file and for skipping; receipts name the content.
    """
    with explain_os_errors(path, kaggle_csv.REMEDY):
        status = os.stat(str(path))
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


@dataclass(frozen=True)
class Scratch:
    """The state on disk, and the stamp of the file that it is a state of."""

    path: Path
    stamp: List[int]

    def load(self) -> State:
        """The last state of the same file and arithmetic; the beginning where there is none."""
        if self.path.exists():
            with contextlib.suppress(KitError, KeyError, TypeError, ValueError):
                held = read_json(self.path)
                if held["of"] == self._of():
                    return State.from_json(held["state"])
        return State()

    def save(self, state: State) -> None:
        write_json(self.path, {"of": self._of(), "state": state.to_json()})

    def _of(self) -> List[Any]:
        firsts = {name: family.first_rows for name, family in scaling.FAMILIES.items()}
        return [self.stamp, scaling.CHUNK_ROWS, firsts, receipts.NUMERICS]


def measure(path: Path, state: State, scratch: Scratch, jobs: int) -> State:
    """-> the state at the end of the file. Raises KitError for a damaged row; what was merged before it is kept."""
    parser = csv_stream.Parser(path, COLUMNS)

    def work(part: csv_stream.CsvChunk) -> Measured:
        rows = parser(part)
        if rows.damage:
            raise rows.damage
        with np.errstate(over="ignore", invalid="ignore"):
            moments = chunk_moments(rows.values)
        if not np.isfinite(moments.m2).all():
            name = COLUMNS[int(np.flatnonzero(~np.isfinite(moments.m2))[0])]
            raise KitError(
                "rows %d to %d, column %s hold a number whose square is none"
                % (part.rows_before + 1, part.rows_before + moments.count, name),
                path,
                kaggle_csv.REMEDY,
            )
        return Measured(moments, hashlib.sha256(b"".join(part.lines)).digest(), part.end)

    parts = csv_stream.iter_chunks(path, COLUMNS, scaling.CHUNK_ROWS, (state.rows, state.end))
    saved = time.monotonic()
    try:
        with progress(
            total=scratch.stamp[0],
            initial=state.end,
            desc="statistics of train.csv",
            unit="B",
            unit_scale=True,
        ) as bar:
            for part in csv_stream.ordered_map(work, parts, jobs):
                bar.update(part.end - state.end)
                state = state.then(part)
                if time.monotonic() - saved > _SAVE_EVERY:
                    scratch.save(state)
                    saved = time.monotonic()
    finally:
        scratch.save(state)
    return state


def products(raw: RawData) -> Iterator[Tuple[str, str, Path]]:
    """(family, file name, path) of the four files."""
    for family in scaling.FAMILIES:
        for name in ("mean.json", "std.json"):
            yield family, name, raw.statistics(family) / name


def proved(raw: RawData, stamp: List[int], weights: str) -> bool:
    """Whether all four files are those of this train.csv and these weights, by their receipts."""
    for _, _, path in products(raw):
        try:
            receipt = read_json(receipts.receipt_path(path))
            wanted = {"train.csv": receipt["inputs"]["train.csv"], "old weights": weights}
            if receipt["kind"] != KIND or receipt["details"]["stamp"] != stamp:
                return False
        except (KitError, KeyError, TypeError):
            return False
        if not receipts.judge(path, wanted, HashIndex()).done:
            return False
    return True


def refuse_foreign(path: Path, content: Any = None) -> None:
    """Raises KitError where a file that this command did not write would be lost; `content` is what it would write."""
    if not path.exists():
        return
    with contextlib.suppress(KitError, KeyError, TypeError):
        receipt = read_json(receipts.receipt_path(path))
        if receipt["kind"] == KIND and receipt["sha256"] == sha256(path):
            return
    with contextlib.suppress(KitError):
        if (
            content is not None and read_json(path) == content
        ):  # killed between the file and its receipt
            return
    raise KitError(
        "was not made by this command, which overwrites nothing else",
        path,
        "keep it and do without this command, or move it away",
    )


def publish(
    raw: RawData,
    state: State,
    weight: np.ndarray,
    inputs: Dict[str, str],
    started: str,
    stamp: List[int],
) -> None:
    """Writes the four files and their receipts, none of them before all may be written."""
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


def alone(folder: Path) -> ContextManager[None]:
    """Holds the folder's lock, which the kernel takes back however this process ends. Raises KitError."""
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    refusal = KitError("this command is at work here already", folder, "wait for it to end")
    return file_lock.hold(folder, refusal, required=False)


def run(raw: RawData, jobs: int) -> None:
    """Measures what is left to measure and writes the four files. Raises KitError."""
    path, started = raw.root / "kaggle-data" / "train.csv", receipts.now()
    weight, stamp = kaggle_csv.read_old_weights(raw.old_weights), stamp_of(path)
    weights = sha256_json(
        weight.tolist()
    )  # of the one row that counts: the file repeats it 625,000 times
    folder = raw.statistics("adam").parent
    with alone(folder):
        if proved(raw, stamp, weights):
            print(f"statistics of {path}: their receipts prove them", flush=True)
            return
        scratch = Scratch(folder / SCRATCH, stamp)
        state = scratch.load()
        if state.rows == 0 or state.end < stamp[0]:
            for _, _, product in products(raw):
                refuse_foreign(product)
            scratch.save(state)  # what cannot be written to is told now and not in an hour
            state = measure(path, state, scratch, jobs)
        publish(
            raw, state, weight, {"train.csv": state.chain, "old weights": weights}, started, stamp
        )
        with explain_os_errors(scratch.path):
            scratch.path.unlink()
    counts = ", ".join(
        "%s of %d" % (name, own.count) for name, own in state.moments.families.items()
    )
    print("statistics of %s: %d rows (%s)" % (path, state.rows, counts), flush=True)


def main(argv: List[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="leapkit.worlds.train_statistics",
        description=(
            "Writes statistics/{adam,fdzm}/{mean,std}.json from kaggle-data/{train,sample_submission_old}.csv."
        ),
    )
    parser.add_argument("--raw-data", type=Path, default=Path("raw_data"))
    parser.add_argument(
        "--jobs", type=int, default=0, help="threads that parse; one per core, 8 at most, when 0"
    )
    options = parser.parse_args(argv)
    if options.jobs < 0:
        raise KitError("a number of threads is not negative", "--jobs", "give 0 for one per core")
    run(RawData(options.raw_data), options.jobs or csv_stream.threads())
    return 0


if __name__ == "__main__":
    run_cli(main)
