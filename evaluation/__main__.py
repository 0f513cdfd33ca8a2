"""python -m evaluation: judges predictions as the field does, and writes pages that show it."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import List, Sequence, Tuple

from blend import names
from blend.alone import alone
from evaluation import choice
from evaluation.datasets import SUFFIXES, DatasetPrediction, DatasetTruth
from evaluation.predictions import ParquetPrediction, Prediction
from evaluation.truths import Truth, WithheldRows, steps_of, validation_steps
from evaluation.work import evaluate
from leapkit.climate.grid_files import find_grid
from leapkit.core.errors import KitError, run_cli
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results

ROWS = ("test", "validation")


def main(argv: List[str]) -> int:
    """Run the command. Raises KitError if it cannot be done."""
    warnings.simplefilter("ignore")  # of xarray, about files that are then refused or read
    options = _parser().parse_args(argv)
    raw, results = RawData(options.raw_data), Results(options.submission)
    artifacts = [name for name in options.artifacts.split(",") if name]
    grid = find_grid(raw)
    with alone(results.evaluation, "another evaluation") as index:
        if options.prediction:
            for path in options.prediction:
                truth, prediction = of_file(raw, path, options.truth, grid.columns)
                evaluate(results.evaluation, truth, [prediction], grid, index)
            return 0
        rows = options.rows or ("test" if raw.truth.exists() else "validation")
        truth, predictions = of_world(raw, results, rows, artifacts, grid.columns, index)
        evaluate(results.evaluation, truth, predictions, grid, index)
    return 0


def of_world(
    raw: RawData,
    results: Results,
    rows: str,
    artifacts: Sequence[str],
    columns: int,
    index: HashIndex,
) -> Tuple[Truth, List[Prediction]]:
    """Return the truth of a world's rows, and what its networks and blends predict of them.

    Raises KitError if the world has no such truth, and if there is no prediction.
    """
    truth: Truth
    if rows == "test":
        if not raw.truth.exists():
            what = "the truth of test.csv is not here: Kaggle never published it"
            raise KitError(what, raw.root, "use ROWS=validation, or a world of `make split`")
        truth = WithheldRows(raw, columns)
        predictions, left_out = choice.of_test_rows(results, artifacts, index)
    else:
        truth = validation_steps(raw)
        predictions, left_out = choice.of_validation_rows(raw, results, artifacts, index)
    for line in left_out:
        print(f"left out: {line}", flush=True)
    if not predictions:
        raise KitError("there is no prediction to evaluate", results.root, choice.NOTHING)
    return truth, predictions


def of_file(raw: RawData, path: Path, truth_path: Path, columns: int) -> Tuple[Truth, Prediction]:
    """Return the truth of a file of predictions from elsewhere, and what it predicts.

    Raises KitError if it is neither parquet nor NetCDF nor Zarr, or if its steps have no truth.
    """
    if names.problem_of(path.stem):
        what = f"its name {names.problem_of(path.stem)}"
        raise KitError(what, path, "rename it: its page will have its name")
    if path.suffix == ".parquet":
        if not raw.truth.exists():
            what = "the truth of test.csv is not here, so no parquet can be judged"
            raise KitError(what, raw.root, "give a world of `make split` as RAW_DATA=")
        return WithheldRows(raw, columns), ParquetPrediction(path.stem, "a file of yours", path)
    if path.suffix not in SUFFIXES:
        what = "is neither a .parquet nor one of " + ", ".join(SUFFIXES)
        raise KitError(what, path, "name the file as its content is")
    prediction = DatasetPrediction(path.stem, path)
    if truth_path and truth_path.suffix in SUFFIXES:
        return DatasetTruth(truth_path, prediction.stamps), prediction
    return steps_of(truth_path or raw.steps, prediction.stamps), prediction


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evaluation", description=__doc__)
    parser.add_argument("--rows", default="", choices=["", *ROWS], help="which rows of the world")
    parser.add_argument("--artifacts", default="", help="comma list of networks (default: all)")
    parser.add_argument(
        "--prediction", type=Path, action="append", default=[], help="a file from elsewhere"
    )
    parser.add_argument("--truth", type=Path, help="folder of step files, or file, of their truth")
    # Where a container has them mounted.
    parser.add_argument("--raw-data", type=Path, default=Path("/raw_data"))
    parser.add_argument("--submission", type=Path, default=Path("/submission"))
    return parser


if __name__ == "__main__":
    run_cli(main)
