"""Where the time of one training step goes, and what its floor is.

    python -m benchmarks.step_profile                    # narrow networks on a CPU, one thread
    python -m benchmarks.step_profile residual --full    # the published width, 64 rows a step

Each stage is timed by itself, between two synchronisations on a GPU, so the sum is a little more
than a step of the loop, which lets stages overlap. The floor is the time of the matrix products
alone at the rate that products of the LSTM's own shapes reach here. On a CPU seconds are of CPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import torch
from torch import nn

from benchmarks import kinds, source
from benchmarks.case import Case
from benchmarks.kinds import DEVICE, HAS_GPU, KINDS
from leapkit.core.columns import LEVELS
from leapkit.core.errors import run_cli
from leapkit.core.experiments import Experiment
from leapkit.core.multiplications import TRAINING_FLOP
from leapkit.nets.mamba import Mamba
from leapkit.run import devices
from leapkit.run.augmentation import augment
from leapkit.run.losses import loss_all
from leapkit.run.optimisation import make_optimiser

PAIRS = 16
ROWS_ON_CPU = 64  # of a step at full width
# Layers whose forward pass is told apart; an outer one counts without those in it.
LAYERS = (nn.LSTM, Mamba, nn.MultiheadAttention, nn.Conv1d, nn.Linear, nn.LayerNorm, nn.Dropout)


class Stopwatch:
    """Seconds of each stage, step by step."""

    def __init__(self) -> None:
        self.seconds: Dict[str, List[float]] = defaultdict(list)
        self._step: Dict[str, float] = defaultdict(float)

    @staticmethod
    def now() -> float:
        if HAS_GPU:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = self.now()
        yield
        self.add(name, self.now() - started)

    def add(self, name: str, seconds: float) -> None:
        self._step[name] += seconds

    def end_step(self) -> None:
        for name, seconds in self._step.items():
            self.seconds[name].append(seconds)
        self._step.clear()

    def medians(self) -> Dict[str, float]:
        """Return the median of each stage, the first step left out: it warms up."""
        return {name: median(values[1:]) for name, values in self.seconds.items()}


def watch_layers(network: nn.Module, watch: Stopwatch) -> None:
    """Time the forward pass of each layer, without that of the layers in it."""
    open_layers: List[List[float]] = []  # [start, seconds of the layers inside]

    def begin(layer: nn.Module, inputs: Any) -> None:
        open_layers.append([watch.now(), 0.0])

    def end(layer: nn.Module, inputs: Any, result: Any) -> None:
        started, inside = open_layers.pop()
        seconds = watch.now() - started
        [kind] = [kind for kind in LAYERS if isinstance(layer, kind)]
        watch.add("forward: " + kind.__name__, seconds - inside)
        if open_layers:
            open_layers[-1][1] += seconds

    for layer in network.modules():
        if isinstance(layer, LAYERS):
            layer.register_forward_pre_hook(begin)
            layer.register_forward_hook(end)


def profile(case: Case, experiment: Experiment, width: str, steps: int) -> Tuple[Stopwatch, int]:
    """Return the seconds of each stage of some steps, and their rows."""
    recipe = experiment.recipe[width]
    batch = recipe.batch if HAS_GPU or width == "sample" else ROWS_ON_CPU
    devices.make_repeatable(recipe.seed)
    network = kinds.builder(experiment)(experiment.network[width]).to(DEVICE)
    network.train()
    optimiser = make_optimiser(network, recipe)
    watch = Stopwatch()
    watch_layers(network, watch)
    training, _ = kinds.loaders(case, experiment)
    generator = torch.Generator()
    batches = training.shuffled(batch, recipe.seed, 0)
    for _ in range(steps):
        with watch.stage("reading"):
            inputs, targets = next(batches)
            x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
        if recipe.augmentation:
            with watch.stage("augmentation"):
                x, y = augment(x, y, recipe.augmentation, generator)
        with watch.stage("copy to the device"):
            x, y = x.to(DEVICE), y.to(DEVICE)
        optimiser.zero_grad()
        with watch.stage("forward"):
            prediction = network(x)
        with watch.stage("loss"):
            loss = loss_all(prediction, y, recipe.smooth_l1_beta)
        with watch.stage("backward"):
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        with watch.stage("clip"):
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        with watch.stage("optimiser"):
            optimiser.step()
        with watch.stage("reading the loss"):
            loss.item()
        watch.end_step()
    batches.close()
    return watch, batch


def product_rate(network: nn.Module, batch: int) -> float:
    """Return the FLOP per second of products of the shapes of the network's widest LSTM.

    All levels with the input's weights at once, and one level with the state's.
    """
    lstms = [layer for layer in network.modules() if isinstance(layer, nn.LSTM)]
    widest = max(lstms, key=lambda lstm: lstm.input_size * lstm.hidden_size)
    gates = 4 * widest.hidden_size
    shapes = [(batch * LEVELS, widest.input_size, gates, 1)]
    shapes += [(batch, widest.hidden_size, gates, LEVELS)]
    flop = sum(2.0 * m * k * n * count for m, k, n, count in shapes)
    pairs = [
        (torch.randn(m, k, device=DEVICE), torch.randn(k, n, device=DEVICE), count)
        for m, k, n, count in shapes
    ]

    def multiply() -> None:
        for left, right, count in pairs:
            for _ in range(count):
                left @ right

    return flop / _median_seconds(multiply)


def _median_seconds(work: Callable[[], None], runs: int = 7) -> float:
    seconds = []
    for _ in range(runs + 1):
        started = Stopwatch.now()
        work()
        seconds.append(Stopwatch.now() - started)
    return median(seconds[1:])


def table(watch: Stopwatch, floor: float, batch: int) -> List[str]:
    """Return a line per stage: milliseconds, share of the step."""
    stages = watch.medians()
    inside = {name: value for name, value in stages.items() if name.startswith("forward: ")}
    outer = {name: value for name, value in stages.items() if name not in inside}
    step = sum(outer.values())
    lines = []
    for name, value in outer.items():
        lines.append(f"  {name:<28} {1e3 * value:9.2f} ms {value / step:6.1%}")
        if name == "forward":
            rest = max(0.0, value - sum(inside.values()))  # medians do not add up
            layers = [*inside.items(), ("forward: all else", rest)]
            lines += [
                f"    {layer:<26} {1e3 * seconds:9.2f} ms {seconds / step:6.1%}"
                for layer, seconds in sorted(layers, key=lambda pair: -pair[1])
            ]
    lines.append(f"  {'step':<28} {1e3 * step:9.2f} ms, {batch / step:,.0f} rows/s")
    lines.append(
        f"  {'floor: matrix products':<28} {1e3 * floor:9.2f} ms {floor / step:6.1%},"
        f" {batch / floor:,.0f} rows/s"
    )
    return lines


def main(argv: Sequence[str]) -> int:
    """Print the profile of one step of each kind of network."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_profile", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--full", action="store_true", help="the published width, on a CPU too")
    parser.add_argument("--steps", type=int, default=12, help="of which the first is left out")
    options = parser.parse_args(argv)
    width = "full" if options.full or HAS_GPU else "sample"
    devices.tune_libraries()
    if not HAS_GPU:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="leap-profile-") as folder:
        case = Case(folder, folder + "/made", PAIRS, 1, 1)
        source.make_step_files(Path(case.steps), PAIRS)
        kinds.make_world(case)
        for name in options.kinds or [kind for kind in KINDS if not KINDS[kind].tuned]:
            experiment = kinds.experiment_of(KINDS[name].experiment)
            record = experiment.network[width]
            watch, batch = profile(case, experiment, width, options.steps)
            rate = product_rate(kinds.builder(experiment)(record), batch)
            floor = batch * TRAINING_FLOP * record.multiplications / rate
            print(
                f"{KINDS[name].title}: {experiment.name}, {width} width, {batch} rows on {DEVICE}"
            )
            print("\n".join(table(watch, floor, batch)))
            print(f"  products of its shapes reach {rate / 1e9:,.0f} GFLOP/s\n", flush=True)
    return 0


if __name__ == "__main__":
    run_cli(main)
