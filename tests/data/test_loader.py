"""Batches hold each row once, in an order of (seed, epoch) alone, in the memory of two pools."""

from __future__ import annotations

import random
import threading
import time
import tracemalloc
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core.errors import KitError
from leapkit.data import loader
from leapkit.data.loader import Batch, Batches, Loader

QUICK = dict(deadline=None, suppress_health_check=list(HealthCheck))
ROW = 4 * (556 + 368)  # bytes
X = np.arange(556, dtype=np.float32) / 1024
Y = np.arange(368, dtype=np.float32) / 1024


class Numbered:
    """Blocks whose rows hold their number in all columns; `log` records the order of reading."""

    def __init__(
        self, counts: Sequence[int], before: Callable[[int], object] = lambda block: None
    ) -> None:
        self.counts = np.array(counts, dtype=np.int64)
        self.first = np.cumsum(self.counts) - self.counts
        self.log: List[int] = []
        self._before = before

    def read(self, block: int, inputs: np.ndarray, targets: np.ndarray) -> None:
        self.log.append(block)
        self._before(block)
        assert inputs.shape == (self.counts[block], 556) and targets.shape == (
            self.counts[block],
            368,
        )
        rows = np.arange(
            self.first[block], self.first[block] + self.counts[block], dtype=np.float32
        )[:, None]
        inputs[...] = rows + X
        targets[...] = -rows - Y

    def rows_read(self) -> int:
        return int(self.counts[list(self.log)].sum())

    def of(self, rows: Sequence[int]) -> List[int]:
        """Return the block of each row."""
        return (np.searchsorted(self.first + self.counts, rows, side="right")).tolist()


def rows_of(batch: Batch) -> List[int]:
    """Return the numbers of a batch's rows; fail if a row is not whole or has other targets."""
    inputs, targets = batch
    assert inputs.dtype == targets.dtype == np.float32 and len(inputs) == len(targets)
    rows = inputs[:, 0].copy()
    assert (inputs == rows[:, None] + X).all() and (targets == -rows[:, None] - Y).all()
    return rows.astype(int).tolist()


def numbers(batches: Iterable[Batch]) -> List[List[int]]:
    return [rows_of(batch) for batch in batches]


def joined(batches: Iterable[Sequence[int]]) -> List[int]:
    return [row for batch in batches for row in batch]


@pytest.fixture(autouse=True)
def no_thread_outlives_a_test() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


# Empty blocks, small ones, and some that are larger than any pool.
COUNTS = st.lists(
    st.one_of(st.just(0), st.integers(0, 12), st.integers(30, 60)), min_size=1, max_size=14
)
POOL, BATCH, SEED, EPOCH = (
    st.integers(1, 80),
    st.integers(1, 25),
    st.integers(0, 2**31),
    st.integers(0, 50),
)


# --- an epoch -------------------------------------------------------------------------------------


@given(counts=COUNTS, pool=POOL, batch=BATCH, seed=SEED, epoch=EPOCH)
@settings(max_examples=80, **QUICK)
def test_an_epoch_holds_every_row_once_but_for_those_left_over_at_its_end(
    counts: List[int], pool: int, batch: int, seed: int, epoch: int
) -> None:
    rows = Loader(Numbered(counts), pool)
    assert len(rows) == sum(counts)
    batches = numbers(rows.shuffled(batch, seed, epoch))
    assert len(batches) == rows.steps(batch) == sum(counts) // batch
    assert all(len(batch_numbers) == batch for batch_numbers in batches)
    flat = joined(batches)
    assert len(set(flat)) == len(flat) and set(flat) <= set(range(sum(counts)))


@given(counts=COUNTS, pool=POOL, seed=SEED, epoch=EPOCH)
@settings(max_examples=20, **QUICK)
def test_no_row_is_left_out_of_all_orders(
    counts: List[int], pool: int, seed: int, epoch: int
) -> None:
    """Batches of single rows leave no row over."""
    row_numbers = joined(numbers(Loader(Numbered(counts), pool).shuffled(1, seed, epoch)))
    assert sorted(row_numbers) == list(range(sum(counts)))


