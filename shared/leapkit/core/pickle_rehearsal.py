"""Rehearse a pickle: follow its opcodes without building anything, and refuse what costs too much.

A small pickle can ask for any amount of memory (by containers, the memo, copies of arguments) and
of time (by keys whose hash walks through doubled tuples or is that of all others). What is refused
here never reaches the unpickler; what passes stays within the limits of its kind.
"""

from __future__ import annotations

import io
import pickletools
import sys
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from leapkit.core.pickle_limits import Kind, Refused


class _Object(NamedTuple):
    """An object on the unpickler's stack.

    depth      objects inside one another in it
    is_key     text or a small number: hashed at once, to a value that no file chooses
    is_shared  it came from the memo, and may be used as often as the file likes
    """

    depth: int = 0
    is_key: bool = False
    is_shared: bool = False


_KEY = _Object(is_key=True)
_VALUE = _Object()

# Bytes are those that CPython 3.8 to 3.13 takes at most on 64 bits.
# {opcode: (what it puts on the stack, its bytes)}
_PUTS: Dict[str, Tuple[_Object, int]] = {
    "NONE": (_KEY, 0),
    "NEWTRUE": (_KEY, 0),
    "NEWFALSE": (_KEY, 0),
    "BININT1": (_KEY, 0),
    "BININT2": (_KEY, 32),
    "BININT": (_KEY, 32),
    "BINFLOAT": (_VALUE, 32),
    "EMPTY_TUPLE": (_VALUE, 0),
    "EMPTY_LIST": (_VALUE, 64),
    "EMPTY_DICT": (_VALUE, 80),
    "GLOBAL": (_VALUE, 64),
}
# {opcode: (how many objects it takes, None: all down to the last mark; bytes of its result; bytes
# of each object that it takes)}
_TAKES: Dict[str, Tuple[Optional[int], int, int]] = {
    "TUPLE": (None, 64, 8),
    "TUPLE1": (1, 64, 8),
    "TUPLE2": (2, 64, 8),
    "TUPLE3": (3, 64, 8),
    "REDUCE": (2, 512, 0),
    "NEWOBJ": (2, 512, 0),
    "BINPERSID": (1, 512, 0),
    "APPEND": (1, 64, 20),
    "APPENDS": (None, 64, 20),
    "SETITEM": (2, 0, 192),
    "SETITEMS": (None, 0, 192),
    "BUILD": (1, 256, 0),
}
_FILLS_THE_OBJECT_BELOW = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD")
_COPIES_ITS_ARGUMENT = ("REDUCE", "NEWOBJ", "BUILD")
_MEMO_WRITES = ("BINPUT", "LONG_BINPUT")
_MEMO_READS = ("BINGET", "LONG_BINGET")
_LONGEST_LINE = 1000
_STACK_BYTES = 24  # of the longest stack, here and in the unpickler, for each object
_MEMO_BYTES = 16  # of the unpickler's memo, which is twice as long as its largest number
_REMEMBERED_BYTES = 160  # of each object that is remembered here


class PickledBytes(io.BytesIO):
    """The bytes of a pickle for pickletools, whose lines are names or numbers in decimal digits.

    Lines are bounded: Python 3.8 takes hours for a number of a hundred million digits, and
    pickletools reads it before anybody is asked whether such an opcode is on a list.
    """

    def readline(self, size: Optional[int] = -1) -> bytes:
        line = super().readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise Refused(f"a name or a number of more than {_LONGEST_LINE} characters")
        return line


def require_harmless(pickled: bytes, kind: Kind) -> None:
    """Raise Refused unless all opcodes are on the list and cost nothing beyond the limits."""
    _Rehearsal(kind, len(pickled)).follow(pickletools.genops(PickledBytes(pickled)))


