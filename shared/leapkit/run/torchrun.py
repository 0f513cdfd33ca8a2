"""Starts the processes of one network on this machine by torchrun, and says how they ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import tempfile
import warnings
from pathlib import Path
from typing import Any, List, Mapping

from leapkit.core import allotment, exit_codes, pauses, stops
from leapkit.core.errors import EXIT_INTERRUPTED, EXIT_REFUSED, KitError
from leapkit.run import devices
from leapkit.run.process_group import EXIT_LOST, OWN_RUN

_POLL_SECONDS = 0.2  # between two looks at the processes
_HERE = "127.0.0.1"  # a container may know no name of its own


def run(member: str, argv: List[str], count: int, device: str) -> int:
    """Run a member's command in `count` processes, which find each other; return the exit code.

    A process that ends early ends the others. Raises KitError if that is not for a reason that it
    has told itself, or if there are fewer GPUs.
    """
    _require_gpus(count, device)
    # Imported here: only a network on several GPUs pays for it.
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # Its own report is a hundred lines that name no reason.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.environ.update(_environment(count))
    signal.signal(pauses.SIGNAL, _pass_on)
    with tempfile.TemporaryDirectory() as logs:
        options = _options(count, logs) + command(member, argv)
        try:
            torchrun.run(torchrun.get_args_parser().parse_args(options))  # type: ignore[no-untyped-call]
        except ChildFailedError as error:
            return _exit_code(member, error.failures, count)
        except SignalException:
            raise KeyboardInterrupt from None  # its processes have ended
    return 0


def command(member: str, argv: List[str]) -> List[str]:
    """Return what torchrun is to start, as its arguments."""
    return ["-m", f"members.{member}", *argv]


def _pass_on(number: int, _: object) -> None:
    """Pass a signal on to the processes, which are the children of this one."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid():
                os.kill(int(status.parent.name), number)


def _require_gpus(count: int, device: str) -> None:
    if device == "cpu" or devices.obstacle_to_gpu():
        return
    seen = len(devices.gpus())
    if seen < count:
        remedy = f"choose GPUS={seen}, or let this process see more"
        raise KitError(f"only {seen} can be seen here", f"GPUS={count}", remedy)


def _environment(count: int) -> Mapping[str, str]:
    """Return what the processes get, apart from what the user has set."""
    defaults = {
        # All are on this machine, and a container without a network has only this.
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        # torchrun's own choice is one thread, and each process would else take all cores.
        "OMP_NUM_THREADS": str(max(1, allotment.cores() // count)),
    }
    chosen = {name: os.environ.get(name, value) for name, value in defaults.items()}
    return stops.of_a_child(chosen)


def _options(count: int, logs: str) -> List[str]:
    with socket.socket() as free:
        free.bind((_HERE, 0))
        port = free.getsockname()[1]
    return [
        f"--nproc_per_node={count}",
        f"--master_addr={_HERE}",
        f"--master_port={port}",
        f"--rdzv_id={OWN_RUN}",
        f"--log_dir={logs}",
        f"--monitor_interval={_POLL_SECONDS}",
        "--max_restarts=0",
    ]


def _exit_code(member: str, failures: Mapping[int, Any], count: int) -> int:
    """Return the exit code of a process that has told its reason.

    Raises KitError if one ended without a word, and names the first of these.
    """
    codes = {rank: exit_codes.of_shell(failures[rank].exitcode) for rank in sorted(failures)}
    if any(exit_codes.is_paused(code) for code in codes.values()):
        return exit_codes.PAUSED
    told = [code for code in codes.values() if code in (EXIT_REFUSED, EXIT_INTERRUPTED)]
    # The others of one that ended lose it, or torchrun ends them.
    consequences = [EXIT_LOST, *told, exit_codes.of_shell(-signal.SIGTERM)]
    rank, code = max(codes.items(), key=lambda item: item[1] not in consequences)
    if told and code in consequences:
        return told[0]
    raise KitError(
        f"process {rank + 1} of {count} {_ending(code)}",
        member,
        "run the same command again: it goes on from the last evaluation",
    )


def _ending(code: int) -> str:
    return "lost the others" if code == EXIT_LOST else exit_codes.sentence(code)
