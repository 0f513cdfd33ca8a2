"""Compute both families' mean.json and std.json from kaggle-data/train.csv (`make statistics`).

One pass reads the file (182 GB at full size) in any number of threads, and continues where it was
interrupted (statistics_pass). Receipts prove the four files; those of another origin stay.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any, ContextManager, Dict, Iterator, List, Tuple

import numpy as np

from leapkit.core import file_lock, receipts
from leapkit.core.errors import KitError, explain_os_errors, run_cli
from leapkit.core.files import read_json, sha256, sha256_json, write_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData
from leapkit.data import csv_stream, scaling
from leapkit.data.old_weights import read_weights
from leapkit.worlds.statistics_pass import Scratch, State, measure, stamp_of

KIND = "statistics"
SCRATCH = "train_statistics.scratch.json"


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
