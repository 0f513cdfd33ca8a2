"""test.csv to both families' network inputs: two pandas parses with copies, or one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from benchmarks import source
from benchmarks.case import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    import numpy as np

NAME = "test_csv"


def make(case: Case) -> None:
    from leapkit.core.columns import INPUTS
    from leapkit.data.kaggle_csv import CsvWriter

    ids = source.ids(case.rows)
    start = 0
    with CsvWriter(case.folder_of(NAME) / "test.csv", INPUTS) as writer:
        for x, _ in source.rows(case, case.rows):
            writer.write(ids[start : start + len(x)], x)
            start += len(x)
    for family in ("adam", "fdzm"):
        source.save_statistics(case, NAME, family)


def _published_family(
    case: Case, family: str, float64_names: Sequence[str], linear: Sequence[str]
) -> None:
    """Do what one family's script does.

    It reads the whole file into memory, casts all variables but `float64_names` to float32 one by
    one, writes a parquet copy, and reads this copy once per product
    (docs/reference/data_pipeline.md, "Standardising").
    """
    import numpy as np
    import pandas as pd

    from leapkit.core.columns import INPUTS, INPUTS_TO_NETWORK

    out = case.folder_of(NAME, "published")
    frame = pd.read_csv(case.folder_of(NAME) / "test.csv")
    frame["sample_id"] = frame["sample_id"].str.split("_").str[1].astype("int32")
    for name in INPUTS:
        if name not in float64_names:
            frame[name] = frame[name].astype("float32")
    frame.to_parquet(out / (family + ".parquet"))
    del frame

    x = pd.read_parquet(out / (family + ".parquet"))[list(INPUTS)].to_numpy(dtype=np.float64)
    with np.load(case.folder_of(NAME) / (family + ".npz")) as s:
        x = ((x - s["mean"]) / s["std"]).astype(np.float32)
    np.save(out / (family + ".npy"), x[:, INPUTS_TO_NETWORK])
    del x

    frame = pd.read_parquet(out / (family + ".parquet"))
    special = pd.DataFrame({name: -frame[name] / 1200 for name in linear})
    special.to_parquet(out / (family + "_linear.parquet"))


def published(case: Case) -> None:
    from leapkit.core.columns import LINEAR_INPUTS
    from leapkit.data.scaling import FAMILIES

    for family in ("adam", "fdzm"):
        _published_family(case, family, FAMILIES[family].kept_float64, LINEAR_INPUTS)


def _ours(case: Case, side: str, families: Sequence[str]) -> None:
    """Parse once for the given families, as leapkit.data.inference_set does for one."""
    import contextlib

    import numpy as np

    from leapkit.core.columns import INPUTS, LINEAR_INPUTS
    from leapkit.data import kaggle_csv

    out = case.folder_of(NAME, side)
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    scalings = [source.load_statistics(case, NAME, family) for family in families]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(out / (family + ".f32"), "wb")) for family in families]
        q0002 = stack.enter_context(open(out / "q0002.f64", "wb"))
        for _, x in kaggle_csv.read_test_csv(case.folder_of(NAME) / "test.csv"):
            for scaling, file in zip(scalings, files):
                file.write(np.ascontiguousarray(scaling.scaled_test_inputs(x)).tobytes())
            q0002.write(np.ascontiguousarray(x[:, linear]).tobytes())


def ours(case: Case) -> None:
    _ours(case, "ours", ("adam", "fdzm"))


def ours_twice(case: Case) -> None:
    """Parse once per family, as two members of different families do alone."""
    for family in ("adam", "fdzm"):
        _ours(case, "ours, a parse per family", (family,))


def _exact_parser() -> bool:
    """Return whether this pandas rounds decimals correctly by default.

    Older ones do not (docs/reference/performance.md, "CSV").
    """
    import pandas as pd

    return tuple(int(part) for part in pd.__version__.split(".")[:2]) >= (3, 1)


def _require_close(what: str, published: np.ndarray, ours: np.ndarray, rtol: float) -> None:
    import numpy as np

    if published.shape != ours.shape:
        raise UnequalError(f"{what}: shape {ours.shape} instead of {published.shape}")
    if rtol == 0 and published.tobytes() != ours.tobytes():
        raise UnequalError(f"{what}: {int((published != ours).sum())} values differ")
    if not np.allclose(published, ours, rtol=rtol, atol=1e-4 if rtol else 0):
        raise UnequalError(f"{what}: differs by up to {float(np.abs(published - ours).max()):g}")


def _compare_side(case: Case, side: str, exact: bool) -> None:
    import numpy as np
    import pandas as pd

    from leapkit.core.columns import INPUTS
    from leapkit.data.scaling import linear_tendency

    published_folder = case.folder_of(NAME, "published")
    our_folder = case.folder_of(NAME, side)
    q0002 = np.fromfile(our_folder / "q0002.f64").reshape(-1, 16)
    for family in ("adam", "fdzm"):
        published = np.load(published_folder / (family + ".npy"), mmap_mode="r")
        ours = np.memmap(our_folder / (family + ".f32"), np.float32, "r").reshape(-1, len(INPUTS))
        # In blocks, because the files may be larger than memory.
        for start in range(0, max(len(published), len(ours)), 8192):
            _require_close(
                f"{side} inputs of {family}",
                np.ascontiguousarray(published[start : start + 8192]),
                np.ascontiguousarray(ours[start : start + 8192]),
                0 if exact else 1e-4,
            )
        linear = np.ascontiguousarray(
            pd.read_parquet(published_folder / (family + "_linear.parquet")).to_numpy()
        )
        if not np.allclose(linear, linear_tendency(q0002), rtol=0 if exact else 1e-12, atol=0):
            raise UnequalError(f"{side}: the linear targets of {family} differ")


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
    exact = _exact_parser()
    for side in evidence:
        if side != "published":
            _compare_side(case, side, exact)
    return (
        "bit-identical (2 families)" if exact else "within 1e-4: this pandas' parser is not exact"
    )


def _side(work: Callable[[Case], None]) -> Side:
    return Side(("numpy", "leapkit.data.kaggle_csv", "leapkit.data.scaling"), work)


def _size(case: Case) -> str:
    size = (case.folder_of(NAME) / "test.csv").stat().st_size
    return f"{case.rows} rows, {size / 1e6:.0f} MB"


STEP = Step(
    title="test.csv to both families",
    goal=">= 4x, <= 600 MB",
    cores=0,
    sides={
        "published": Side(
            ("numpy", "pandas", "pyarrow.parquet", "leapkit.data.scaling"), published
        ),
        "ours": _side(ours),
        "ours, a parse per family": _side(ours_twice),
    },
    size=_size,
    make=make,
    evidence=lambda case, side, result: None,
    compare=compare,
)
