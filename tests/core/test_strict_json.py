"""JSON of strangers is right or one ValueError: no traceback, no infinity, no key twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fetch.checks import require_statistics
from leapkit.core import files, strict_json
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.files import read_json
from leapkit.core.splits import read_split
from leapkit.data.scaling import load_scaling
from tests.helpers.refusals import refusal_in_little_memory, refused

HOSTILE = {
    "an integer of 400 digits": (b'{"a": ' + b"9" * 400 + b"}", "an integer of 400 digits"),
    "a negative integer of 5,000 digits": (b"-" + b"9" * 5000, "an integer of 5000 digits"),
    "a million digits": (b"1" * 1_000_000, "an integer of 1000000 digits"),
    "a number beyond float64": (b'{"a": 1e999}', "1e999, which no float64 holds"),
    "a float of a million digits": (b"0." + b"1" * 1_000_000, "no float64 holds"),
    "an infinite stride": (
        b'{"validation_stride": Infinity}',
        "holds a NaN or an infinity (Infinity)",
    ),
    "a negative infinity": (b"[-Infinity]", "-Infinity"),
    "NaN": (b'{"a": NaN}', "holds a NaN or an infinity (NaN)"),
    "a key twice": (b'{"a": 1, "b": {"c": 1, "c": 1}}', "the key c twice"),
    "a key of a megabyte twice": (b'{"%s": 1, "%s": 2}' % (b"k" * 10**6, b"k" * 10**6), "twice"),
    "a key that clears the screen": (b'{"\\u001b[2J": 1, "\\u001b[2J": 2}', "\\x1b[2J twice"),
    "deeply nested lists": (b"[" * 100_000, "nested too deeply"),
    "deeply nested and closed": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "deeply nested dicts": (b'{"a":' * 100_000, "nested too deeply"),
    "no UTF-8": (b'{"a": "\xff"}', "utf-8"),
    "nothing": (b"", "Expecting value"),
}


@pytest.mark.parametrize("content, words", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_json_is_one_sentence_that_says_why(
    content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "split.json"
    path.write_bytes(content)
    error = refusal_in_little_memory(read_json, path)
    with refused(path, words):
        raise error
    assert str(error).isprintable() and len(str(error)) < 1000


READERS = {
    "split.json": read_split,
    "mean.json": lambda path: load_scaling(path.parent, "adam", path.with_name("old.csv")),
    "std.json": lambda path: require_statistics(path, "adam", "std.json"),
}


@pytest.mark.parametrize("attack", sorted(set(HOSTILE) - {"nothing", "no UTF-8"}))
def test_every_reader_of_json_refuses_it(attack: str, tmp_path: Path) -> None:
    for name, read in READERS.items():
        (tmp_path / name).write_bytes(HOSTILE[attack][0])
        assert name in str(refusal_in_little_memory(read, tmp_path / name))


def test_a_split_of_an_infinite_stride_and_statistics_of_400_digits_are_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "split.json"
    path.write_text('{"train": [], "validation": [], "validation_stride": 1e999, "test": []}')
    with refused(path, "1e999"):
        read_split(path)
    path = tmp_path / "mean.json"
    numbers = ", ".join(f'"{name}": {"9" * 400}' for name in INPUTS + TARGETS)
    path.write_text("{" + numbers + "}")
    with refused(path, "beyond all float64"):
        require_statistics(path, "adam", "std.json")


def test_a_file_longer_than_any_of_the_kits_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"[" + b"[]," * (files.LONGEST_JSON // 3) + b"[]]")
    with refused(path, "is longer than"):
        read_json(path)
    path.write_bytes(b"[" + b" " * 100 + b"]")
    assert read_json(path, most_bytes=102) == []
    with refused(path, "is longer than 101 bytes"):
        read_json(path, most_bytes=101)


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mean.json"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n")
    with refused(path, "git lfs pull"):
        read_json(path)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, None, True, "\u00e9"]}, 2**64, -(2**63), 1e308, 5e-324, 0.1 + 0.2, -0.0],
)
def test_what_json_can_hold_is_read_to_the_last_bit(value: Any) -> None:
    text = json.dumps(value).encode()
    assert repr(strict_json.parse(text)) == repr(json.loads(text)) == repr(value)
    assert strict_json.parse(b"\xef\xbb\xbf" + text) == value
