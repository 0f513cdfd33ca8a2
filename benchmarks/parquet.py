"""One submission parquet: pandas.to_parquet against the kit's stream without dictionaries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping

from benchmarks import source
from benchmarks.case import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    import numpy as np

NAME = "parquet"


def make(case: Case) -> None:
    with open(case.folder_of(NAME) / "values.f64", "wb") as file:
        for values in source.submissions(case, case.rows, 0):
            file.write(_row_bytes(values))


def _row_bytes(values: np.ndarray) -> bytes:
    """Return the bytes of (n, 368) float64 in row order, whatever its layout in memory."""
    import numpy as np

    return np.ascontiguousarray(values).tobytes()


def published(case: Case) -> None:
    import numpy as np
    import pandas as pd

    from leapkit.core.columns import TARGETS

    values = np.fromfile(case.folder_of(NAME) / "values.f64").reshape(-1, len(TARGETS))
    frame = pd.DataFrame(values, columns=list(TARGETS))
    frame.insert(0, "sample_id", source.ids(case.rows))
    frame.to_parquet(_path(case, "published"))


def _blocks(case: Case, size: int = 2048) -> Iterator[np.ndarray]:
    """Yield (2048, 368) float64 at a time, as networks give them."""
    import numpy as np

    from leapkit.core.columns import TARGETS

    with open(case.folder_of(NAME) / "values.f64", "rb") as file:
        while len(block := np.fromfile(file, count=size * len(TARGETS))):
            yield block.reshape(-1, len(TARGETS))


def ours(case: Case) -> None:
    from leapkit.data import submission

    submission.write(_path(case, "ours"), source.ids(case.rows), _blocks(case))


def ours_verified(case: Case) -> None:
    """Write a file, then read it back and check it, as the kit does with each file."""
    from leapkit.data import submission

    ours(case)
    submission.verify(_path(case, "ours"), source.ids(case.rows), None)


def _path(case: Case, side: str) -> Path:
    return case.folder_of(NAME, side) / "submission.parquet"


def evidence(case: Case, side: str, result: Any) -> Dict[str, Any]:
    kind = "published" if side == "published" else "ours"
    return {"bytes": _path(case, kind).stat().st_size}


def require_equal_tables(published: Path, ours: Path) -> None:
    """Raise UnequalError unless two submission parquets hold the same ids and the same bits."""
    import numpy as np
    import pyarrow.parquet as pq

    first = pq.ParquetFile(published)
    second = pq.ParquetFile(ours)
    if first.schema_arrow.names != second.schema_arrow.names:
        raise UnequalError("the columns differ")
    for name in first.schema_arrow.names:
        a, b = (np.asarray(file.read([name]).column(0)) for file in (first, second))
        if (a.tobytes() != b.tobytes()) if a.dtype == np.float64 else list(a) != list(b):
            raise UnequalError(f"the column {name} differs")


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
    require_equal_tables(_path(case, "published"), _path(case, "ours"))
    published = evidence["published"]["bytes"]
    ours = evidence["ours"]["bytes"]
    sizes = f"{published / 1e6:.1f} -> {ours / 1e6:.1f} MB"
    return f"bit-identical, {ours / published:.2f}x the bytes ({sizes})"


STEP = Step(
    title="one submission parquet",
    goal=">= 4x, <= 0.6x the bytes",
    cores=0,
    sides={
        "published": Side(
            ("numpy", "pandas", "pyarrow.parquet", "leapkit.core.columns"), published
        ),
        "ours": Side(("numpy", "leapkit.data.submission"), ours),
        "ours, verified": Side(("numpy", "leapkit.data.submission"), ours_verified),
    },
    size=lambda case: f"{case.rows} x 368 float64",
    make=make,
    evidence=evidence,
    compare=compare,
)
