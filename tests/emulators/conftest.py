"""Checkpoints of the kit's own networks at sample width, as they are before any training."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


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


@pytest.fixture(scope="session")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a submission folder with checkpoints of adam/195 and of max2020/022's seven groups."""
    pytest.importorskip("torch")
    root = tmp_path_factory.mktemp("untrained") / "submission"
    for experiment in ("adam/195", "max2020/022"):
        untrained(experiment, root / "outputs" / experiment)
    return root