@given(counts=COUNTS, pool=POOL, batch=BATCH)
@settings(max_examples=80, **QUICK)
def test_in_order_gives_the_blocks_order_whatever_batch_and_pool_are(
    counts: List[int], pool: int, batch: int
) -> None:
    batches = numbers(Loader(Numbered(counts), pool).in_order(batch))
    assert joined(batches) == list(range(sum(counts)))
    assert all(len(batch_numbers) == batch for batch_numbers in batches[:-1])
    assert not batches or 1 <= len(batches[-1]) <= batch


def epoch_bytes(rows: Loader, *seed_and_epoch: int) -> bytes:
    return b"".join(
        array.tobytes() for batch in rows.shuffled(16, *seed_and_epoch) for array in batch
    )


@pytest.mark.parametrize("pool", [50, 1000])
def test_seed_and_epoch_decide_every_byte_and_another_of_either_gives_another_order(
    pool: int,
) -> None:
    counts = [10] * 30
    rows = Loader(Numbered(counts), pool)
    contents: Dict[Tuple[int, int], bytes] = {
        seed_and_epoch: epoch_bytes(rows, *seed_and_epoch)
        for seed_and_epoch in ((1, 0), (1, 1), (2, 0), (0, 1), (2, 1))
    }
    assert len(set(contents.values())) == len(contents)
    for seed_and_epoch, content in contents.items():
        assert (
            epoch_bytes(rows, *seed_and_epoch)
            == epoch_bytes(Loader(Numbered(counts), pool), *seed_and_epoch)
            == content
        )


def test_the_order_is_the_same_on_every_stack() -> None:
    """The numbers are written down, as a run may continue where another numpy stopped."""
    row_numbers = joined(numbers(Loader(Numbered([3, 0, 5, 2, 4]), 6).shuffled(1, 1103, 2)))
    assert row_numbers == [8, 1, 2, 9, 0, 10, 12, 11, 13, 5, 4, 3, 6, 7]


def test_batches_stay_as_they_were_when_the_loader_goes_on() -> None:
    """The loader refills its buffers, but a batch that it returned belongs to the caller."""
    rows = Loader(Numbered([7] * 20), 30)
    batches = list(rows.shuffled(9, 3, 0))
    assert numbers(batches) == numbers(Loader(Numbered([7] * 20), 30).shuffled(9, 3, 0))


@pytest.mark.parametrize("pool", [30, 140])
def test_what_the_caller_does_to_a_batch_changes_no_other(pool: int) -> None:
    """Augmentation works in place."""
    rows = Loader(Numbered([7] * 20), pool)
    blocks = Numbered([7] * 20)
    for epoch in range(2):
        for batch, expected in zip(
            rows.shuffled(9, 3, epoch), Loader(blocks, pool).shuffled(9, 3, epoch)
        ):
            assert rows_of(batch) == rows_of(expected)
            batch[0][...], batch[1][...] = np.nan, np.nan


@pytest.mark.parametrize("counts", [[], [0], [0, 0, 0]])
def test_without_rows_there_are_no_batches(counts: List[int]) -> None:
    rows = Loader(Numbered(counts), 10)
    assert len(rows) == 0 and list(rows.in_order(4)) == [] and list(rows.shuffled(4, 0, 0)) == []


def test_a_batch_larger_than_all_rows_is_none_when_shuffled_and_short_when_in_order() -> None:
    rows = Loader(Numbered([3, 4]), 5)
    assert list(rows.shuffled(8, 0, 0)) == [] and numbers(rows.in_order(8)) == [list(range(7))]


def test_two_epochs_at_a_time_do_not_disturb_each_other() -> None:
    rows = Loader(Numbered([7] * 20), 30)
    first_epoch, in_order = zip(
        *((rows_of(a), rows_of(b)) for a, b in zip(rows.shuffled(10, 1, 0), rows.in_order(10)))
    )
    assert list(first_epoch) == numbers(rows.shuffled(10, 1, 0)) and joined(in_order) == list(
        range(140)
    )


