"""The team's choice of rows is read as torch.save writes it; all else in a file is refused."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core import safe_pickle
from leapkit.core.errors import KitError
from leapkit.data import row_index
from leapkit.data.row_index import read_index
from tests.data import test_checkpoints as hostile  # the collection of attacks
from tests.helpers import crafted as craft
from tests.helpers.refusals import refusal_in_little_memory, refused

pytestmark = pytest.mark.oldest

torch = pytest.importorskip("torch")
QUICK = dict(deadline=None, suppress_health_check=list(HealthCheck))
ROWS = [7, 0, 857087, 3]
TRUE, NONE = b"\x88", b"N"


def saved(path: Path, value: Any) -> Path:
    torch.save(value, str(path))
    return path


def as_lists(months: Mapping[str, np.ndarray]) -> Dict[str, List[int]]:
    """Return the months as plain numbers; fail if a reader could not rely on them."""
    for numbers in months.values():
        assert type(numbers) is np.ndarray and numbers.dtype == np.int32 and numbers.ndim == 1
        assert not len(numbers) or numbers.min() >= 0
        assert len(np.unique(numbers)) == len(numbers)
    return {month: numbers.tolist() for month, numbers in months.items()}


def refusal(path: Path, *words: str) -> str:
    """Return the one sentence that refuses a file; fail if reading takes much memory."""
    error = refusal_in_little_memory(read_index, path)
    with refused(path, *words):
        raise error
    return str(error)


# ---- what torch.save makes of row numbers --------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        lambda rows: np.array(rows),
        lambda rows: np.array(rows, dtype=np.int32),
        lambda rows: np.array(rows, dtype=np.uint32),
        lambda rows: np.array(rows, dtype=np.uint64),
        lambda rows: np.repeat(rows, 3)[::3],
        lambda rows: np.array(rows[::-1])[::-1],
        lambda rows: torch.tensor(rows),
        lambda rows: torch.tensor(rows, dtype=torch.int32),
        lambda rows: torch.tensor(rows).repeat_interleave(2)[::2],
        list,
        tuple,
    ],
)
def test_arrays_tensors_and_lists_are_read(
    convert: Callable[[List[int]], Any], tmp_path: Path
) -> None:
    path = saved(tmp_path / "i.pt", {"01_02": convert(ROWS), "08_06": convert([5])})
    assert as_lists(read_index(path)) == {"0001-02": ROWS, "0008-06": [5]}


@given(
    st.dictionaries(
        st.sampled_from([f"{y:02d}_{m:02d}" for y in range(1, 10) for m in range(1, 13)]),
        st.tuples(
            st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=30, unique=True),
            st.sampled_from([np.array, torch.tensor, list]),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=40, **QUICK)
def test_any_months_and_numbers_read_back_as_they_were_saved(months: Dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = saved(
            Path(folder) / "i.pt", {key: convert(rows) for key, (rows, convert) in months.items()}
        )
        assert as_lists(read_index(path)) == {
            "00" + key.replace("_", "-"): rows for key, (rows, _) in months.items()
        }


def test_a_permuted_month_of_full_size_is_read_in_its_order(tmp_path: Path) -> None:
    """The team's longest months have 557,107 of 857,088 rows."""
    rows = np.random.RandomState(1103).permutation(857_088)[:557_107]
    row_numbers = read_index(saved(tmp_path / "i.pt", {"01_03": rows}))["0001-03"]
    assert row_numbers.dtype == np.int32 and (row_numbers == rows).all()


