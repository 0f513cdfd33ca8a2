"""newcomer's stacks: today's Python and torch, whichever STACK a run has."""

from leapkit.core.stacks import MODERN

STACKS = {"published": MODERN, "modern": MODERN}