class _Rehearsal:
    """What the unpickler's stack and memo would hold, and what is left of the limits."""

    def __init__(self, kind: Kind, length: int) -> None:
        self._kind = kind
        self._stack: List[_Object] = []
        self._longest_stack = 0
        self._marks: List[int] = []  # lengths of the stack
        self._memo: Dict[int, _Object] = {}  # what is no key
        self._memo_length = 0
        self._bytes_left = kind.limits.memory_for(length)

    def follow(self, opcodes: Iterable[Tuple[Any, Any, Any]]) -> None:
        """Raise Refused at the first opcode that is not on the list or exceeds a limit."""
        allowed, steps_left = self._kind.opcodes, self._kind.limits.steps
        for opcode, argument, _ in opcodes:
            name = opcode.name
            if name not in allowed:
                raise Refused(f"the pickle opcode {name}, which {self._kind.name} has no use for")
            steps_left -= 1
            if steps_left < 0:
                raise Refused(f"more than {self._kind.limits.steps} pickle opcodes")
            self._step(name, argument)
            if len(self._stack) > self._longest_stack:
                self._charge(_STACK_BYTES * (len(self._stack) - self._longest_stack))
                self._longest_stack = len(self._stack)

    def _step(self, name: str, argument: Any) -> None:
        if name in _PUTS:
            put, size = _PUTS[name]
            self._charge(size)
            self._stack.append(put)
        elif name == "BINUNICODE":
            self._charge(sys.getsizeof(argument) + 16)
            self._stack.append(_KEY)
        elif name == "LONG1":
            self._charge(sys.getsizeof(argument) + 16)
            self._stack.append(_VALUE)  # no key: a file chooses the hash of a long integer
        elif name in _TAKES:
            self._take(name)
        elif name in _MEMO_WRITES:
            self._remember(int(argument))
        elif name in _MEMO_READS:
            self._stack.append(self._memo.get(int(argument), _KEY))
        elif name == "MARK":
            self._charge(_STACK_BYTES)
            self._marks.append(len(self._stack))
        elif name not in ("PROTO", "STOP"):
            raise Refused(f"the pickle opcode {name}, whose cost nobody knows")

    def _charge(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise Refused("objects that take far more memory than the file is long")

    def _take(self, name: str) -> None:
        """Follow an opcode that makes one object of others, or puts others into one."""
        count, size, size_of_each = _TAKES[name]
        taken = self._taken(count)
        self._charge(size + size_of_each * len(taken))
        if name in ("SETITEM", "SETITEMS") and not all(key.is_key for key in taken[::2]):
            raise Refused("a dict whose keys are neither text nor small numbers")
        if name in _COPIES_ITS_ARGUMENT and taken[-1].is_shared:
            raise Refused("a call whose arguments are used twice")
        depth = 1 + max((part.depth for part in taken), default=0)
        is_shared = False
        if name in _FILLS_THE_OBJECT_BELOW:
            [filled] = self._taken(1)
            depth = max(depth, filled.depth)
            is_shared = filled.is_shared
        if depth > self._kind.limits.depth:
            raise Refused(f"more than {self._kind.limits.depth} objects inside one another")
        self._stack.append(_Object(depth, False, is_shared))

    def _taken(self, count: Optional[int]) -> List[_Object]:
        """Remove the last `count` objects, or those after the last mark and the mark."""
        if count is None and not self._marks:
            raise Refused("a stack without its mark")
        start = self._marks.pop() if count is None else len(self._stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise Refused("an opcode that takes more objects than there are")
        objects = self._stack[start:]
        del self._stack[start:]
        return objects

    def _remember(self, number: int) -> None:
        """Follow a write of the object on top into the memo."""
        [top] = self._taken(1)
        self._stack.append(top)
        if number >= self._memo_length:
            self._charge(_MEMO_BYTES * (number + 1 - self._memo_length))
            self._memo_length = number + 1
        self._memo.pop(number, None)
        if not top.is_key:
            self._charge(_REMEMBERED_BYTES)
            self._memo[number] = _Object(top.depth, False, True)
