"""The rows that small networks learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Tuple

import pytest

from tests.helpers import small_run


@pytest.fixture(scope="session")
def data(tiny_world: Path) -> Tuple[Any, Any, Any]:
    """Return (training rows, validation rows, scaling) of the tiny world: 576 and 96 rows."""
    pytest.importorskip("torch")
    from leapkit.core.layout import RawData
    from leapkit.data.loader import Loader
    from leapkit.data.scaling import load_scaling
    from leapkit.data.step_rows import StepRows

    raw = RawData(tiny_world)
    scaling = load_scaling(raw.statistics("adam"), "adam", raw.old_weights)
    pool = small_run.RECIPE.rows.pool
    return (
        Loader(StepRows(raw.training_pairs(), scaling), pool),
        Loader(StepRows(raw.validation_pairs(), scaling), pool),
        scaling,
    )
