"""Batches reach a device, and outputs leave it, in an order that loses nothing.

There is no GPU here: torch.cuda is a fake that writes down what is asked of it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import Any, Iterator, List, Tuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from leapkit.core.columns import INPUTS, TARGETS  # noqa: E402
from leapkit.core.errors import KitError  # noqa: E402
from leapkit.core.recipes import Augmentation  # noqa: E402
from leapkit.data.loader import Loader  # noqa: E402
from leapkit.run import batches, inference  # noqa: E402
from leapkit.run.processes import Processes  # noqa: E402
from tests.helpers import small_run  # noqa: E402

pytestmark = pytest.mark.stack

CPU = torch.device("cpu")
AUGMENTED = replace(small_run.RECIPE, batch=8, augmentation=Augmentation(0.3, 0.3, 5))


class Numbered:
    """Five blocks of eight rows; each row holds its own number."""

    counts = np.full(5, 8)

    def read(self, block: int, inputs: np.ndarray, targets: np.ndarray) -> None:
        rows = np.arange(8 * block, 8 * block + 8, dtype=np.float32)[:, None]
        inputs[...] = rows + np.arange(len(INPUTS)) / 1024
        targets[...] = rows + np.arange(len(TARGETS)) / 1024


class FakeGpu:
    """What torch.cuda is asked to do, in order; copies are real and stay on the CPU."""

    type = "cuda"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: List[Tuple[Any, ...]] = []
        self._local = threading.local()
        self.streams = 0
        plain_to = torch.Tensor.to
        plain_copy = torch.Tensor.copy_
        plain_empty = torch.empty
        pinned = set()

        def pin(tensor: Any) -> Any:
            copy = tensor.clone()
            pinned.add(copy.data_ptr())
            self.log.append(("pin", self.number(tensor)))
            return copy

        def to(tensor: Any, *arguments: Any, **options: Any) -> Any:
            if not arguments or arguments[0] is not self:
                return plain_to(tensor, *arguments, **options)
            assert options == {"non_blocking": True} and tensor.data_ptr() in pinned
            self.log.append(("to GPU", self.number(tensor), self.current))
            return tensor.clone()

        def copy_(tensor: Any, source: Any, **options: Any) -> Any:
            if options:
                assert options == {"non_blocking": True} and tensor.data_ptr() in pinned
                self.log.append(("to host", self.number(source), self.current))
            return plain_copy(tensor, source)

        def empty(*arguments: Any, **options: Any) -> Any:
            is_pinned = options.pop("pin_memory", False)
            made = plain_empty(*arguments, **options)
            if is_pinned:
                pinned.add(made.data_ptr())
            return made

        monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
        monkeypatch.setattr(torch.Tensor, "to", to)
        monkeypatch.setattr(torch.Tensor, "copy_", copy_)
        monkeypatch.setattr(torch, "empty", empty)
        monkeypatch.setattr(
            torch.Tensor,
            "record_stream",
            lambda tensor, stream: self.log.append(("keep", self.number(tensor), stream.name)),
        )
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: FakeStream(self))
        monkeypatch.setattr(torch.cuda, "stream", self.using)
        computing = FakeStream(self, "computing")
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: computing)

    @property
    def current(self) -> str:
        return getattr(self._local, "stream", "computing")

    @contextlib.contextmanager
    def using(self, stream: FakeStream) -> Iterator[None]:
        before = self.current
        self._local.stream = stream.name
        yield
        self._local.stream = before

    @staticmethod
    def number(tensor: Any) -> int:
        return int(tensor.reshape(-1)[0])


class FakeStream:
    def __init__(self, gpu: FakeGpu, name: str = "") -> None:
        self.gpu = gpu
        self.name = name or f"copies {gpu.streams}"
        self.gpu.streams += not name

    def record_event(self) -> FakeEvent:
        return FakeEvent(self.gpu, self.gpu.log[-1])

    def wait_event(self, event: FakeEvent) -> None:
        self.gpu.log.append((f"{self.name} waits for", event.after))

    def wait_stream(self, other: FakeStream) -> None:
        self.gpu.log.append((f"{self.name} waits for", other.name))


class FakeEvent:
    def __init__(self, gpu: FakeGpu, after: Tuple[Any, ...]) -> None:
        self.gpu = gpu
        self.after = after

    def synchronize(self) -> None:
        self.gpu.log.append(("the host waits for", self.after))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    return FakeGpu(monkeypatch)


def numbered(count: int, begun: List[int]) -> Any:
    for number in range(count):
        begun.append(number)
        yield torch.full((2, 3), float(number)), torch.full((2, 1), float(number))


# ---- on a CPU ------------------------------------------------------------------------------------


def test_on_a_cpu_a_batch_is_the_loaders_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader(Numbered(), 100)
    given = []
    shuffled = loader.shuffled

    def noted(*arguments: Any) -> Any:
        for batch in shuffled(*arguments):
            given.append(batch)
            yield batch

    monkeypatch.setattr(loader, "shuffled", noted)
    recipe = replace(small_run.RECIPE, batch=8)
    for x, y in batches.training_batches(loader, recipe, 0, 0, CPU):
        assert np.shares_memory(x.numpy(), given[-1][0])
        assert np.shares_memory(y.numpy(), given[-1][1])
    assert len(given) == 5


def test_augmentation_is_a_function_of_the_update_wherever_a_run_goes_on() -> None:
    loader = Loader(Numbered(), 100)
    whole = list(batches.training_batches(loader, AUGMENTED, 1, 0, CPU))
    rest = list(batches.training_batches(loader, AUGMENTED, 1, 2, CPU))
    assert len(whole) == 5 and len(rest) == 3
    for (x, y), (same_x, same_y) in zip(whole[2:], rest):
        assert torch.equal(x, same_x) and torch.equal(y, same_y)
    plain = batches.training_batches(loader, replace(AUGMENTED, augmentation=None), 1, 0, CPU)
    assert not all(torch.equal(x, moved) for (x, _), (moved, _) in zip(plain, whole))


def test_each_process_gets_its_rows_of_the_augmented_batch() -> None:
    class Second(Processes):
        rank = 1
        size = 2

    loader = Loader(Numbered(), 100)
    whole = list(batches.training_batches(loader, AUGMENTED, 0, 0, CPU))
    second = list(batches.training_batches(loader, AUGMENTED, 0, 0, CPU, Second()))
    assert all(torch.equal(x[4:], half) for (x, _), (half, _) in zip(whole, second))


# ---- on a GPU ------------------------------------------------------------------------------------


def test_two_batches_are_copied_ahead_on_a_stream_of_their_own_and_the_host_never_waits(
    gpu: Any,
) -> None:
    begun: List[int] = []
    for number, (x, y) in enumerate(batches.on_device(numbered(5, begun), gpu)):
        assert gpu.number(x) == gpu.number(y) == number
        made = gpu.log.index(("to GPU", number, "copies 0"))
        # The event follows the copy of the batch's second tensor.
        waits = gpu.log.index(("computing waits for", ("to GPU", number, "copies 0")))
        kept = [k for k, entry in enumerate(gpu.log) if entry == ("keep", number, "computing")]
        assert made < waits < min(kept) and len(kept) == 2
        deadline = time.monotonic() + 5
        while len(begun) < min(5, number + 1 + batches.AHEAD) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert len(begun) == min(5, number + 1 + batches.AHEAD)
    assert not [entry for entry in gpu.log if "host waits" in entry[0]]


def test_training_gets_the_same_batches_by_a_gpus_way(gpu: Any) -> None:
    loader = Loader(Numbered(), 16)
    expected = list(batches.training_batches(loader, AUGMENTED, 0, 1, CPU))
    copied = list(batches.training_batches(loader, AUGMENTED, 0, 1, gpu))
    assert len(expected) == len(copied) == 4
    for ours, theirs in zip(expected, copied):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs))


def test_what_goes_wrong_in_reading_is_met_by_the_one_who_waits_for_the_batch(gpu: Any) -> None:
    def damaged() -> Any:
        yield (torch.zeros(1),)
        raise KitError("is damaged", "a step file", "get it again")

    arriving = batches.on_device(damaged(), gpu)
    next(arriving)
    with pytest.raises(KitError, match="is damaged"):
        next(arriving)


def test_an_epoch_that_is_left_closes_its_reader_and_leaves_no_thread(gpu: Any) -> None:
    closed = []

    def endless() -> Any:
        try:
            while True:
                yield (torch.zeros(1),)
        finally:
            closed.append(True)

    before = threading.active_count()
    with contextlib.closing(batches.on_device(endless(), gpu)) as arriving:
        next(arriving)
        assert not closed
    assert closed == [True] and threading.active_count() == before


def test_outputs_are_copied_while_the_next_one_is_computed(gpu: Any) -> None:
    outputs = batches.Outputs(gpu)
    work = []

    def passes() -> Any:
        for number in range(3):
            work.append(f"begins {number}")
            yield outputs.begin(torch.full((2, 2), float(number)))

    for arrived in outputs.one_behind(passes()):
        work.append(f"has {gpu.number(torch.from_numpy(arrived()))}")
    assert work == ["begins 0", "begins 1", "has 0", "begins 2", "has 1", "has 2"]
    assert gpu.log[:3] == [
        ("copies 0 waits for", "computing"),  # which has yet to compute the output
        ("to host", 0, "copies 0"),
        ("keep", 0, "copies 0"),
    ]
    assert [entry for entry in gpu.log if entry[0] == "the host waits for"] == [
        ("the host waits for", ("keep", number, "copies 0")) for number in range(3)
    ]


def test_predictions_by_a_gpus_way_are_those_of_a_cpu(gpu: Any) -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(len(INPUTS), len(TARGETS))
    inputs = np.random.RandomState(0).rand(25, len(INPUTS)).astype(np.float32)
    expected = list(inference.predict(network, inputs, 10, CPU))
    copied = list(inference.predict(network, inputs, 10, gpu))
    assert [len(block) for block in copied] == [10, 10, 5]
    assert all(np.array_equal(a, b) for a, b in zip(expected, copied))