def test_small_numbers_and_the_last_row_that_32_bits_hold_are_read(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "i.pt",
        {"01_02": np.array([3, 1], dtype=np.int16), "01_03": np.array([2**31 - 1, 0])},
    )
    assert as_lists(read_index(path)) == {"0001-02": [3, 1], "0001-03": [2**31 - 1, 0]}


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_arrays_of_numpy_before_and_since_2_are_read_by_either(
    module: bytes, tmp_path: Path
) -> None:
    """The file is what torch.save writes here, also under the names of the other numpy."""
    path = saved(tmp_path / "i.pt", {"01_02": np.array(ROWS)})
    other = tmp_path / "other.pt"
    with zipfile.ZipFile(str(path)) as source, zipfile.ZipFile(str(other), "w") as target:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith("data.pkl"):
                installed_module = (
                    b"numpy._core.multiarray"
                    if b"numpy._core" in content
                    else b"numpy.core.multiarray"
                )
                assert content.count(installed_module) == 1
                content = content.replace(installed_module, module)
            target.writestr(entry.filename, content)
    assert as_lists(read_index(other)) == {"0001-02": ROWS}


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    path = saved(tmp_path / "i.pt", {"01_02": np.array(ROWS), "01_03": torch.tensor(ROWS)})
    shared = str(Path(row_index.__file__).parents[2])
    script = (
        f"import sys; sys.path.insert(0, {shared!r}); sys.modules['torch'] = None\n"
        "from leapkit.data.row_index import read_index; from pathlib import Path\n"
        f"print({{key: rows.tolist() for key, rows in read_index(Path({str(path)!r})).items()}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.strip() == str({"0001-02": ROWS, "0001-03": ROWS})


# ---- what is no index ----------------------------------------------------------------------------

NOT_ROWS = {
    "floats": np.array([1.0, 2.0]),
    "a float tensor": torch.tensor([1.0]),
    "floats in a list": [1.0, 2.5],
    "a negative number": np.array([3, -1]),
    "a negative number in a list": [-1],
    "a negative tensor": torch.tensor([-5]),
    "a number twice": np.array([3, 1, 3]),
    "a number twice in a list": [1, 1],
    "a tensor's number twice": torch.tensor([0, 0]),
    "two dimensions": np.array([[1, 2], [3, 4]]),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "a tensor of two dimensions": torch.tensor([[1, 2]]),
    "a tensor of one column": torch.tensor([[1], [2]]),
    "lists of one": [[1], [2]],
    "lists in a list": [[1, 2], [3, 4]],
    "ragged lists": [[1], [2, 3]],
    "no dimension": np.array(4),
    "a tensor of no dimension": torch.tensor(4),
    "one number": 4,
    "a number of 33 bits": np.array([2**31]),
    "a number of 33 bits in a list": [0, 2**31],
    "a number of 70 bits": [2**70],
    "an unsigned number of 64 bits": np.array([2**63], dtype=np.uint64),
    "big-endian numbers": np.array([1, 2], dtype=">i8"),
    "objects": np.array([1, 2], dtype=object),
    "a mask": np.array([True, False]),
    "a mask as a tensor": torch.tensor([True]),
    "a mask as a list": [True, False],
    "texts": ["1", "2"],
    "a text": "12",
    "nothing": None,
    "bytes": b"12",
    "records": np.zeros(2, dtype=[("row", "i8")]),
    "dates": np.array([1, 2], dtype="M8[s]"),
    "complex numbers": np.array([1j]),
    "a dict": {"rows": [1]},
    "characters": np.array(["1", "2"]),
    "a set": {1, 2},
    "a range": range(3),
}


@pytest.mark.parametrize("defect", sorted(NOT_ROWS))
def test_what_is_no_list_of_row_numbers_is_refused(defect: str, tmp_path: Path) -> None:
    refusal(saved(tmp_path / "i.pt", {"01_02": np.array(ROWS), "01_03": NOT_ROWS[defect]}))


@pytest.mark.parametrize(
    "key",
    [
        "0001-02",
        "1_2",
        "01_2",
        "001_02",
        "01_02 ",
        " 01_02",
        "01-02",
        "",
        "a_b",
        102,
        ("01", "02"),
        b"01_02",
        None,
    ],
)
def test_a_key_that_is_no_month_is_refused(key: Any, tmp_path: Path) -> None:
    refusal(saved(tmp_path / "i.pt", {"01_02": np.array(ROWS), key: np.array(ROWS)}))


@pytest.mark.parametrize(
    "value", [[], [1, 2], None, "01_02", 7, np.arange(3), torch.arange(3), (("01_02", [1]),)]
)
def test_anything_but_a_dict_is_refused(value: Any, tmp_path: Path) -> None:
    refusal(saved(tmp_path / "i.pt", value), "index of rows by month", row_index.REMEDY)


def test_a_dict_without_a_month_is_refused(tmp_path: Path) -> None:
    refusal(saved(tmp_path / "i.pt", {}), "holds no month", row_index.REMEDY)


def test_a_missing_file_an_empty_one_and_another_format_are_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "none.pt", "missing"):
        read_index(tmp_path / "none.pt")
    (tmp_path / "empty.pt").write_bytes(b"")
    refusal(tmp_path / "empty.pt", "truncated")
    torch.save(
        {"01_02": np.array(ROWS)}, str(tmp_path / "old.pt"), _use_new_zipfile_serialization=False
    )
    refusal(tmp_path / "old.pt", "zip format")


