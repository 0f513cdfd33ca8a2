"""Step files to rows: ClimSim's way (xarray per file, stack, to_stacked_array) against the CDF-5 reader.

Both sides hand out one pair's rows at a time and keep none: the published script then concatenates all of them, which
doubles its memory and is not held against it here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Tuple

from benchmarks import source
from benchmarks.measure import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    import numpy as np

NAME = "steps"
MOST = 99  # pairs: the published way takes 20 s for them


def published_rows(case: Case) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """As the vendored loader (reference/data_pipeline.md 1.3, 9): the mli file is opened twice, each file merged with
    the grid and filtered by it twice, and cam_in_SNOWHICE is read and dropped."""
    import numpy as np
    import xarray

    from leapkit.core.columns import (
        GAS_PROFILES,
        INPUT_SCALARS,
        OUTPUT_SCALARS,
        STATE_PROFILES,
        STEP_SECONDS,
    )

    states, scalars = [n for n, _ in STATE_PROFILES], [n for n, _ in INPUT_SCALARS]
    scalars.insert(scalars.index("cam_in_SNOWHLAND"), "cam_in_SNOWHICE")
    inputs = states + scalars + [n for n, _ in GAS_PROFILES]
    snow = 60 * len(states) + scalars.index("cam_in_SNOWHICE")
    outputs = [n.replace("state_", "ptend_") for n in states] + [n for n, _ in OUTPUT_SCALARS]
    grid = None

    def opened(path: Path, names: List[str] | None) -> xarray.Dataset:
        nonlocal grid
        file = xarray.open_dataset(path, engine="netcdf4")
        if grid is None:  # any finite grid: the filter drops nothing
            there = np.linspace(-82, 82, file.sizes["ncol"])
            grid = xarray.Dataset({"lat": ("ncol", there), "lon": ("ncol", there + 180)})
        file = (file if names is None else file[names]).merge(grid)
        file = file.where((file["lat"] > -999) * (file["lat"] < 999), drop=True)
        return file.where((file["lon"] > -999) * (file["lon"] < 999), drop=True)

    def stacked(file: xarray.Dataset, names: List[str]) -> np.ndarray:
        table = file[names].stack({"batch": ["ncol"]})
        return table.to_stacked_array("variable_level", sample_dims=["batch"]).values

    for pair in source.pairs(case, MOST):
        x = stacked(opened(pair.mli, inputs), inputs)
        before, after = opened(pair.mli, inputs), opened(pair.mlo, None)
        for name in states:
            after[name.replace("state_", "ptend_")] = (after[name] - before[name]) / STEP_SECONDS
        yield np.delete(x, snow, axis=1), stacked(after, outputs)


def our_rows(case: Case) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    import numpy as np

    from leapkit.core.columns import INPUTS, TARGETS
    from leapkit.data.step_reader import StepReader, grid_columns

    reader, sources = StepReader(), source.pairs(case, MOST)
    columns = grid_columns(sources[0])
    x, y = np.empty((columns, len(INPUTS))), np.empty((columns, len(TARGETS)))
    for pair in sources:
        yield reader.read(pair, x, y)


WAYS = {"published": published_rows, "ours": our_rows}


def consume(side: str, case: Case) -> int:
    """-> rows read."""
    return sum(len(x) for x, _ in WAYS[side](case))


def make(case: Case) -> None:
    for pair in source.pairs(case, MOST):  # both sides then read from the page cache
        pair.mli.read_bytes()
        pair.mlo.read_bytes()


def evidence(case: Case, side: str, result: Any) -> Dict[str, Any]:
    """One hash of each pair's rows, from a pass of its own: hashing costs more time than reading."""
    import numpy as np

    digests = [
        hashlib.sha256(
            np.ascontiguousarray(x).tobytes() + np.ascontiguousarray(y).tobytes()
        ).hexdigest()
        for x, y in WAYS[side](case)
    ]
    return {"rows": result, "digests": digests}


def compare(case: Case, found: Mapping[str, Any]) -> str:
    published, ours = found["published"], found["ours"]
    if published["rows"] != ours["rows"] or published["digests"] != ours["digests"]:
        differ = [
            k for k, (a, b) in enumerate(zip(published["digests"], ours["digests"])) if a != b
        ]
        raise UnequalError(
            "rows %d and %d; pairs with other bytes: %s"
            % (published["rows"], ours["rows"], differ[:5])
        )
    return "bit-identical (%d rows x 924)" % ours["rows"]


STEP = Step(
    title="step files to rows",
    goal=">= 100x, <= 300 MB",
    cores=1,
    sides={
        "published": Side(("numpy", "xarray", "netCDF4"), lambda case: consume("published", case)),
        "ours": Side(("numpy", "leapkit.data.step_reader"), lambda case: consume("ours", case)),
    },
    size=lambda case: "%d pairs" % len(source.pairs(case, MOST)),
    make=make,
    evidence=evidence,
    compare=compare,
)
