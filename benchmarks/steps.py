"""Step files to rows: ClimSim's way (xarray, stack, to_stacked_array) against the CDF-5 reader.

Both sides yield the rows of one pair at a time and keep none. The published script then
concatenates all of them, which doubles its memory; that is not measured here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Tuple

from benchmarks import source
from benchmarks.case import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    import numpy as np

NAME = "steps"
MOST = 99  # pairs: the published way takes 20 s for them


def published_rows(case: Case) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield rows as the vendored loader does (docs/reference/data_pipeline.md, "Step files").

    It opens the mli file twice, merges each file with the grid, filters by it twice, and reads and
    drops cam_in_SNOWHICE.
    """
    import numpy as np
    import xarray

    from leapkit.core.columns import (
        GAS_PROFILES,
        INPUT_SCALARS,
        OUTPUT_SCALARS,
        STATE_PROFILES,
        STEP_SECONDS,
    )

    states = [n for n, _ in STATE_PROFILES]
    scalars = [n for n, _ in INPUT_SCALARS]
    scalars.insert(scalars.index("cam_in_SNOWHLAND"), "cam_in_SNOWHICE")
    inputs = states + scalars + [n for n, _ in GAS_PROFILES]
    snow = 60 * len(states) + scalars.index("cam_in_SNOWHICE")
    outputs = [n.replace("state_", "ptend_") for n in states] + [n for n, _ in OUTPUT_SCALARS]
    grid = None

    def opened(path: Path, names: List[str] | None) -> xarray.Dataset:
        nonlocal grid
        file = xarray.open_dataset(path, engine="netcdf4")
        if grid is None:  # any finite grid: the filter drops nothing
            latitude = np.linspace(-82, 82, file.sizes["ncol"])
            grid = xarray.Dataset({"lat": ("ncol", latitude), "lon": ("ncol", latitude + 180)})
        file = (file if names is None else file[names]).merge(grid)
        file = file.where((file["lat"] > -999) * (file["lat"] < 999), drop=True)
        return file.where((file["lon"] > -999) * (file["lon"] < 999), drop=True)

    def stacked(file: xarray.Dataset, names: List[str]) -> np.ndarray:
        table = file[names].stack({"batch": ["ncol"]})
        return table.to_stacked_array("variable_level", sample_dims=["batch"]).values

    for pair in source.pairs(case, MOST):
        x = stacked(opened(pair.mli, inputs), inputs)
        before = opened(pair.mli, inputs)
        after = opened(pair.mlo, None)
        for name in states:
            after[name.replace("state_", "ptend_")] = (after[name] - before[name]) / STEP_SECONDS
        yield np.delete(x, snow, axis=1), stacked(after, outputs)


def our_rows(case: Case) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield rows as the kit's reader does."""
    import numpy as np

    from leapkit.core.columns import INPUTS, TARGETS
    from leapkit.data.step_reader import StepReader, grid_columns

    reader = StepReader()
    sources = source.pairs(case, MOST)
    columns = grid_columns(sources[0])
    x = np.empty((columns, len(INPUTS)))
    y = np.empty((columns, len(TARGETS)))
    for pair in sources:
        yield reader.read(pair, x, y)


WAYS = {"published": published_rows, "ours": our_rows}


def consume(side: str, case: Case) -> int:
    """Read all rows of one side; return their number."""
    return sum(len(x) for x, _ in WAYS[side](case))


def make(case: Case) -> None:
    for pair in source.pairs(case, MOST):  # both sides then read from the page cache
        pair.mli.read_bytes()
        pair.mlo.read_bytes()


def evidence(case: Case, side: str, result: Any) -> Dict[str, Any]:
    """Return a hash of each pair's rows, from a second pass: hashing takes longer than reading."""
    import numpy as np

    digests = [
        hashlib.sha256(
            np.ascontiguousarray(x).tobytes() + np.ascontiguousarray(y).tobytes()
        ).hexdigest()
        for x, y in WAYS[side](case)
    ]
    return {"rows": result, "digests": digests}


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
    published = evidence["published"]
    ours = evidence["ours"]
    if published["rows"] != ours["rows"] or published["digests"] != ours["digests"]:
        differ = [
            k for k, (a, b) in enumerate(zip(published["digests"], ours["digests"])) if a != b
        ]
        raise UnequalError(
            f"rows {published['rows']} and {ours['rows']}; pairs with other bytes: {differ[:5]}"
        )
    return f"bit-identical ({ours['rows']} rows x 924)"


STEP = Step(
    title="step files to rows",
    goal=">= 100x, <= 300 MB",
    cores=1,
    sides={
        "published": Side(("numpy", "xarray", "netCDF4"), lambda case: consume("published", case)),
        "ours": Side(("numpy", "leapkit.data.step_reader"), lambda case: consume("ours", case)),
    },
    size=lambda case: f"{len(source.pairs(case, MOST))} pairs",
    make=make,
    evidence=evidence,
    compare=compare,
)
