"""What the training loop does by construction, done otherwise: a patch for each, by its name."""

from __future__ import annotations

from typing import Any, Callable, ContextManager, Dict

Patch = Callable[[], ContextManager[Any]]
CONSTANTS: Dict[str, Patch] = {}
SHOWN_BY: Dict[str, str] = {}  # the experiment whose trajectory shows it


def constant(what: str, of: str) -> Callable[[Callable[[], ContextManager[Any]]], Patch]:
    """Register a patch of the loop, and the trajectory that must show it."""

    def register(patch: Patch) -> Patch:
        CONSTANTS[what] = patch
        SHOWN_BY[what] = of
        return patch

    return register
