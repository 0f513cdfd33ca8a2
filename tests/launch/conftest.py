"""A bare machine for all tests of the launcher."""

from __future__ import annotations

import pytest

from launch import gpus, machine
from launch.costs import rates
from launch.gpus import NONE, Gpu
from launch.options import OPTIONS
from launch.runtimes import engine


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the launcher a machine with all interpreters, without choices, engine or GPU."""
    for variable in (*OPTIONS, "SPLIT", "STORE", "ARGS"):
        monkeypatch.delenv(variable, raising=False)
    problem = engine.Problem("no container engine answers", engine.START)
    monkeypatch.setattr(engine, "problem", lambda: problem)
    monkeypatch.setattr(engine, "memory", lambda: 0)
    monkeypatch.setattr(engine, "is_rootless", lambda: False)
    monkeypatch.setattr(engine, "apptainer_program", lambda: "")
    monkeypatch.setenv("LEAP_SIFS", "/nothing/here")
    monkeypatch.setattr(gpus, "probe", lambda: Gpu(NONE, "no NVIDIA GPU"))
    monkeypatch.setattr(rates, "cards_here", list)
    monkeypatch.setattr(machine, "engine_has_gpu", lambda: False)
    monkeypatch.setattr(machine, "interpreter", lambda version: "/usr/bin/python" + version)
    monkeypatch.setattr(machine, "has_image", lambda name: False)
    monkeypatch.setattr(machine, "registry_answers", lambda name: False)
