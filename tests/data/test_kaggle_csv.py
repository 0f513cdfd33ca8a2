"""Kaggle's CSVs keep every float64, each kind of damage is one sentence, chunks do not show."""

from __future__ import annotations

import codecs
import gzip
import os
import random
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Callable, Iterator, List, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from leapkit.core.columns import INPUTS, TARGETS
from leapkit.data import csv_stream, kaggle_csv
from leapkit.data.kaggle_csv import CsvWriter, read_ids, read_old_weights, stream
from leapkit.data.scaling import ABLATED
from tests.helpers.refusals import refused

NAMES = ["a", "b", "c"]
FUZZ = dict(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float64).view(np.int64)


def read_all(path: Path, columns: Sequence[str] = NAMES) -> tuple:
    ids: List[str] = []
    blocks = []
    for block_ids, values in stream(path, columns):
        assert len(block_ids) == len(values) > 0
        ids += block_ids
        blocks.append(values)
    return ids, np.concatenate(blocks)


def read_until_refused(path: Path, *words: str, columns: Sequence[str] = NAMES) -> List[str]:
    """Return the ids that came before the refusal."""
    ids: List[str] = []
    with refused(path, *(words + (kaggle_csv.REMEDY,))):
        for block_ids, values in stream(path, columns):
            assert len(block_ids) == len(values) > 0 and np.isfinite(values).all()
            ids += block_ids
    return ids


def write_lines(path: Path, *lines: str, names: Sequence[str] = NAMES, end: str = "\n") -> Path:
    path.write_bytes(
        "\n".join([",".join(["sample_id"] + list(names))] + list(lines)).encode() + end.encode()
    )
    return path


# --- every number survives ------------------------------------------------------------------------


@given(
    st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=100, **FUZZ)
def test_any_float64_is_read_back_bit_for_bit(tmp_path: Path, rows: List[List[float]]) -> None:
    path = tmp_path / "x.csv"
    values = np.array(rows)
    ids = [f"test_{k}" for k in range(len(rows))]
    with CsvWriter(path, NAMES) as out:
        out.write(ids, values)
    with np.errstate(over="ignore", invalid="ignore"):
        ids_read, values_read = read_all(path)
    assert ids_read == ids
    assert (bits(values_read) == bits(values)).all()


def test_the_numbers_that_break_other_readers_are_exact(tmp_path: Path) -> None:
    hard = [
        1e-58,
        2.2e-56,
        5e-324,
        2.2250738585072014e-308,
        1.7976931348623157e308,
        -0.0,
        0.1,
        1e15,
        3673829810926.31,
    ]
    with CsvWriter(tmp_path / "x.csv", ["v"]) as out:
        out.write([f"t_{k}" for k in range(len(hard))], np.array(hard)[:, None])
    with np.errstate(over="ignore", invalid="ignore"):
        assert (bits(read_all(tmp_path / "x.csv", ["v"])[1][:, 0]) == bits(np.array(hard))).all()


