"""A stack is an interpreter and a torch that belong together (standard library only).

A member names its stacks in members/<name>/stack.py. containers/locks pins everything in a stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# What a user can choose: the team's own versions, or today's for the same weights.
NAMES = ("published", "modern")
ACCELERATORS = ("cpu", "cuda")


@dataclass(frozen=True)
class Stack:
    """An interpreter and a torch.

    python  version of the interpreter: "3.8"
    torch   its name and version: "torch1.10"
    """

    python: str
    torch: str

    def __post_init__(self) -> None:
        if not re.match(r"^3\.\d+$", self.python) or not re.match(r"^torch\d+\.\d+$", self.torch):
            raise ValueError(f'{self}: write it like Stack("3.8", "torch1.10")')

    @property
    def name(self) -> str:
        """The stack's name in containers/locks: py38-torch1.10 of py38-torch1.10-cpu.txt."""
        return f"py{self.python.replace('.', '')}-{self.torch}"


TORCH_1_10 = Stack("3.8", "torch1.10")
TORCH_1_12 = Stack("3.10", "torch1.12")
MODERN = Stack("3.11", "torch2.13")
