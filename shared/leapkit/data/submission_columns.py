"""What columns a submission parquet may have, and what is wrong with one that has others.

The contract is `sample_id` and 368 float64 targets in Kaggle order. Files from elsewhere may differ
where their meaning is the same: ids of any string type, an index column of pandas, and integers or
narrower floats in the targets that are always 0 (the team's own files hold these as int64).
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Dict, List, Set

import pyarrow as pa
from pyarrow import types

from leapkit.core.columns import SAMPLE_ID, TARGETS, ZERO

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_MANTISSA_BITS = {16: 11, 32: 24, 64: 53}


def problem(schema: pa.Schema) -> str:
    """Return how the columns differ from the contract, "" if their meaning is the same."""
    return _problem_of_names(schema) or _problem_of_types(schema)


def _problem_of_names(schema: pa.Schema) -> str:
    index = _index_columns(schema)
    names = [name for name in schema.names if name == SAMPLE_ID or name not in index]
    wanted = [SAMPLE_ID, *TARGETS]
    twice = [name for k, name in enumerate(names) if name in names[:k]]
    differences = [
        _listed([name for name in wanted if name not in set(names)], "missing"),
        _listed([name for name in names if name not in set(wanted)], "unknown"),
        _listed(list(dict.fromkeys(twice)), "there twice"),
    ]
    if any(differences):
        return " and ".join(filter(None, differences))
    for name, target in zip((name for name in names if name != SAMPLE_ID), TARGETS):
        if name != target:
            return f"its columns are not in Kaggle order: {name} is where Kaggle has {target}"
    return ""


def _index_columns(schema: pa.Schema) -> Set[str]:
    """Return the columns that hold nothing but a pandas index."""
    names: Set[str] = {name for name in schema.names if _PANDAS_INDEX.fullmatch(name)}
    # Metadata of another tool may be anything.
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        stored = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        names.update(name for name in stored if isinstance(name, str))
    return names - set(TARGETS)


def _problem_of_types(schema: pa.Schema) -> str:
    others: Dict[str, List[str]] = {}  # {type: columns that may not have it}
    for field in schema:
        if not _fits(field.name, field.type) and field.name in {SAMPLE_ID, *TARGETS}:
            others.setdefault(str(field.type), []).append(field.name)
    return ", ".join(_of_type(schema, names) for names in others.values())


def _fits(name: str, kind: pa.DataType) -> bool:
    if name == SAMPLE_ID:
        return is_text(kind.value_type if types.is_dictionary(kind) else kind)
    is_zero = name in ZERO and (types.is_integer(kind) or types.is_floating(kind))
    return bool(is_zero or types.is_float64(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether values of a type are strings, or bytes that may be some."""
    is_view = getattr(types, "is_string_view", lambda _: False)  # not before pyarrow 16
    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return bool(is_view(kind)) or any(test(kind) for test in tests)


def _of_type(schema: pa.Schema, names: List[str]) -> str:
    """Describe the columns of one type that may not have it."""
    kind = schema.field(names[0]).type
    what = f"the column {names[0]}{_and_more(names)} has the type {kind}"
    if types.is_floating(kind):
        bits = _MANTISSA_BITS[kind.bit_width]
        loss = 2.0**-bits
        return (
            f"{what}, which keeps {bits} of float64's 53 bits: values are off by up to {loss:.0e}"
        )
    if types.is_integer(kind):
        return f"{what}, and only targets that are always 0 may be integers"
    return what


def _listed(names: List[str], what: str) -> str:
    if not names:
        return ""
    return f"the column {names[0]}{_and_more(names)} is {what}"


def _and_more(names: List[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
