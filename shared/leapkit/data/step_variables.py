"""The variables that are read of a step file, in Kaggle order: profiles and scalars in stacks."""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

from leapkit.core.columns import (
    GAS_PROFILES,
    INPUT_SCALARS,
    LEVELS,
    OUTPUT_SCALARS,
    STATE_PROFILES,
)


class Stack(NamedTuple):
    """Variables of the same number of levels, one above the other; scalars have one level."""

    names: Tuple[str, ...]
    levels: int

    @property
    def axes(self) -> Tuple[str, ...]:
        return ("ncol",) if self.levels == 1 else ("lev", "ncol")

    @property
    def rows(self) -> int:
        return len(self.names) * self.levels


def _stack(variables: Tuple[Tuple[str, str], ...], levels: int) -> Stack:
    return Stack(tuple(name for name, _ in variables), levels)


_STATES = _stack(STATE_PROFILES, LEVELS)
STACKS: Dict[str, Tuple[Stack, ...]] = {
    "mli": (_STATES, _stack(INPUT_SCALARS, 1), _stack(GAS_PROFILES, LEVELS)),
    "mlo": (_STATES, _stack(OUTPUT_SCALARS, 1)),
}
