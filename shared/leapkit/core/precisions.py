"""The names of the precisions that networks compute in; leapkit.run.precision says what each is."""

from __future__ import annotations

FLOAT32 = "float32"
TF32 = "tf32"
BF16 = "bf16"
PRECISIONS = (FLOAT32, TF32, BF16)
