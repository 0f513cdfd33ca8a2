"""Networks from raw inputs to raw outputs, with their scaling inside, as one module.

The arithmetic is that of leapkit.data.scaling: float64 around a float32 network. All constants are
buffers: a file that was traced on a CPU runs wherever it is loaded.
"""

from __future__ import annotations

from typing import List, Sequence

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import (
    INPUTS,
    INPUTS_TO_NETWORK,
    LINEAR,
    LINEAR_INPUTS,
    STEP_SECONDS,
    TARGETS,
    TARGETS_TO_KAGGLE,
    ZERO,
    kaggle_positions,
)
from leapkit.data.scaling import Scaling
from leapkit.emulators.constraints import Constraints
from leapkit.emulators.parts import EmulatorParts, NetworkParts
from leapkit.exports.contracts import Contract
from leapkit.exports.portable import Scan, portable
from leapkit.nets.mamba import scan_by_level


class PhysicalNetwork(nn.Module):
    """(B, 557 or 556) float32 raw, the contract's order -> (B, 368) float32 raw, Kaggle order."""

    to_kaggle: torch.Tensor

    def __init__(self, raw: nn.Module, contract: Contract, constraints: nn.Module) -> None:
        super().__init__()
        self.register_buffer("to_kaggle", torch.tensor(contract.to_kaggle))
        self.raw = raw
        self.constraints = constraints

    def taking(self, contract: Contract) -> PhysicalNetwork:
        """Return the same network behind another order of inputs."""
        return PhysicalNetwork(self.raw, contract, self.constraints).eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.index_select(1, self.to_kaggle).double()
        return self.constraints(x, self.raw(x)).float()  # type: ignore[no-any-return]


class RawBlend(nn.Module):
    """The weighted sum of raw predictions, in float64, in the table's order.

    As the blend does it: a linear target whose weights do not sum to 1 keeps its formula.
    """

    weights: torch.Tensor
    formula_kept: torch.Tensor
    zero: torch.Tensor

    def __init__(self, networks: Sequence[nn.Module], weights: np.ndarray) -> None:
        super().__init__()
        kept = np.zeros(len(TARGETS), dtype=bool)
        linear = kaggle_positions(LINEAR)
        kept[linear] = abs(weights[:, linear].sum(axis=0) - 1.0) > 1e-9
        self.networks = nn.ModuleList(networks)
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float64))
        self.register_buffer("formula_kept", torch.from_numpy(kept))
        self.register_buffer("zero", torch.zeros((), dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        predictions = [network(x) for network in self.networks]
        total = self.zero
        for number, prediction in enumerate(predictions):
            total = total + prediction * self.weights[number]
        return torch.where(self.formula_kept, predictions[0], total)


class RawNetwork(nn.Module):
    """(B, 556) float64 raw -> (B, 368) float64 raw, both in Kaggle order."""

    to_network: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    to_kaggle: torch.Tensor
    target_mean: torch.Tensor
    target_std: torch.Tensor
    weight: torch.Tensor
    is_zero: torch.Tensor
    is_linear: torch.Tensor
    removed: torch.Tensor
    zero: torch.Tensor

    def __init__(self, network: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self.network = network
        order = list(INPUTS_TO_NETWORK)
        zero, linear = kaggle_positions(ZERO), kaggle_positions(LINEAR)
        weight = scaling.weight.copy()
        weight[zero + linear] = 1.0  # overwritten; 0 must not divide
        removed = torch.zeros(len(TARGETS), dtype=torch.int64)
        removed[linear] = torch.tensor([INPUTS.index(name) for name in LINEAR_INPUTS])
        constants = {
            "to_network": torch.tensor(order),
            "mean": torch.from_numpy(scaling.input_mean[order]),
            "std": torch.from_numpy(scaling.input_std[order]),
            "to_kaggle": torch.tensor(TARGETS_TO_KAGGLE),
            "target_mean": torch.from_numpy(scaling.target_mean.copy()),
            "target_std": torch.from_numpy(scaling.target_std.copy()),
            "weight": torch.from_numpy(weight),
            "is_zero": _mask(zero),
            "is_linear": _mask(linear),
            "removed": removed,  # the input that a linear target removes; any for the others
            "zero": torch.zeros((), dtype=torch.float64),
        }
        for name, constant in constants.items():
            self.register_buffer(name, constant)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scaled = ((x.index_select(1, self.to_network) - self.mean) / self.std).float()
        z = self.network(scaled).index_select(1, self.to_kaggle).double()
        y = (z * self.target_std + self.target_mean) / self.weight
        formula = -x.index_select(1, self.removed) / STEP_SECONDS
        return torch.where(self.is_zero, self.zero, torch.where(self.is_linear, formula, y))


class GroupCopies(nn.Module):
    """Copies of one network, of which each gives its own targets: (B, 556) -> (B, 368).

    targets  slices of network order, one after the other
    """

    def __init__(self, copies: Sequence[nn.Module], targets: Sequence[slice]) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copies)
        self.targets = tuple(targets)
        edges = [0, *(part.stop for part in targets)]
        if [part.start for part in targets] != edges[:-1] or edges[-1] != len(TARGETS):
            raise ValueError(f"{targets}: the groups do not follow each other")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [copy(x)[:, part] for copy, part in zip(self.copies, self.targets)]
        return torch.cat(parts, dim=1)


def raw_network(parts: NetworkParts, scan: Scan) -> RawNetwork:
    """Return one network with its scaling: one copy, or seven."""
    copies: List[nn.Module] = [portable(module, scan) for module in parts.modules()]
    targets = [checkpoint.targets for checkpoint in parts.checkpoints]
    network = GroupCopies(copies, targets) if len(copies) > 1 else copies[0]
    return RawNetwork(network, parts.scaling)


def physical_network(
    parts: EmulatorParts,
    contract: Contract,
    constraints: Sequence[str] = (),
    scan: Scan = scan_by_level,
) -> PhysicalNetwork:
    """Return an emulator as one module, in evaluation mode, without gradients.

    Raises KitError for an unknown constraint and for a checkpoint that does not fit.
    """
    networks = [raw_network(network, scan) for network in parts.networks]
    raw: nn.Module = RawBlend(networks, parts.weights) if _is_blend(parts) else networks[0]
    network = PhysicalNetwork(raw, contract, Constraints(constraints))
    return network.eval().requires_grad_(False)  # type: ignore[return-value]


def _is_blend(parts: EmulatorParts) -> bool:
    return len(parts.networks) > 1 or bool((parts.weights != 1.0).any())


def _mask(positions: List[int]) -> torch.Tensor:
    mask = torch.zeros(len(TARGETS), dtype=torch.bool)
    mask[positions] = True
    return mask
