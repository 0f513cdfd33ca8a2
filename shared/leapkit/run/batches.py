"""Batches to the device that computes and outputs from it: a GPU copies while it works on others.

On a CPU both are the memory that they are made in. For a GPU a thread takes the rows together,
writes them into pinned memory and starts their copy on a stream of its own, two batches ahead;
nobody waits for a copy but the GPU. Pinned memory comes from torch's own store of it, which gives a
piece out again only when the copies from it have ended.
"""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Deque, Generator, Iterable, Iterator, Optional, Tuple, TypeVar

import numpy as np
import torch

from leapkit.core.recipes import Recipe
from leapkit.data.loader import Batches, Loader
from leapkit.run.augmentation import augment
from leapkit.run.processes import ALONE, Processes

AHEAD = 2  # batches that are made and copied while another one is computed with
_NOISE = 1  # makes the generator of an update's noise another than that of its augmentation
Tensors = Tuple[torch.Tensor, ...]
Item = TypeVar("Item")


def training_batches(
    rows: Loader,
    recipe: Recipe,
    epoch: int,
    start: int,
    device: torch.device,
    processes: Processes = ALONE,
) -> Generator[Tensors, None, None]:
    """Yield an epoch's batches from update `start` on: x (B, 556) and y (B, 368) on the device.

    They are shuffled, augmented and made noisy as the recipe says, a function of (seed, epoch,
    update), and each process gets its slice of the same batch.
    """
    drawn = rows.shuffled(recipe.batch, recipe.seed, epoch, start)
    return on_device(_augmented(drawn, recipe, epoch, start, processes), device)


def _augmented(
    drawn: Batches, recipe: Recipe, epoch: int, start: int, processes: Processes
) -> Generator[Tensors, None, None]:
    with contextlib.closing(drawn):
        for update, (inputs, targets) in enumerate(drawn, start):
            x = torch.from_numpy(inputs)
            y = torch.from_numpy(targets)
            if recipe.augmentation:
                x, y = augment(x, y, recipe.augmentation, _generator(recipe.seed, epoch, update))
            noise = recipe.options.input_noise
            if noise:
                x = x + noise * _normal(x, _generator(recipe.seed, epoch, update, _NOISE))
            share = processes.slice(len(x))
            yield x[share], y[share]


def _normal(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(x.shape, generator=generator)


def _generator(*numbers: int) -> torch.Generator:
    """Return a CPU generator that is a function of some numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number) % 2**62
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def on_device(
    batches: Generator[Any, None, None], device: torch.device, copied: Optional[int] = None
) -> Generator[Any, None, None]:
    """Yield tuples of tensors whose first `copied` (all if None) are on the device.

    `batches` are tuples on the host, and are closed with this generator.
    """
    with contextlib.closing(batches):
        if device.type == "cpu":
            yield from batches
        else:
            yield from _copied_ahead(batches, device, copied)


def _copied_ahead(
    batches: Generator[Any, None, None], device: torch.device, copied: Optional[int]
) -> Generator[Any, None, None]:
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call, unused-ignore]

    def begun() -> Any:
        """Return the next batch and the event that its copy ends with, None after the last one."""
        batch = next(batches, None)
        if batch is None:
            return None
        with torch.cuda.stream(stream):
            tensors = [t.pin_memory().to(device, non_blocking=True) for t in batch[:copied]]
        rest = () if copied is None else batch[copied:]
        return tensors, rest, stream.record_event()

    with ThreadPoolExecutor(1) as thread:
        coming = deque(thread.submit(begun) for _ in range(AHEAD))
        while True:
            batch = coming.popleft().result()
            if batch is None:
                return
            coming.append(thread.submit(begun))
            tensors, rest, event = batch
            computing = torch.cuda.current_stream(device)
            computing.wait_event(event)
            for tensor in tensors:
                # The copying stream owns the memory: it must not have it back while it is read.
                tensor.record_stream(computing)
            yield (*tensors, *rest)


class Outputs:
    """Brings outputs from the device: a GPU's by a stream of its own, into pinned memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = None
        if device.type != "cpu":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call, unused-ignore]

    def begin(self, output: torch.Tensor) -> Callable[[], np.ndarray]:
        """Begin to copy an output that may not be computed yet; return what waits for it."""
        if self._stream is None:
            return output.numpy
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            host = torch.empty(output.shape, dtype=output.dtype, pin_memory=True)
            host.copy_(output, non_blocking=True)
        output.record_stream(self._stream)
        copied = self._stream.record_event()

        def arrived() -> np.ndarray:
            copied.synchronize()
            return host.numpy()

        return arrived

    def one_behind(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items of work; on a GPU each one after the next one has been begun."""
        if self._stream is None:
            yield from items
            return
        begun: Deque[Item] = deque()
        for item in items:
            begun.append(item)
            if len(begun) > 1:
                yield begun.popleft()
        yield from begun
