"""Read pickles from strangers without executing them (standard library only).

torch.save writes a zip archive: a pickle (data.pkl, the table of contents) beside the bytes of the
tensors. An ordinary unpickler imports and calls whatever the file names. This one knows two closed
lists: of opcodes, and of names, each of which stands for a harmless object that the reader gives.
Everything else is refused before anything is built.

All bounds of what such a file may ask for are set here, in `Limits`.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, Mapping, Tuple

from leapkit.core.errors import KitError, explain_os_errors

Name = Tuple[str, str]  # (module, attribute), as a pickle names it
Names = Mapping[Name, Any]  # what stands for each name; make it anew for each file
References = Callable[[Any, "Archive"], Any]  # a persistent id -> the object that it stands for


@dataclass(frozen=True)
class Limits:
    """Bounds of one kind of file.

    pickle_bytes  length of the table of contents
    depth         objects inside one another; Python hashes nested tuples by recursion, unchecked
    """

    pickle_bytes: int
    depth: int = 64


CHECKPOINT = Limits(pickle_bytes=1 << 20)  # names and shapes of a state_dict: some kilobytes
ROW_INDEX = Limits(pickle_bytes=1 << 30)  # 48.6 million row numbers as numpy pickles them: half
WEIGHT_TABLE = Limits(pickle_bytes=1 << 18)  # the team's has two kilobytes

# What pickle protocol 2, which torch.save writes, makes containers, text, numbers and calls of.
_WORDS = (
    "PROTO STOP MARK GLOBAL REDUCE BUILD BINPUT LONG_BINPUT BINGET LONG_BINGET EMPTY_TUPLE TUPLE "
    "TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS BINUNICODE "
    "BININT BININT1 BININT2 NEWTRUE NEWFALSE NONE"
)
OPCODES: FrozenSet[str] = frozenset(_WORDS.split())
_MEMO_WRITES = ("BINPUT", "LONG_BINPUT")
_MEMO_READS = ("BINGET", "LONG_BINGET")
# opcode -> how many objects it takes from the stack; None: all down to the last mark
_TAKES: Dict[str, Any] = {
    "TUPLE": None,
    "TUPLE1": 1,
    "TUPLE2": 2,
    "TUPLE3": 3,
    "REDUCE": 2,
    "NEWOBJ": 2,
    "BINPERSID": 1,
    "APPEND": 1,
    "APPENDS": None,
    "SETITEM": 2,
    "SETITEMS": None,
    "BUILD": 1,
}
_FILLS_THE_OBJECT_BELOW = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD")


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


# --- the archive ----------------------------------------------------------------------------------


class Archive:
    """The zip archive around a pickle. Only entries that are not compressed are read whole."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        contents = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(contents) != 1:  # readers disagree on which of two counts
            raise Refused(f"{len(contents)} tables of contents (data.pkl) instead of one")
        self._archive = archive
        self._root = contents[0][: -len("data.pkl")]
        self._bytes_left = os.path.getsize(str(archive.filename))
        order = self._root + "byteorder"
        if order in archive.namelist():
            with archive.open(order) as entry:  # not read whole: it may unpack to gigabytes
                if entry.read(8) != b"little":
                    raise Refused("the numbers of a big-endian machine")

    def pickled(self, limits: Limits) -> bytes:
        entry = self._archive.getinfo(self._root + "data.pkl")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise Refused("a compressed table of contents")  # gigabytes out of a few bytes
        if entry.file_size > limits.pickle_bytes:
            raise Refused(f"a table of contents of {entry.file_size} bytes")
        return self._archive.read(entry)

    def storage(self, key: str, size: int) -> bytes:
        """Return the bytes of a tensor's storage, which must be `size` of them."""
        entry = self._archive.getinfo(f"{self._root}data/{key}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != size:
            raise Refused("a storage whose size is not what the file says")
        self._bytes_left -= entry.file_size
        if self._bytes_left < 0:  # entries that share their bytes
            raise Refused("storages that together are longer than the file")
        return self._archive.read(entry)


@contextlib.contextmanager
def explained(path: Path, kind: Kind) -> Iterator[None]:
    """Turn whatever a missing, damaged or hostile file makes Python say into a KitError."""
    with explain_os_errors(path, kind.remedy):
        try:
            yield
        except zipfile.BadZipFile as error:
            what = f"is truncated, or not {kind.name} in PyTorch's zip format"
            raise KitError(what, path, kind.remedy) from error
        except Refused as error:
            what = f"refused, nothing was executed: not {kind.name}, it holds {error}"
            raise KitError(what, path, kind.remedy) from error
        except (KitError, OSError):
            raise
        except Exception as error:  # malformed bytes make an unpickler say anything
            what = f"is damaged, or not {kind.name} ({type(error).__name__})"
            raise KitError(what, path, kind.remedy) from error


def read(path: Path, kind: Kind, names: Names, references: References) -> Any:
    """Return the object that a file of torch.save holds. Nothing of the file is executed.

    Raises Refused and whatever malformed bytes lead to: call it inside `explained`.
    """
    with zipfile.ZipFile(str(path)) as file:
        archive = Archive(file)
        pickled = archive.pickled(kind.limits)
        require_harmless(pickled, kind)
        return _Unpickler(pickled, kind, names, lambda pid: references(pid, archive)).load()


# --- the pickle -----------------------------------------------------------------------------------


def require_harmless(pickled: bytes, kind: Kind) -> None:  # noqa: C901 - a branch for each opcode
    """Raise Refused unless all opcodes are on the list and build nothing beyond the limits."""
    stack: List[int] = []  # of each object on the unpickler's stack, how deep it is nested
    marks: List[int] = []  # lengths of the stack
    memo: Dict[int, int] = {}  # the depths that are not 0
    for opcode, argument, _ in pickletools.genops(pickled):
        name = opcode.name
        if name not in kind.opcodes:
            raise Refused(f"the pickle opcode {name}, which {kind.name} has no use for")
        if name in _TAKES:
            depth = 1 + max(_taken(stack, marks, _TAKES[name]), default=0)
            if name in _FILLS_THE_OBJECT_BELOW:
                depth = max([depth, *_taken(stack, marks, 1)])
            if depth > kind.limits.depth:
                raise Refused(f"more than {kind.limits.depth} objects inside one another")
            stack.append(depth)
        elif name in _MEMO_WRITES:
            # The unpickler's memo is as long as its largest number.
            if int(argument or 0) > len(pickled):
                raise Refused("more objects than it has bytes")
            depth = _taken(stack, marks, 1)[0]
            stack.append(depth)
            memo.pop(int(argument or 0), None)
            if depth:
                memo[int(argument or 0)] = depth
        elif name in _MEMO_READS:
            stack.append(memo.get(int(argument or 0), 0))
        elif name == "MARK":
            marks.append(len(stack))
        elif name not in ("PROTO", "STOP"):
            stack.append(0)


def _taken(stack: List[int], marks: List[int], count: Any) -> List[int]:
    """Remove the last `count` objects, or those after the last mark and the mark."""
    if count is None and not marks:
        raise Refused("a stack without its mark")
    start = marks.pop() if count is None else len(stack) - count
    if start < (marks[-1] if marks else 0):
        raise Refused("an opcode that takes more objects than there are")
    objects = stack[start:]
    del stack[start:]
    return objects


class _Unpickler(pickle.Unpickler):
    """An unpickler of a closed list of names, whose persistent ids are left to the reader."""

    def __init__(
        self, pickled: bytes, kind: Kind, names: Names, references: Callable[[Any], Any]
    ) -> None:
        super().__init__(io.BytesIO(pickled))
        self._kind, self._names = kind, names
        self._references = references

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[(module, name)]
        except KeyError:
            what = f"the name {module}.{name}, which {self._kind.name} has no use for"
            raise Refused(what) from None

    def persistent_load(self, pid: Any) -> Any:
        return self._references(pid)


# --- recorded calls -------------------------------------------------------------------------------


class Call:
    """A call that the file asks for, not made: its arguments, and the state of its result."""

    __slots__ = ("arguments", "state")  # no __dict__ that a BUILD opcode could write into
    arguments: Tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Call:
        self = object.__new__(cls)
        self.arguments = arguments
        self.state = None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


def recorders(names: Iterable[Name]) -> Dict[Name, Any]:
    """Return {name: class whose calls are recorded}.

    The classes are new: a hostile opcode can spoil only what is thrown away after the file.
    """
    return {name: type(name[1], (Call,), {"__slots__": ()}) for name in names}


def is_call(value: Any, name: str) -> bool:
    return isinstance(value, Call) and type(value).__name__ == name


def require_call(value: Any, name: str) -> Call:
    """Return the record of a call of that name. Raises Refused for anything else."""
    if not is_call(value, name):
        raise Refused(f"something else where {name} is called in such a file")
    return value  # type: ignore[no-any-return]


def encoded_bytes(value: Any) -> bytes:
    """Return the bytes that protocol 2 writes as encode(text, "latin1"). Raises Refused."""
    text, *codec = require_call(value, "encode").arguments
    if type(text) is not str or codec != ["latin1"]:
        raise Refused("bytes in another encoding than latin1")
    return text.encode("latin1")
