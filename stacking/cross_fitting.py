"""One network for each fold of time, trained on all other folds, and what it predicts of its own.

So every validation row is predicted by a network that has not seen its month, and the score of
these predictions is an honest one. Test rows get the mean of all networks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Sequence

import numpy as np
import torch

from leapkit.core import pauses, receipts
from leapkit.core.errors import KitError
from leapkit.core.files import sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.data import checkpoints
from leapkit.data.progress import progress
from leapkit.data.score import R2, Score, score_network_order, validation_r2
from stacking.networks import StackConfig, StackNetwork
from stacking.rows import Rows, ValidationRows
from stacking.training import StackRecipe, correction, train

KIND = "stack network"
Take = Callable[[slice, np.ndarray], None]


@dataclass(frozen=True)
class CrossFit:
    """How networks are made, and where they lie.

    folder  of the networks, fold_<number>.pt each
    inputs  {role: sha256} of all that decides the rows
    """

    members: int
    config: StackConfig
    recipe: StackRecipe
    folder: Path
    inputs: Mapping[str, str]
    device: torch.device

    def path(self, number: int) -> Path:
        return self.folder / f"fold_{number}.pt"

    def networks(self, rows: ValidationRows, index: HashIndex) -> List[StackNetwork]:
        """Return the network of each fold; train those whose receipt does not prove them.

        Raises KitError if there is only one fold, and Paused if a pause was asked for.
        """
        if len(rows.names) < 2:
            raise KitError(
                "have one step: nothing could be held out",
                "the validation steps",
                "name a world with more of them",
            )
        return [self._network(rows, number, name, index) for number, name in enumerate(rows.names)]

    def _network(
        self, rows: ValidationRows, number: int, fold: str, index: HashIndex
    ) -> StackNetwork:
        path = self.path(number)
        steps = rows.steps_of(fold, others=True)
        inputs = {**self.inputs, "trained on": sha256_json(list(steps))}
        verdict = receipts.judge(path, inputs, index)
        does = "is skipped" if verdict.done else "runs"
        print(f"{'network without ' + fold:<28} {does}: {verdict.reason}", flush=True)
        if verdict.done:
            network = StackNetwork(self.members, self.config)
            checkpoints.load_into(network, checkpoints.read_tensors(path), path)
            return network.to(self.device).eval()
        if pauses.requested():
            raise pauses.Paused
        started = receipts.now()
        network = train(rows, steps, self.members, self.config, self.recipe, self.device)
        checkpoints.save(network, path)
        details = {"held out": fold, "network": asdict(self.config), "recipe": asdict(self.recipe)}
        receipts.write(path, KIND, inputs, started, details)
        return network


def cross_predict(
    rows: ValidationRows,
    networks: Sequence[StackNetwork],
    device: torch.device,
    take: Take,
    fitted: bool = False,
) -> Dict[str, Score]:
    """Predict every row once; return the scores of the blend and of the stack.

    networks  of each fold: the k-th has not seen the k-th fold
    take      is given the rows' place and their predictions (n, 368), step by step, in order
    fitted    instead lets the next fold's network predict, which was trained on the rows
    """
    sums = {"blend": R2(), "stack": R2()}
    number = {name: k for k, name in enumerate(rows.names)}
    for step, fold in enumerate(progress(rows.folds, desc="cross-fitted predictions", unit="step")):
        chosen = networks[(number[fold] + (1 if fitted else 0)) % len(networks)]
        read = rows.read(step)
        stacked = predicted(read, [chosen], device)
        sums["blend"].add(read.truth, read.blend)
        sums["stack"].add(read.truth, stacked)
        take(rows.place(step), stacked)
    scaling = rows.unit.scaling
    return {name: score_network_order(validation_r2(each, scaling)) for name, each in sums.items()}


def predicted(rows: Rows, networks: Sequence[StackNetwork], device: torch.device) -> np.ndarray:
    """Return (n, 368) float32: the blend with the mean correction of some networks."""
    change = correction(networks, rows.members, rows.blend, rows.inputs, device)
    stacked: np.ndarray = rows.blend + change
    return stacked