# --- the middle of an epoch -----------------------------------------------------------------------


@given(counts=COUNTS, pool=POOL, batch=BATCH, seed=SEED, epoch=EPOCH, data=st.data())
@settings(max_examples=80, **QUICK)
def test_from_any_batch_on_an_epoch_is_the_tail_of_the_whole_one(
    counts: List[int], pool: int, batch: int, seed: int, epoch: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, 3), "shards")
    shard = (data.draw(st.integers(0, count - 1), "shard"), count)
    all_batches = numbers(Loader(Numbered(counts), pool).shuffled(batch, seed, epoch, 0, shard))
    start = data.draw(st.integers(0, len(all_batches) + 2), "start")
    blocks = Numbered(counts)
    assert (
        numbers(Loader(blocks, pool).shuffled(batch, seed, epoch, start, shard))
        == all_batches[start:]
    )


def test_going_on_in_the_middle_reads_nothing_of_the_pools_before() -> None:
    blocks = Numbered([10] * 40)
    rows = Loader(blocks, 100)
    expected = numbers(rows.shuffled(20, 5, 0))[12:]
    del blocks.log[:]
    assert numbers(rows.shuffled(20, 5, 0, 12)) == expected
    assert len(blocks.log) == 20  # two pools of four: batch 12 begins in the third


def test_at_the_end_of_an_epoch_there_is_nothing_to_read() -> None:
    blocks = Numbered([10] * 40)
    assert list(Loader(blocks, 100).shuffled(20, 5, 0, 20)) == [] and blocks.log == []


def test_going_on_after_an_epoch_that_stayed_in_memory_is_the_same() -> None:
    blocks = Numbered([10] * 10)
    rows = Loader(blocks, 100)
    all_batches = numbers(rows.shuffled(7, 5, 0))
    assert numbers(rows.shuffled(7, 5, 0, 9)) == all_batches[9:] and len(blocks.log) == 10


# --- shares of processes --------------------------------------------------------------------------


@given(
    counts=COUNTS,
    pool=POOL,
    batch=st.integers(1, 8),
    seed=SEED,
    epoch=EPOCH,
    count=st.integers(1, 6),
)
@settings(max_examples=80, **QUICK)
def test_shares_are_disjoint_and_have_equally_many_batches(
    counts: List[int], pool: int, batch: int, seed: int, epoch: int, count: int
) -> None:
    blocks = Numbered(counts)
    rows = Loader(blocks, pool)
    shares = [numbers(rows.shuffled(batch, seed, epoch, 0, (k, count))) for k in range(count)]
    steps = rows.steps(batch, seed, epoch, count)
    assert [len(share) for share in shares] == [steps] * count
    flat = joined(joined(share) for share in shares)
    assert len(set(flat)) == len(flat) == count * steps * batch
    owners = [set(blocks.of(joined(share))) for share in shares]
    assert sum(map(len, owners)) == len(
        set().union(*owners)
    )  # whole blocks, so that a file is read by one process


@given(
    block_rows=st.integers(1, 9),
    per_share=st.integers(1, 6),
    pool=POOL,
    seed=SEED,
    count=st.integers(1, 6),
)
@settings(max_examples=40, **QUICK)
def test_shares_together_hold_every_row(
    block_rows: int, per_share: int, pool: int, seed: int, count: int
) -> None:
    """All blocks have one size, as step files have, and each share as many: no row is left."""
    rows = Loader(Numbered([block_rows] * (per_share * count)), pool)
    shares = [
        joined(numbers(rows.shuffled(block_rows, seed, 0, 0, (k, count)))) for k in range(count)
    ]
    assert sorted(joined(shares)) == list(range(block_rows * per_share * count))


