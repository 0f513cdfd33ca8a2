"""The numbers of parameters that cards name are those of the networks."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", minversion="2.0")  # devices as contexts: nothing is allocated

from leapkit.core import network_sizes  # noqa: E402
from leapkit.core.experiments import PROFILES  # noqa: E402
from leapkit.core.registry import discover  # noqa: E402

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = {one.name: one for group in discover(ROOT).values() for one in group}


@pytest.mark.parametrize("name", network_sizes.PARAMETERS)
def test_a_network_has_as_many_parameters_as_its_card_says(name: str) -> None:
    experiment = NETWORKS[name]
    build = importlib.import_module(f"members.{experiment.member}.networks").build
    for profile in PROFILES:
        with torch.device("meta"):
            network = build(experiment.network[profile])
        counted = sum(parameter.numel() for parameter in network.parameters())
        assert counted == network_sizes.parameters(name, profile)