@pytest.mark.parametrize("defect", ["floats", "a number twice", "a negative number"])
def test_the_sentence_names_the_month_or_the_type(defect: str, tmp_path: Path) -> None:
    words = {
        "floats": "another type",
        "a number twice": "a row twice for 0001-03",
        "a negative number": "impossible row numbers for 0001-03",
    }
    refusal(saved(tmp_path / "i.pt", {"01_03": NOT_ROWS[defect]}), words[defect], row_index.REMEDY)


# ---- hand-made files -----------------------------------------------------------------------------


def encoded(content: bytes) -> bytes:
    """Return the bytes as pickle protocol 2 writes it."""
    return craft.call(
        craft.name("_codecs", "encode"), craft.text(content.decode("latin1")), craft.text("latin1")
    )


def dtype(code: bytes = craft.text("i8"), order: bytes = craft.text("<")) -> bytes:
    state = craft.group(
        craft.integer(3),
        order,
        NONE,
        NONE,
        NONE,
        craft.integer(-1),
        craft.integer(-1),
        craft.integer(0),
    )
    return craft.call(craft.name("numpy", "dtype"), code, craft.FALSE, TRUE) + state + craft.BUILD


EMPTY_ARRAY = craft.call(
    craft.name("numpy.core.multiarray", "_reconstruct"),
    craft.name("numpy", "ndarray"),
    craft.group(craft.integer(0)),
    encoded(b"b"),
)
FIVE_NUMBERS = np.arange(5, dtype="<i8").tobytes()
FIVE = encoded(FIVE_NUMBERS)


def array(
    content: bytes = FIVE,
    shape: Optional[bytes] = None,
    kind: bytes = dtype(),
    fortran: bytes = craft.FALSE,
) -> bytes:
    shape = craft.group(craft.integer(5)) if shape is None else shape
    return EMPTY_ARRAY + craft.group(craft.integer(1), shape, kind, fortran, content) + craft.BUILD


def crafted(path: Path, value: bytes, protocol: int = 2, **options: Any) -> Path:
    return craft.write(
        path, craft.program({"01_02": value}, b"\x80" + bytes([protocol])), **options
    )


def good(path: Path) -> bool:
    return as_lists(read_index(path)) == {"0001-02": [0, 1, 2, 3, 4]}


def test_the_good_array_that_the_bad_ones_differ_from_is_accepted(tmp_path: Path) -> None:
    assert good(crafted(tmp_path / "i.pt", array())) and good(
        crafted(tmp_path / "i.pt", array(fortran=TRUE))
    )


