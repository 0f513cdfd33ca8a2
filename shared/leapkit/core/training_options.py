"""Options of training beyond the published solution, each off by default (docs/options.md).

A recipe holds them; with none on it trains, and is recorded, exactly as before they existed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Dict

# Rules that weigh the targets in the loss (leapkit.run.target_weights); "" weighs them alike.
TARGET_WEIGHTS = ("", "groups", "scored", "targets")


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

    def _require(self, condition: bool, rule: str) -> None:
        if not condition:
            raise ValueError(f"{self}: {rule}")

    def on(self) -> Dict[str, Any]:
        """Return the options that are on, by name: what a receipt records of them."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }
