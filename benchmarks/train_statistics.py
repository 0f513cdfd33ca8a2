"""Statistics of train.csv: chunks to parquet, all of them in one frame, mean and std; against one stream of the CSV."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Mapping

from benchmarks import source
from benchmarks.measure import Case, Side, Step, UnequalError

NAME = "train_statistics"
CHUNK, WHOLE = 625_000, 10_091_520  # rows: the published chunks, and Kaggle's file


def _raw(case: Case) -> Path:
    return case.place(NAME, "raw")


def make(case: Case) -> None:
    import numpy as np

    from leapkit.core.columns import INPUTS, TARGETS
    from leapkit.data.kaggle_csv import CsvWriter

    at, data = 0, _raw(case) / "kaggle-data"
    with CsvWriter(data / "train.csv", INPUTS + TARGETS) as writer:
        for x, y in source.rows(case, case.rows):
            writer.write(
                ["train_%d" % (at + k) for k in range(len(x))], np.concatenate([x, y], axis=1)
            )
            at += len(x)
    with CsvWriter(data / "sample_submission_old.csv", TARGETS) as writer:
        writer.write(["test_0"], source.statistics(case, "fdzm").weight[None, :])


def published(case: Case) -> None:
    """fdzm's two scripts as reference/data_pipeline.md 1.1, 3 and 8 describe them, with chunks that are the same share of
    the file: a parquet per chunk (inputs to float32 but for the tiny ones), all of them concatenated, then y * weight,
    mean and std. Its family alone; of all rows, as the kit's where there are fewer than 15 chunks of 625,000."""
    import numpy as np
    import pandas as pd

    from leapkit.core.columns import INPUTS, TARGETS
    from leapkit.data.scaling import FAMILIES

    out, data, family = case.place(NAME, "published"), _raw(case) / "kaggle-data", FAMILIES["fdzm"]
    inputs = [name for name in INPUTS if name not in family.kept_float64]
    parts = []
    for frame in pd.read_csv(data / "train.csv", chunksize=max(1, case.rows * CHUNK // WHOLE)):
        frame["sample_id"] = frame["sample_id"].str.split("_").str[1].astype("int32")
        frame = frame.astype({name: "float32" for name in inputs})
        parts.append(out / ("%d.parquet" % len(parts)))
        frame.to_parquet(parts[-1])
    frame = pd.concat([pd.read_parquet(part) for part in parts]).drop(columns="sample_id")
    weight = pd.read_csv(data / "sample_submission_old.csv", nrows=1)[list(TARGETS)].to_numpy()
    frame[list(TARGETS)] = frame[list(TARGETS)].to_numpy() * weight
    mean, std = frame.mean(), np.maximum(frame.std(), family.std_floor)
    for name, values in (("mean", mean), ("std", std)):
        (out / (name + ".json")).write_text(
            json.dumps({column: float(values[column]) for column in INPUTS + TARGETS})
        )


def ours(case: Case) -> None:
    from leapkit.core.layout import RawData
    from leapkit.data import csv_stream
    from leapkit.worlds import train_statistics

    raw = RawData(_raw(case))
    shutil.rmtree(
        str(raw.root / "statistics"), ignore_errors=True
    )  # or the receipts of the run before would prove them
    train_statistics.run(raw, csv_stream.threads())


def compare(case: Case, found: Mapping[str, Any]) -> str:
    """The published inputs are float32, and pandas sums them so: mean and std agree to about 1e-6 of the mean's size."""
    import numpy as np

    from leapkit.core.columns import INPUTS, TARGETS
    from leapkit.core.layout import RawData

    columns, worst = INPUTS + TARGETS, 0.0
    theirs, own = (
        {
            name: np.array(
                [json.loads((folder / (name + ".json")).read_text())[c] for c in columns]
            )
            for name in ("mean", "std")
        }
        for folder in (case.place(NAME, "published"), RawData(_raw(case)).statistics("fdzm"))
    )
    size = np.abs(own["mean"]) + own["std"]
    for name in ("mean", "std"):
        difference = np.abs(theirs[name] - own[name]) / size
        worst = max(worst, float(difference.max()))
        if not (difference < 1e-4).all():
            raise UnequalError(
                f"{name} of {columns[int(np.nanargmax(difference))]} differs by {difference.max():g} of its size"
            )
    return f"within {worst:.0e} of |mean| + std (fdzm; ours gives both families)"


def _size(case: Case) -> str:
    return "%d rows, %.0f MB" % (
        case.rows,
        (_raw(case) / "kaggle-data" / "train.csv").stat().st_size / 1e6,
    )


STEP = Step(
    title="statistics of train.csv",
    goal="<= 300 MB",
    cores=0,
    sides={
        "published": Side(
            ("numpy", "pandas", "pyarrow.parquet", "leapkit.data.scaling"), published
        ),
        "ours": Side(("numpy", "leapkit.worlds.train_statistics"), ours),
    },
    size=_size,
    make=make,
    evidence=lambda case, side, result: None,
    compare=compare,
)
