"""The variants of training that the table of docs/options.md measures against the plain recipe.

Each is the text that `make <member> OPTIONS=...` takes (leapkit.core.training_options.parse).
"""

from __future__ import annotations

from typing import Dict

PLAIN = "plain"
OPTIONS: Dict[str, str] = {
    PLAIN: "",
    "confidence 0.1": "confidence=0.1",
    "confidence 0.5": "confidence=0.5",
    "confidence 1": "confidence=1",
    "EMA 0.99": "ema=0.99",
    "EMA 0.999": "ema=0.999",
    "noise 0.01": "input_noise=0.01",
    "noise 0.05": "input_noise=0.05",
    "weights groups": "target_weights=groups",
    "weights scored": "target_weights=scored",
    "weights targets": "target_weights=targets",
    "weights tails": "target_weights=tails",
    "positivity": "positivity",
    "confidence 0.5 + EMA 0.99": "confidence=0.5,ema=0.99",
    "weights scored + positivity": "target_weights=scored,positivity",
    "weights scored + positivity + confidence 0.5": (
        "target_weights=scored,positivity,confidence=0.5"
    ),
}
