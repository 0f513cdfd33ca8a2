"""A global step of 384 columns at published width: the best single network against the student.

Random weights: time does not depend on them. Of the best single network (max2020/022) one of its
seven checkpoints is timed, which is a seventh of its work.
"""

from __future__ import annotations

import time
from functools import lru_cache, partial
from typing import Any, Dict, Mapping

from benchmarks import kinds
from benchmarks.case import Case, Side, Step, UnequalError
from benchmarks.kinds import DEVICE
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.step_files import COLUMNS

NAMES = {"published": "max2020/022", "ours": "student/stack"}


@lru_cache(maxsize=None)
def _network(name: str) -> Any:
    experiment = kinds.experiment_of(name)
    return kinds.builder(experiment)(experiment.network["full"]).to(DEVICE).eval()


def _predicted(side: str, threads: int, case: Case) -> Any:
    import numpy as np
    import torch

    from leapkit.core import allotment
    from leapkit.run import devices, inference, prediction

    torch.set_num_threads(threads or allotment.cores())
    devices.tune_libraries()
    x = np.random.default_rng(3).standard_normal((COLUMNS, len(INPUTS)), np.float32)
    batch = min(kinds.experiment_of(NAMES[side]).batch, prediction.CPU_BATCH)
    network = _network(NAMES[side])
    return np.concatenate(list(inference.predict(network, x, batch, torch.device(DEVICE))))


def _evidence(case: Case, side: str, result: Any) -> Any:
    import numpy as np

    return [list(result.shape), bool(np.isfinite(result).all())]


def _compared(case: Case, evidence: Mapping[str, Any]) -> str:
    if any(each != [[COLUMNS, len(TARGETS)], True] for each in evidence.values()):
        raise UnequalError(f"not ({COLUMNS}, {len(TARGETS)}) finite numbers: {evidence}")
    return "not compared: other networks"


def _share_of_the_work(case: Case, side: str) -> float:
    checkpoints = kinds.experiment_of(NAMES[side]).checkpoint_groups
    return 1 / len(checkpoints)


def _amounts(case: Case) -> Dict[str, float]:
    return {"columns of one checkpoint": COLUMNS}


def _step(threads: int) -> Step:
    packages = ("numpy", "torch", "leapkit.run.prediction")
    return Step(
        title=f"student against max2020/022, {threads or 'all'} core(s)",
        goal=">= 10x" if threads else "<= 1 s on two cores, >= 10x",
        cores=threads,
        sides={side: Side(packages, partial(_predicted, side, threads)) for side in NAMES},
        size=lambda case: f"{COLUMNS} columns, full width",
        make=lambda case: None,
        evidence=_evidence,
        compare=_compared,
        work=_share_of_the_work,
        amounts=_amounts,
        clock=time.process_time if threads else time.perf_counter,
    )


STEPS = {"student": _step(1), "student_all": _step(0)}
