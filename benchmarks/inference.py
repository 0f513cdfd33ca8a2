"""Predictions of one network of each kind: the kit's loop against a plain one, same rows."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any, Dict, Mapping

from benchmarks import kinds
from benchmarks.case import Case, Side, Step, UnequalError
from benchmarks.kinds import DEVICE, HAS_GPU, KINDS, PROFILE
from leapkit.core.multiplications import FORWARD_FLOP

ROWS = 1 << 17 if HAS_GPU else 1 << 10
GOALS = {"residual": "H100: 625,000 rows, 82 passes in 30 min"}  # of all networks


def make(kind: str, case: Case) -> None:
    """Write standardised rows, all of them different."""
    import numpy as np

    random = np.random.default_rng(3)
    np.save(_folder(case, kind) / "x.npy", random.standard_normal((ROWS, 556), np.float32))


def _folder(case: Case, kind: str) -> Path:
    return case.folder_of("infer_" + kind)


def _predicted(kind: str, side: str, case: Case) -> None:
    import numpy as np
    import torch

    from benchmarks import plain_loop
    from leapkit.run import devices, inference, prediction

    if not HAS_GPU:
        torch.set_num_threads(1)
    devices.tune_libraries()
    devices.make_repeatable(1)
    experiment = kinds.experiment_of(KINDS[kind].experiment)
    network = kinds.builder(experiment)(experiment.network[PROFILE]).to(DEVICE)
    batch = experiment.batch if HAS_GPU else min(experiment.batch, prediction.CPU_BATCH)
    x = np.load(_folder(case, kind) / "x.npy")
    if side == "published":
        blocks = plain_loop.predict(network, x, batch, DEVICE)
    else:
        blocks = list(inference.predict(network, x, batch, torch.device(DEVICE)))
    np.save(case.folder_of("infer_" + kind, side) / "y.npy", np.concatenate(blocks))


def compare(kind: str, case: Case, evidence: Mapping[str, Any]) -> str:
    import numpy as np

    published, ours = (
        np.load(case.folder_of("infer_" + kind, side) / "y.npy") for side in evidence
    )
    worst = float(np.abs(ours - published).max() / np.abs(published).max())
    if worst > 1e-3:
        raise UnequalError(f"predictions differ by {worst:.1e} of the largest")
    return "bit-identical" if not worst else f"within {worst:.0e} of the largest"


def amounts(kind: str, case: Case) -> Dict[str, float]:
    network = kinds.experiment_of(KINDS[kind].experiment).network[PROFILE]
    return {"rows": ROWS, "GFLOP": ROWS * FORWARD_FLOP * network.multiplications / 1e9}


def _step(kind: str) -> Step:
    packages = ("numpy", "torch", "leapkit.run.prediction")
    return Step(
        title="inference, " + KINDS[kind].title,
        goal=GOALS.get(kind, "") if HAS_GPU else ">= 1x",
        cores=0 if HAS_GPU else 1,
        sides={
            side: Side(packages, partial(_predicted, kind, side)) for side in ("published", "ours")
        },
        size=lambda case: f"{ROWS} rows, {'full' if HAS_GPU else 'sample'} width",
        make=partial(make, kind),
        evidence=lambda case, side, result: None,
        compare=partial(compare, kind),
        amounts=partial(amounts, kind),
        rounds=7,
        clock=time.perf_counter if HAS_GPU else time.process_time,
    )


STEPS = {"infer_" + kind: _step(kind) for kind in KINDS if not KINDS[kind].tuned}
