"""What this process may use of the machine: cores and memory, and what limits them.

Every part of the kit asks here. A machine may have 64 cores of which a scheduler, a container or a
`taskset` gives this process two.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

from leapkit.core import cgroups

ROOT = Path("/")
MEGABYTE = 1 << 20  # Slurm's

# What libraries of numerics take their number of threads from, if it is set when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Limit(NamedTuple):
    """A number of cores or of bytes, and what sets it."""

    amount: int
    source: str


def cores() -> int:
    """Return how many cores this process may use, at least 1."""
    return core_limit(ROOT).amount


def memory() -> int:
    """Return how many bytes of memory this process may use; 0 if nothing says so."""
    return memory_limit(ROOT).amount


def is_limited() -> bool:
    """Return whether this process may use fewer cores than the machine has."""
    return cores() < (os.cpu_count() or 1)


def core_limit(root: Path, environment: Optional[Mapping[str, str]] = None) -> Limit:
    """Return the smallest limit of cores: affinity, quotas of control groups, Slurm.

    root         the folder that stands for /, with proc and sys
    environment  of the process; None for this one
    """
    return min((Limit(*limit) for limit in _core_limits(root, environment)), key=_amount)


def _core_limits(root: Path, environment: Optional[Mapping[str, str]]) -> Iterator[Tuple[int, str]]:
    yield processors()
    yield from cgroups.core_limits(root)
    for variable in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        number = _number(variable, environment)
        if number:
            yield number, variable


def processors() -> Limit:
    """Return the cores that the operating system schedules this process on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return Limit(max(1, len(os.sched_getaffinity(0))), "the processors of this process")
    return Limit(os.cpu_count() or 1, "the processors of this machine")


def memory_limit(root: Path, environment: Optional[Mapping[str, str]] = None) -> Limit:
    """Return the smallest limit of memory: the machine's, control groups', Slurm's."""
    limits = [Limit(*limit) for limit in _memory_limits(root, environment)]
    return min(limits, key=_amount, default=Limit(0, "unknown"))


def _memory_limits(
    root: Path, environment: Optional[Mapping[str, str]]
) -> Iterator[Tuple[int, str]]:
    try:
        pages = os.sysconf("SC_PHYS_PAGES")
        yield pages * os.sysconf("SC_PAGE_SIZE"), "the memory of this machine"
    except (OSError, ValueError):  # not known to this operating system
        pass
    yield from cgroups.memory_limits(root)
    node = _number("SLURM_MEM_PER_NODE", environment)
    if node:
        yield node * MEGABYTE, "SLURM_MEM_PER_NODE"
    of_each = _number("SLURM_MEM_PER_CPU", environment)
    if of_each:
        count = _number("SLURM_CPUS_ON_NODE", environment) or core_limit(root, environment).amount
        yield of_each * count * MEGABYTE, "SLURM_MEM_PER_CPU"


def _amount(limit: Limit) -> int:
    return limit.amount  # of equal ones, the first is named


def _number(variable: str, environment: Optional[Mapping[str, str]]) -> int:
    """Return a variable's positive number; 0 if it has none (Slurm's 0 is "all memory")."""
    text = (os.environ if environment is None else environment).get(variable, "").strip()
    return int(text) if text.isdigit() and len(text) < 16 else 0


def thread_variables() -> Dict[str, str]:
    """Return what tells libraries of numerics the allotment, for a process that is to be started.

    They know the processors of a process and nothing of quotas and schedulers. {} if that is all
    there is to know; what the user has set stays.
    """
    count = cores()
    if count >= processors().amount:
        return {}
    return {name: str(count) for name in THREAD_VARIABLES if name not in os.environ}
