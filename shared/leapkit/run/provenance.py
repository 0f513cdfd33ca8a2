"""On what a step is computed, and whether a run may go on with what another one left.

The same step on another version of torch, another kind of processor or another GPU, or in another
precision, gives other bytes. One that is begun on one and ended on another gives the bytes of
neither, so no run continues such work. The number of threads and of processes may change: every
receipt lists all that took part.
"""

from __future__ import annotations

import os
import platform
from typing import Any, Dict, List, Mapping

import torch

from leapkit.core import receipts
from leapkit.run import devices
from leapkit.run.precision import FLOAT32

Environment = Dict[str, Any]
DECISIVE = ("torch", "device", "machine", "numerics", "precision")
# What counts where an earlier version of the kit wrote nothing.
_UNSAID = {"precision": FLOAT32}
# Of work that a version of the kit began which did not write it down.
UNRECORDED: Environment = {"torch": "not recorded"}


def environment(device: torch.device, processes: int = 1, precision: str = FLOAT32) -> Environment:
    """Return what computes here, as states and receipts record it.

    processes  that train one network together; written down if there are several
    """
    together = {"processes": processes} if processes > 1 else {}
    return {
        "torch": str(torch.__version__),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "stack": os.environ.get("LEAP_STACK", ""),
        "image": os.environ.get("LEAP_IMAGE", ""),
        "code": os.environ.get("LEAP_CODE", ""),
        "numerics": receipts.NUMERICS,
        **devices.describe(device),
        "precision": precision,
        **together,
    }


def environments_of(state: Mapping[str, Any]) -> List[Environment]:
    """Return what an unfinished training has been computed on so far, at least one."""
    return list(state.get("environments") or [UNRECORDED])


def same_arithmetic(state: Mapping[str, Any]) -> bool:
    """Return whether an unfinished training is of this version of the arithmetic."""
    numerics = environments_of(state)[-1].get("numerics", receipts.NUMERICS)
    return bool(numerics == receipts.NUMERICS)


def may_go_on(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether work that was begun in one environment gives the same bytes in another."""
    return before == UNRECORDED or all(
        before.get(name, _UNSAID.get(name)) == now.get(name, _UNSAID.get(name)) for name in DECISIVE
    )


def joined(before: List[Environment], now: Environment) -> List[Environment]:
    """Return all environments that took part, each once, in order."""
    return before if now in before else [*before, now]


def name(environment: Mapping[str, Any]) -> str:
    """Return what a person calls an environment: torch 2.13.0 on cpu in bf16 (STACK=modern)."""
    stack = environment.get("stack")
    precision = environment.get("precision", FLOAT32)
    where = f"{environment.get('device', '?')} in {precision}"
    text = f"torch {environment.get('torch', '?')} on {where}"
    return text + (f" (STACK={stack})" if stack else "")
