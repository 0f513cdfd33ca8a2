"""A Dask cluster: connected to, and asked first whether it can do the work.

Dask waits without a word for workers that never come, and what a worker lacks becomes a traceback
for each task.
"""

from __future__ import annotations

import contextlib
import importlib
import queue
import sys
import threading
from typing import Any, Callable, Iterable, Iterator, Optional, Tuple, Type

from leapkit.core.errors import KitError

CONNECT_SECONDS = 10.0
SECONDS = 30.0  # in which workers have to be there and answer: a busy disk is slow to import from
_INSTALL = "run `pip install ./shared` in the Python of the scheduler and of each worker"


@contextlib.contextmanager
def connected(address: str, module: str) -> Iterator[Any]:
    """Connect to the scheduler at an address; give Dask's client.

    module  what the scheduler and each worker must be able to import
    Raises KitError if Dask is not installed here, if the scheduler does not answer, has no worker,
    or if it or a worker cannot import the module.
    """
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise KitError(
            f"no Dask scheduler answers ({error})", address, "check the address"
        ) from error
    with client:
        _require_worker(client, address)
        _require_module(client, address, module)
        yield client


def as_completed(futures: Iterable[Any]) -> Iterator[Any]:
    """Yield the futures of a client as they finish."""
    finished: Iterator[Any] = _distributed().as_completed(futures)
    return finished


def lost() -> Tuple[Type[Exception], ...]:
    """Return what a task raises if its worker, or all of them, ended before it did."""
    if "distributed" not in sys.modules:
        return ()
    distributed = _distributed()
    return distributed.KilledWorker, distributed.comm.CommClosedError


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise KitError(
            "Dask is not installed in this Python", "--scheduler", "pip install distributed"
        ) from error


def _require_worker(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=SECONDS)
    except (TimeoutError, _distributed().TimeoutError) as error:
        raise KitError(
            f"no worker was connected to the scheduler within {SECONDS:g} s",
            address,
            f"start one, as with `dask worker {address}`",
        ) from error


def _require_module(client: Any, address: str, module: str) -> None:
    """Let the scheduler and all workers import the module.

    The standard library's import function is sent to them: a function of the kit would need it.
    """
    load = importlib.import_module
    try:
        _answer(lambda: client.run_on_scheduler(load, module), "the scheduler", address)
        _answer(lambda: client.run(load, module), "a worker", address)
    except ImportError as error:
        raise KitError(f"the cluster cannot import it ({error})", module, _INSTALL) from error


def _answer(ask: Callable[[], Any], who: str, address: str) -> None:
    """Ask, in a thread that may stay silent. Raises KitError if it does, or what the asked did."""
    answers: queue.Queue[Optional[Exception]] = queue.Queue()

    def wait() -> None:
        try:
            ask()
            answers.put(None)
        except Exception as error:  # of whatever kind: it is raised below
            answers.put(error)

    threading.Thread(target=wait, daemon=True).start()
    try:
        error = answers.get(timeout=SECONDS)
    except queue.Empty:
        raise KitError(
            f"{who} does not answer within {SECONDS:g} s",
            address,
            "restart it, and run the same command again",
        ) from None
    if error is not None:
        raise error
