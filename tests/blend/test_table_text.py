"""A table that was cut or changed is refused; a user's may have a BOM, any line ends and spaces."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

from blend import published, tables
from blend.table_text import FIELDS_OF_SCOPE
from blend.tables import WeightTable
from leapkit.core.errors import KitError
from tests.core.test_lfs_pointer import POINTER
from tests.helpers.refusals import refused

V10 = tables.find("v10")
USERS = "artifact,weight\nmax_exp22,0.25\nJo_exp912,0.75\n"
ROWS = (("max_022_deeper_gf_cv7908_lbUnknown", 0.25), ("Jo_ex912sep2_cv78935", 0.75))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.csv"


# ---- the kit's own tables ------------------------------------------------------------------------


def test_a_table_of_the_kit_begins_with_its_rows_its_sum_and_its_hash(path: Path) -> None:
    V10.write(path)
    first, header = path.read_text().split("\n")[:2]
    assert first == f"# rows: 16, sum: 1.0000000000000004, sha256: {V10.sha256}"
    assert header == "artifact,weight"
    assert path.read_bytes() == (tables.SHIPPED / "v10.csv").read_bytes()


@pytest.mark.parametrize("scope", sorted(FIELDS_OF_SCOPE))
def test_a_table_of_the_kit_cut_anywhere_is_refused(scope: str, path: Path) -> None:
    fields = FIELDS_OF_SCOPE[scope]
    rows = [(name, *(weight / (1 + k) for k in range(len(fields)))) for name, weight in V10.rows]
    table = WeightTable("mine", tuple(rows), fields)
    table.write(path)
    content = path.read_bytes()
    assert tables.read(path) == table
    ends = range(len(content)) if scope == "all" else range(1, len(content), len(content) // 300)
    for end in ends:
        path.write_bytes(content[:end])
        with pytest.raises(KitError):
            tables.read(path)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: "\n".join(t.split("\n")[:-2]) + "\n", "rows: 16, its lines have rows: 15"),
        (lambda t: t.replace("0.16655637448129526", "0.16655637"), "sum: 1.0000000000000004"),
        (lambda t: t.replace("0.16655637448129526", "0.16655637448129529"), "sha256"),
        (lambda t: t.replace("adam_exp", "adam_").replace("adam_195", "adam_194"), "sha256"),
        (lambda t: t.replace("rows: 16", "rows: 17"), "rows: 17"),
        (lambda t: t.replace("# rows", "# row"), "its first line is not the one"),
        (lambda t: t[:20], "its first line is not the one"),
    ],
)
def test_a_changed_table_of_the_kit_says_what_differs(
    change: Callable[[str], str], words: str, path: Path
) -> None:
    V10.write(path)
    path.write_text(change(path.read_text()))
    with refused(path, words, "get the file again"):
        tables.read(path)


def test_a_table_of_the_kit_without_its_first_line_is_the_user_s_own(path: Path) -> None:
    V10.write(path)
    path.write_text("".join(path.read_text().splitlines(True)[1:]))
    assert tables.read(path).sha256 == V10.sha256


# ---- a user's table ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        USERS.encode(),
        USERS.encode("utf-8-sig"),
        USERS.replace("\n", "\r\n").encode("utf-8-sig"),
        USERS.replace("\n", "\r").encode(),
        USERS.replace(",", " , ").encode(),
        USERS.replace("max_exp22", '"max_exp22"').encode(),
        (USERS + "\n\n").encode(),
        USERS.replace("0.25", "+2.5E-1").encode(),
    ],
    ids=["plain", "BOM", "BOM and CRLF", "CR", "spaces", "quotes", "blank lines", "exponent"],
)
def test_a_table_is_the_same_with_a_byte_order_mark_and_any_line_ends(
    content: bytes, path: Path
) -> None:
    path.write_bytes(content)
    assert tables.read(path) == WeightTable("mine", ROWS)
    assert tables.read(path).sha256 == WeightTable("mine", ROWS).sha256


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_user_s_table_cut_inside_a_line_is_refused(line_end: str, path: Path) -> None:
    content = USERS.replace("\n", line_end).encode()
    for end in range(len(content) - len(line_end), 0, -1):
        path.write_bytes(content[:end])
        if content[:end].endswith((b"\n", b"\r")) and end > len("artifact,weight" + line_end):
            assert len(tables.read(path).rows) == 1  # its number of rows is said
        else:
            with pytest.raises(KitError):
                tables.read(path)
    path.write_bytes(content[: -len(line_end)])
    with refused(path, "its last line has no end", "compare it with its source"):
        tables.read(path)


@pytest.mark.parametrize(
    "content, words",
    [
        (USERS.encode("utf-16"), "is UTF-16 text"),
        (USERS.replace(",", ";").encode(), "is not a weight table"),
        (USERS.replace("0.25", "0,25").encode(), "is not a weight table"),
        (USERS.replace("0.25", "1_0").encode(), "not a number ('1_0')"),
        (USERS.replace("0.25", "\N{FULLWIDTH DIGIT ONE}").encode(), "not a number"),
        (USERS.replace("0.25", "9" * 400).encode(), "is not finite"),
        (USERS.replace("0.25", "0.25\0").encode(), ""),
        (USERS.replace("max", '"max').encode(), "is not a weight table"),
        (b"\xff" + USERS.encode(), "is not a weight table"),
        (b"# a note of my own\n" + USERS.encode(), "its first line is not"),
        (USERS.encode() + b"#" * (17 << 20), "more than 16 MB"),
    ],
    ids=["UTF-16", "semicolons", "comma", "underscore", "digits", "400 digits", "NUL", "quote"]
    + ["bytes", "note", "17 MB"],
)
def test_a_user_s_table_that_may_be_misread_is_refused(
    content: bytes, words: str, path: Path
) -> None:
    path.write_bytes(content)
    with refused(path, words):
        tables.read(path)


# ---- what is said of a table ---------------------------------------------------------------------


def test_the_rows_and_the_sum_are_said_and_the_published_table_is_recognised(path: Path) -> None:
    assert published.describe(V10) == "16 rows, sum 1.0000000000000004; the published weights v10"
    path.write_text(USERS)
    assert published.describe(tables.read(path)) == "2 rows, sum 1.0"


@pytest.mark.parametrize(
    "name, named_so",
    [
        ("weight_df_dict_all_group_all_v10", True),
        ("v10", True),
        ("my-v10 half", True),
        ("v101", False),
        ("half", False),
    ],
)
def test_a_table_named_as_the_published_one_is_compared_with_it(name: str, named_so: bool) -> None:
    said = published.describe(WeightTable(name, V10.rows[:-1]))
    assert said.startswith("15 rows, sum 1.0890792437500005")
    words = "; NOT the published weights v10, which have 16 rows and the sum 1.0000000000000004"
    assert said.endswith(words) == named_so
    reordered = published.describe(WeightTable(name, V10.rows[::-1]))
    assert ("in another order" in reordered) == named_so
    assert published.describe(WeightTable(name, V10.rows)).endswith("the published weights v10")


def test_the_sums_of_a_table_by_group_are_said() -> None:
    fields = FIELDS_OF_SCOPE["group"]
    table = WeightTable("g", (("a", *([0.5] * 7)), ("b", 0.5, 0.25, *([0.5] * 5))), fields)
    assert published.describe(table) == "2 rows, 7 weights each, sums 0.75 to 1.0"


def test_a_git_lfs_pointer_is_no_table_and_is_named(path: Path) -> None:
    path.write_bytes(POINTER)
    with refused(path, "git lfs pull"):
        tables.read(path)
