"""Statistics of train.csv: parquets of chunks in one frame, or one stream of the CSV."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from benchmarks import source
from benchmarks.case import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    import numpy as np

NAME = "train_statistics"
CHUNK = 625_000  # rows of a published chunk
WHOLE = 10_091_520  # rows of Kaggle's file


def _raw(case: Case) -> Path:
    return case.folder_of(NAME, "raw")


def make(case: Case) -> None:
    import numpy as np

    from leapkit.core.columns import INPUTS, TARGETS
    from leapkit.data.kaggle_csv import CsvWriter

    start = 0
    data = _raw(case) / "kaggle-data"
    with CsvWriter(data / "train.csv", INPUTS + TARGETS) as writer:
        for x, y in source.rows(case, case.rows):
            ids = [f"train_{start + k}" for k in range(len(x))]
            writer.write(ids, np.concatenate([x, y], axis=1))
            start += len(x)
    with CsvWriter(data / "sample_submission_old.csv", TARGETS) as writer:
        writer.write(["test_0"], source.statistics(case, "fdzm").weight[None, :])


def published(case: Case) -> None:
    """Do what fdzm's two scripts do, for this family alone.

    They write a parquet per chunk (inputs as float32 but for the tiny ones), concatenate all of
    them, then compute y * weight, mean and std (docs/reference/data_pipeline.md, "Statistics"). A
    chunk is the same share of the file as a published one. All rows count here, as in the kit if
    the file has fewer than 15 chunks of 625,000.
    """
    import numpy as np
    import pandas as pd

    from leapkit.core.columns import INPUTS, TARGETS
    from leapkit.data.scaling import FAMILIES

    out = case.folder_of(NAME, "published")
    data = _raw(case) / "kaggle-data"
    family = FAMILIES["fdzm"]
    inputs = [name for name in INPUTS if name not in family.kept_float64]
    chunks: List[Path] = []
    for frame in pd.read_csv(data / "train.csv", chunksize=max(1, case.rows * CHUNK // WHOLE)):
        frame["sample_id"] = frame["sample_id"].str.split("_").str[1].astype("int32")
        frame = frame.astype({name: "float32" for name in inputs})
        chunks.append(out / f"{len(chunks)}.parquet")
        frame.to_parquet(chunks[-1])
    frame = pd.concat([pd.read_parquet(chunk) for chunk in chunks]).drop(columns="sample_id")
    weight = pd.read_csv(data / "sample_submission_old.csv", nrows=1)[list(TARGETS)].to_numpy()
    frame[list(TARGETS)] = frame[list(TARGETS)].to_numpy() * weight
    mean = frame.mean()
    std = np.maximum(frame.std(), family.std_floor)
    for name, values in (("mean", mean), ("std", std)):
        (out / (name + ".json")).write_text(
            json.dumps({variable: float(values[variable]) for variable in INPUTS + TARGETS})
        )


def ours(case: Case) -> None:
    from leapkit.core.layout import RawData
    from leapkit.data import csv_stream
    from leapkit.worlds import train_statistics

    raw = RawData(_raw(case))
    # Otherwise the receipts of the run before would prove the files.
    shutil.rmtree(str(raw.root / "statistics"), ignore_errors=True)
    train_statistics.run(raw, csv_stream.threads())


def _read_statistics(folder: Path) -> Dict[str, np.ndarray]:
    """Return the values (924,) of mean.json and std.json."""
    import numpy as np

    from leapkit.core.columns import INPUTS, TARGETS

    tables = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("mean", "std")}
    return {
        name: np.array([table[variable] for variable in INPUTS + TARGETS])
        for name, table in tables.items()
    }


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
    """Require equal mean and std, up to the published way's sums of float32 (1e-6 of the mean)."""
    import numpy as np

    from leapkit.core.columns import INPUTS, TARGETS
    from leapkit.core.layout import RawData

    published = _read_statistics(case.folder_of(NAME, "published"))
    ours = _read_statistics(RawData(_raw(case)).statistics("fdzm"))
    size = np.abs(ours["mean"]) + ours["std"]
    worst = 0.0
    for name in ("mean", "std"):
        difference = np.abs(published[name] - ours[name]) / size
        worst = max(worst, float(difference.max()))
        if not (difference < 1e-4).all():
            variable = (INPUTS + TARGETS)[int(np.nanargmax(difference))]
            raise UnequalError(f"{name} of {variable} differs by {difference.max():g} of its size")
    return f"within {worst:.0e} of |mean| + std (fdzm; ours gives both families)"


def _size(case: Case) -> str:
    size = (_raw(case) / "kaggle-data" / "train.csv").stat().st_size
    return f"{case.rows} rows, {size / 1e6:.0f} MB"


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
