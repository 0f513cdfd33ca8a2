"""What all experiments of one run share: mode, profile, folders, networks, device and threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Tuple

from torch import nn

from leapkit.core.layout import Layout
from leapkit.run.processes import ALONE, Processes

Build = Callable[[Any], nn.Module]


@dataclass(frozen=True)
class RunOptions:
    """The choices of a run.

    mode       "reproduce" trains and then predicts; "infer-only" predicts with published
               checkpoints
    profile    "sample" or "full"
    layout     folders of the raw data, the results and the published checkpoints
    build      returns the network that a config describes, freshly initialised
    device     "auto", "cpu" or "cuda"
    threads    of one experiment; 0 leaves the choice to the profile
    processes  that train each network together
    groups     that are trained, without predicting; () for all that the plan names
    precision  "auto", "float32", "tf32" or "bf16"
    """

    mode: str
    profile: str
    layout: Layout
    build: Build
    device: str = "auto"
    threads: int = 0
    processes: Processes = ALONE
    groups: Tuple[int, ...] = ()
    precision: str = "auto"

    @property
    def trains_for_weeks(self) -> bool:
        """Whether a CPU is no device to fall back to."""
        return self.mode == "reproduce" and self.profile == "full"

    @property
    def cpu_threads(self) -> int:
        """The threads that torch is given; 0 takes all cores that it may use.

        At sample size it is one, which makes results independent of the number of cores.
        """
        return self.threads or (1 if self.profile == "sample" else 0)
