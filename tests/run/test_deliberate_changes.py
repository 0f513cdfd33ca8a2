"""Whatever number of a recipe or constant of the loop is another one, a stored trajectory shows it.

The list is of the fields that a recipe has, so a new field that changes nothing fails here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.helpers import deliberate_changes  # noqa: E402
from tests.helpers.deliberate_changes import Change  # noqa: E402

pytestmark = pytest.mark.process

torch.set_num_threads(1)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "training_parity.md"
CHANGES = deliberate_changes.once_each()


def name(change: Change) -> str:
    return f"{change.of}: {change.what} {' to '.join(map(str, change.values))}".strip()


@pytest.mark.parametrize("change", [each for each in CHANGES if not each.unseen], ids=name)
def test_a_changed_number_is_caught(change: Change) -> None:
    assert change.difference() is not None


@pytest.mark.parametrize("change", [each for each in CHANGES if each.unseen], ids=name)
def test_what_by_nature_cannot_be_seen_changes_nothing(change: Change) -> None:
    difference = change.difference()
    assert difference is None, f"{difference}, although {change.unseen}"


def test_a_number_that_one_trajectory_cannot_show_is_shown_by_another() -> None:
    every = list(deliberate_changes.changes())
    shown = {change.what for change in every if not change.unseen}
    assert {each.what for each in every} - shown == {"validation_batch", "rows.index"}


def test_the_page_lists_every_change() -> None:
    text = PAGE.read_text()
    for change in CHANGES:
        assert f"| {deliberate_changes.group(change.what)} |" in text
