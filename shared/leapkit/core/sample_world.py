"""The sample world's months, and whether it has to be made."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Mapping, Optional

from leapkit.core.errors import KitError
from leapkit.core.files import read_json, sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import world_files, world_receipt
from leapkit.core.receipts import Verdict
from leapkit.core.splits import Split, months_between

# Raise it when the generator writes other numbers: all older sample worlds are then made again.
VERSION = 2
SPLIT = Split(
    train=months_between("0007-07", "0008-06"),
    validation=months_between("0008-07", "0009-01"),
    validation_stride=1,
    test=months_between("0009-02", "0009-08"),
)
STEPS_PER_MONTH = {"train": 4, "validation": 1, "test": 1}


def sample_inputs(seed: int = 0) -> Dict[str, str]:
    """Return what decides the sample world, as its receipt records it."""
    return {"sample world": sha256_json([VERSION, seed])}


def judge_world(
    root: Path, inputs: Mapping[str, str], index: Optional[HashIndex] = None
) -> Verdict:
    """Return whether a world is done: its receipt names these inputs and the bytes of its files."""
    if not world_receipt(root).exists():
        return Verdict(False, "not made yet")
    try:
        receipt = read_json(world_receipt(root))
        if receipt["inputs"] != dict(inputs):
            return Verdict(False, "it was made by another version or seed of the generator")
        for name, digest in world_files(root, index or HashIndex()).items():
            if receipt["files"].get(name) != digest:
                return Verdict(False, f"{name} has changed")
    except (KitError, KeyError, TypeError, AttributeError) as error:
        return Verdict(False, f"it is not whole ({error})")
    return Verdict(True, "its receipt proves it")
