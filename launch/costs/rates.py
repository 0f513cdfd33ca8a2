"""How fast a network is computed where nothing was measured yet, and who says so.

A rate is FLOP per second that training or inference reaches, reading, evaluations' arithmetic and
the host's work included: a share of the card's peak. What finished runs reached comes before it
(launch.costs.measurements).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, List, Mapping, NamedTuple, Optional

from launch import machine
from launch.settings import Settings
from leapkit.core import allotment, nvidia
from leapkit.core.experiments import PROFILES
from leapkit.core.precisions import PRECISIONS as PRECISIONS


class Rate(NamedTuple):
    """FLOP per second of one network, and the basis of that, which is printed."""

    flops: float
    basis: str


@dataclass(frozen=True)
class Card:
    """A GPU.

    name    pattern of what its driver calls it
    peaks   {precision: TFLOP/s}, dense, of the data sheet
    shares  {precision: share of the peak that a run is known to reach, or is to reach}
    source  who says so
    """

    name: str
    peaks: Mapping[str, float]
    shares: Mapping[str, float]
    source: str


# What a card of this kind without a known run is taken to reach.
_ASSUMED = {"float32": 0.4, "tf32": 0.2, "bf16": 0.15}
_GOAL = {"float32": 0.4, "tf32": 0.21, "bf16": 0.19}  # 25,000 and 45,000 rows/s of 4.2 GFLOP


def _peaks(float32: float, tf32: float, bf16: float) -> Mapping[str, float]:
    return dict(zip(PRECISIONS, (float32, tf32, bf16)))


_IS_GOAL = "the kit's goal for a card of this kind, never measured"
_IS_ASSUMED = "assumed, never measured"
# The first that fits counts.
CARDS = (
    Card(
        "RTX 4090",
        _peaks(82.6, 82.6, 165),
        {**_ASSUMED, "float32": 0.36, "tf32": 0.36},
        "the team's training logs of two",
    ),
    Card(
        "A100",
        _peaks(19.5, 156, 312),
        {**_ASSUMED, "tf32": 0.2},
        "the organisers' hours for a network of this kind",
    ),
    Card("H100 PCIe", _peaks(51, 378, 756), _GOAL, _IS_GOAL),
    Card("H100 NVL", _peaks(60, 417, 835), _GOAL, _IS_GOAL),
    Card("H100|H200|GH200", _peaks(67, 495, 989), _GOAL, _IS_GOAL),
    Card("L40S", _peaks(91.6, 183, 362), _ASSUMED, _IS_ASSUMED),
    Card("A40", _peaks(37.4, 74.8, 149.7), _ASSUMED, _IS_ASSUMED),
    Card("RTX 3090", _peaks(35.6, 35.6, 71), {**_ASSUMED, "tf32": 0.36}, _IS_ASSUMED),
    Card("V100", _peaks(15.7, 15.7, 15.7), {**_ASSUMED, "tf32": 0.4, "bf16": 0.2}, _IS_ASSUMED),
)
# GFLOP/s of a core by profile and step, measured on an EPYC with AVX2, float32. Networks of the
# sample world are narrow.
CORE = {
    "sample": {"train": 20.0, "infer": 25.0},
    "full": {"train": 70.0, "infer": 85.0},
}
_CORE_SOURCE = "measured once on two cores of an EPYC"
# A Mamba layer's scan is limited by memory, not by its products: its networks reach this share.
# On a GPU with mamba_ssm's kernel it is more.
_SCANNING_CPU = 0.5
_SCANNING_GPU = 0.25


@dataclass(frozen=True)
class Hardware:
    """What computes.

    card         the driver's name of the GPU, "" if a CPU computes
    gpus         of this machine; 0 if a CPU computes
    cores        that this process may use
    precision    of the arithmetic
    per_network  GPUS: how many train one network together
    """

    card: str
    gpus: int
    cores: int
    precision: str
    per_network: int = 1

    def networks_at_once(self, profile: str) -> int:
        """Return how many networks run side by side (leapkit.run.member)."""
        if profile == PROFILES[0]:
            return self.cores + 1
        return max(1, self.gpus // self.per_network)

    @property
    def name(self) -> str:
        """What a person calls it."""
        if not self.gpus:
            return f"{self.cores} core{'s' * (self.cores > 1)}"
        together = f", {self.per_network} for a network" if self.per_network > 1 else ""
        return f"{self.gpus} x {self.card}{together}, {self.precision}"


def hardware(settings: Settings, card: str = "") -> Hardware:
    """Return what a run with these settings is computed on.

    card  the GPU that it is; CARD or this machine's if it is not given
    """
    chosen = {name: choice.value for name, choice in settings.choices.items()}
    per_network = int(chosen.get("GPUS") or 1)
    cards = (
        [] if chosen.get("DEVICE") == "cpu" else _cards(card or chosen.get("CARD", ""), per_network)
    )
    precision = chosen.get("PRECISION", "")
    if precision not in PRECISIONS:
        precision = "tf32" if cards else "float32"
    name = cards[0] if cards else ""
    return Hardware(name, len(cards), allotment.cores(), precision, per_network if cards else 1)


def _cards(named: str, count: int) -> List[str]:
    """Return the names of the GPUs: `count` of the one that the user names, else this machine's."""
    if named:
        return [named] * count
    if nvidia.hidden_by():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    cards = cards_here()
    return cards[: len(visible.split(","))] if visible else cards


def cards_here() -> List[str]:
    """Return the names of this machine's GPUs: what the kernel shows, else what nvidia-smi says."""
    cards = nvidia.models()
    if not cards and nvidia.driver():
        answer = machine.output_of(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], 3)
        cards = (answer or "").splitlines()
    return cards


def stated(hardware: Hardware, profile: str, step: str, network: Any) -> Optional[Rate]:
    """Return the rate of one network where nothing was measured; None for an unknown card.

    step     train or infer
    network  its record
    """
    if hardware.gpus and profile != PROFILES[0]:
        return _of_card(hardware, network)
    # Networks of the sample world are too narrow for a GPU to be much faster.
    core = CORE[profile][step]
    cores = hardware.cores / (hardware.cores + 1 if profile == PROFILES[0] else 1)
    share = _SCANNING_CPU if _scans(network) else 1
    return Rate(1e9 * core * cores * share, f"stated: {core:g} GFLOP/s a core, {_CORE_SOURCE}")


def _of_card(hardware: Hardware, network: Any) -> Optional[Rate]:
    for card in CARDS:
        if re.search(card.name, hardware.card, flags=re.I):
            share = card.shares[hardware.precision]
            peak = card.peaks[hardware.precision]
            basis = f"stated: {share:.0%} of {peak:g} TFLOP/s, {card.source}"
            return Rate(1e12 * peak * share * (_SCANNING_GPU if _scans(network) else 1), basis)
    return None


def _scans(network: Any) -> bool:
    """Return whether a network has Mamba layers, by the fields of its record."""
    return bool(getattr(network, "mamba_state", 0) or getattr(network, "state", 0))
