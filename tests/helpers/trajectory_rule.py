"""The rule that makes rows, first weights and networks of the stored trajectories.

Every number is a whole one of numpy's RandomState, whose stream never changes (NEP 19), divided,
multiplied or added: bits that no version of numpy or torch has a say in. docs/reference/
training_parity.md, "The rule", says it in words.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import (
    INPUTS,
    LEVELS,
    TARGETS,
    ZERO,
    kaggle_positions,
    network_positions,
)
from leapkit.core.experiments import Experiment
from leapkit.core.recipes import Recipe, RowSelection
from leapkit.core.splits import Split, write_split
from leapkit.core.step_files import StepPair
from leapkit.data.families import FAMILIES
from leapkit.data.scaling import Scaling
from leapkit.data.step_rows import MonthIndex, selected_rows
from leapkit.nets.blocks import CHANNELS, OUTPUTS, head_mean, to_sequence

VERSION = 1  # raise it when a change below changes a number, and write the trajectories again
TRAIN, VALIDATION = ("0001-02", "0003-12", "0004-01"), ("0008-07",)
COLUMNS = 5  # rows of a step
VALIDATION_STEPS = 4
SMALLER_BATCH = 512  # 2048 rows are 4, 3072 are 6
SMALLER_POOL = 1 << 15  # 524,288 rows are 16
WIDTH = 4  # features per level


@dataclass(frozen=True)
class Kind:
    """An experiment that stands for all whose loop differs in numbers alone.

    steps      step files of each training month
    gradients  what gradients are multiplied by, a power of two: about half of them are then longer
               than the recipe's `clip`
    output     what the network's output is multiplied by: the larger, the more an update changes
    """

    experiment: str
    steps: int = 3
    gradients: float = 1.0
    output: float = 16.0


@dataclass(frozen=True)
class RuleNetwork:
    """The numbers of the network that all trajectories train.

    parts   names of its layers, first to last: the prefixes that the recipe gives rates
    output  see Kind
    """

    parts: Tuple[str, ...]
    output: float


class Network(nn.Module):
    """(B, 556) -> (B, 368): a linear layer per part, tanh between them, level by level.

    A constant is added to each input of each level, or a profile upside down would give the same
    loss. The network holds tensors that no forward pass sees, as joseph/907 does.
    """

    def __init__(self, config: RuleNetwork) -> None:
        super().__init__()
        self._config = config
        widths = [CHANNELS] + [WIDTH] * (len(config.parts) - 1) + [OUTPUTS]
        for name, inputs, outputs in zip(config.parts, widths, widths[1:]):
            setattr(self, name, nn.Sequential(nn.Linear(inputs, outputs)))
        self.layer_norm = nn.LayerNorm(WIDTH)
        self._constants = torch.from_numpy(numbers("levels", LEVELS, CHANNELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = to_sequence(x.double()) + self._constants  # (B, 60, 25)
        *parts, last = self._config.parts
        for name in parts:
            x = torch.tanh(getattr(self, name)(x))
        return head_mean(getattr(self, last)(x)) * self._config.output


def numbers(name: str, *shape: int) -> np.ndarray:
    """Return float64 numbers between -1 and 1, in thousandths: a function of their name."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    return random.randint(-1000, 1001, shape, dtype=np.int64) / 1000.0


def network(config: RuleNetwork, whose: str, gradients: float = 1.0) -> nn.Module:
    """Return a float64 network whose tensors are functions of `whose` and of their names.

    gradients  what its gradients are multiplied by
    """
    made = Network(config).double()
    with torch.no_grad():
        for name, tensor in made.state_dict().items():
            size = config.output if name.startswith(config.parts[-1]) else 2.0
            tensor.copy_(torch.from_numpy(numbers(f"{whose} {name}", *tensor.shape) / size))

    def longer(_: nn.Module, __: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda gradient: gradient * gradients)

    made.register_forward_hook(longer)
    return made


def tiny(experiment: Experiment, kind: Kind) -> Experiment:
    """Return the experiment with a network, batches and pools of a size for a second of work."""
    recipe = experiment.recipe["full"]
    small = replace(
        recipe,
        batch=recipe.batch // SMALLER_BATCH,
        validation_batch=recipe.validation_batch // SMALLER_BATCH,
        rows=replace(recipe.rows, pool=recipe.rows.pool // SMALLER_POOL),
    )
    parts = tuple(name for name in recipe.rates if name) or ("lstm", "fc")
    networks = dict.fromkeys(("full", "sample"), RuleNetwork(parts, kind.output))
    return with_recipe(replace(experiment, network=networks), small)


def with_recipe(experiment: Experiment, recipe: Recipe) -> Experiment:
    return replace(experiment, recipe=dict.fromkeys(("full", "sample"), recipe))


_TARGET_MEAN = numbers("mean", len(TARGETS)) / 8
_TARGET_STD = 1 + numbers("std", len(TARGETS)) / 2


class RuleRows:
    """Rows by the rule, selected as leapkit.data.step_rows.StepRows selects those of files."""

    precision = "float64"

    def __init__(
        self,
        pairs: Sequence[StepPair],
        scaling: Scaling,
        rows: Optional[RowSelection] = None,
        index: Optional[MonthIndex] = None,
        accept_float32: bool = False,
    ) -> None:
        self.pairs = pairs
        selected = selected_rows(pairs, COLUMNS, rows or RowSelection(), index or {})
        every = np.ones((len(pairs), COLUMNS), dtype=bool)
        self._selected = every if selected is None else selected
        self.counts = self._selected.sum(axis=1)

    def read(self, pair: int, inputs: np.ndarray, targets: np.ndarray) -> None:
        x, y = _rows(self.pairs[pair].stamp)
        inputs[...], targets[...] = x[self._selected[pair]], y[self._selected[pair]]

    def used(self) -> Dict[str, str]:
        return {}


@functools.lru_cache(maxsize=None)
def _rows(stamp: str) -> Tuple[np.ndarray, np.ndarray]:
    """Return a step's rows, standardised: targets are half an input of the same place, and noise.

    The zero targets hold what raw 0 is.
    """
    x = numbers("inputs " + stamp, COLUMNS, len(INPUTS)) * 2
    y = numbers("noise " + stamp, COLUMNS, len(TARGETS))
    y[:, :8] += x[:, :8]
    y[:, 8:] += x[:, 16:376] / 2 + x[:, :1] / 2
    y[:, network_positions(ZERO)] = -(_TARGET_MEAN / _TARGET_STD)[kaggle_positions(ZERO)]
    return x, y


def scaling(family: str) -> Scaling:
    """Return statistics by the rule; training and its evaluations use the targets' alone."""
    return Scaling(
        FAMILIES[family],
        np.zeros(len(INPUTS)),
        np.ones(len(INPUTS)),
        _TARGET_MEAN,
        _TARGET_STD,
        np.ones(len(TARGETS)),
    )


def write_world(root: Path, steps: int) -> None:
    """Write what a training looks up in a world: its split, and names of files without content."""
    counts = {**dict.fromkeys(TRAIN, steps), **dict.fromkeys(VALIDATION, VALIDATION_STEPS)}
    for month, count in counts.items():
        folder = root / "ClimSim_low-res" / "train" / month
        folder.mkdir(parents=True)
        for k in range(count):
            pair = StepPair(folder, f"{month}-01-{1200 * k:05d}")
            pair.mli.touch()
            pair.mlo.touch()
    write_split(root / "split.json", Split(TRAIN, VALIDATION, 1))
