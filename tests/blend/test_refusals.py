"""Files that are checked together."""

from __future__ import annotations

import pytest

from blend.refusals import require_all
from leapkit.core.errors import KitError


def test_all_are_checked_and_each_refusal_is_shown_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def check(number: int) -> None:
        if number < 3:
            raise KitError("is too small", number, "take another")

    with pytest.raises(KitError, match=r"^here: 2 of 3 numbers were refused; see the lines above"):
        require_all([1, 3, 2], check, "numbers were refused", "here")
    assert capsys.readouterr().out.splitlines() == [
        "refused: 1: is too small; take another.",
        "refused: 2: is too small; take another.",
    ]
    require_all([3, 4], check, "numbers were refused", "here")
