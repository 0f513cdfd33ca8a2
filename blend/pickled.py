"""Reads the team's pickled weight table without executing what it contains (standard library only).

The published table is a pandas DataFrame saved by torch.save: a zip archive whose data.pkl tells the reader what to import
and to call. Here a closed list of opcodes is interpreted and a closed list of names is recorded instead of called; the
record must then be that of a frame of two columns, model and weight, as pandas 1.4 to 2.x pickle one.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.opcodes import forbidden

REMEDY = "use the team's own file, or a text file with one artifact,weight line per parquet under that header"
_LARGEST_PICKLE = 1 << 18  # the team's: two kilobytes
# What torch.save (pickle protocol 2) makes a frame of names and floats of.
_OPCODES = frozenset(
    (
        "PROTO",
        "STOP",
        "MARK",
        "GLOBAL",
        "REDUCE",
        "NEWOBJ",
        "BUILD",
        "BINPUT",
        "LONG_BINPUT",
        "BINGET",
        "LONG_BINGET",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "EMPTY_LIST",
        "APPEND",
        "APPENDS",
        "EMPTY_DICT",
        "SETITEM",
        "SETITEMS",
        "BINUNICODE",
        "BININT",
        "BININT1",
        "BININT2",
        "NEWTRUE",
        "NEWFALSE",
        "NONE",
    )
)
_NAMES = frozenset(
    (
        ("pandas.core.frame", "DataFrame"),
        ("pandas.core.internals.managers", "BlockManager"),
        ("pandas._libs.internals", "_unpickle_block"),
        ("pandas.core.indexes.base", "_new_Index"),
        ("pandas.core.indexes.base", "Index"),
        ("pandas.core.indexes.range", "RangeIndex"),
        (
            "pandas.core.indexes.numeric",
            "Int64Index",
        ),  # the row numbers of a sorted frame, before pandas 2
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),  # before and since numpy 2
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
        ("__builtin__", "slice"),
    )
)
_DTYPES = {"names": ("O8", "|"), "weights": ("f8", "<")}


class _Refused(Exception):
    """What the file asks for, or what it holds, is no weight table."""


class _Call:
    """A name that the file would call, with what, and the state that it would give to the result. Nothing is called."""

    __slots__ = ("arguments", "state")  # no __dict__ that a BUILD opcode could write into
    arguments: Tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> _Call:
        self = object.__new__(cls)
        self.arguments, self.state = arguments, None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Recorder(pickle.Unpickler):
    """An unpickler to which every known name is a class that only records; others are refused."""

    def __init__(self, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled))
        # Made anew for each file: a hostile opcode can spoil only what is thrown away.
        self._known = {known: type(known[1], (_Call,), {"__slots__": ()}) for known in _NAMES}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._known[(module, name)]
        except KeyError:
            raise _Refused(
                f"the name {module}.{name}, which a weight table has no use for"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("a reference to something outside its table of contents")


def read_rows(path: Path) -> List[Tuple[str, float]]:
    """[(model, weight)] in the file's order, the names as they stand and the weights to the last bit.

    Raises KitError for a missing or damaged file and for anything that is not such a frame; nothing is executed.
    """
    with explain_os_errors(path, REMEDY):
        try:
            with zipfile.ZipFile(str(path)) as archive:
                contents = [name for name in archive.namelist() if name.endswith("data.pkl")]
                if len(contents) != 1:
                    raise _Refused(
                        "%d tables of contents (data.pkl) instead of one" % len(contents)
                    )
                entry = archive.getinfo(contents[0])
                if entry.file_size > _LARGEST_PICKLE:
                    raise _Refused("a table of contents of %d bytes" % entry.file_size)
                return _rows(_recorded(archive.read(entry)))
        except zipfile.BadZipFile as error:
            raise KitError(
                "is truncated, or no table in PyTorch's zip format", path, REMEDY
            ) from error
        except _Refused as error:
            raise KitError(
                f"refused, nothing was executed: it holds {error}", path, REMEDY
            ) from error
        except OSError:
            raise
        except (
            Exception
        ) as error:  # whatever malformed bytes, or a record of another form, make Python say
            raise KitError(
                "is damaged, or no frame of model and weight as pandas 1.4 to 2 saves it",
                path,
                REMEDY,
            ) from error


def _recorded(pickled: bytes) -> Any:
    reason = forbidden(pickled, _OPCODES)
    if reason:
        raise _Refused(reason)
    return _Recorder(pickled).load()


def _rows(frame: Any) -> List[Tuple[str, float]]:
    """The record of a frame -> its rows: DataFrame() <- {"_mgr": BlockManager(blocks, [columns, row numbers])}."""
    blocks, (columns, _) = _called(
        _called(frame, "DataFrame").state["_mgr"], "BlockManager"
    ).arguments
    _, index = _called(columns, "_new_Index").arguments
    names = _array(index["data"], "names", (2,))
    if sorted(names) != ["model", "weight"]:
        raise _Refused("other columns than model and weight")
    found: Dict[str, Any] = {}
    for block in blocks:
        values, place, _ = _called(block, "_unpickle_block").arguments
        at = _called(place, "slice").arguments
        if at not in ((0, 1, 1), (1, 2, 1)) or names[at[0]] in found:
            raise _Refused("blocks of other columns than one model and one weight")
        found[names[at[0]]] = values
    models = _array(found["model"], "names", ())
    packed = _called(_array(found["weight"], "weights", (1, len(models))), "encode").arguments
    raw = packed[0].encode("latin1") if packed[1:] == ("latin1",) else b""
    if len(raw) != 8 * len(models):
        raise _Refused("%d bytes of weights for %d models" % (len(raw), len(models)))
    return list(zip(models, struct.unpack("<%dd" % len(models), raw)))


def _called(value: Any, name: str) -> _Call:
    """The record of a call, of that name and no other."""
    if not isinstance(value, _Call) or type(value).__name__ != name:
        raise _Refused(f"something else where a pickled frame has its {name}")
    return value


def _array(value: Any, kind: str, shape: Tuple[int, ...]) -> Any:
    """The content of a recorded numpy array: a list of names, or the bytes of float64 (still as a recorded call).

    The shape () stands for one row as long as the list is.
    """
    _, found, dtype, _, content = _called(value, "_reconstruct").state
    number = _called(dtype, "dtype")
    if (number.arguments[0], number.state[1]) != _DTYPES[kind]:
        raise _Refused(
            "{} that are not {}".format(kind, "float64" if kind == "weights" else "Python strings")
        )
    if kind == "names" and not (
        type(content) is list and all(type(n) is str and n.isprintable() for n in content)
    ):
        raise _Refused("names that are no text")
    if found != (shape or (1, len(content))):
        raise _Refused(f"{kind} of another shape than a table's")
    return content
