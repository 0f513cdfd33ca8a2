"""adam's stacks: the team's own versions, and today's for the same weights."""

from leapkit.core.stacks import MODERN, TORCH_1_10

STACKS = {"published": TORCH_1_10, "modern": MODERN}