@given(
    st.lists(
        st.builds(
            "{}{}.{}{}{}".format,
            st.sampled_from(["", "-"]),
            st.integers(0, 999),
            st.integers(0, 12).map(lambda n: "0" * n),
            st.integers(0, 10**25),
            st.sampled_from(["", "e-9", "e-58", "E-300", "e+12"]),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=60, **FUZZ)
def test_long_decimals_are_rounded_as_correctly_as_python_does(
    tmp_path: Path, texts: List[str]
) -> None:
    path = write_lines(tmp_path / "x.csv", *[f"t,{text}" for text in texts], names=["v"])
    assert (
        bits(read_all(path, ["v"])[1][:, 0]) == bits(np.array([float(text) for text in texts]))
    ).all()


def test_integers_are_written_as_integers_and_read_as_floats(tmp_path: Path) -> None:
    with CsvWriter(tmp_path / "x.csv", NAMES) as out:
        out.write(["t_0"], np.array([[1, 0, 1]]))
    assert (tmp_path / "x.csv").read_bytes() == b"sample_id,a,b,c\nt_0,1,0,1\n"
    assert (read_all(tmp_path / "x.csv")[1] == [[1, 0, 1]]).all()


def test_windows_line_ends_make_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"sample_id,a,b,c\r\nt_0,1,2,3\r\nt_1,4,5,6\r\n")
    ids, values = read_all(path)
    assert ids == ["t_0", "t_1"] and (values == [[1, 2, 3], [4, 5, 6]]).all()
    path.write_bytes(b"sample_id,a,b,c\r\nt_0,1,2,3\r\nt_1,4,5,x\r\n")
    assert read_until_refused(path, "row 2, column c holds 'x', which is not a number") == ["t_0"]


def test_one_column_and_spaces_around_numbers_are_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0, 1", "t_1,2 ", "t_2,-3", names=["v"])
    assert read_all(path, ["v"])[1].tolist() == [[1], [2], [-3]]


# --- blocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_a_file_read_in_many_blocks_by_any_number_of_threads_holds_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    random = np.random.RandomState(0)
    values = random.randn(500, 3) * 10.0 ** random.randint(-58, 9, (500, 3))
    ids = [f"test_{k}" for k in range(500)]
    with CsvWriter(tmp_path / "x.csv", NAMES) as out:
        for start in range(0, 500, 77):
            out.write(ids[start : start + 77], values[start : start + 77])
    monkeypatch.setattr(csv_stream, "threads", lambda: threads)
    for size in (1, 100, 1000, 4099):
        monkeypatch.setattr(csv_stream, "_CHUNK", size)
        assert sum(1 for _ in stream(tmp_path / "x.csv", NAMES)) >= 2
        ids_read, values_read = read_all(tmp_path / "x.csv")
        assert ids_read == ids and (bits(values_read) == bits(values)).all()


@given(
    rows=st.integers(1, 30),
    size=st.integers(1, 12),
    threads=st.integers(1, 4),
    skipped=st.integers(0, 30),
)
@settings(max_examples=60, **FUZZ)
def test_lines_are_cut_where_they_are_asked_for(
    tmp_path: Path, rows: int, size: int, threads: int, skipped: int
) -> None:
    path = write_lines(tmp_path / "x.csv", *[f"t_{k},{10**k},0,{-k}" for k in range(rows)])
    text = path.read_bytes()
    ends = [k + 1 for k, byte in enumerate(text) if byte == ord("\n")]
    skipped = min(skipped, rows)
    chunks = list(csv_stream.iter_chunks(path, NAMES, size, (skipped, ends[skipped])))
    assert b"".join(line for chunk in chunks for line in chunk.lines) == text[ends[skipped] :]
    assert [len(chunk.lines) for chunk in chunks[:-1]] == [size] * len(chunks[:-1])
    assert [chunk.rows_before for chunk in chunks] == list(range(skipped, rows, size))
    assert [chunk.end for chunk in chunks] == [
        ends[min(k + size, rows)] for k in range(skipped, rows, size)
    ]
    ids = [
        name
        for parsed in csv_stream.ordered_map(csv_stream.Parser(path, NAMES), iter(chunks), threads)
        for name in parsed.ids
    ]
    assert ids == [f"t_{k}" for k in range(skipped, rows)]


def test_zeros_throughout_the_first_block_do_not_fix_a_column_s_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", 128)
    path = write_lines(
        tmp_path / "x.csv", *[f"t_{k},0,0,0" for k in range(60)] + ["t_60,2.2e-56,0.5,1e15"]
    )
    _, values = read_all(path)
    assert values[:60].any() == False and values[60].tolist() == [2.2e-56, 0.5, 1e15]  # noqa: E712


def test_damage_in_a_late_block_names_its_row_and_comes_after_the_rows_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", 64)
    lines = [f"t_{k},0,0,0" for k in range(41)] + ["t_41,0,nan,0", "t_42,1,2", "t_43,0,0,0"]
    path = write_lines(tmp_path / "x.csv", *lines)
    assert read_until_refused(path, "row 42, column b is NaN or infinite") == [
        f"t_{k}" for k in range(41)
    ]


# --- threads --------------------------------------------------------------------------------------


def test_results_come_in_order_whichever_is_ready_first() -> None:
    def work(k: int) -> int:
        time.sleep(random.Random(k).random() / 200)
        return k * k

    for count in (1, 3, 8):
        assert list(csv_stream.ordered_map(work, iter(range(40)), count)) == [
            k * k for k in range(40)
        ]


def test_only_a_few_items_are_taken_ahead() -> None:
    items_taken: List[int] = []

    def items() -> Iterator[int]:
        for k in range(100):
            items_taken.append(k)
            yield k

    for done, k in enumerate(csv_stream.ordered_map(lambda k: k, items(), 3)):
        assert k == done and len(items_taken) <= done + 5


def test_what_was_worked_on_before_an_item_failed_comes_first() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise kaggle_csv.KitError("is broken", "here", "mend it")

    results = []
    with refused("here", "is broken"):
        for k in csv_stream.ordered_map(lambda k: k, items(), 4):
            results.append(k)
    assert results == list(range(5))


def test_leaving_early_ends_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", 64)
    path = write_lines(tmp_path / "x.csv", *[f"t_{k},0,0,0" for k in range(400)])
    before = threading.active_count()
    rows = stream(path, NAMES)
    next(rows)
    assert threading.active_count() > before
    rows.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    for _ in stream(path, NAMES):
        break
    assert threading.active_count() == before


PEAK = """
import sys
sys.path[:0] = [{shared!r}]
from pathlib import Path
from leapkit.data import csv_stream
from leapkit.data import kaggle_csv
csv_stream.threads = lambda: 2
names = [f"v{{k:03d}}" for k in range(300)]
rows = sum(len(ids) for ids, _ in kaggle_csv.stream(Path({path!r}), names))
# VmHWM, as ru_maxrss is inherited.
held = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(rows, held[0])
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="there is no /proc here")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    names = [f"v{k:03d}" for k in range(300)]
    path = tmp_path / "x.csv"
    line = ",".join(["t_0"] + ["0.123456789"] * 300) + "\n"
    peaks = []
    for rows in (6_000, 30_000):  # 22 and 109 MB of text, 14 and 72 of numbers
        path.write_text(",".join(["sample_id"] + names) + "\n" + line * rows)
        script = PEAK.format(shared=str(Path(kaggle_csv.__file__).parents[2]), path=str(path))
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True
        )
        rows_read, peak = map(int, done.stdout.split())
        assert rows_read == rows
        peaks.append(peak / 1024)
    assert peaks[1] < peaks[0] + 40 and max(peaks) < 250, peaks  # MB


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names, words",
    [
        (["a", "c"], "the column b is missing (1 of 4"),
        (["a", "b", "c", "d"], "unknown column d"),
        (["a", "c", "b"], "wrong order"),
        (["a", "b", "c", "c"], "has the column c twice"),
        ([], "the column a is missing"),
        (["A", "b", "c"], "the column a is missing"),
        (["a", "b", '"c"'], "its header holds quotation marks"),
    ],
)
def test_other_columns_are_refused_by_name(tmp_path: Path, names: List[str], words: str) -> None:
    path = write_lines(tmp_path / "x.csv", ",".join(["t_0"] + ["1"] * len(names)), names=names)
    with refused(path, words, kaggle_csv.REMEDY):
        read_all(path)


@pytest.mark.parametrize(
    "cell",
    [
        "x",
        "1.2.3",
        "0x10",
        "NA",
        "null",
        "true",
        "1e",
        "--1",
        "1_000",
        "1 2",
        "\u0663",
        "\x0b.25",
        "\xa01",
        "1" * 50 + "x",
    ],
)
def test_a_cell_that_is_no_number_is_refused(tmp_path: Path, cell: str) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0,1,2,3", f"t_1,1,{cell},3", "t_2,1,2,3")
    assert read_until_refused(
        path, f"row 2, column b holds {cell[:40]!r}, which is not a number"
    ) == ["t_0"]


@pytest.mark.parametrize("cell", ["nan", "NaN", "inf", "-inf", "Infinity", "-nan", "1e999"])
def test_a_nan_or_an_infinity_is_refused(tmp_path: Path, cell: str) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0,1,2,3", f"t_1,1,{cell},3", "t_2,1,2,3")
    assert read_until_refused(path, "row 2, column b is NaN or infinite") == ["t_0"]


@given(cell=st.text("0123456789.eE+-_naif \t\x0b", min_size=1, max_size=12))
@example(cell="1e-400")
@example(cell="-1e-400")
@example(cell="4.9e-324")
@example(cell="1e400")
@settings(max_examples=200, **FUZZ)
def test_any_cell_is_read_as_python_reads_it_or_refused_by_row_and_column(
    tmp_path: Path, cell: str
) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0,1,2,3", f"t_1,1,{cell},3")
    try:
        _, values = read_all(path)
    except kaggle_csv.KitError as error:
        assert "row 2, column b " in str(error), error
        return
    assert bits(values[1, 1]) == bits(np.array(float(cell)))


@pytest.mark.parametrize(
    "line, words",
    [
        ("t_1,1,,3", "row 2, column b is empty"),
        ("t_1,1, ,3", "row 2, column b is empty"),
        ("t_1,1,2,", "row 2, column c is empty"),
        (",1,2,3", "row 2, column sample_id is empty"),
        ("t_1,1,2", "row 2 has 3 fields instead of 4"),
        ("t_1,1,2,3,4", "row 2 has 5 fields instead of 4"),
        ("t_1", "row 2 has 1 fields instead of 4"),
        ("t_1,1,2,3,", "row 2 has 5 fields instead of 4"),
        ("t_1,1,2\nt_2,3,4,5,6", "row 2 has 3 fields instead of 4"),
        ("t_1,1,2,3,4\nt_2,3,4", "row 2 has 5 fields"),
        ("", "row 2 is an empty line"),
        ("\r", "row 2 is an empty line"),
        ("\n", "row 2 is an empty line"),
        ('"t_1",1,2,3', "row 2 holds a quotation mark"),
        ('t_1,"1",2,3', "row 2 holds a quotation mark"),
        ('t_1,1,2,3"', "row 2 holds a quotation mark"),
        ("t_1,1\r2,3", "row 2 holds a carriage return"),
        ("t_1,1,2,3\r\r", "row 2 holds a carriage return"),
        ("t\r1,1,2,3", "row 2 holds a carriage return"),
        ("t_1,1,\0,3", "row 2 holds NUL bytes"),
        ("\0\0\0\0", "row 2 holds NUL bytes"),
        ("t\0,1,2,3", "row 2 holds NUL bytes"),
    ],
)
def test_a_damaged_line_is_refused_by_its_number(tmp_path: Path, line: str, words: str) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0,1,2,3", line, "t_9,1,2,3")
    assert read_until_refused(path, words) == ["t_0"]


@pytest.mark.parametrize("damaged", [b"t_\xff,1,2,3", b"t_1,1,\xff,3"])
def test_a_line_that_is_no_text_is_refused(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"sample_id,a,b,c\nt_0,1,2,3\n" + damaged + b"\n")
    assert read_until_refused(path, "row 2 is not UTF-8 text") == ["t_0"]


@pytest.mark.parametrize(
    "hole, words", [(b"\0", "row 4 holds NUL bytes"), (b"7", "row 4 has no line end within")]
)
def test_a_hole_in_a_file_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hole: bytes, words: str
) -> None:
    monkeypatch.setattr(csv_stream, "LONGEST_LINE", 1000)
    path = write_lines(tmp_path / "x.csv", "t_0,1,2,3", "t_1,1,2,3", "t_2,1,2,3")
    path.write_bytes(path.read_bytes() + hole * 5000 + b"\n")
    read_until_refused(path, words)


def test_what_pyarrow_alone_refuses_is_told_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_stream, "damage_of", lambda *_: "")
    path = write_lines(tmp_path / "x.csv", "t_0,1,2,3", "t_1,1,x,3")
    assert read_until_refused(path, "cannot be read after row 0: ", "double") == []


@pytest.mark.parametrize(
    "change, words",
    [
        (gzip.compress, "is a gzip archive"),
        (lambda b: b"PK\x03\x04" + b, "is a zip archive"),
        (lambda b: b"PAR1" + b, "is a parquet file"),
        (lambda b: b.decode().encode("utf-16"), "not a CSV file in UTF-8 but in UTF-16"),
        (lambda b: b.replace(b",", b";"), "separated by semicolons instead of commas"),
        (lambda b: b.replace(b",", b"\t"), "separated by tabs"),
        (lambda b: b",".join([b"", b]), "has a column without a name"),
        (lambda b: b.replace(b"c\n", b"c,d\n"), "has the unknown column d"),
        (lambda b: b.replace(b"t_0", b'"t_0"'), "row 1 holds a quotation mark"),
        (lambda b: b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
    ],
)
def test_another_format_under_the_name_of_a_csv_is_told(
    tmp_path: Path, change: Callable[[bytes], bytes], words: str
) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0,1,2,3", "t_1,4,5,6")
    path.write_bytes(change(path.read_bytes()))
    with refused(path, words):
        read_all(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_other_line_ends_change_no_number(tmp_path: Path, end: str) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0,1,2,3", "t_1,4,5,6.5", end=end)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    ids, values = read_all(path)
    assert ids == ["t_0", "t_1"] and values.tolist() == [[1, 2, 3], [4, 5, 6.5]]
    ids_file = write_submission(tmp_path / "s.csv", ["test_7", "test_0"], end=end)
    ids_file.write_bytes(codecs.BOM_UTF8 + ids_file.read_bytes())
    assert read_ids(ids_file) == ["test_7", "test_0"]
    weights = weights_file(tmp_path / "w.csv", ["1.25"] * 368, with_id=False)
    weights.write_bytes(codecs.BOM_UTF8 + weights.read_bytes())
    assert set(read_old_weights(weights).tolist()) == {1.25}


@pytest.mark.parametrize("missing", range(1, 12))
def test_a_file_cut_inside_its_last_line_is_refused(tmp_path: Path, missing: int) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0,1.25,2.5,3.75", "t_1,1.25,2.5,3.75")
    path.write_bytes(path.read_bytes()[:-missing])
    with refused(path, "cut off in the middle of its last line", kaggle_csv.REMEDY):
        read_all(path)


def shorten(path: Path) -> None:
    os.truncate(str(path), path.stat().st_size // 2)


def shorten_at_a_line_end(path: Path) -> None:
    os.truncate(str(path), path.read_bytes().index(b"\n", path.stat().st_size // 2) + 1)


def lengthen(path: Path) -> None:
    with open(path, "ab") as handle:
        handle.write(b"t_more,1,2,3\n")


def replace(path: Path) -> None:
    other = path.with_name("other.csv")
    other.write_bytes(path.read_bytes())
    os.replace(str(other), str(path))


def rewrite(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data)
    os.utime(str(path), (1, 1))


@pytest.mark.parametrize(
    "change, words",
    [
        (shorten, "was cut off in row"),
        (shorten_at_a_line_end, "was cut off in row"),
        (lengthen, "was changed"),
        (replace, "was changed, replaced or removed while it was read"),
        (rewrite, "was changed"),
        (os.unlink, "was changed, replaced or removed"),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], words: str
) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", 4096)
    monkeypatch.setattr(csv_stream, "LONGEST_LINE", 8192)  # what is read at a time
    path = write_lines(tmp_path / "x.csv", *[f"t_{k},0,0.125,1e-58" for k in range(20_000)])
    rows = stream(path, NAMES)
    ids = []
    ids += next(rows)[0]
    change(path)
    with refused(path, words, kaggle_csv.REMEDY):
        for block_ids, _ in rows:
            ids += block_ids
    assert ids == [f"t_{k}" for k in range(len(ids))] and len(ids) > 5000


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "missing"),
        (b"\n", "missing"),
        (b"sample_id,a,b,c\n", "holds no rows"),
        (b"sample_id,a,b,c", "cut off"),
        (b"\xff\xfe\x00a", "is not a CSV file"),
        (b"\x00" * 50 + b"\n", ""),
        (b"PK\x03\x04" + bytes(range(256)) * 9, ""),
        (b"x" * 200_000 + b"\n", ""),
        (b"sample_id,a,b,c\nt_\xff,1,2,3\n", ""),
        (b"sample_id,a,b,c\nt_0,1,\x00,3\n", ""),
    ],
    ids=[
        "empty",
        "newline",
        "header-only",
        "cut header",
        "utf-16",
        "zeros",
        "zip",
        "one long word",
        "bad id",
        "nul",
    ],
)
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with refused(path, words, kaggle_csv.REMEDY):
        read_all(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for read in (read_all, read_ids, read_old_weights):
        with refused(tmp_path / "x.csv", "missing", kaggle_csv.REMEDY):
            read(tmp_path / "x.csv")
        with refused(tmp_path, kaggle_csv.REMEDY):
            read(tmp_path)


@given(data=st.data())
@settings(max_examples=150, **FUZZ)
def test_a_damaged_byte_is_refused_or_read_as_python_reads_it(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = write_lines(tmp_path / "x.csv", "t_0,1.25,2.5e-7,3", "t_1,0,-4.75,1e15")
    damaged = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(damaged) - 1))
    damaged[position] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(damaged))
    try:
        ids, values = read_all(path)
    except kaggle_csv.KitError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        assert "cannot be read" not in str(error), (
            error
        )  # each kind of damage has a sentence of its own
        return
    assert np.isfinite(values).all() and values.shape == (2, 3)
    lines = bytes(damaged).decode().replace("\r\n", "\n").split("\n")[1:-1]
    expected = [[float(cell) for cell in line.split(",")[1:]] for line in lines]
    assert values.tolist() == expected and len(ids) == len(expected)


# --- sample_submission.csv ------------------------------------------------------------------------


def write_submission(path: Path, ids: Sequence[str], end: str = "\n") -> Path:
    return write_lines(
        path, *[",".join([name] + ["1"] * 368) for name in ids], names=TARGETS, end=end
    )


def test_ids_come_in_file_order(tmp_path: Path) -> None:
    ids = ["test_7", "test_0", "test_12"]
    assert read_ids(write_submission(tmp_path / "s.csv", ids)) == ids


def test_an_id_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "s.csv", "test_0 twice"):
        read_ids(write_submission(tmp_path / "s.csv", ["test_1", "test_0", "test_2", "test_0"]))


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda b: b[:-1], "cut off"),
        (lambda b: b + b"test_9\n", "no comma"),
        (lambda b: b[: b.index(b"\n") + 1], "no rows"),
        (lambda b: b"", "missing"),
        (lambda b: b.replace(b"test_39", b"te\xfft_39"), "is not a CSV file"),
        (lambda b: b.replace(b"ptend_t_7,", b""), "ptend_t_7 is missing"),
    ],
    ids=["cut", "no comma", "no rows", "empty", "binary", "column"],
)
def test_a_damaged_sample_submission_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    path = write_submission(tmp_path / "s.csv", [f"test_{k}" for k in range(40)])
    path.write_bytes(damage(path.read_bytes()))
    with refused(path, words, kaggle_csv.REMEDY):
        read_ids(path)


# --- the old weights ------------------------------------------------------------------------------


def test_both_published_files_of_old_weights_hold_the_same_weights(published: Path) -> None:
    weights = read_old_weights(published / "adam" / "old_sample_weight.csv")
    other_weights = read_old_weights(published / "kaggle-data" / "sample_submission_old.csv")
    assert (bits(weights) == bits(other_weights)).all() and weights.shape == (368,)
    weight = dict(zip(TARGETS, weights))
    assert sorted(name for name in TARGETS if weight[name] == 0) == sorted(ABLATED)
    assert [weight[f"ptend_q0002_{k}"] for k in range(15, 26)] == [1e15] * 11
    assert weight["ptend_q0002_26"] == 3673829810926.31


def weights_file(
    path: Path, values: Sequence[str], names: Sequence[str] = TARGETS, with_id: bool = True
) -> Path:
    head = (["sample_id"] if with_id else []) + list(names)
    cells = (["test_1"] if with_id else []) + list(values)
    path.write_text(",".join(head) + "\n" + ",".join(cells) + "\n")
    return path


@pytest.mark.parametrize("with_id", [True, False])
def test_old_weights_are_exact_with_and_without_ids(tmp_path: Path, with_id: bool) -> None:
    values = np.abs(np.random.RandomState(1).randn(368)) * 1e9
    weights = read_old_weights(
        weights_file(tmp_path / "w.csv", [repr(v) for v in values.tolist()], with_id=with_id)
    )
    assert (bits(weights) == bits(values)).all()


@pytest.mark.parametrize(
    "values, names, words",
    [
        (["1"] * 367, TARGETS, "not 368"),
        (["1"] * 369, TARGETS, "not 368"),
        (["1"] * 367 + ["x"], TARGETS, "not a number"),
        (["1"] * 367 + [""], TARGETS, "not a number"),
        (["1"] * 367 + ["nan"], TARGETS, "finite"),
        (["1"] * 367 + ["-1"], TARGETS, ">= 0"),
        (["1"] * 368, TARGETS[::-1], "Kaggle order"),
        (["1"] * 556, INPUTS, "368 target columns"),
    ],
)
def test_odd_old_weights_are_refused(
    tmp_path: Path, values: Sequence[str], names: Sequence[str], words: str
) -> None:
    with refused(tmp_path / "w.csv", words, kaggle_csv.REMEDY):
        read_old_weights(weights_file(tmp_path / "w.csv", values, names))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"\x00\x00\n", b"PK\x03\x04\n", b"x" * 200_000]
)
def test_old_weights_that_are_no_csv_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.csv").write_bytes(content)
    with refused(tmp_path / "w.csv", kaggle_csv.REMEDY):
        read_old_weights(tmp_path / "w.csv")


def test_old_weights_cut_inside_their_last_number_are_refused(tmp_path: Path) -> None:
    path = weights_file(tmp_path / "w.csv", ["1.25"] * 368)
    path.write_bytes(path.read_bytes()[:-3])  # "1." is a number, and another one
    with refused(path, "cut off"):
        read_old_weights(path)


# --- writing --------------------------------------------------------------------------------------


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.csv"
    with CsvWriter(path, NAMES) as out:
        out.write(["t_0"], np.ones((1, 3)))
        assert not path.exists()
    assert path.exists()
    with pytest.raises(ZeroDivisionError):
        with CsvWriter(path, ["other"]) as out:
            out.write(["t_1"], np.ones((1, 1)))
            raise ZeroDivisionError
    assert read_all(path)[0] == ["t_0"]
    assert [p.name for p in path.parent.iterdir()] == ["x.csv"]


@pytest.mark.parametrize("rows", [50, 3000], ids=["in one buffer", "over many buffers"])
def test_a_disk_that_fills_up_while_writing_is_one_sentence_and_leaves_no_file(
    small_disk: Path, rows: int
) -> None:
    (small_disk / "ballast").write_bytes(
        b"x" * 60 * 1024
    )  # a page or so is left: names fit, content does not
    path = small_disk / "x.csv"
    with refused(path, "the disk is full"):
        with CsvWriter(path, NAMES) as out:
            out.write([f"t_{k}" for k in range(rows)], np.full((rows, 3), 0.123456789))
            fill(small_disk / "more")
    assert not [p.name for p in small_disk.iterdir() if "x.csv" in p.name]


def fill(path: Path) -> None:
    """Fill the space that is left on the disk."""
    with open(path, "wb", buffering=0) as handle:
        try:
            while handle.write(b"x" * 1024):
                pass
        except OSError:
            return


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_last_buffer_that_finds_no_space_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *arguments: str, **options: str) -> IO[str]:
        path.touch()
        return open("/dev/full", *arguments, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(kaggle_csv, "open", full, raising=False)
    with refused(tmp_path / "x.csv", "the disk is full"):
        with CsvWriter(tmp_path / "x.csv", NAMES) as out:
            out.write(["t_0"], np.ones((1, 3)))  # stays in the buffer until the file is closed
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300 + ".csv")  # longer than a name may be
    with refused(long.name):
        with CsvWriter(long, NAMES):
            pass


def test_shortest_decimals_are_written(tmp_path: Path) -> None:
    value = struct.unpack(">d", struct.pack(">q", 0x3FB999999999999A))[0]  # the float64 next to 0.1
    with CsvWriter(tmp_path / "x.csv", ["v"]) as out:
        out.write(["t_0"], np.array([[value]]))
    assert (tmp_path / "x.csv").read_text() == "sample_id,v\nt_0,0.1\n"
