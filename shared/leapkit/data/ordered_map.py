"""A parallel map whose results come in the order of the items."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Iterable, Iterator, Optional, TypeVar

from leapkit.core.errors import KitError

_T = TypeVar("_T")
_R = TypeVar("_R")


def ordered_map(work: Callable[[_T], _R], items: Iterable[_T], threads: int) -> Iterator[_R]:
    """Yield work(item) in the items' order, at most threads + 2 items being in flight.

    If `items` raises a KitError, it is raised after the results of the items before it.
    """
    in_flight: Deque[Future[_R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            source = iter(items)
            failure: Optional[KitError] = None
            while True:
                try:
                    in_flight.append(pool.submit(work, next(source)))
                except StopIteration:
                    break
                except KitError as error:
                    failure = error
                    break
                if len(in_flight) > threads + 1:
                    yield in_flight.popleft().result()
            while in_flight:
                yield in_flight.popleft().result()
            if failure:
                raise failure
        finally:
            for future in in_flight:
                future.cancel()
