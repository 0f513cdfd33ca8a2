"""From blocks of rows on disk to shuffled batches, in memory that does not grow with the data.

An epoch is a permutation of the blocks, drawn from (seed, epoch), cut into pools of so many rows;
the rows of a pool are permuted among themselves. The published pool is half a million rows out of
1,365 steps of all years: a batch of 2,048 hardly ever holds more than a handful of rows of the same
step. While one pool is handed out the next one is read. Source: docs/reference/pools.md, "The order
of an epoch".
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Generator, Iterator, List, NamedTuple, Optional, Protocol, Tuple

import numpy as np

from leapkit.core.columns import INPUTS, TARGETS

Batch = Tuple[np.ndarray, np.ndarray]  # inputs (B, 556), targets (B, 368)
Batches = Generator[Batch, None, None]
_UNMIXED_POOL = 1 << 15  # rows in memory if the order needs no mixing
_TASK = 8  # blocks that a reading thread takes at a time


class Blocks(Protocol):
    """A source of rows.

    counts  (blocks,) rows of each block
    read    fills float32 arrays of that many rows, from any thread
    """

    counts: np.ndarray

    def read(self, block: int, inputs: np.ndarray, targets: np.ndarray) -> None: ...


class Pool(NamedTuple):
    """Blocks that are in memory together, in their own order, and the number of their rows."""

    blocks: np.ndarray
    rows: int


class Loader:
    """Batches of rows from blocks: in order, or shuffled, whole or a share of them.

    pool     rows that are in memory and mixed together; if they are all rows, they are read once
    threads  that read
    """

    def __init__(self, blocks: Blocks, pool: int, threads: int = 2) -> None:
        self.blocks = blocks
        self.pool = pool
        self.threads = threads
        self._resident: Optional[Batch] = None

    def __len__(self) -> int:
        return int(self.blocks.counts.sum())

    def in_order(self, batch: int) -> Batches:
        """Yield all rows in the order of the blocks; the last batch may be shorter."""
        pool = self.pool if len(self) <= self.pool else min(self.pool, _UNMIXED_POOL)
        return self._batches(
            self._pools(np.arange(len(self.blocks.counts)), pool),
            lambda _, rows: np.arange(rows),
            batch,
            0,
            False,
        )

    def shuffled(
        self, batch: int, seed: int, epoch: int, start: int = 0, shard: Tuple[int, int] = (0, 1)
    ) -> Batches:
        """Yield one epoch from its batch `start` on.

        Each row comes once, but for those left over at the end, as published.

        shard  (k, n): the share of process k of n. The shares are disjoint and together hold all
               blocks; each is cut into as many batches as the smallest one fills, so that n
               processes take equally many steps.
        """
        order = np.random.RandomState([seed, epoch]).permutation(len(self.blocks.counts))
        pools = self._pools(order[shard[0] :: shard[1]], self.pool)
        drawn = self._batches(
            pools,
            lambda k, rows: np.random.RandomState([seed, epoch, shard[0], k]).permutation(rows),
            batch,
            start * batch,
            True,
        )
        with contextlib.closing(drawn):
            for _, both in zip(range(start, self.steps(batch, seed, epoch, shard[1])), drawn):
                yield both

    def steps(self, batch: int, seed: int = 0, epoch: int = 0, shards: int = 1) -> int:
        """Return the number of batches in an epoch."""
        if shards == 1:
            return len(self) // batch
        order = np.random.RandomState([seed, epoch]).permutation(len(self.blocks.counts))
        return min(int(self.blocks.counts[order[k::shards]].sum()) for k in range(shards)) // batch

    def _pools(self, order: np.ndarray, rows: int) -> List[Pool]:
        """Cut blocks in an order into pools of about `rows` rows.

        Inside a pool the blocks are read in the order of the disk.
        """
        if not len(order):
            return []
        counts = self.blocks.counts[order]
        last = np.cumsum(counts)
        cuts = np.flatnonzero(np.diff((np.maximum(last, 1) - 1) // rows)) + 1
        return [
            Pool(np.sort(blocks), int(self.blocks.counts[blocks].sum()))
            for blocks in np.split(order, cuts)
        ]

    def _batches(
        self,
        pools: List[Pool],
        permuted: Callable[[int, int], np.ndarray],
        batch: int,
        start: int,
        drop_last: bool,
    ) -> Batches:
        """Yield rows from number `start` on, `batch` at a time.

        Pool k with n rows is handed out in the order permuted(k, n).
        """
        first = 0
        while first < len(pools) and start >= pools[first].rows:
            start -= pools[first].rows
            first += 1
        filled = 0
        out = _empty(batch)
        for k, (inputs, targets) in self._read(pools, first):
            order = permuted(k, pools[k].rows)[start:]
            start = 0
            taken = 0
            while taken < len(order):
                rows = order[taken : taken + batch - filled]
                for source, target in ((inputs, out[0]), (targets, out[1])):
                    # mode: `raise` would go through a buffer; the rows are a permutation
                    np.take(
                        source, rows, axis=0, out=target[filled : filled + len(rows)], mode="clip"
                    )
                taken += len(rows)
                filled += len(rows)
                if filled == batch:
                    yield out
                    filled = 0
                    out = _empty(batch)
        if filled and not drop_last:
            yield out[0][:filled], out[1][:filled]

    def _read(self, pools: List[Pool], first: int) -> Iterator[Tuple[int, Batch]]:
        """Yield (number, rows) of the pools from `first` on, while the next one is being read."""
        if len(pools) == 1 and pools[0].rows == len(self) and self._resident is not None:
            yield 0, self._resident
            return
        largest = max([pool.rows for pool in pools[first:]] or [0])
        buffers = [_empty(largest) for _ in pools[first : first + 2]]
        reading: List[List[Future[None]]] = []
        with ThreadPoolExecutor(self.threads) as threads:

            def begin(k: int) -> None:
                if k < len(pools):
                    reading.append(self._submit(threads, pools[k], buffers[(k - first) % 2]))

            try:
                begin(first)
                for k in range(first, len(pools)):
                    for task in reading[0]:
                        task.result()
                    reading.pop(0)  # only now: what fails above cancels the rest of its pool too
                    begin(k + 1)
                    rows = pools[k].rows
                    inputs, targets = buffers[(k - first) % 2]
                    pool_rows = inputs[:rows], targets[:rows]
                    if len(pools) == 1 and rows == len(self):
                        self._resident = pool_rows
                    yield k, pool_rows
            finally:
                for task in [task for tasks in reading for task in tasks]:
                    task.cancel()

    def _submit(self, threads: ThreadPoolExecutor, pool: Pool, out: Batch) -> List[Future[None]]:
        ends = np.cumsum(self.blocks.counts[pool.blocks])

        def work(numbers: range) -> None:
            for k in numbers:
                block = int(pool.blocks[k])
                rows = slice(int(ends[k] - self.blocks.counts[block]), int(ends[k]))
                self.blocks.read(block, out[0][rows], out[1][rows])

        count = len(pool.blocks)
        return [
            threads.submit(work, range(start, min(start + _TASK, count)))
            for start in range(0, count, _TASK)
        ]


def _empty(rows: int) -> Batch:
    inputs = np.empty((rows, len(INPUTS)), dtype=np.float32)
    targets = np.empty((rows, len(TARGETS)), dtype=np.float32)
    return inputs, targets
