"""A submission parquet keeps its contract, and what breaks it is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List, Optional

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core.columns import LINEAR, PREDICTED, TARGETS, ZERO, kaggle_positions
from leapkit.core.errors import KitError
from leapkit.core.files import atomic
from leapkit.data import submission
from leapkit.data.submission import SCHEMA, blocks, verify, write
from tests.core.test_lfs_pointer import POINTER
from tests.helpers.refusals import refused

pytestmark = pytest.mark.oldest

ROWS = 50
FUZZ = dict(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Example:
    """A correct submission: ids, values (50, 368), and the cloud liquid of its linear targets."""

    def __init__(self, rows: int = ROWS, seed: int = 0) -> None:
        random = np.random.RandomState(seed)
        self.ids = [f"test_{k}" for k in random.permutation(rows)]
        self.q = np.abs(random.randn(rows, 16)) * 10.0 ** random.randint(-58, -4, (rows, 16))
        self.values = random.randn(rows, 368) * 10.0 ** random.randint(-9, 3, (rows, 368))
        self.values[:, kaggle_positions(ZERO)] = 0.0
        self.values[:, kaggle_positions(LINEAR)] = -self.q / 1200

    def table(self) -> pa.Table:
        columns = [pa.array(self.ids, pa.string())] + [
            pa.array(self.values[:, k].copy()) for k in range(368)
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)


@pytest.fixture
def example() -> Example:
    return Example()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "max_022_deeper_gf_cv7908_lbUnknown.parquet"


def read_back(path: Path) -> tuple:
    ids: List[str] = []
    values = []
    for block_ids, block in blocks(path):
        assert len(block_ids) == len(block)
        ids += block_ids
        values.append(block)
    return ids, np.concatenate(values)


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.int64)


def cell(example: Example, row: int, name: str, value: float) -> None:
    example.values[row, TARGETS.index(name)] = value


# --- what is written ------------------------------------------------------------------------------


def test_what_is_written_is_read_back_bit_for_bit_and_verified(
    path: Path, example: Example
) -> None:
    write(path, example.ids, [example.values])
    ids, values = read_back(path)
    assert ids == example.ids and (bits(values) == bits(example.values)).all()
    verify(path, example.ids, example.q)


def test_the_schema_is_one_string_and_368_doubles_in_kaggle_order_without_an_index(
    path: Path, example: Example
) -> None:
    write(path, example.ids, [example.values])
    schema = pq.read_schema(str(path))
    assert schema.names == ["sample_id"] + list(TARGETS)
    assert [str(field.type) for field in schema] == ["string"] + ["double"] * 368
    assert not schema.metadata or b"pandas" not in schema.metadata


def test_floats_have_no_dictionaries_and_are_split_into_byte_streams(
    path: Path, example: Example
) -> None:
    write(path, example.ids, [example.values])
    group = pq.ParquetFile(str(path)).metadata.row_group(0)
    for k in range(group.num_columns):
        column = group.column(k)
        assert not column.has_dictionary_page and not [
            e for e in column.encodings if "DICTIONARY" in e
        ]
        assert column.compression == "LZ4"
        if k:
            assert column.physical_type == "DOUBLE" and "BYTE_STREAM_SPLIT" in column.encodings


@pytest.mark.parametrize("sizes", [[50], [1] * 50, [7, 0, 30, 13], [16, 16, 16, 2]])
def test_row_groups_are_of_one_size_whatever_blocks_come_in(
    path: Path, example: Example, monkeypatch: pytest.MonkeyPatch, sizes: List[int]
) -> None:
    monkeypatch.setattr(submission, "ROW_GROUP", 16)
    write(path, example.ids, np.split(example.values, np.cumsum(sizes)[:-1]))
    metadata = pq.ParquetFile(str(path)).metadata
    assert [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)] == [
        16,
        16,
        16,
        2,
    ]
    ids, values = read_back(path)
    assert ids == example.ids and (bits(values) == bits(example.values)).all()


def test_the_published_row_group_size_is_used(path: Path) -> None:
    rows = submission.ROW_GROUP + 3
    write(path, [f"t_{k}" for k in range(rows)], [np.zeros((rows, 368))])
    metadata = pq.ParquetFile(str(path)).metadata
    assert [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)] == [
        submission.ROW_GROUP,
        3,
    ]


def test_pandas_reads_it_as_kaggle_s_readers_would(path: Path, example: Example) -> None:
    write(path, example.ids, [example.values])
    frame = pd.read_parquet(path)
    assert list(frame.columns) == ["sample_id"] + list(TARGETS)
    assert list(frame.index) == list(range(ROWS))
    assert list(frame["sample_id"]) == example.ids
    assert (frame[list(TARGETS)].dtypes == np.float64).all()
    assert (bits(frame[list(TARGETS)].to_numpy()) == bits(example.values)).all()


def test_float32_blocks_become_float64(path: Path, example: Example) -> None:
    write(path, example.ids, [example.values.astype(np.float32)])
    assert (read_back(path)[1] == example.values.astype(np.float32)).all()


@pytest.mark.parametrize(
    "rows, words",
    [
        (49, "49 rows for 50 ids"),
        (51, "more rows than there are ids (50)"),
        (0, "0 rows for 50 ids"),
    ],
)
def test_rows_for_other_than_the_ids_are_refused(
    path: Path, example: Example, rows: int, words: str
) -> None:
    with refused(path, words):
        write(path, example.ids, [np.zeros((rows, 368))])


@pytest.mark.parametrize("rows", [50, 5000])
def test_a_full_disk_is_one_sentence_and_leaves_no_parquet(small_disk: Path, rows: int) -> None:
    target = small_disk / "x.parquet"
    example = Example(rows)
    with refused("x.parquet", "the disk is full"):
        with atomic(target) as temporary:
            write(temporary, example.ids, np.array_split(example.values, 5))
    assert list(small_disk.iterdir()) == []


# --- files from elsewhere -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 16, 33, 50])
def test_other_row_groups_give_the_same_blocks(
    path: Path, example: Example, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(submission, "ROW_GROUP", 16)
    pq.write_table(example.table(), str(path), row_group_size=size)
    blocks_read = list(blocks(path))
    assert [len(ids) for ids, _ in blocks_read] == [16, 16, 16, 2]
    assert (
        bits(np.concatenate([values for _, values in blocks_read])) == bits(example.values)
    ).all()
    verify(path, example.ids, example.q)


def test_the_team_s_int64_zero_columns_and_snappy_are_accepted(
    path: Path, example: Example
) -> None:
    values = pd.DataFrame(example.values, columns=list(TARGETS)).astype(
        {name: "int64" for name in ZERO}
    )
    frame = pd.concat([pd.DataFrame({"sample_id": example.ids}), values], axis=1)
    frame.to_parquet(path)
    assert str(pq.read_schema(str(path)).field(ZERO[0]).type) == "int64"
    verify(path, example.ids, example.q)
    assert (read_back(path)[1] == example.values).all()


# --- what breaks the contract ---------------------------------------------------------------------


def swap(example: Example) -> None:
    example.ids[3], example.ids[4] = example.ids[4], example.ids[3]


def double(example: Example) -> None:
    example.ids[7] = example.ids[6]


@pytest.mark.parametrize(
    "change, words",
    [
        (swap, "row 4 has the sample_id"),
        (double, "row 8 has the sample_id"),
        (lambda e: cell(e, 9, "ptend_t_3", np.nan), "ptend_t_3 of"),
        (lambda e: cell(e, ROWS - 1, "cam_out_SOLLD", np.inf), "cam_out_SOLLD of"),
        (lambda e: cell(e, 0, "ptend_q0002_20", np.nan), "ptend_q0002_20 of"),
        (lambda e: cell(e, 0, "ptend_u_5", np.nan), "ptend_u_5 of"),
        (lambda e: cell(e, 20, "ptend_v_11", 1e-300), "ptend_v_11 is not 0 throughout"),
        (lambda e: cell(e, 20, "ptend_q0002_12", 0.0), "ptend_q0002_12 of"),
    ],
    ids=[
        "reordered",
        "duplicate",
        "nan",
        "inf",
        "nan in linear",
        "nan in zero",
        "zero column",
        "linear",
    ],
)
def test_one_wrong_id_or_cell_is_refused_by_name(
    path: Path, example: Example, change: Callable[[Example], None], words: str
) -> None:
    expected = list(example.ids)
    change(example)
    write(path, example.ids, [example.values])
    with refused(path, words, "make it again"):
        verify(path, expected, example.q)


def test_the_refusal_names_the_row_and_both_ids(path: Path, example: Example) -> None:
    expected = list(example.ids)
    swap(example)
    write(path, example.ids, [example.values])
    with refused(
        path, f"row 4 has the sample_id {expected[4]}, sample_submission.csv has {expected[3]}"
    ):
        verify(path, expected, None)


@pytest.mark.parametrize("group", [8192, 16])
@pytest.mark.parametrize(
    "rows, words",
    [
        (ROWS - 1, "has 49 rows, sample_submission.csv has 50"),
        (ROWS + 1, "has more rows than sample_submission.csv (50)"),
        (ROWS - 2, "has 48 rows"),
        (ROWS + 14, "more rows"),
        (0, "0 rows"),
    ],
)
def test_a_row_too_few_or_too_many_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, words: str, group: int
) -> None:
    monkeypatch.setattr(submission, "ROW_GROUP", group)
    longer = Example(64)
    pq.write_table(longer.table().slice(0, rows), str(path))
    with refused(path, words):
        verify(path, longer.ids[:ROWS], longer.q)


def test_a_linear_value_off_by_one_ulp_is_refused_of_our_own_and_accepted_of_others(
    path: Path, example: Example
) -> None:
    name, right = LINEAR[5], example.values[11, TARGETS.index(LINEAR[5])]
    cell(example, 11, name, np.nextafter(right, 0))
    write(path, example.ids, [example.values])
    with refused(path, f"{name} of {example.ids[11]} is not -state_q0002/1200"):
        verify(path, example.ids, example.q)
    verify(path, example.ids, example.q, linear_rtol=1e-12)
    cell(example, 11, name, right * (1 + 1e-11))
    write(path, example.ids, [example.values])
    with refused(path, name):
        verify(path, example.ids, example.q, linear_rtol=1e-12)
    verify(path, example.ids, None)  # without test.csv's cloud the linear columns stay unchecked


def test_a_float32_copy_of_the_linear_columns_is_refused(path: Path, example: Example) -> None:
    linear = kaggle_positions(LINEAR)
    example.values[:, linear] = example.values[:, linear].astype(np.float32)
    write(path, example.ids, [example.values])
    with refused(path, "is not -state_q0002/1200"):
        verify(path, example.ids, example.q, linear_rtol=1e-12)


def test_minus_zero_is_zero_in_a_zero_column_and_in_a_linear_one(
    path: Path, example: Example
) -> None:
    cell(example, 0, ZERO[0], -0.0)
    example.q[0] = 0.0
    example.values[0, kaggle_positions(LINEAR)] = 0.0
    write(path, example.ids, [example.values])
    verify(path, example.ids, example.q)


def test_a_git_lfs_pointer_is_no_parquet_and_is_named(path: Path) -> None:
    path.write_bytes(POINTER)
    with refused(path, "git lfs pull"):
        submission.OpenedParquet(path)


def test_a_late_block_is_checked_against_its_own_rows(
    path: Path, monkeypatch: pytest.MonkeyPatch, example: Example
) -> None:
    monkeypatch.setattr(submission, "ROW_GROUP", 16)
    cell(example, 49, LINEAR[0], 1.0)
    write(path, example.ids, [example.values])
    with refused(path, f"{LINEAR[0]} of {example.ids[49]}"):
        verify(path, example.ids, example.q)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t.drop(["ptend_t_5"]), "the column ptend_t_5 is missing"),
        (lambda t: t.select(t.column_names[:1] + t.column_names[:0:-1]), "not in Kaggle order"),
        (lambda t: t.append_column("extra", t.column(1)), "the column extra is"),
        (
            lambda t: t.rename_columns(["id"] + t.column_names[1:]),
            "the column sample_id is missing",
        ),
        (lambda t: t.append_column("ptend_t_0", t.column(1)), ""),
        (
            lambda t: t.set_column(5, "ptend_t_4", t.column(0)),
            "the column ptend_t_4 has the type string",
        ),
        (
            lambda t: t.set_column(0, "sample_id", pa.array(range(ROWS))),
            "the column sample_id has the type int64",
        ),
        (
            lambda t: t.set_column(5, "ptend_t_4", pa.array([None] + [1.0] * 49)),
            "ptend_t_4 holds a missing value",
        ),
        (
            lambda t: t.set_column(0, "sample_id", pa.array([None] + ["x"] * 49, pa.string())),
            "row 1",
        ),
    ],
    ids=[
        "missing",
        "reordered",
        "extra",
        "renamed",
        "twice",
        "text",
        "integer ids",
        "null",
        "null id",
    ],
)
def test_other_columns_or_types_are_refused_by_name(
    path: Path, example: Example, change: Callable[[pa.Table], pa.Table], words: str
) -> None:
    pq.write_table(change(example.table()), str(path))
    with refused(path, words):
        verify(path, example.ids, example.q)


def test_a_parquet_cut_anywhere_is_refused(path: Path, example: Example) -> None:
    write(path, example.ids, [example.values])
    data = path.read_bytes()
    for size in list(range(12)) + list(np.linspace(12, len(data) - 1, 20).astype(int)):
        path.write_bytes(data[:size])
        with refused(path, "make it again"):
            verify(path, example.ids, example.q)


@pytest.mark.parametrize(
    "content", [b"", b"sample_id,ptend_t_0\n", b"PAR1PAR1", b"PAR1" + bytes(100) + b"PAR1"]
)
def test_what_is_no_parquet_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with refused(path, "make it again"):
        verify(path, ["a"], None)


def test_a_missing_parquet_is_refused(path: Path) -> None:
    with refused(path, "missing", "make it again"):
        verify(path, ["a"], None)


@given(data=st.data())
@settings(max_examples=60, **FUZZ)
def test_damaged_bytes_never_end_in_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    example = Example(5)
    path = tmp_path / "x.parquet"
    write(path, example.ids, [example.values])
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(
            st.one_of(
                st.integers(0, len(damaged) - 1), st.integers(len(damaged) - 400, len(damaged) - 1)
            )
        )
        damaged[position] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(damaged))
    try:
        verify(path, example.ids, example.q)
    except KitError as error:
        assert str(path) in str(error) and "\n" not in str(error)


def test_an_id_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    example = Example(5)
    path = tmp_path / "x.parquet"
    write(path, example.ids, [example.values])
    pq.write_table(pq.read_table(path), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    name = example.ids[2].encode()
    assert name in content
    path.write_bytes(content.replace(name, b"\x80" * len(name)))
    with refused(path, "is damaged"):
        verify(path, example.ids, example.q)


def test_a_temporary_file_is_spoken_of_by_its_final_name(
    tmp_path: Path, path: Path, example: Example
) -> None:
    temporary = tmp_path / ".partial-x"
    for break_it in (lambda e: cell(e, 0, ZERO[0], 1.0), swap):
        wrong: Optional[Example] = Example()
        break_it(wrong)  # type: ignore[arg-type]
        write(temporary, wrong.ids, [wrong.values])
        with refused(path):
            verify(temporary, example.ids, example.q, name=path)


def test_predicted_columns_may_hold_any_finite_number(path: Path, example: Example) -> None:
    example.values[:, kaggle_positions(PREDICTED)] = 1e300
    write(path, example.ids, [example.values])
    verify(path, example.ids, example.q)