BAD_ARRAYS = {
    "a shape that asks for more than its bytes": array(shape=craft.group(craft.integer(6))),
    "a shape of terabytes": array(shape=craft.group(craft.integer(1 << 40))),
    "a shape that overflows 64 bits": array(shape=craft.group(craft.integer(1 << 70))),
    "a shape that asks for less": array(shape=craft.group(craft.integer(4))),
    "two dimensions": array(shape=craft.group(craft.integer(5), craft.integer(1))),
    "two dimensions of terabytes": array(
        shape=craft.group(craft.integer(1 << 30), craft.integer(1 << 30))
    ),
    "no dimension": array(shape=craft.group()),
    "a shape that is no tuple": array(shape=craft.integer(5)),
    "a shape that is a text": array(shape=craft.text("5")),
    "a shape of texts": array(shape=craft.group(craft.text("5"))),
    "no shape": array(shape=NONE),
    "bytes that are no whole numbers": array(encoded(b"123456789")),
    "content that is a text": array(craft.text("x" * 40)),
    "content that is a list": array(b"]"),
    "content that is a tensor": array(craft.tensor()),
    "content that is an array": array(array()),
    "no content": array(NONE),
    "big-endian numbers": array(kind=dtype(order=craft.text(">"))),
    "an order that is no text": array(kind=dtype(order=craft.integer(1))),
    "objects": array(kind=dtype(craft.text("O8"))),
    "floats": array(kind=dtype(craft.text("f8"))),
    "bytes of one": array(kind=dtype(craft.text("i1"))),
    "a type of zero bytes": array(kind=dtype(craft.text("V0"))),
    "a type with a shape": array(kind=dtype(craft.text("(1000000,1000000)i8"))),
    "a type of many fields": array(kind=dtype(craft.text("i8,i8"))),
    "a type that is no text": array(kind=dtype(craft.integer(8))),
    "a type that is no type": array(kind=craft.text("<i8")),
    "a type without a state": craft.call(
        craft.name("numpy", "dtype"), craft.text("f8"), craft.FALSE, TRUE
    ),
    "a type without a code": array(kind=craft.call(craft.name("numpy", "dtype"))),
    "a type whose state is nothing": array(
        kind=craft.call(craft.name("numpy", "dtype"), craft.text("i8")) + NONE + craft.BUILD
    ),
    "an order of columns that is no truth": array(fortran=craft.text("x")),
    "an order of columns that is a tensor": array(fortran=craft.tensor()),
    "an array without a state": EMPTY_ARRAY,
    "an array whose state is nothing": EMPTY_ARRAY + NONE + craft.BUILD,
    "an array whose state is too short": EMPTY_ARRAY + craft.group(craft.integer(1)) + craft.BUILD,
    "an array whose state is a dict": EMPTY_ARRAY + craft.mapping({"state": NONE}) + craft.BUILD,
    "an array in a list": b"]" + array() + b"a",
    "numpy's class itself": craft.name("numpy", "ndarray"),
    "numpy's types itself": craft.name("numpy", "dtype"),
    "a type alone": dtype(),
    "bytes alone": FIVE,
    "its own bytes by another codec": array(
        craft.call(
            craft.name("_codecs", "encode"),
            craft.text(FIVE_NUMBERS.decode("latin1")),
            craft.text("utf-8"),
        )
    ),
    "an array made by its class": craft.call(
        craft.name("numpy", "ndarray"), craft.group(craft.integer(1 << 27))
    ),
    "a text in another codec": array(
        craft.call(craft.name("_codecs", "encode"), craft.text("abc"), craft.text("utf-16"))
    ),
    "a codec that unpacks": array(
        craft.call(craft.name("_codecs", "encode"), craft.text("abc"), craft.text("zlib"))
    ),
    "a text beyond latin1": array(
        craft.call(craft.name("_codecs", "encode"), craft.text("\u20ac"), craft.text("latin1"))
    ),
    "a codec of nothing": array(craft.call(craft.name("_codecs", "encode"))),
    "a call of nothing": craft.call(craft.name("numpy", "ndarray"), craft.integer(5)),
    "a list of itself": b"]q\x01h\x01a",
}


@pytest.mark.parametrize("defect", sorted(BAD_ARRAYS))
def test_an_impossible_array_is_refused_in_little_memory(defect: str, tmp_path: Path) -> None:
    refusal(crafted(tmp_path / "i.pt", BAD_ARRAYS[defect]))


