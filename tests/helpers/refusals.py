"""Assertions on a refusal: one sentence that names the file, and a remedy."""

from __future__ import annotations

import contextlib
import tracemalloc
from pathlib import Path
from typing import Callable, Iterator

import pytest

from leapkit.core.errors import KitError

MEMORY = 64 << 20  # bytes that reading a hostile file of some kilobytes may take


def refusal_in_little_memory(read: Callable[[Path], object], path: Path) -> KitError:
    """Return the error that reading a file ends in; fail if reading takes too much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(KitError) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    return caught.value


@contextlib.contextmanager
def refused(where: object, *words: str) -> Iterator[None]:
    """Pass if the body raises a KitError of one sentence with `where`, `words` and a remedy."""
    with pytest.raises(KitError) as caught:
        yield
    text = str(caught.value)
    assert "\n" not in text and text.endswith("."), text
    assert str(where) in text, text
    assert caught.value.remedy and caught.value.remedy in text, text
    for word in words:
        assert word in text, text
