"""Rates that are stated where nothing was measured, and what a run is computed on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest

from launch.choices import Choice
from launch.costs import rates
from launch.costs.rates import CARDS, PRECISIONS, Hardware
from leapkit.core import allotment, nvidia
from leapkit.core.experiments import PROFILES
from members.forcewithme.experiments import LSTM_MAMBA_PAIRS, RESLSTM

# rows/s of a training step of 4.2 GFLOP at the rates of docs/reference/performance.md
FLOP = 6 * RESLSTM.multiplications


def rows(card: str, precision: str) -> float:
    rate = rates.stated(Hardware(card, 1, 8, precision), "full", "train", RESLSTM)
    assert rate and rate.basis.startswith("stated: ")
    return rate.flops / FLOP


@pytest.mark.parametrize(
    ("card", "precision", "expected"),
    [
        ("NVIDIA GeForce RTX 4090", "tf32", 7_125),  # 36 % of 19,800
        ("NVIDIA A100-SXM4-80GB", "tf32", 7_475),
        ("NVIDIA H100 80GB HBM3", "tf32", 25_000),
        ("NVIDIA H100 80GB HBM3", "bf16", 45_000),
    ],
)
def test_stated_rates_are_those_of_the_logs_and_goals(
    card: str, precision: str, expected: int
) -> None:
    assert rows(card, precision) == pytest.approx(expected, rel=0.01)


def test_the_kinds_of_one_name_are_told_apart() -> None:
    assert rows("NVIDIA H100 PCIe", "tf32") < rows("NVIDIA H100 NVL", "tf32")
    assert rows("NVIDIA H100 NVL", "tf32") < rows("NVIDIA H200", "tf32")
    assert rows("NVIDIA A40", "tf32") < rows("NVIDIA A100-PCIE-40GB", "tf32")
    assert all(0 < card.shares[p] < 1 and card.peaks[p] > 0 for card in CARDS for p in PRECISIONS)


def test_of_an_unknown_gpu_nothing_is_stated() -> None:
    assert rates.stated(Hardware("NVIDIA Z1", 1, 8, "tf32"), "full", "train", RESLSTM) is None


def test_a_network_with_mamba_layers_is_said_to_be_slower() -> None:
    for hardware in (Hardware("A100", 1, 8, "tf32"), Hardware("", 0, 2, "float32")):
        plain, scanning = (
            rates.stated(hardware, "full", "train", record)
            for record in (RESLSTM, LSTM_MAMBA_PAIRS)
        )
        assert plain and scanning and scanning.flops < plain.flops


def test_at_sample_size_the_cores_are_shared_by_one_network_more() -> None:
    """A GPU helps narrow networks little: nothing more is stated of it."""
    for hardware in (Hardware("", 0, 2, "float32"), Hardware("A100", 1, 2, "tf32")):
        assert hardware.networks_at_once("sample") == 3
        rate = rates.stated(hardware, PROFILES[0], "train", RESLSTM)
        assert rate and rate.flops * 3 == 2 * 1e9 * rates.CORE["sample"]["train"]


def hardware(cards: List[str], monkeypatch: pytest.MonkeyPatch, **values: str) -> Hardware:
    monkeypatch.setattr(rates, "cards_here", lambda: cards)
    choices = {name: Choice(value, "") for name, value in values.items()}
    return rates.hardware(SimpleNamespace(choices=choices))  # type: ignore[arg-type]


A100 = "NVIDIA A100-SXM4-40GB"


@pytest.mark.parametrize(
    ("values", "cards", "expected"),
    [
        ({}, [], ("", 0, "float32", 1)),
        ({}, [A100] * 4, (A100, 4, "tf32", 1)),
        ({"DEVICE": "cpu"}, [A100] * 4, ("", 0, "float32", 1)),
        ({"PRECISION": "bf16", "GPUS": "2"}, [A100] * 4, (A100, 4, "bf16", 2)),
        ({"CARD": "H100"}, [A100] * 4, ("H100", 1, "tf32", 1)),
        ({"CARD": "H100", "GPUS": "4"}, [], ("H100", 4, "tf32", 4)),
    ],
)
def test_hardware_is_what_the_options_and_the_machine_say(
    monkeypatch: pytest.MonkeyPatch, values: Dict[str, str], cards: List[str], expected: Any
) -> None:
    chosen = hardware(cards, monkeypatch, **values)
    assert (chosen.card, chosen.gpus, chosen.precision, chosen.per_network) == expected
    assert chosen.cores == allotment.cores()


def test_gpus_that_the_user_hides_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert hardware([A100] * 4, monkeypatch).gpus == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert hardware([A100] * 4, monkeypatch).gpus == 0


def test_networks_at_once_are_those_that_the_gpus_hold() -> None:
    assert Hardware(A100, 4, 64, "tf32").networks_at_once("full") == 4
    assert Hardware(A100, 4, 64, "tf32", per_network=2).networks_at_once("full") == 2
    assert Hardware(A100, 1, 64, "tf32", per_network=2).networks_at_once("full") == 1
    assert Hardware("", 0, 64, "float32").networks_at_once("full") == 1


def test_the_kernel_tells_the_names_of_gpus(tmp_path: Path) -> None:
    for number, name in enumerate((A100, "NVIDIA H100 PCIe")):
        folder = tmp_path / "proc/driver/nvidia/gpus" / f"0000:0{number}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t 24\n")
    assert nvidia.models(tmp_path) == [A100, "NVIDIA H100 PCIe"]
    assert nvidia.models(tmp_path / "none") == []
