"""The page on emulators shows the coupled model's inputs as the exported files take them."""

from __future__ import annotations

import re
from typing import List, Tuple

import pytest

pytest.importorskip("torch")

from leapkit.emulators import constraints
from leapkit.exports import namelist
from leapkit.exports.contracts import COUPLED
from tests.docs.markdown import DOCUMENTS

PAGE = DOCUMENTS["docs/emulators.md"]


def places(first: int, width: int) -> str:
    return str(first) if width == 1 else f"{first}-{first + width - 1}"


def expected() -> List[Tuple[str, ...]]:
    """Return (place, variable, unit, place in Kaggle's order) of each of the 26 variables."""
    kaggle_of = {place: k for k, place in enumerate(COUPLED.to_kaggle)}
    rows = []
    first = 0
    for name, unit, width in COUPLED.variables():
        kaggle = places(kaggle_of[first], width) if first in kaggle_of else "none"
        rows.append((places(first, width), name, unit, kaggle))
        first += width
    assert first == 557
    return rows


def test_the_table_of_inputs_is_the_contract() -> None:
    table = re.findall(r"^\| ([\d-]+) \| `(\w+)` \| (\S+) \| ([\d-]+|none)", PAGE, flags=re.M)
    assert table == expected()


def test_the_constraints_are_those_that_can_be_chosen_in_their_order() -> None:
    section = PAGE.split("### Constraints")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.M) == list(constraints.CONSTRAINTS)


def test_the_namelist_is_the_block_that_is_written() -> None:
    block = namelist.block("max2020-022.pt", ())
    written = "\n".join(line for line in block.splitlines() if not line.startswith("!"))
    assert written in PAGE
