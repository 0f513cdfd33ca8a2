"""An optimiser's state is the same whichever kernels make its updates."""

from __future__ import annotations

import copy
import inspect
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from leapkit.run import optimisation  # noqa: E402
from tests.helpers import small_run  # noqa: E402


def updated(optimiser: Any, network: Any) -> Any:
    network.zero_grad()
    network(torch.ones(3, 4)).square().sum().backward()
    optimiser.step()
    return network.weight.detach().clone()


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("saved_by_fused", [True, False])
def test_a_state_saved_by_fused_kernels_goes_on_with_others_and_the_other_way_round(
    name: str, saved_by_fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "fused" not in inspect.signature(torch.optim.AdamW).parameters:
        pytest.skip("this torch has no fused optimiser")
    recipe = replace(small_run.RECIPE, optimiser=name, weight_decay=0.01)
    networks = []
    optimisers = []
    for is_fused in (saved_by_fused, not saved_by_fused):
        monkeypatch.setattr(optimisation, "_can_be_fused", lambda *_, fused=is_fused: fused)
        torch.manual_seed(0)
        networks.append(torch.nn.Linear(4, 2))
        optimisers.append(optimisation.make_optimiser(networks[-1], recipe))
    updated(optimisers[0], networks[0])
    networks[1].load_state_dict(networks[0].state_dict())
    optimisation.load_optimiser(optimisers[1], copy.deepcopy(optimisers[0].state_dict()))
    kernels = [optimiser.param_groups[0]["fused"] for optimiser in optimisers]
    assert [bool(fused) for fused in kernels] == [saved_by_fused, not saved_by_fused]
    both = [updated(*pair) for pair in zip(optimisers, networks)]
    assert torch.allclose(*both, rtol=1e-5, atol=1e-6)


def test_on_a_cpu_the_optimiser_is_what_it_was() -> None:
    optimiser = optimisation.make_optimiser(torch.nn.Linear(4, 2), small_run.RECIPE)
    assert not optimiser.param_groups[0].get("fused")
