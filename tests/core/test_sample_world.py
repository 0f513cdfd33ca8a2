"""A world is done if its receipt proves it; what is missing or changed is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import WORLD_FILES, RawData, world_receipt
from leapkit.core.sample_world import judge_world, sample_inputs
from leapkit.core.step_files import list_pairs

INPUTS_OF_TINY = {"made for": "tests"}


@pytest.fixture
def raw(tiny_world: Path, tmp_path: Path) -> RawData:
    """Return a copy of the tiny world that a test may damage."""
    shutil.copytree(str(tiny_world), str(tmp_path / "raw"))
    return RawData(tmp_path / "raw")


def test_an_untouched_world_is_done_wherever_it_lies(raw: RawData) -> None:
    verdict = judge_world(raw.root, INPUTS_OF_TINY)
    assert verdict.done and verdict.reason == "its receipt proves it"


@pytest.mark.parametrize("name", WORLD_FILES)
def test_a_changed_file_of_a_world_is_named(raw: RawData, name: str) -> None:
    data = bytearray((raw.root / name).read_bytes())
    data[len(data) // 2] ^= 1
    (raw.root / name).write_bytes(bytes(data))
    verdict = judge_world(raw.root, INPUTS_OF_TINY, HashIndex())
    assert not verdict.done and verdict.reason == f"{name} has changed"


def test_a_changed_a_missing_and_an_added_step_are_noticed(raw: RawData) -> None:
    pair = list_pairs(raw.steps)[0]
    original = pair.mlo.read_bytes()
    pair.mlo.write_bytes(original[:-1] + b"\x01")
    assert judge_world(raw.root, INPUTS_OF_TINY).reason == "steps has changed"
    pair.mlo.unlink()
    assert "counterpart" in judge_world(raw.root, INPUTS_OF_TINY).reason
    pair.mli.unlink()
    assert judge_world(raw.root, INPUTS_OF_TINY).reason == "steps has changed"
    shutil.rmtree(str(raw.steps))
    assert "missing" in judge_world(raw.root, INPUTS_OF_TINY).reason


@pytest.mark.parametrize("name", WORLD_FILES)
def test_a_missing_file_of_a_world_is_named(raw: RawData, name: str) -> None:
    (raw.root / name).unlink()
    verdict = judge_world(raw.root, INPUTS_OF_TINY)
    assert (
        not verdict.done and name.split("/")[-1] in verdict.reason and "missing" in verdict.reason
    )


def test_a_world_of_another_seed_or_generator_is_made_again(raw: RawData) -> None:
    assert not judge_world(raw.root, sample_inputs(1)).done
    assert "another version or seed" in judge_world(raw.root, sample_inputs(1)).reason
    assert sample_inputs(0) != sample_inputs(1) and sample_inputs(0) == sample_inputs()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"7",
        b"\xff\xfe\x00",
        b'{"inputs": {"made for": "tests"}}',
        b'{"inputs": {"made for": "tests"}, "files": 7}',
    ],
)
def test_an_unreadable_receipt_of_a_world_is_no_proof(raw: RawData, content: bytes) -> None:
    world_receipt(raw.root).write_bytes(content)
    assert not judge_world(raw.root, INPUTS_OF_TINY).done
    world_receipt(raw.root).unlink()
    assert judge_world(raw.root, INPUTS_OF_TINY).reason == "not made yet"
