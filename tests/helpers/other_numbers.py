"""Every number that a frozen record holds as another one, each in a copy (standard library)."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Callable, Dict, Iterator, NamedTuple, Tuple

from leapkit.core.experiments import GroupRule
from leapkit.core.recipes import (
    OPTIMISERS,
    Augmentation,
    CosineRestarts,
    PlateauSchedule,
    Recipe,
    RowSelection,
)
from leapkit.core.training_options import TrainingOptions
from members.zuiye.experiments import LstmAttention

# What a field is changed to where three quarters of it, one more, or its opposite would not do.
OTHER: Dict[Tuple[type, str], Callable[[Any], Any]] = {
    (RowSelection, "first_month"): lambda month: "0003-12" if month < "0003-12" else "0001-02",
    (RowSelection, "pool"): lambda rows: rows // 2,
    (RowSelection, "index"): lambda name: "another_" + name,
    (RowSelection, "fraction"): lambda fraction: 0.8 * fraction,
    (PlateauSchedule, "min_lr"): lambda rate: 2 * rate,
    (Recipe, "optimiser"): lambda name: OPTIMISERS[1 - OPTIMISERS.index(name)],
    (Recipe, "augmentation"): lambda _: Augmentation(0.08, 0.08, 5),
    (Recipe, "min_gain"): lambda gain: 4 * gain or 0.01,
    (TrainingOptions, "target_weights"): lambda _: "groups",
    (GroupRule, "parents"): lambda group: (0,) if group == () else group + 1,
    (LstmAttention, "convolutions"): lambda size: size + 2 if size else ((3, 12),),
}


class Changed(NamedTuple):
    """A number that is another one.

    what    its dotted name
    record  the whole record with it; None if the record's own checks refuse it
    """

    what: str
    old: Any
    new: Any
    record: Any


def changed(record: Any) -> Iterator[Changed]:
    """Yield a copy of a dataclass for every number, name and switch in it."""
    for field in fields(record):
        value = getattr(record, field.name)
        for what, old, new, other in _of_field(type(record), field.name, value):
            name = f"{field.name}.{what}" if what else field.name
            yield Changed(name, old, new, _with(record, field.name, other))


def _of_field(owner: type, name: str, value: Any) -> Iterator[Changed]:
    """Yield the values of one field that differ in one number."""
    if is_dataclass(value):
        yield from changed(value)
    elif isinstance(value, dict):
        for key, number in value.items():
            new = _other(owner, name, number)
            yield Changed(key, number, new, {**value, key: new})
    elif isinstance(value, tuple) and value:
        yield from _of_tuple(owner, name, value)
    else:
        new = _other(owner, name, value)
        yield Changed("", value, new, new)
    if isinstance(value, (PlateauSchedule, CosineRestarts)):
        other = PlateauSchedule() if isinstance(value, CosineRestarts) else CosineRestarts(1, 1, 0)
        yield Changed("", type(value).__name__, type(other).__name__, other)


def _of_tuple(owner: type, name: str, value: Tuple[Any, ...]) -> Iterator[Changed]:
    """Yield a tuple with another entry, for one of each run of equal ones; of one entry, and ()."""
    for k, entry in enumerate(value):
        if k and entry == value[k - 1]:
            continue
        inner = _of_field(owner, name, entry) if isinstance(entry, tuple) else ()
        for what, old, new, other in inner or [_of_entry(owner, name, entry)]:
            yield Changed(f"{k}.{what}".rstrip("."), old, new, (*value[:k], other, *value[k + 1 :]))
    if len(value) == 1:
        yield Changed("", value, (), ())


def _of_entry(owner: type, name: str, entry: Any) -> Changed:
    new = _other(owner, name, entry)
    return Changed("", entry, new, new)


def _other(owner: type, name: str, value: Any) -> Any:
    if (owner, name) in OTHER:
        return OTHER[owner, name](value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "_"
    assert isinstance(value, float), f"OTHER does not say what {name} is changed to"
    return 0.75 * value or 0.01


def _with(record: Any, name: str, value: Any) -> Any:
    """Return the record with a value; None if one of the two checks refuses it."""
    more: Dict[str, Any] = {name: value}
    if name == "epochs" and isinstance(record.evaluations_per_epoch, tuple):
        more["evaluations_per_epoch"] = (*record.evaluations_per_epoch, 2)
    try:
        return None if value is None else replace(record, **more)
    except ValueError:
        return None
