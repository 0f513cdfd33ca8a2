"""One of several processes, started by torchrun, that train a network together by torch's DDP.

What they decide and predict travels between processors (gloo), gradients between GPUs (nccl) where
there are any. The first process alone decides; the others hold no file, so a stop just ends them.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from datetime import timedelta
from typing import Any, Callable, Iterator, Optional

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from leapkit.core import nvidia, pauses, stops
from leapkit.core.columns import TARGETS
from leapkit.core.errors import EXIT_INTERRUPTED, KitError
from leapkit.run import divided_dropout, provenance
from leapkit.run.processes import ALONE, Processes

EXIT_LOST = 4  # of a process that lost another one, whose end says more
OWN_RUN = "leapkit"  # the name of a run of torchrun that leapkit.run.torchrun started
_SET_BY_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# The first process may read and hash all data, or predict, before it has a word for the others.
_PATIENCE = timedelta(days=30)
_GRADIENTS = timedelta(hours=1)
_CONNECTION = re.compile("gloo|nccl|connection (closed|reset|refused)|broken pipe|socket|tcpstore")
_HEARD = 10.0  # seconds in which torchrun ends this process if the first one has failed as well


def is_one_of_several() -> bool:
    """Return whether torchrun started this process beside others."""
    numbers = all(os.environ.get(name) for name in _SET_BY_TORCHRUN)
    return numbers and int(os.environ["WORLD_SIZE"]) > 1


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun started with this one; yield ALONE if there are none.

    One that loses another, or is stopped, ends with an exit code. The first process says why, as a
    KitError or by KeyboardInterrupt, if nobody else would.
    """
    if not is_one_of_several():
        yield ALONE
        return
    rank = int(os.environ["RANK"])
    _see_one_gpu(int(os.environ["LOCAL_RANK"]))
    if rank:
        _be_silent()
    try:
        dist.init_process_group("gloo", timeout=_PATIENCE)
        yield ProcessGroup(rank, int(os.environ["WORLD_SIZE"]))
        dist.destroy_process_group()
    except KitError:
        if rank:
            time.sleep(_HEARD)  # most errors are of all processes: the first one prints them
        raise
    except RuntimeError as error:
        if not _CONNECTION.search(str(error).lower()):
            raise
        if rank or _is_of_own_run():
            stops.ignore()  # torchrun is about to end this process too
            sys.exit(EXIT_LOST)
        raise KitError(
            "lost another of its processes",
            "torchrun",
            "look for why that ended; the same command goes on from the last evaluation",
        ) from error
    except KeyboardInterrupt:
        if not _is_of_own_run():
            raise
        stops.ignore()
        sys.exit(EXIT_INTERRUPTED)


def _is_of_own_run() -> bool:
    """Return whether leapkit.run.torchrun waits for this process and says why it ended."""
    return os.environ.get("TORCHELASTIC_RUN_ID") == OWN_RUN


def _see_one_gpu(local_rank: int) -> None:
    """Let this process see its own GPU alone. Call before the first use of CUDA."""
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    is_given_its_own = len(visible) == 1 and os.environ.get("LOCAL_WORLD_SIZE", "1") == "1"
    if not (nvidia.hidden_by() or is_given_its_own):
        names = visible or [str(number) for number in range(local_rank + 1)]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names[local_rank : local_rank + 1])


def _be_silent() -> None:
    """Print nothing but errors, end at once at a stop, and leave pauses to the first process."""
    sys.stdout = open(os.devnull, "w")
    stops.handle(signal.SIG_DFL)
    signal.signal(pauses.SIGNAL, signal.SIG_IGN)


class ProcessGroup(Processes):
    """This process as one of several."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self._gradients: Optional[Any] = None

    def joined(self, network: nn.Module, batch: int) -> nn.Module:
        """Return the network as DDP, with the first process's weights.

        Its dropout becomes that of the whole batch. Raises KitError if the batch has fewer rows
        than there are processes, or if these are not of the same kind.
        """
        if batch < self.size:
            remedy = f"use at most {batch} processes"
            raise KitError(f"{self.size} processes share no batch of {batch}", "GPUS", remedy)
        device = next(network.parameters()).device
        self._require_alike(device)
        divided_dropout.divide(network, batch, self.slice(batch))
        if self._gradients is None:
            backend = "nccl" if device.type == "cuda" else "gloo"
            self._gradients = dist.new_group(backend=backend, timeout=_GRADIENTS)
        # Some published networks hold layers that they never use. And buckets of gradients that
        # are looked for at every step keep their layout: sums have one order, also in a run that
        # was interrupted.
        return DistributedDataParallel(
            network,
            process_group=self._gradients,
            find_unused_parameters=True,
        )

    def _require_alike(self, device: torch.device) -> None:
        """Raise KitError in all processes if one computes on something else than the first."""
        here = provenance.environment(device)
        everywhere = [here] * self.size
        dist.all_gather_object(everywhere, here)
        for rank, there in enumerate(everywhere):
            if not provenance.may_go_on(everywhere[0], there):
                raise KitError(
                    f"process 1 is {provenance.name(everywhere[0])}, process {rank + 1}"
                    f" {provenance.name(there)}",
                    "the processes of one network",
                    "start all of them with the same stack on the same kind of device",
                )

    def weighted(self, loss: torch.Tensor, batch: int) -> torch.Tensor:
        rows = self.slice(batch)
        share = (rows.stop - rows.start) / batch
        return loss.mul(share * self.size)

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        total = value.clone()
        dist.all_reduce(total, group=self._gradients)
        return total / self.size

    def of_first(self, value: Any = None) -> Any:
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def in_turn(
        self, number: int, rows: int, predict: Callable[[], np.ndarray]
    ) -> Optional[np.ndarray]:
        owner = number % self.size
        if owner == self.rank:
            predictions = predict()
            if self.is_first:
                return predictions
            dist.send(torch.from_numpy(np.ascontiguousarray(predictions)), 0)
        elif self.is_first:
            received = torch.empty(rows, len(TARGETS))
            dist.recv(received, owner)
            return np.asarray(received.numpy())
        return None

    def end_training(self) -> None:
        if self._gradients is not None:
            dist.destroy_process_group(self._gradients)
            self._gradients = None