@given(counts=COUNTS, batch=st.integers(1, 8), seed=SEED, count=st.integers(1, 6))
@settings(max_examples=40, **QUICK)
def test_the_smallest_share_is_used_up(
    counts: List[int], batch: int, seed: int, count: int
) -> None:
    blocks = Numbered(counts)
    steps = Loader(blocks, 10).steps(batch, seed, 0, count)
    order = np.random.RandomState([seed, 0]).permutation(len(counts))
    sizes = [int(blocks.counts[order[k::count]].sum()) for k in range(count)]
    assert min(sizes) - batch < steps * batch <= min(sizes)


def test_one_share_is_the_whole_and_more_shares_than_blocks_are_empty() -> None:
    rows = Loader(Numbered([5, 6, 7]), 8)
    assert numbers(rows.shuffled(4, 1, 0, 0, (0, 1))) == numbers(rows.shuffled(4, 1, 0))
    assert all(list(rows.shuffled(4, 1, 0, 0, (k, 4))) == [] for k in range(4))


def test_a_share_that_fits_into_the_pool_is_not_taken_for_everything() -> None:
    """Each epoch gives a process other blocks; those of the last epoch would be wrong."""
    blocks = Numbered([10] * 8)
    rows = Loader(blocks, 1000)
    epochs = []
    for epoch in range(4):
        epochs.append(set(joined(numbers(rows.shuffled(10, 1, epoch, 0, (0, 2))))))
        assert epochs[-1] == set(
            joined(numbers(Loader(Numbered([10] * 8), 1000).shuffled(10, 1, epoch, 0, (0, 2))))
        )
    assert len(set(map(frozenset, epochs))) > 1
    all_batches = numbers(rows.shuffled(10, 1, 0))
    assert all_batches == numbers(Loader(Numbered([10] * 8), 1000).shuffled(10, 1, 0))
    assert set(joined(numbers(rows.shuffled(10, 1, 0, 0, (1, 2))))) == set(range(80)) - epochs[0]


# --- threads --------------------------------------------------------------------------------------


def slow(seed: int) -> Callable[[int], None]:
    draw = random.Random(seed)
    return lambda block: time.sleep(draw.choice((0, 0, 0.0005, 0.002)))


@given(
    counts=COUNTS, pool=st.integers(10, 200), seed=SEED, threads=st.integers(1, 6), data=st.data()
)
@settings(max_examples=25, **QUICK)
def test_batches_depend_neither_on_the_number_of_threads_nor_on_how_long_reads_take(
    counts: List[int], pool: int, seed: int, threads: int, data: st.DataObject
) -> None:
    counts = counts * 3  # so that a pool is several threads' work
    expected = numbers(Loader(Numbered(counts), pool, 1).shuffled(7, seed, 0))
    delayed = Numbered(counts, slow(data.draw(st.integers(0, 99), "delays")))
    assert numbers(Loader(delayed, pool, threads).shuffled(7, seed, 0)) == expected


def test_a_pool_is_read_by_as_many_threads_as_asked_for() -> None:
    barrier = threading.Barrier(3, timeout=20)
    blocks = Numbered(
        [2] * 24, lambda block: barrier.wait() if block % 8 == 0 else None
    )  # the first of each task
    assert (
        len(list(Loader(blocks, 1000, 3).in_order(48))) == 1
    )  # with fewer threads the barrier breaks


def test_rows_are_read_while_the_caller_works() -> None:
    """The next pool is read while one is used, so the caller does not wait for it."""
    blocks = Numbered([10] * 8)
    batches = Loader(blocks, 40).shuffled(40, 1, 0)
    next(batches)
    wait_for(lambda: len(blocks.log) == 8)
    assert len(list(batches)) == 1


# --- memory ---------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert condition()


@pytest.mark.parametrize("threads", [1, 4])
def test_while_the_caller_holds_still_reading_goes_one_pool_ahead_and_no_further(
    threads: int,
) -> None:
    blocks = Numbered([10] * 24)  # pools of exactly four
    rows_handed_out = 0
    for batch in Loader(blocks, 40, threads).shuffled(10, 3, 0):
        current = rows_handed_out // 40
        rows_handed_out += len(batch[0])
        ahead = min(24, 4 * (current + 2))
        wait_for(lambda: len(blocks.log) >= ahead)  # noqa: B023 - called here
        if rows_handed_out % 40 == 10:
            time.sleep(0.02)  # time to go too far
        assert len(blocks.log) == ahead


