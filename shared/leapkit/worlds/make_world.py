"""Make a world from step files: a data set in Kaggle's format with a withheld truth of its own.

    <to>/kaggle-data/{train,test,sample_submission,sample_submission_old}.csv   as on Kaggle
    <to>/ClimSim_low-res/                  the grid file, if it lies beside the steps
    <to>/ClimSim_low-res/train/YYYY-MM/    steps of the training and validation months
    <to>/statistics/{adam,fdzm}/           mean.json and std.json, given or computed from train.csv
    <to>/withheld/test_truth.parquet       the 368 targets of test.csv
    <to>/withheld/test_steps.json          which steps its rows are
    <to>/split.json, world.receipt.json    what was done

So anyone can score locally, on the sample world as on real step files (`make split`).
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from leapkit.core import receipts
from leapkit.core.errors import KitError, explain_os_errors, run_cli
from leapkit.core.files import TEMPORARY, publish_copy, sha256_json, write_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, grid_file_places, world_files, world_receipt
from leapkit.core.splits import Split, months_of, training_pairs, validation_pairs, write_split
from leapkit.core.step_files import PRECISIONS, StepPair, list_pairs
from leapkit.data.scaling_files import PublishedScaling
from leapkit.data.step_reader import StepReader, grid_columns
from leapkit.worlds.kaggle_files import write_scaling, write_test, write_train_csv

CSV_STRIDE = 7  # Kaggle's train.csv holds every seventh step of its months


def place_steps(raw: RawData, pairs: Sequence[StepPair]) -> None:
    """Link the step files into the world; copy them if the file system cannot link."""
    for pair in pairs:
        for path in (pair.mli, pair.mlo):
            target = raw.steps / pair.month / path.name
            if path.resolve() != target.resolve():
                publish_copy(path, target)


def place_grid(raw: RawData, places: Sequence[Path]) -> None:
    """Link the first grid file that exists into the world, for `make evaluate`."""
    for path in places:
        if path.exists():
            publish_copy(path, raw.grid_files[0])
            return


def make_world(
    steps: Path,
    test_steps: Path,
    to: Path,
    split: Split,
    published: Optional[PublishedScaling],
    seed: int,
    csv_stride: int,
    accept_float32: bool = False,
) -> str:
    """Write the whole world below `to`; return the precision of its step files.

    steps           root of the training and validation months
    test_steps      root of the test months, may be `steps` itself
    published       statistics to use, None to compute them from train.csv
    seed            of the order of the test ids
    csv_stride      train.csv holds each csv_stride-th training step
    accept_float32  whether step files in float32 are read too
    """
    raw = RawData(to)
    reader = StepReader(accept_float32)
    training, validation = training_pairs(steps, split), validation_pairs(steps, split)
    place_steps(raw, list_pairs(steps, sorted(set(split.train + split.validation))))
    place_grid(raw, grid_file_places(steps))
    moments = write_train_csv(to / "kaggle-data" / "train.csv", training[::csv_stride], reader)
    ids = write_test(raw, list_pairs(test_steps, split.test), seed, reader)
    write_scaling(raw, ids, moments, published)
    write_split(to / "split.json", split)
    columns = grid_columns(training[0])
    counts = f"{len(training) * columns} training, {len(validation) * columns} validation"
    print(f"the world has {counts} and {len(ids)} test rows", flush=True)
    return reader.precision


def write_world_receipt(
    to: Path, inputs: Dict[str, str], started: str, details: Dict[str, Any]
) -> None:
    """Write world.receipt.json, which names the inputs and the sha256 of the world's files."""
    write_json(
        world_receipt(to),
        {
            "inputs": inputs,
            "files": world_files(to, HashIndex()),
            "started": started,
            "finished": receipts.now(),
            "details": details,
            "environment": receipts.environment(),
        },
    )


def main(argv: List[str]) -> int:
    """Make a world in a folder of another name, then rename it.

    Raises KitError if the folder holds something, or if a month or a stride is wrong.
    """
    options = _options(argv)
    if options.to.exists() and not (options.to.is_dir() and not any(options.to.iterdir())):
        raise KitError("already holds something", options.to, "remove it or choose another folder")
    try:
        split = Split(
            months_of(options.train, "--train"),
            months_of(options.validation, "--validation"),
            options.validation_stride,
            months_of(options.test, "--test"),
        )
    except ValueError as error:
        raise KitError(str(error), "--train, --validation, --test", "fix the months") from error
    if options.csv_stride < 1:
        raise KitError("a stride is at least 1", "--csv-stride", "give 1 for every step")
    published = PublishedScaling.find(options.statistics) if options.statistics else None
    started = receipts.now()
    partial = options.to.with_name(TEMPORARY + options.to.name)
    shutil.rmtree(str(partial), ignore_errors=True)
    try:
        precision = make_world(
            options.steps,
            options.steps,
            partial,
            split,
            published,
            options.seed,
            options.csv_stride,
            options.step_precision == "float32",
        )
        write_world_receipt(
            partial,
            {"arguments": sha256_json(asdict(split))},
            started,
            {
                "statistics": "published" if published else "of train.csv",
                "step precision": precision,
            },
        )
        with explain_os_errors(options.to):
            if options.to.exists():
                options.to.rmdir()
            partial.rename(options.to)
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)
    return 0


def _options(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="leapkit.worlds.make_world",
        description="Make a scored world from ClimSim step files.",
    )
    parser.add_argument(
        "--steps", type=Path, required=True, help="folder of YYYY-MM folders of mli/mlo files"
    )
    parser.add_argument("--to", type=Path, required=True, help="the new world: use it as RAW_DATA=")
    parser.add_argument("--train", required=True, help="months, as 0008-01:0008-06 or a comma list")
    parser.add_argument(
        "--validation", required=True, help="months; validation steps are not used for training"
    )
    parser.add_argument("--validation-stride", type=int, default=CSV_STRIDE)
    parser.add_argument("--test", required=True, help="months whose truth is withheld")
    parser.add_argument(
        "--statistics",
        type=Path,
        help="folder of published statistics (default: computed from train.csv)",
    )
    parser.add_argument(
        "--step-precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="float32 accepts step files in float32 too, which the receipt records",
    )
    parser.add_argument("--csv-stride", type=int, default=CSV_STRIDE)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_cli(main)
