"""What every refusal of the kit owes its reader, asserted in one place."""
from __future__ import annotations

import contextlib
from typing import Iterator

import pytest

from leapkit.errors import KitError


@contextlib.contextmanager
def refused(where: object, *words: str) -> Iterator[None]:
    """Passes when the body raises a KitError of one sentence that names `where`, says `words` and gives a remedy."""
    with pytest.raises(KitError) as caught:
        yield
    text = str(caught.value)
    assert "\n" not in text and text.endswith("."), text
    assert str(where) in text, text
    assert caught.value.remedy and caught.value.remedy in text, text
    for word in words:
        assert word in text, text
