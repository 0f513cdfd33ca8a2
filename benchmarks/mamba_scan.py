"""The selective scan of one Mamba layer on one thread: all states at once, or one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Mapping

from benchmarks.case import Case, Side, Step, UnequalError

NAME = "mamba_scan"
ROWS = 64
LEVELS = 60
INNER = 1024  # published width
STATES = 16


def make(case: Case) -> None:
    """Write inputs as large as a trained layer's: steps in [1e-3, 0.1], decays -1 to -16."""
    import numpy as np

    random = np.random.RandomState(5)
    u, z = random.standard_normal((2, ROWS, LEVELS, INNER)).astype(np.float32)
    b, c = random.standard_normal((2, ROWS, LEVELS, STATES)).astype(np.float32)
    decay = -np.tile(np.arange(1.0, STATES + 1), (INNER, 1))
    np.savez(_inputs(case), u=u, delta=np.exp(z) * 0.03, A=decay, B=b, C=c, D=np.ones(INNER))


def _inputs(case: Case) -> Path:
    return case.folder_of(NAME) / "inputs.npz"


def _scanned(case: Case, side: str, scan: Callable[..., Any]) -> None:
    import numpy as np
    import torch

    torch.set_num_threads(1)
    arrays = np.load(_inputs(case))
    tensors: List[Any] = [
        torch.from_numpy(arrays[name].astype(np.float32))
        for name in ("u", "delta", "A", "B", "C", "D")
    ]
    with torch.no_grad():
        np.save(case.folder_of(NAME, side) / "y.npy", scan(*tensors).numpy())


def published(case: Case) -> None:
    """Compute exp(delta A) and delta B u of all levels, then the recurrence over the levels.

    Source: docs/reference/models.md, "Mamba".
    """
    from leapkit.nets.mamba import scan_reference

    _scanned(case, "published", scan_reference)


def ours(case: Case) -> None:
    from leapkit.nets.mamba import scan

    _scanned(case, "ours", scan)


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
    import numpy as np

    expected = np.load(case.folder_of(NAME, "published") / "y.npy")
    ours = np.load(case.folder_of(NAME, "ours") / "y.npy")
    worst = float(np.abs(ours - expected).max() / np.abs(expected).max())
    if worst > 1e-5:  # float32: sixty steps of rounding, relative to the largest output
        raise UnequalError(f"outputs differ by {worst:.1e} of the largest")
    return f"within {max(worst, 1e-9):.0e} of the largest output"


STEP = Step(
    title="Mamba scan, one layer, one thread",
    goal=">= 3x",
    cores=1,
    sides={
        "published": Side(("numpy", "torch", "leapkit.nets.mamba"), published),
        "ours": Side(("numpy", "torch", "leapkit.nets.mamba"), ours),
    },
    size=lambda case: f"{ROWS} x {LEVELS} x {INNER} x {STATES}",
    make=make,
    evidence=lambda case, side, result: None,
    compare=compare,
)
