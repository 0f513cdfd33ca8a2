"""Checkpoints of the kit's own networks at sample width, as they are before any training."""

from __future__ import annotations

import importlib
from pathlib import Path


def untrained(experiment: str, folder: Path) -> Path:
    """Write the checkpoints of a network that was never trained, and return their folder."""
    import torch

    from launch.registry import members
    from leapkit.data import checkpoints

    member, number = experiment.split("/")
    entry = next(entry for entry in members()[member] if entry.id == number)
    networks = importlib.import_module(f"members.{member}.networks")
    torch.manual_seed(5)
    folder.mkdir(parents=True, exist_ok=True)
    for group in entry.checkpoint_groups:
        checkpoints.save(
            networks.build(entry.network["sample"]), folder / f"{entry.stem(group)}.pt"
        )
    return folder
