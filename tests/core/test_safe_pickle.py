"""The one unpickler for files of strangers admits a closed list of names and stops at limits."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leapkit.core import safe_pickle
from leapkit.core.safe_pickle import Kind, Limits, Refused, require_harmless
from tests.helpers import crafted as craft
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack

OPCODES = safe_pickle.OPCODES | {"LONG1", "BINFLOAT"}
KIND = Kind("a test's file", Limits(pickle_bytes=1 << 20), OPCODES, "write another")


def read(path: Path, kind: Kind = KIND) -> Any:
    def reference(pid: Any, archive: safe_pickle.Archive) -> Any:
        raise Refused("a reference")

    with safe_pickle.explained(path, kind):
        return safe_pickle.read(path, kind, {}, reference)


def nested(depth: int) -> bytes:
    """Return tuples nested to a depth."""
    return craft.EMPTY_TUPLE + b"\x85" * depth


@pytest.mark.parametrize("depth", [65, 1000, 1 << 19])
def test_a_key_of_deeply_nested_tuples_is_refused_and_not_hashed(
    depth: int, tmp_path: Path
) -> None:
    """Hashing half a million of them overruns the stack of the process, which then dies."""
    key = craft.PROTOCOL + craft.EMPTY_DICT + nested(depth) + b"Ns" + craft.STOP
    with refused(craft.write(tmp_path / "key.pt", key), "64 objects inside one another"):
        read(tmp_path / "key.pt")


def test_the_deep_key_kills_an_ordinary_interpreter() -> None:
    """This proves that the test above tests something."""
    code = (
        "import pickle\n"
        f"pickle.loads({craft.PROTOCOL + craft.EMPTY_DICT + craft.EMPTY_TUPLE!r}"
        f" + b'\\x85' * (1 << 19) + b'Ns.')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode < 0


def test_the_depth_is_that_of_the_limits(tmp_path: Path) -> None:
    for depth in (3, 8):
        kind = Kind(KIND.name, Limits(1 << 20, depth), OPCODES, KIND.remedy)
        program = craft.PROTOCOL + nested(depth) + craft.STOP
        assert read(craft.write(tmp_path / "good.pt", program), kind)
        program = craft.PROTOCOL + nested(depth + 1) + craft.STOP
        with refused(craft.write(tmp_path / "bad.pt", program), f"more than {depth} objects"):
            read(tmp_path / "bad.pt", kind)


@pytest.mark.parametrize("memo", [(b"q\x07", b"h\x07"), (b"r\x07\0\0\0", b"j\x07\0\0\0")])
def test_depth_is_counted_through_the_memo(memo: Any, tmp_path: Path) -> None:
    write, read_back = memo
    value = craft.EMPTY_TUPLE + (b"\x85" + write + read_back + b"\x86") * 40
    program = craft.PROTOCOL + value + craft.STOP
    with refused(craft.write(tmp_path / "n.pt", program), "inside one another"):
        read(tmp_path / "n.pt")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=3) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


def depth_of(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (list, tuple, dict)) or not value:
        return 0
    return 1 + max(map(depth_of, items))


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_the_depth_that_is_counted_is_the_depth_of_the_object(value: Any) -> None:
    pickled = pickle.dumps(value, protocol=2)
    depth = depth_of(value)
    require_harmless(pickled, Kind("x", Limits(1 << 20, depth), OPCODES, ""))
    if depth:
        with pytest.raises(Refused, match="inside one another"):
            require_harmless(pickled, Kind("x", Limits(1 << 20, depth - 1), OPCODES, ""))


def test_a_long_list_written_a_thousand_items_at_a_time_is_not_deep() -> None:
    require_harmless(pickle.dumps([[k] for k in range(200_000)], protocol=2), KIND)


@pytest.mark.parametrize("opcodes", [b"R", b"t", b"N(N\x86", b"\x85", b"q\x01", b"Nb", b"(Nu"])
def test_an_opcode_that_takes_more_than_there_is_is_refused(opcodes: bytes, tmp_path: Path) -> None:
    program = craft.PROTOCOL + opcodes + craft.STOP
    with refused(craft.write(tmp_path / "n.pt", program)):
        read(tmp_path / "n.pt")
