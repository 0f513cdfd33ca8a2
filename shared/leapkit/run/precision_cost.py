"""What bf16 costs: the R2 of a checkpoint in both precisions, and how far predictions move."""

from __future__ import annotations

from typing import Dict, Iterator

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import TARGETS, ZERO, network_positions
from leapkit.data import checkpoints
from leapkit.data.loader import Loader
from leapkit.data.scaling import Scaling
from leapkit.run.evaluation import evaluate
from leapkit.run.positivity import bounded
from leapkit.run.training_run import Task, Trained


def of_training(
    network: nn.Module,
    task: Task,
    trained: Trained,
    validation: Loader,
    scaling: Scaling,
    device: torch.device,
) -> Dict[str, float]:
    """Return, and print, the validation R2 of a run's best checkpoint in bf16 and in float32.

    network  of the run, in float32; it gets the checkpoint's weights
    """
    path = task.files.checkpoint
    checkpoints.load_into(network, checkpoints.read_tensors(path), path)
    network = bounded(network, task.recipe.options, scaling)
    batch = task.recipe.validation_batch
    nobody = [lambda _: None]
    [score] = evaluate([network.to(device)], batch, validation, scaling, device, nobody)
    in_bf16 = task.value(trained.score)
    in_float32 = task.value(score)
    print(
        f"{task.files.stem}: bf16 costs {in_float32 - in_bf16:.6f} of R2:"
        f" {in_bf16:.5f}, and {in_float32:.5f} with the same weights in float32",
        flush=True,
    )
    return {"R2 in bf16": in_bf16, "R2 in float32": in_float32}


def of_inference(
    name: str, in_bf16: np.ndarray, in_float32: Iterator[np.ndarray]
) -> Dict[str, float]:
    """Return, and print, how far bf16 moves the predictions of the first rows.

    There are no targets to score them against.

    in_bf16     (N, 368) predictions, standardised, network order
    in_float32  chunks of the same in float32, of which the first one is made
    """
    exact = next(in_float32)
    predicted = np.delete(np.arange(len(TARGETS)), network_positions(ZERO))
    difference = (in_bf16[: len(exact)] - exact)[:, predicted].astype(np.float64)
    rms = float(np.sqrt(np.mean(difference**2)))
    print(
        f"{name}: bf16 moves predictions by {rms:.5f} standard deviations of their targets"
        f" (root mean square over {len(exact)} rows)",
        flush=True,
    )
    return {"rows": len(exact), "rms": rms}
