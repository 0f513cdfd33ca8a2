"""The one unpickler for files of strangers admits a closed list of names and stops at limits."""

from __future__ import annotations

import gc
import pickle
import pickletools
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any, Dict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leapkit.core import pickle_limits, safe_pickle
from leapkit.core.pickle_limits import Kind, Limits, Refused
from leapkit.core.pickle_rehearsal import _Rehearsal, require_harmless
from leapkit.core.torch_archive import Archive
from tests.helpers import crafted as craft
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack

OPCODES = pickle_limits.OPCODES | {"LONG1", "BINFLOAT"}
KIND = Kind("a test's file", Limits(1 << 20, 1 << 20, 1 << 26), OPCODES, "write another")


def read(path: Path, kind: Kind = KIND) -> Any:
    def reference(pid: Any, archive: Archive) -> Any:
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
        kind = Kind(KIND.name, Limits(1 << 20, 1 << 20, 1 << 26, depth), OPCODES, KIND.remedy)
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
    require_harmless(pickled, Kind("x", Limits(1 << 20, 1 << 20, 1 << 26, depth), OPCODES, ""))
    if depth:
        with pytest.raises(Refused, match="inside one another"):
            require_harmless(
                pickled, Kind("x", Limits(1 << 20, 1 << 20, 1 << 26, depth - 1), OPCODES, "")
            )


def test_a_long_list_written_a_thousand_items_at_a_time_is_not_deep() -> None:
    require_harmless(pickle.dumps([[k] * 20 for k in range(20_000)], protocol=2), KIND)


@pytest.mark.parametrize("opcodes", [b"R", b"t", b"N(N\x86", b"\x85", b"q\x01", b"Nb", b"(Nu"])
def test_an_opcode_that_takes_more_than_there_is_is_refused(opcodes: bytes, tmp_path: Path) -> None:
    program = craft.PROTOCOL + opcodes + craft.STOP
    with refused(craft.write(tmp_path / "n.pt", program)):
        read(tmp_path / "n.pt")


# ---- bounds of memory and of steps ---------------------------------------------------------------

GENEROUS = Kind("x", Limits(1 << 24, 1 << 24, 1 << 40), OPCODES, "")
HARMLESS: Dict[str, Any] = {
    "small numbers": list(range(256)) * 40,
    "numbers of 16 bits": list(range(300, 9000)),
    "numbers of 32 bits": list(range(10**6, 10**6 + 5000)),
    "long numbers": [1 << k for k in range(40, 2000)],
    "floats": [k / 7 for k in range(5000)],
    "texts": [f"layer.{k}.weight" for k in range(5000)],
    "wide texts": ["a" * 50 + chr(0x1F600 + k % 50) for k in range(2000)],
    "lists": [[k] for k in range(3000)],
    "empty lists": [[] for _ in range(5000)],
    "empty dicts": [{} for _ in range(5000)],
    "dicts of one": [{k: None} for k in range(3000)],
    "a large dict": {str(k): k for k in range(5000)},
    "dicts of six": [{str(k): k for k in range(6)} for _ in range(500)],
    "tuples": [(k, k + 1, k + 2) for k in range(3000)],
    "a long tuple": tuple(range(5000)),
}


def unpickled_bytes(pickled: bytes) -> int:
    """Return how much memory unpickling takes at most."""
    pickle.loads(pickled)  # what is only ever allocated once
    gc.collect()
    tracemalloc.start()
    try:
        value = pickle.loads(pickled)
        assert value is not None
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_the_estimate_of_memory_is_never_below_the_truth(name: str) -> None:
    pickled = pickle.dumps(HARMLESS[name], protocol=2)
    rehearsal = _Rehearsal(GENEROUS, 1 << 30)
    before = rehearsal._bytes_left
    rehearsal.follow(pickletools.genops(pickled))
    estimate = before - rehearsal._bytes_left
    truth = unpickled_bytes(pickled)
    assert truth - 20_000 < estimate < 9 * truth + 100_000, (estimate, truth)


def test_memory_is_bounded_by_the_length_of_the_file_and_by_its_kind() -> None:
    limits = Limits(1 << 30, 1 << 26, 1 << 27)
    assert limits.memory_for(0) == 4 << 20
    assert limits.memory_for(1 << 20) == (4 << 20) + 24 * (1 << 20)
    assert limits.memory_for(1 << 30) == 1 << 27


def test_as_many_opcodes_as_the_limit_are_followed() -> None:
    pickled = pickle.dumps([1, 2, 3], protocol=2)
    count = len(list(pickletools.genops(pickled)))
    require_harmless(pickled, Kind("x", Limits(1 << 20, count, 1 << 20), OPCODES, ""))
    with pytest.raises(Refused, match=f"more than {count - 1} pickle opcodes"):
        require_harmless(pickled, Kind("x", Limits(1 << 20, count - 1, 1 << 20), OPCODES, ""))


@pytest.mark.parametrize("key", [("a",), 1 << 40, 1.5, ("a", ("b", "c"))])
def test_a_key_whose_hash_a_file_could_choose_is_refused(key: Any) -> None:
    with pytest.raises(Refused, match="neither text nor small numbers"):
        require_harmless(pickle.dumps({"a": {key: 1}}, protocol=2), GENEROUS)


def test_usual_keys_are_not_refused() -> None:
    require_harmless(
        pickle.dumps({"a": 1, 7: 2, 70_000: 3, None: 4, True: 5}, protocol=2), GENEROUS
    )


@pytest.mark.parametrize(
    "opcode, end", [(b"L", b"L\n"), (b"I", b"\n"), (b"F", b"\n"), (b"c", b"\n")]
)
def test_a_line_is_not_read_beyond_a_thousand_characters(opcode: bytes, end: bytes) -> None:
    """Python 3.8 takes hours for a number of a hundred million digits."""
    program = craft.PROTOCOL + opcode + b"9" * 2000 + end + craft.STOP
    with pytest.raises(Refused, match="more than 1000 characters"):
        require_harmless(program, KIND)
