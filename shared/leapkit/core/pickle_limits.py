"""The bounds of every pickle that the kit reads: what it is made of, how long, how deep, how much.

All bounds of what such a file may ask for are set here, in `Limits`; core.pickle_rehearsal keeps
them before anything is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet

_MEMORY_FOR_ANY = 4 << 20  # bytes that a file of any length may build
_GROWTH = 24  # bytes of objects for each byte of a pickle; a list of small numbers needs 18


@dataclass(frozen=True)
class Limits:
    """Bounds of one kind of file.

    pickle_bytes  length of the table of contents
    steps         opcodes; a million take a second and a half
    memory        bytes of the objects that they build, by an estimate that is never too low
    depth         objects inside one another
    """

    pickle_bytes: int
    steps: int
    memory: int
    depth: int = 64

    def memory_for(self, length: int) -> int:
        """Return how many bytes a pickle of this length may build."""
        return min(self.memory, _MEMORY_FOR_ANY + _GROWTH * length)


# Names and shapes of a state_dict: the longest published one has 18,194 bytes and 4,843 opcodes,
# and three times that with the state of an optimiser.
CHECKPOINT = Limits(pickle_bytes=1 << 20, steps=1 << 18, memory=24 << 20)
# 48.6 million row numbers: half a gigabyte as numpy pickles them; as a list 49 million opcodes,
# which build two and a half gigabytes.
ROW_INDEX = Limits(pickle_bytes=1 << 30, steps=1 << 26, memory=3 << 30)
# The team's has two kilobytes and 300 opcodes.
WEIGHT_TABLE = Limits(pickle_bytes=1 << 18, steps=1 << 16, memory=8 << 20)

# What pickle protocol 2, which torch.save writes, makes containers, text, numbers and calls of.
_WORDS = (
    "PROTO STOP MARK GLOBAL REDUCE BUILD BINPUT LONG_BINPUT BINGET LONG_BINGET EMPTY_TUPLE TUPLE "
    "TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS BINUNICODE "
    "BININT BININT1 BININT2 NEWTRUE NEWFALSE NONE"
)
OPCODES: FrozenSet[str] = frozenset(_WORDS.split())


@dataclass(frozen=True)
class Kind:
    """A kind of file that holds a pickle.

    name     with its article, as messages say it
    opcodes  what its pickles are made of
    remedy   for one that is missing, damaged or refused
    """

    name: str
    limits: Limits
    opcodes: FrozenSet[str]
    remedy: str


class Refused(Exception):
    """The file holds something that is on no list; the message completes "it holds ..."."""
