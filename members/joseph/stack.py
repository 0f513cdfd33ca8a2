"""joseph's stacks: the team's own versions, and today's for the same weights."""

from leapkit.core.stacks import MODERN, TORCH_1_12

STACKS = {"published": TORCH_1_12, "modern": MODERN}
