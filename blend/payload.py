"""What the report of a blend shows, as typed records, and the JSON file that holds them.

A record becomes a JSON object. Standard library only.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

# The keys of the JSON file that are not the names of the fields.
_KEYS = {
    "in_sample": "in fold",
    "held_out": "out of fold",
    "leave_one_out": "leave one out",
    "not_counted": "not counted",
    "fields": "columns",
}


@dataclass(frozen=True)
class Quality:
    """R2 over all 368 targets, over the 292 predicted ones, and per group of targets."""

    all: float
    predicted: float
    groups: List[float]


@dataclass(frozen=True)
class Sides:
    """The quality of one prediction on the validation rows and on the test rows.

    test  None if their truth is not known
    """

    validation: Quality
    test: Optional[Quality]


@dataclass(frozen=True)
class FormScore:
    """One way to choose weights, and what it scores.

    name           as TABLE takes it, `best artifact` or `equal weights`
    in_sample      on the rows that the weights were fitted to
    held_out       on each fold, of weights fitted without it; None if there is only one fold
    test           on the test rows; None if their truth is not known
    sum, negative  the sum of the weights and how many are negative; None if targets have different
                   weights
    chosen         whether it is the blend that the page is about
    """

    name: str
    form: str
    scope: str
    in_sample: Quality
    held_out: Optional[Quality]
    test: Optional[Quality]
    sum: Optional[float]
    negative: Optional[int]
    chosen: bool = False


@dataclass(frozen=True)
class Loss:
    """What R2 over 368 targets loses without an artifact; None if it is not known."""

    in_sample: Optional[float]
    held_out: Optional[float]


@dataclass(frozen=True)
class VariableLevels:
    """R2 of one variable at each of its predicted levels.

    levels        the positions of the levels, 0 is the model top
    artifacts     (M, levels)
    blend         (levels)
    margin        (levels) the blend less the best artifact
    best          (levels) the position of the best artifact
    wins, losses  at how many levels the blend is ahead and behind
    """

    variable: str
    unit: str
    levels: List[int]
    artifacts: List[List[float]]
    blend: List[float]
    margin: List[float]
    best: List[int]
    wins: int
    losses: int


@dataclass(frozen=True)
class ValidationFigures:
    """What the validation rows say of a blend.

    alone        the quality of every artifact by itself
    blend        of the blend, held out if there are several folds
    correlation  (M, M) of errors
    path         (artifact, step, R2 over 368 targets) of the climb; empty if the weights are of
                 another form
    not_counted  (target, reason) of the targets that no weight changes
    """

    rows: int
    folds: List[str]
    forms: List[FormScore]
    artifacts: List[str]
    alone: List[Sides]
    blend: Sides
    leave_one_out: List[Loss]
    correlation: List[List[float]]
    levels: List[VariableLevels]
    path: List[Tuple[str, float, float]]
    not_counted: List[Tuple[str, str]]

    @property
    def chosen(self) -> FormScore:
        return next(score for score in self.forms if score.chosen)

    @property
    def best_artifact(self) -> FormScore:
        return next(score for score in self.forms if score.name == "best artifact")


@dataclass(frozen=True)
class Report:
    """All figures of a page.

    fields      what the weights are for: one name, the seven groups or the 368 targets
    weights     (M, fields)
    published   whether these are the weights that the team published
    provenance  {artifact: sha256 of its parquet}
    validation  None if an artifact has no validation predictions
    """

    table: str
    fields: List[str]
    artifacts: List[str]
    weights: List[List[float]]
    published: bool
    provenance: Dict[str, str]
    validation: Optional[ValidationFigures] = None


def to_json(value: Any) -> Any:
    """Turn records into what json.dump takes. A field that holds its default None is left out."""
    if dataclasses.is_dataclass(value):
        return {
            _key_of(each): to_json(getattr(value, each.name))
            for each in dataclasses.fields(value)
            if each.default is not None or getattr(value, each.name) is not None
        }
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


def from_json(content: Any) -> Report:
    """Return the report that to_json turned into `content`.

    Raises KeyError or TypeError for anything else.
    """
    report: Report = _parse(Report, content)
    return report


def _parse(kind: Any, value: Any) -> Any:
    """Return a value as the type `kind` of a field says."""
    if dataclasses.is_dataclass(kind):
        types = typing.get_type_hints(kind)
        values = {
            each.name: _parse(types[each.name], value[_key_of(each)])
            for each in dataclasses.fields(kind)
            if each.default is not None or _key_of(each) in value
        }
        record: Any = kind
        return record(**values)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is list:
        return [_parse(arguments[0], item) for item in value]
    if typing.get_origin(kind) is tuple:
        return tuple(_parse(argument, item) for argument, item in zip(arguments, value))
    if type(None) in arguments:
        return None if value is None else _parse(arguments[0], value)
    return value


def _key_of(each: dataclasses.Field[Any]) -> str:
    return _KEYS.get(each.name, each.name)
