"""newcomer's networks: what they predict, whether they learn, and what they cost."""

from __future__ import annotations

import pytest
import torch

from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.experiments import PROFILES, Experiment
from leapkit.run.losses import loss_all
from templates.newcomer.experiments import EXPERIMENTS
from templates.newcomer.networks import build

every_experiment = pytest.mark.parametrize(
    "experiment", EXPERIMENTS, ids=[experiment.name for experiment in EXPERIMENTS]
)


@every_experiment
@pytest.mark.parametrize("profile", PROFILES)
def test_a_row_is_predicted_by_itself(experiment: Experiment, profile: str) -> None:
    torch.manual_seed(0)
    network = build(experiment.network[profile]).double().eval()
    x = torch.randn(3, len(INPUTS), dtype=torch.float64)
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(row[None]) for row in x])
    assert together.shape == (3, len(TARGETS)) and bool(torch.isfinite(together).all())
    assert torch.allclose(together, alone, rtol=0, atol=1e-12)


@pytest.mark.process
@every_experiment
def test_it_learns_a_few_rows_by_heart(experiment: Experiment) -> None:
    torch.manual_seed(0)
    network = build(experiment.network["sample"])
    x, y = torch.randn(8, len(INPUTS)), torch.randn(8, len(TARGETS))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = loss_all(network(x), y, beta=1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0], losses