def test_a_tensor_is_no_content_of_an_array(tmp_path: Path) -> None:
    tensor = craft.tensor(craft.storage("LongStorage", count=5), size=(5,), stride=(1,))
    assert good(crafted(tmp_path / "tensor.pt", tensor, storages={"0": FIVE_NUMBERS}))
    refusal(crafted(tmp_path / "array.pt", array(tensor), storages={"0": FIVE_NUMBERS}))


@pytest.mark.parametrize(
    "defect", sorted(set(hostile._IMPOSSIBLE) - {"a million lists"})
)  # which needs its 56 MB and seconds
def test_an_impossible_tensor_or_a_bomb_is_refused_in_little_memory(
    defect: str, tmp_path: Path
) -> None:
    refusal(crafted(tmp_path / "i.pt", hostile._IMPOSSIBLE[defect], 4))


# Where in a file an attack may stand.
PLACES: Dict[str, Callable[[bytes], bytes]] = {
    "a month": lambda attack: craft.mapping({"01_02": attack}),
    "an array's content": lambda attack: craft.mapping({"01_02": array(attack)}),
    "an array's type": lambda attack: craft.mapping({"01_02": array(kind=attack)}),
    "an array's shape": lambda attack: craft.mapping({"01_02": array(shape=attack)}),
    "an array's state": lambda attack: craft.mapping({"01_02": EMPTY_ARRAY + attack + craft.BUILD}),
    "what an array is made of": lambda attack: craft.mapping(
        {"01_02": craft.call(craft.name("numpy.core.multiarray", "_reconstruct"), attack)}
    ),
    "a type's code": lambda attack: craft.mapping({"01_02": array(kind=dtype(attack))}),
    "a key": lambda attack: craft.EMPTY_DICT + attack + array() + b"s",
    "the whole": lambda attack: attack,
}


