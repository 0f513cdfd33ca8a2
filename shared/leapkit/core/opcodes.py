"""What a pickle from a stranger may be made of (standard library only)."""

from __future__ import annotations

import pickletools
from typing import FrozenSet


def forbidden(pickled: bytes, allowed: FrozenSet[str]) -> str:
    """What in a pickle is not allowed, in words; "" when all of it is.

    Beside opcodes that are not in `allowed`: a memo with a number beyond the pickle's length, as the reader's memo is as
    long as its largest number and a few bytes could ask for gigabytes of it.
    """
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name not in allowed:
            return f"the pickle opcode {opcode.name}, which such a file has no use for"
        if opcode.name == "LONG_BINPUT" and int(argument or 0) > len(pickled):
            return "more objects than it holds"
    return ""
