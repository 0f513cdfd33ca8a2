"""Read the team's pickled weight table without executing it (standard library only).

The published table is a pandas DataFrame that torch.save wrote: its pickle tells the reader what to
import and to call. Here a closed list of names is recorded instead of called; the record must then
be that of a frame of two columns, model and weight, as pandas 1.4 to 2.x pickle one.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Dict, List, Tuple

from leapkit.core import pickle_limits, safe_pickle
from leapkit.core.pickle_limits import Kind, Refused
from leapkit.core.safe_pickle import encoded_bytes, require_call
from leapkit.core.torch_archive import Archive

REMEDY = (
    "use the team's own file (a frame of model and weight, as pandas 1.4 to 2 saves it), or a text "
    "file with one artifact,weight line per parquet under that header"
)
_TABLE = Kind(
    "a weight table", pickle_limits.WEIGHT_TABLE, pickle_limits.OPCODES | {"NEWOBJ"}, REMEDY
)
_NAMES = (
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.internals.managers", "BlockManager"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.indexes.numeric", "Int64Index"),  # row numbers of a sorted frame, before pandas 2
    ("numpy.core.multiarray", "_reconstruct"),  # before numpy 2
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("__builtin__", "slice"),
)
_DTYPES = {"names": ("O8", "|"), "weights": ("f8", "<")}


def read_rows(path: Path) -> List[Tuple[str, float]]:
    """Return [(model, weight)] in the file's order, names as written, weights to the last bit.

    Raises KitError for a missing or damaged file and for anything that is not such a frame. Nothing
    of the file is executed.
    """
    with safe_pickle.explained(path, _TABLE):
        return _rows(safe_pickle.read(path, _TABLE, safe_pickle.recorders(_NAMES), _no_reference))


def _no_reference(pid: Any, archive: Archive) -> Any:
    raise Refused("a reference to something outside its table of contents")


def _rows(frame: Any) -> List[Tuple[str, float]]:
    """Return the rows of a recorded frame.

    DataFrame() has the state {"_mgr": BlockManager(blocks, [columns, row numbers])}.
    """
    manager = require_call(frame, "DataFrame").state["_mgr"]
    blocks, (columns, _) = require_call(manager, "BlockManager").arguments
    _, index = require_call(columns, "_new_Index").arguments
    names = _array(index["data"], "names", (2,))
    if sorted(names) != ["model", "weight"]:
        raise Refused("other columns than model and weight")
    content: Dict[str, Any] = {}
    for block in blocks:
        values, place, _ = require_call(block, "_unpickle_block").arguments
        position = require_call(place, "slice").arguments
        if position not in ((0, 1, 1), (1, 2, 1)) or names[position[0]] in content:
            raise Refused("blocks of other columns than one model and one weight")
        content[names[position[0]]] = values
    models = _array(content["model"], "names", ())
    raw = encoded_bytes(_array(content["weight"], "weights", (1, len(models))))
    if len(raw) != 8 * len(models):
        raise Refused(f"{len(raw)} bytes of weights for {len(models)} models")
    return list(zip(models, struct.unpack(f"<{len(models)}d", raw)))


def _array(value: Any, kind: str, shape: Tuple[int, ...]) -> Any:
    """Return the content of a recorded numpy array: a list of names, or recorded float64 bytes.

    The shape () stands for one row as long as the list is.
    """
    _, array_shape, dtype, _, content = require_call(value, "_reconstruct").state
    number = require_call(dtype, "dtype")
    if (number.arguments[0], number.state[1]) != _DTYPES[kind]:
        types = "float64" if kind == "weights" else "Python strings"
        raise Refused(f"{kind} that are not {types}")
    if kind == "names" and not (
        type(content) is list and all(type(n) is str and n.isprintable() for n in content)
    ):
        raise Refused("names that are not text")
    if array_shape != (shape or (1, len(content))):
        raise Refused(f"{kind} of another shape than a table's")
    return content
