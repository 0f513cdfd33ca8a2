"""Networks of each kind, trained in float64 by one, four and two processes, and their differences.

    PYTHONPATH=shared:. python tests/helpers/together.py RAW_DATA FOLDER [BATCH [NAMES]]

RAW_DATA is a tiny world, of which 288 rows are an epoch: 12 steps of 23 rows, or 4 of 71, which
neither two nor four processes share evenly. Prints a line for each network, or for those whose
names contain one of NAMES, and writes FOLDER/table.json. The processes are forks of one interpreter
that has imported torch, which saves seconds at each.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
import torch

from leapkit.core.architectures import ResidualStack
from leapkit.core.layout import RawData, RunFiles
from leapkit.core.recipes import Augmentation, PlateauSchedule
from leapkit.core.training_options import TrainingOptions
from leapkit.data.loader import Batches, Loader
from leapkit.data.scaling import load_scaling
from leapkit.data.step_rows import StepRows
from leapkit.run import process_group, training, training_state
from members.forcewithme.experiments import LstmMamba
from members.joseph.experiments import ConvLstm
from tests.helpers import small_run

BATCH = int(sys.argv[3]) if len(sys.argv) > 3 else 23
CLIP = 0.01
OPTIONS = TrainingOptions(0.5, 0.9, input_noise=0.1, target_weights="targets")
SIZES = (1, 4, 2)  # in the order in which they train


class Case(NamedTuple):
    """A network to train; `stops` leaves it after an evaluation to the next number of processes."""

    member: str
    network: Any
    group: Optional[int] = None
    stops: bool = False
    options: TrainingOptions = TrainingOptions()


OF_GROUP = "LSTM, transformer, dropout; group v"
CASES = {
    "residual LSTM": Case("max2020", ResidualStack(3, 4, (0,), (1, 2), (0,), 0.7, 0.3, 0, True)),
    "LSTM, Mamba, convolutions": Case("forcewithme", LstmMamba(4, 1, 1, 2, False)),
    "convolutions, attention, dropout": Case("joseph", ConvLstm(4, 2, 3, 2, 0.1, (0.1, 0.3))),
    OF_GROUP: Case("adam", small_run.NETWORK, 6),
    OF_GROUP + " by 1, 4, 2": Case("adam", small_run.NETWORK, 6, True),
    "options of training": Case("adam", small_run.NETWORK, options=OPTIONS),
}

CASES = {
    name: case
    for name, case in CASES.items()
    if not sys.argv[4:] or any(part in name for part in sys.argv[4:])
}


class Doubles(Loader):
    """A loader of float64."""

    def in_order(self, batch: int) -> Batches:
        for x, y in super().in_order(batch):
            yield x.astype(np.float64), y.astype(np.float64)

    def shuffled(self, *arguments: Any, **options: Any) -> Batches:
        for x, y in super().shuffled(*arguments, **options):
            yield x.astype(np.float64), y.astype(np.float64)


class Stopped(Exception):
    """A case was left after its first evaluation, in every process."""


def train(case: Case, raw: RawData, folder: Path, processes: process_group.Processes) -> None:
    build = import_module(f"members.{case.member}.networks").build
    scaling = load_scaling(raw.statistics("adam"), "adam", raw.old_weights)
    recipe = replace(
        small_run.RECIPE,
        epochs=1,
        batch=BATCH,
        evaluations_per_epoch=3,
        schedule=PlateauSchedule(factor=0.5, patience=0, min_lr=0.0),
        augmentation=Augmentation(0.2, 0.3, 3) if case.member == "joseph" else None,
        clip=CLIP,
        optimiser="adamw",
        weight_decay=0.1,  # would show in layers that are never used, if they had a gradient
        options=case.options,
    )
    training.train(
        lambda: build(case.network).double(),
        training.Task(RunFiles(folder, "n", case.group), recipe, "key", group=case.group),
        Doubles(StepRows(raw.training_pairs()[:6], scaling), 150),
        Doubles(StepRows(raw.validation_pairs(), scaling), 150),
        scaling,
        torch.device("cpu"),
        processes,
    )


def process(raw: RawData, folder: Path) -> None:
    """Train every case as one of several processes, and note the gradients' norms."""
    torch.set_num_threads(1)
    norms: Dict[str, List[float]] = {}
    clip, save = torch.nn.utils.clip_grad_norm_, training._save

    def noted(*arguments: Any) -> torch.Tensor:
        norm = clip(*arguments)
        norms[name].append(float(norm))
        return norm

    def stopped(run: training.Run) -> None:
        save(run)
        if case.stops and processes.size != SIZES[-1]:
            raise Stopped

    torch.nn.utils.clip_grad_norm_ = noted
    training._save = stopped
    with process_group.joined() as processes:
        for name, case in CASES.items():
            norms[name] = []
            shared = name if case.stops else f"{name} {processes.size}"
            (folder / shared).mkdir(exist_ok=True)
            with contextlib.suppress(Stopped):
                train(case, raw, folder / shared, processes)
        if processes.is_first:
            (folder / f"norms {processes.size}.json").write_text(json.dumps(norms))


def in_forks(size: int, raw: RawData, folder: Path) -> None:
    """Run process() in `size` forks that know each other as those of torchrun do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(size):
        child = os.fork()
        if not child:
            os.environ.update(
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE=str(size),
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=str(port),
                GLOO_SOCKET_IFNAME="lo",
            )
            process(raw, folder)
            sys.exit()
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * size


def state(folder: Path, name: str, size: int) -> Dict[str, Any]:
    case = CASES[name]
    shared = folder / (name if case.stops else f"{name} {size}")
    loaded: Dict[str, Any] = training_state.load(RunFiles(shared, "n", case.group).state)
    return loaded


def tensors(state: Dict[str, Any]) -> Dict[str, torch.Tensor]:
    """Return the tensors of the network and of what options add to a state."""
    parts = {"network": state["network"], **state.get("options", {})}
    return {
        f"{part} {key}": value
        for part, values in parts.items()
        for key, value in values.items()
        if isinstance(value, torch.Tensor)
    }


def difference(folder: Path, name: str, size: int) -> float:
    """Return the largest difference of a parameter, relative to the largest of its tensor."""
    before = OF_GROUP if CASES[name].stops else name
    alone, together = (tensors(state(folder, *which)) for which in ((before, 1), (name, size)))
    return max(
        float((alone[key] - together[key]).abs().max() / alone[key].abs().max().clamp(min=1e-30))
        for key in alone
    )


def main(raw: RawData, folder: Path) -> None:
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # imports what every fork would import
    for size in SIZES:
        in_forks(size, raw, folder)
    table: Dict[str, Any] = {}
    for name, case in CASES.items():
        last = state(folder, name, SIZES[-1])
        table[name] = {
            "float64": all(tensor.dtype == torch.float64 for tensor in last["network"].values()),
            "environments": [e.get("processes", 1) for e in last["environments"]],
            "smallest norm": min(
                min(json.loads((folder / f"norms {size}.json").read_text())[name]) for size in SIZES
            ),
            "differences": {
                size: difference(folder, name, size)
                for size in (SIZES[-1:] if case.stops else (2, 4))
            },
            "logs": [state(folder, name, size)["log"] for size in SIZES],
        }
        differences = table[name]["differences"].items()
        shown = "  ".join(f"{size} processes {value:8.1e}" for size, value in differences)
        print(f"{name:<46} {shown}")
    (folder / "table.json").write_text(json.dumps(table))


if __name__ == "__main__":
    main(RawData(Path(sys.argv[1])), Path(sys.argv[2]))
