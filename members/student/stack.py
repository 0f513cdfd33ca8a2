"""student's stacks: those of max2020, whose architecture it has."""

from leapkit.core.stacks import MODERN, TORCH_1_12

STACKS = {"published": TORCH_1_12, "modern": MODERN}