@given(counts=COUNTS, pool=POOL, batch=BATCH, shuffled=st.booleans())
@settings(max_examples=40, **QUICK)
def test_no_more_than_two_pools_of_rows_are_ever_held(
    counts: List[int], pool: int, batch: int, shuffled: bool
) -> None:
    """A pool is made of whole blocks, so it holds less than one block more than it should."""
    blocks = Numbered(counts)
    rows = Loader(blocks, pool)
    rows_handed_out = 0
    for rows_of_batch in rows.shuffled(batch, 3, 0) if shuffled else rows.in_order(batch):
        rows_handed_out += len(rows_of_batch[0])
        assert blocks.rows_read() - rows_handed_out < 2 * (pool + max(counts))


@pytest.mark.parametrize("shuffled", [True, False])
def test_memory_is_that_of_two_pools_however_many_rows_there_are(shuffled: bool) -> None:
    pool, batch = 400, 40
    peaks = []
    for count in (60, 240):
        rows = Loader(Numbered([20] * count), pool, 1)
        tracemalloc.start()
        try:
            for _ in rows.shuffled(batch, 0, 0) if shuffled else rows.in_order(batch):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert max(peaks) < 2 * ROW * pool + 4 * ROW * batch + 300_000
    assert peaks[1] < peaks[0] + 100_000


def test_rows_in_order_take_less_memory_than_a_pool_that_is_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "_UNMIXED_POOL", 40)
    blocks = Numbered([10] * 24)
    batches = Loader(blocks, 100).in_order(10)
    next(batches)
    wait_for(lambda: len(blocks.log) == 8)
    time.sleep(0.02)
    assert len(blocks.log) == 8
    assert len(list(batches)) == 23


def test_a_pool_as_large_as_everything_is_read_once_over_many_epochs() -> None:
    counts = [5, 0, 9, 30, 1] * 4
    blocks = Numbered(counts)
    rows = Loader(blocks, sum(counts))
    epochs = [numbers(rows.shuffled(8, 2, epoch)) for epoch in range(3)] + [
        numbers(rows.in_order(11))
    ]
    assert sorted(blocks.log) == list(range(len(counts)))
    fresh = [
        numbers(Loader(Numbered(counts), sum(counts)).shuffled(8, 2, epoch)) for epoch in range(3)
    ]
    assert epochs[:3] == fresh and joined(epochs[3]) == list(range(sum(counts)))


def test_a_pool_smaller_by_one_row_is_read_again_in_every_epoch() -> None:
    blocks = Numbered([10] * 6)
    rows = Loader(blocks, 59)
    for epoch in range(3):
        list(rows.shuffled(8, 2, epoch))
    assert len(blocks.log) == 18


# --- mixing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool, fewest_blocks", [(1024, 30), (256, 13)])
def test_a_batch_holds_rows_of_nearly_as_many_blocks_as_its_pool_allows(
    pool: int, fewest_blocks: int
) -> None:
    blocks = Numbered([16] * 64)
    for batch_numbers in numbers(Loader(blocks, pool).shuffled(64, 11, 0)):
        assert len(set(blocks.of(batch_numbers))) >= fewest_blocks


def test_a_pool_holds_other_blocks_in_another_epoch() -> None:
    blocks = Numbered([16] * 64)
    rows = Loader(blocks, 256)
    first = [
        set(blocks.of(next(iter(numbers(rows.shuffled(256, 11, epoch)))))) for epoch in range(3)
    ]
    assert all(len(pool) == 16 for pool in first)
    assert all(len(a & b) < 10 for k, a in enumerate(first) for b in first[:k])


# --- failures and early ends ----------------------------------------------------------------------


