"""Columns of other types and names count where their meaning is the same, and are named if not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leapkit.core.columns import LINEAR, PREDICTED, TARGETS, ZERO, kaggle_positions
from leapkit.data.submission import OpenedParquet, verify
from tests.helpers.refusals import refused

pytestmark = pytest.mark.oldest

ROWS = 20
IDS = [f"test_{k}" for k in range(ROWS)]
Columns = Dict[str, Any]


@pytest.fixture
def q() -> np.ndarray:
    """Return the cloud water of the linear targets (20, 16)."""
    return np.random.RandomState(0).rand(ROWS, 16) * 1e-5


@pytest.fixture
def columns(q: np.ndarray) -> Columns:
    values = np.random.RandomState(1).standard_normal((ROWS, len(TARGETS)))
    values[:, kaggle_positions(ZERO)] = 0.0
    values[:, kaggle_positions(LINEAR)] = -q / 1200
    return {
        "sample_id": pa.array(IDS),
        **{n: pa.array(values[:, k].copy()) for k, n in enumerate(TARGETS)},
    }


def written(folder: Path, columns: Columns) -> Path:
    path = folder / "mine.parquet"
    try:
        pq.write_table(pa.table(columns), str(path), row_group_size=7)
    except pa.ArrowNotImplementedError:
        pytest.skip("this pyarrow cannot write the type")
    return path


def ids_as(kind: str) -> pa.Array:
    ids = pa.array(IDS)
    if kind == "dictionary":
        return ids.dictionary_encode()
    if kind == "dictionary of large strings":
        return ids.cast(pa.large_string()).dictionary_encode()
    if not hasattr(pa, kind):
        pytest.skip(f"this pyarrow has no {kind}")
    return pa.array(IDS, getattr(pa, kind)())


@pytest.mark.parametrize(
    "kind",
    [
        "large_string",
        "string_view",
        "binary",
        "large_binary",
        "dictionary",
        "dictionary of large strings",
    ],
)
def test_ids_of_any_string_type_are_the_same_ids(
    kind: str, tmp_path: Path, columns: Columns, q: np.ndarray
) -> None:
    path = written(tmp_path, {**columns, "sample_id": ids_as(kind)})
    verify(path, IDS, q)
    ((ids, values),) = OpenedParquet(path).column_blocks(TARGETS[:2])
    assert ids.type == pa.string() and ids.to_pylist() == IDS
    assert (values[1] == columns[TARGETS[1]].to_numpy()).all()


def test_an_index_of_pandas_is_no_column_of_the_submission(
    tmp_path: Path, columns: Columns, q: np.ndarray
) -> None:
    frame = pa.table(columns).to_pandas()
    path = tmp_path / "mine.parquet"
    for index in (np.roll(np.arange(ROWS), 3), pd.MultiIndex.from_product([range(4), range(5)])):
        frame.set_index(index).to_parquet(path)
        assert "__index_level_0__" in pq.read_schema(str(path)).names
        verify(path, IDS, q)
    frame.rename_axis(index="row").set_index(
        pd.Index(range(1, 2 * ROWS, 2), name="row")
    ).to_parquet(path)
    verify(path, IDS, q)
    frame.set_index("sample_id").to_parquet(path)  # pandas writes an index last
    assert pq.read_schema(str(path)).names[-1] == "sample_id"
    verify(path, IDS, q)
    ((ids, values),) = OpenedParquet(path).column_blocks([TARGETS[3], TARGETS[0]])
    assert ids.to_pylist() == IDS
    assert (values[0] == columns[TARGETS[3]].to_numpy()).all()


@pytest.mark.parametrize(
    "metadata", [b"", b"{", b"[]", b'{"index_columns": [["a"], 7]}', b"[" * 9999]
)
def test_metadata_of_pandas_that_are_none_change_nothing(
    metadata: bytes, tmp_path: Path, columns: Columns, q: np.ndarray
) -> None:
    path = tmp_path / "mine.parquet"
    pq.write_table(pa.table(columns).replace_schema_metadata({b"pandas": metadata}), str(path))
    verify(path, IDS, q)


def test_metadata_make_no_target_an_index(tmp_path: Path, columns: Columns, q: np.ndarray) -> None:
    path = tmp_path / "mine.parquet"
    stored = json.dumps({"index_columns": [PREDICTED[0]]}).encode()
    pq.write_table(pa.table(columns).replace_schema_metadata({b"pandas": stored}), str(path))
    verify(path, IDS, q)


@pytest.mark.parametrize("kind", ["int64", "int8", "uint32", "float32", "float16"])
def test_targets_that_are_always_0_may_be_integers_or_narrow(
    kind: str, tmp_path: Path, columns: Columns, q: np.ndarray
) -> None:
    zeros = pa.array(np.zeros(ROWS, kind))
    path = written(tmp_path, {**columns, **{name: zeros for name in ZERO}})
    verify(path, IDS, q)
    ones = pa.array(np.ones(ROWS, kind))
    path = written(tmp_path, {**columns, ZERO[3]: ones})
    with refused(path, f"{ZERO[3]} is not 0 throughout"):
        verify(path, IDS, q)


@pytest.mark.parametrize(
    "names, kind, words",
    [
        (
            list(PREDICTED),
            pa.float32(),
            "ptend_t_0 (and 291 more) has the type float, which keeps 24 of float64's 53 bits: "
            "values are off by up to 6e-08",
        ),
        (["cam_out_SOLL"], pa.float16(), "cam_out_SOLL has the type halffloat, which keeps 11 of"),
        (
            ["ptend_t_4"],
            pa.int64(),
            "ptend_t_4 has the type int64, and only targets that are always 0",
        ),
        ([LINEAR[0]], pa.int32(), f"{LINEAR[0]} has the type int32"),
        (["ptend_t_4"], pa.string(), "ptend_t_4 has the type string"),
        (["ptend_t_4"], pa.decimal128(38, 9), "ptend_t_4 has the type decimal128(38, 9)"),
    ],
)
def test_values_that_are_not_float64_are_refused_by_what_is_lost(
    names: List[str],
    kind: pa.DataType,
    words: str,
    tmp_path: Path,
    columns: Columns,
    q: np.ndarray,
) -> None:
    narrow = {name: columns[name].cast(kind, safe=False) for name in names if kind != pa.float16()}
    if kind == pa.float16():
        narrow = {name: pa.array(columns[name].to_numpy().astype(np.float16)) for name in names}
    path = written(tmp_path, {**columns, **narrow})
    with refused(path, words):
        verify(path, IDS, q)


@pytest.mark.parametrize(
    "names, words",
    [
        (lambda n: n[:-2], "the column cam_out_SOLSD (and 1 more) is missing"),
        (lambda n: [*n, "Unnamed: 0"], "the column Unnamed: 0 is unknown"),
        (lambda n: ["id", *n[1:]], "sample_id is missing and the column id is unknown"),
        (
            lambda n: [*n[:5], n[6], n[5], *n[7:]],
            "not in Kaggle order: ptend_t_5 is where Kaggle has ptend_t_4",
        ),
    ],
)
def test_other_columns_are_named(
    names: Any, words: str, tmp_path: Path, columns: Columns, q: np.ndarray
) -> None:
    wanted = names(list(columns))
    path = written(tmp_path, {name: columns.get(name, columns["sample_id"]) for name in wanted})
    with refused(path, words):
        verify(path, IDS, q)


def test_a_column_that_is_there_twice_is_named(
    tmp_path: Path, columns: Columns, q: np.ndarray
) -> None:
    path = tmp_path / "mine.parquet"
    pq.write_table(pa.table(columns).append_column("ptend_t_0", columns["ptend_t_0"]), str(path))
    with refused(path, "the column ptend_t_0 is there twice"):
        verify(path, IDS, q)


def test_an_opened_parquet_is_read_to_its_end_whatever_replaces_its_name(
    tmp_path: Path, columns: Columns
) -> None:
    path = written(tmp_path, columns)
    opened = OpenedParquet(path)
    blocks = opened.blocks()
    path.rename(tmp_path / "aside")
    path.write_bytes(b"another file")
    ((ids, values),) = blocks
    assert ids == IDS
    assert (values[:, 0] == columns[TARGETS[0]].to_numpy()).all()
