"""Options of training beyond the published solution, each off by default (docs/options.md).

A recipe holds them; with none on it trains, and is recorded, exactly as before they existed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Dict

from leapkit.core.errors import KitError

# Rules that weigh the targets in the loss (leapkit.run.target_weights); "" weighs them alike.
TARGET_WEIGHTS = ("", "groups", "scored", "tails", "targets")


@dataclass(frozen=True)
class TrainingOptions:
    """What a training does beyond the published solution.

    confidence      weight of the loss of a second head, which predicts every target's absolute
                    error; 0 makes no such head
    ema             decay per update of the moving average of the weights that is evaluated and
                    saved; 0 evaluates and saves the weights themselves
    positivity      whether predictions are bounded, before the loss, by the water that exists
    input_noise     std of the Gaussian noise on the standardised inputs of training rows
    target_weights  name of the rule that weighs the targets in the loss; "" for none

    Raises ValueError for what no training could do.
    """

    confidence: float = 0.0
    ema: float = 0.0
    positivity: bool = False
    input_noise: float = 0.0
    target_weights: str = ""

    def __post_init__(self) -> None:
        for name in ("confidence", "input_noise"):
            value = getattr(self, name)
            self._require(0 <= value < math.inf, f"{name} is a number, and not negative")
        self._require(0 <= self.ema < 1, "ema is a decay: 0 <= ema < 1")
        self._require(isinstance(self.positivity, bool), "positivity is on or off")
        rules = ", ".join(rule for rule in TARGET_WEIGHTS if rule)
        self._require(self.target_weights in TARGET_WEIGHTS, f"target_weights is one of {rules}")
        self._require(
            not (self.positivity and self.input_noise),
            "positivity is not combined with input_noise, which changes the water it bounds by",
        )

    def _require(self, condition: bool, rule: str) -> None:
        if not condition:
            raise ValueError(rule)

    def on(self) -> Dict[str, Any]:
        """Return the options that are on, by name: what a receipt records of them."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }


def parse(text: str) -> TrainingOptions:
    """Return the options of a list such as `ema=0.999,positivity,target_weights=groups`.

    Raises KitError for one that does not exist, and for a value that no training could have.
    """
    where = f"OPTIONS={text}"
    defaults = {field.name: field.default for field in fields(TrainingOptions)}
    values: Dict[str, Any] = {}
    for word in filter(None, text.replace(" ", "").split(",")):
        name, _, value = word.partition("=")
        if name not in defaults:
            raise KitError(f"has no option {name}", where, f"choose among {', '.join(defaults)}")
        if name in values:
            raise KitError(f"names {name} twice", where, "name it once")
        values[name] = _value(defaults[name], value, f"{where}: {name}")
    try:
        return TrainingOptions(**values)
    except ValueError as error:
        raise KitError(str(error), where, "docs/options.md explains each option") from error


def _value(default: Any, text: str, where: str) -> Any:
    """Return the value of one option, of the type of its default. Raises KitError."""
    if isinstance(default, bool):
        if text not in ("", "0", "1"):
            raise KitError(f"cannot be {text!r}", where, "write the name alone to switch it on")
        return text != "0"
    if isinstance(default, str):
        return text
    try:
        return float(text)
    except ValueError as error:
        raise KitError(f"{text!r} is no number", where, "write one, as ema=0.999") from error