def failing(failing_block: int, error: BaseException) -> Callable[[int], None]:
    def before(block: int) -> None:
        if block == failing_block:
            raise error

    return before


@pytest.mark.parametrize("pool", [40, 1000])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block", [0, 13, 23])
def test_a_failing_read_reaches_the_caller_as_itself(pool: int, threads: int, block: int) -> None:
    error = KitError("is truncated", "E3SM-MMF.mli.nc", "download this file again")
    before = set(threading.enumerate())
    batches = []
    with pytest.raises(KitError) as caught:
        for batch in Loader(Numbered([10] * 24, failing(block, error)), pool, threads).in_order(10):
            batches.append(rows_of(batch))
    assert caught.value is error
    assert (
        batches == numbers(Loader(Numbered([10] * 24), pool).in_order(10))[: len(batches)]
    )  # nothing half-read before it
    assert len(batches) == (0 if pool == 1000 else block // 4 * 4)
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("pool", [40, 1000])
def test_after_a_failed_epoch_the_next_one_is_whole(pool: int) -> None:
    """The file was replaced meanwhile; nothing of the failed reading may count as rows."""
    blocks = Numbered([10] * 24, failing(13, KitError("is truncated", "x", "y")))
    rows = Loader(blocks, pool)
    with pytest.raises(KitError):
        list(rows.shuffled(10, 1, 0))
    blocks._before = lambda block: None
    assert sorted(joined(numbers(rows.shuffled(10, 1, 0)))) == list(range(240))


def test_a_failing_read_of_a_later_pool_does_not_keep_it_reading() -> None:
    """The failed pool is the last one that reading begins."""
    blocks = Numbered([10] * 40, failing(9, KitError("is truncated", "x", "y")))
    with pytest.raises(KitError):
        list(Loader(blocks, 40).in_order(10))
    assert max(blocks.log) < 12


def test_after_a_failing_read_the_rest_of_its_pool_is_not_read() -> None:
    """At full size the rest of a pool is gigabytes, which would delay the message."""
    blocks = Numbered([1] * 400, failing(0, KitError("is truncated", "x", "y")))
    blocks_before = blocks._before
    blocks._before = lambda block: (time.sleep(0.0005), blocks_before(block))
    with pytest.raises(KitError):
        list(Loader(blocks, 1000, 2).in_order(10))
    assert len(blocks.log) < 100


@pytest.mark.parametrize("end", ["close", "drop", "fail"])
def test_an_epoch_that_ends_early_stops_reading_and_leaves_no_thread(end: str) -> None:
    before = set(threading.enumerate())
    blocks = Numbered([2] * 1000, lambda block: time.sleep(0.003 if len(blocks.log) > 200 else 0))
    batches: Optional[Batches] = Loader(blocks, 400).shuffled(20, 1, 0)
    assert batches is not None
    next(batches)
    assert set(threading.enumerate()) != before  # it does read ahead with threads of its own
    if end == "close":
        batches.close()
    elif end == "fail":
        with pytest.raises(KeyboardInterrupt) as caught:
            batches.throw(KeyboardInterrupt)
        assert (
            caught.tb is not None
        )  # an error is looked at while its frames still hold what they held
        assert set(threading.enumerate()) == before
    batches = None
    assert set(threading.enumerate()) == before
    read = len(blocks.log)
    assert read < 300  # the first pool's 200, and of the second one what was on its way
    time.sleep(0.02)
    assert len(blocks.log) == read


def test_an_epoch_that_is_never_begun_reads_nothing() -> None:
    blocks = Numbered([10] * 40)
    rows = Loader(blocks, 20)
    rows.shuffled(10, 0, 0), rows.in_order(10)
    assert blocks.log == []


def test_an_epoch_that_was_left_early_can_be_begun_again() -> None:
    rows = Loader(Numbered([10] * 24), 240)
    for _ in range(3):
        next(rows.shuffled(10, 1, 0))
    assert numbers(rows.shuffled(10, 1, 0)) == numbers(
        Loader(Numbered([10] * 24), 240).shuffled(10, 1, 0)
    )