@pytest.mark.parametrize("place", sorted(PLACES))
@pytest.mark.parametrize("attack", sorted(hostile._executing(Path("marker"))))
def test_a_pickle_that_wants_to_run_code_is_refused_and_runs_nothing(
    attack: str, place: str, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    program = PLACES[place](hostile._executing(marker)[attack])
    for protocol in (2, 4):
        refusal(craft.write(tmp_path / "i.pt", b"\x80" + bytes([protocol]) + program + craft.STOP))
        assert not marker.exists()


@pytest.mark.parametrize("attack", ["os.system", "eval"])
def test_the_marker_proves_something(attack: str, tmp_path: Path) -> None:
    """The same attack inside a real array does run in an ordinary unpickler."""
    import pickle

    for place in ("a month", "an array's content", "an array's type"):
        marker = tmp_path / str(len(place))
        with contextlib.suppress(
            TypeError, ValueError
        ):  # after the attack was run: its result is no type
            pickle.loads(
                craft.PROTOCOL + PLACES[place](hostile._executing(marker)[attack]) + craft.STOP
            )
        assert marker.exists(), place


# What the list of names is longer by than a checkpoint's, and what would be tempting to add to it.
NAMES = [
    (m, n) for m, n in hostile._GADGETS if (m, n) != ("numpy.core.multiarray", "_reconstruct")
] + [
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "fromfile"),
    ("numpy", "fromstring"),
    ("_codecs", "decode"),
    ("_codecs", "lookup"),
    ("codecs", "encode"),
    ("codecs", "open"),
    ("builtins", "bytearray"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy", "ndarray.tofile"),
    ("numpy.core.multiarray", "_reconstruct.__globals__"),
    ("_codecs", "encode.__globals__"),
]


@pytest.mark.parametrize("module, attribute", NAMES)
def test_a_name_that_is_on_no_list_is_refused_before_it_is_looked_up(
    module: str, attribute: str, tmp_path: Path
) -> None:
    for reference in (craft.name(module, attribute), craft.dotted(module, attribute)):
        assert "nothing was executed" in refusal(crafted(tmp_path / "i.pt", reference, 4))


@pytest.mark.parametrize("name", [("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct")])
def test_one_hostile_file_does_not_spoil_the_reading_of_the_next(name: Any, tmp_path: Path) -> None:
    """BUILD may change what the closed list gave it, but only objects made for that file."""
    defaults = craft.mapping({"__defaults__": craft.group(craft.text("x"))})
    for state in (craft.mapping({"x": NONE}), NONE + defaults + b"\x86"):
        refusal(crafted(tmp_path / "bad.pt", craft.name(*name) + state + craft.BUILD))
        assert good(crafted(tmp_path / "good.pt", array()))


def test_a_hostile_file_leaves_nothing_in_this_process(tmp_path: Path) -> None:
    refusal(
        crafted(
            tmp_path / "a.pt",
            craft.name("_codecs", "encode") + craft.mapping({"left": NONE}) + craft.BUILD,
        )
    )
    refusal(
        crafted(
            tmp_path / "b.pt",
            craft.name("_codecs", "encode")
            + NONE
            + craft.mapping({"__defaults__": craft.group(craft.text("x"), craft.text("latin1"))})
            + b"\x86"
            + craft.BUILD,
        )
    )
    encode = safe_pickle.recorders(row_index._NAMES)["_codecs", "encode"]
    assert encode("x", "latin1").arguments == ("x", "latin1")
    assert good(crafted(tmp_path / "good.pt", array()))


def test_methods_that_a_pickle_writes_over_are_not_called(tmp_path: Path) -> None:
    for method in ("items", "values", "__len__"):
        program = (
            craft.PROTOCOL
            + craft.name("collections", "OrderedDict")
            + b")R("
            + craft.text("01_02")
            + array()
            + b"u"
            + craft.mapping({method: craft.text("x")})
            + craft.BUILD
            + craft.STOP
        )
        assert good(craft.write(tmp_path / "i.pt", program))


def test_big_endian_files_are_refused(tmp_path: Path) -> None:
    refusal(crafted(tmp_path / "i.pt", array(), extra={"archive/byteorder": b"big"}), "big-endian")


# ---- files that are small and ask for much -------------------------------------------------------


def nested_lists(width: int, depth: int) -> bytes:
    """Return nested lists of numbers, each of which the file stores once."""
    value = b"](" + craft.integer(1) * width + b"e"
    for k in range(depth - 1):
        value = b"](" + value + b"q" + bytes([k]) + (b"h" + bytes([k])) * (width - 1) + b"e"
    return value


def test_lists_in_lists_are_refused(tmp_path: Path) -> None:
    refusal(crafted(tmp_path / "i.pt", nested_lists(3, 3)), "0001-02")


@pytest.mark.parametrize("value", ["lists", "tensors"])
def test_a_list_that_repeats_its_items_is_refused_in_little_memory(
    value: str, tmp_path: Path
) -> None:
    """A kilobyte of lists asks for any amount of memory, and a MemoryError is not a KitError."""
    megabyte = np.arange(1 << 17, dtype="<i8").tobytes()
    tensor = craft.tensor(craft.storage("LongStorage", count=1 << 17), size=(1 << 17,), stride=(1,))
    program = (
        nested_lists(10, 7)
        if value == "lists"
        else b"](" + tensor + b"q\x01" + b"h\x01" * 100 + b"e"
    )
    refusal(crafted(tmp_path / "i.pt", program, storages={"0": megabyte}))


def test_a_list_that_holds_itself_twice_is_refused(tmp_path: Path) -> None:
    path = crafted(tmp_path / "i.pt", b"]q\x01(h\x01h\x01e")
    code = (
        "import sys, resource\n"
        f"sys.path.insert(0, {str(Path(row_index.__file__).parents[2])!r})\n"
        "from pathlib import Path\n"
        "from leapkit.core.errors import run_cli\n"
        "from leapkit.data.row_index import read_index\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "size = pages * resource.getpagesize() + (200 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size))\n"
        f"run_cli(lambda argv: read_index(Path({str(path)!r})) and 0, [])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr and done.returncode == 2


def test_a_table_of_contents_that_unpacks_to_something_huge_is_refused(tmp_path: Path) -> None:
    content = array(encoded(bytes(48 << 20)), shape=craft.group(craft.integer(6 << 20)))
    path = crafted(tmp_path / "i.pt", content, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    refusal(path)


# ---- keys and sentences --------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["01_02\n", "\u0660\u0661_\u0660\u0662", "01_13", "01_00"])
def test_a_key_that_is_nearly_a_month_is_refused(key: str, tmp_path: Path) -> None:
    refusal(saved(tmp_path / "i.pt", {key: np.array(ROWS)}))


@pytest.mark.parametrize("kind", [dtype(craft.tensor()), dtype(order=craft.tensor())])
def test_a_type_that_is_a_tensor_is_refused(kind: bytes, tmp_path: Path) -> None:
    refusal(crafted(tmp_path / "i.pt", array(kind=kind)))


@pytest.mark.parametrize("code", ["i8\nerror: all is well", "i8\x1b[2J", "x" * 100_000])
def test_what_a_file_says_of_itself_does_not_become_the_sentence(code: str, tmp_path: Path) -> None:
    text = refusal(crafted(tmp_path / "i.pt", array(kind=dtype(craft.text(code)))))
    assert text.isprintable() and len(text) < 1000


def test_a_negative_shape_is_refused(tmp_path: Path) -> None:
    refusal(crafted(tmp_path / "i.pt", array(shape=craft.group(craft.integer(-5)))))


def test_a_month_of_no_rows_is_read(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "i.pt",
        {"01_02": np.array([], dtype=np.int64), "01_03": torch.tensor([], dtype=torch.int64)},
    )
    assert as_lists(read_index(path)) == {"0001-02": [], "0001-03": []}


# ---- damage --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return saved(
        tmp_path_factory.mktemp("whole") / "i.pt",
        {"01_02": np.arange(40)[::-1].copy(), "01_03": torch.tensor(ROWS), "08_06": [1, 5, 2]},
    ).read_bytes()


def read_bytes(content: bytes) -> Optional[Dict[str, List[int]]]:
    """Return what read_index makes of the bytes, or None if it raises a KitError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "i.pt"
        path.write_bytes(content)
        try:
            return as_lists(read_index(path))
        except KitError as error:
            assert str(path) in str(error)
            return None


def test_a_file_cut_anywhere_is_refused(small_index: bytes, tmp_path: Path) -> None:
    for size in sorted(
        set(range(0, len(small_index), 37)) | set(range(len(small_index) - 60, len(small_index)))
    ):
        (tmp_path / "cut.pt").write_bytes(small_index[:size])
        with refused(tmp_path / "cut.pt"):
            read_index(tmp_path / "cut.pt")


@given(st.data())
@settings(max_examples=150, **QUICK)
def test_flipped_bytes_are_refused_or_change_nothing(
    small_index: bytes, data: st.DataObject
) -> None:
    """Memory is not measured: zipfile asks for as many bytes as a zip's directory says."""
    damaged = bytearray(small_index)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(small_index) - 1))] ^= data.draw(st.integers(1, 255))
    index_read = read_bytes(bytes(damaged))
    assert index_read is None or index_read == read_bytes(small_index)


@given(st.data())
@settings(max_examples=200, **QUICK)
def test_a_mutated_pickle_with_a_right_checksum_is_refused_or_gives_row_numbers(
    data: st.DataObject,
) -> None:
    pickled = bytearray(
        craft.program(
            {
                "01_02": array(),
                "01_03": craft.tensor(craft.storage("IntStorage"), size=(6,), stride=(1,)),
                "01_04": craft.group(craft.integer(4), craft.integer(9)),
            }
        )
    )
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(pickled) - 1))
        pickled[position : position + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=3)
        )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(pickled))
        archive.writestr("archive/data/0", np.arange(6, dtype="<i4").tobytes())
    tracemalloc.start()
    try:
        read_bytes(out.getvalue())
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
