"""All members' experiments, and the parity reference's 30 networks with its rule for weights."""

from __future__ import annotations

import importlib
import importlib.util
import json
import zlib
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Mapping

import numpy as np
import pytest
import torch

from launch import registry
from leapkit.core.experiments import Experiment
from leapkit.data.checkpoints import load_into

MEMBERS = tuple(registry.members())
EXPERIMENTS: Dict[str, Experiment] = {
    experiment.name: experiment
    for member in MEMBERS
    for experiment in importlib.import_module(f"members.{member}.experiments").EXPERIMENTS
}

# Key of checkpoints.json -> experiment.
KEYS = {
    "adam_195": "adam/195",
    "adam_197": "adam/197",
    "adam_200": "adam/200",
    "fwm_reslstm_stage1": "forcewithme/18",
    "fwm_exp18_reslstm": "forcewithme/18",
    "fwm_exp32_gf_reslstm": "forcewithme/32",
    "fwm_1LSTM1mamba5_stage1_as_published": "forcewithme/37-stage1",
    "fwm_exp37_gf037": "forcewithme/37",
    "fwm_2LSTM1mamba3_stage1": "forcewithme/38-stage1",
    "fwm_exp38_gf038": "forcewithme/38",
    "fwm_cnnlstm_stage1": "forcewithme/39-stage1",
    "fwm_exp39_gf_cnnlstm": "forcewithme/39",
    "fwm_lstmmamba_stage1": "forcewithme/40-stage1",
    "fwm_lstmmamba_stage2": "forcewithme/40-stage2",
    "fwm_exp40_gf_lstmmamba": "forcewithme/40",
    "fwm_LstmMambaMixed_stage1": "forcewithme/mixed-stage1",
    "fwm_gf_LstmMambaMixed": "forcewithme/mixed",
    "joseph_907": "joseph/907",
    "joseph_912": "joseph/912",
    "joseph_912sep": "joseph/912sep",
    "max_007": "max2020/007",
    "max_010_gf": "max2020/010",
    "max_014": "max2020/014-stage1",
    "max_014_gf": "max2020/014",
    "max_015": "max2020/015-stage1",
    "max_015_gf": "max2020/015",
    "max_021": "max2020/021-stage1",
    "max_021_gf": "max2020/021",
    "max_022": "max2020/022-stage1",
    "max_022_gf": "max2020/022",
}


def config_of(key: str) -> Any:
    """Return the full network's config.

    One key belongs to no experiment: the parent script's default, eight pairs instead of five.
    """
    config = EXPERIMENTS[KEYS[key]].network["full"]
    return (
        replace(config, layers=8, residual=tuple(range(1, 8)))
        if key.endswith("_as_published")
        else config
    )


def build(member: str, config: Any) -> torch.nn.Module:
    return importlib.import_module(f"members.{member}.networks").build(config)


def build_uninitialised(key: str) -> torch.nn.Module:
    """Return the full network, without the seconds that orthogonal matrices take."""
    member = KEYS[key].split("/")[0]
    importlib.import_module("members.adam.networks")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("leapkit.nets.residual_lstm", "members.adam.networks"):
            patch.setattr(module + ".initialise_by_name", lambda network: None)
        return build(member, config_of(key)).eval()


def checkpoint_facts(reference: Path) -> Dict[str, Any]:
    return json.loads((reference / "checkpoints.json").read_text())


def load_fill(reference: Path) -> ModuleType:
    """Return the module with the reference's rule for filling weights, by name and shape."""
    spec = importlib.util.spec_from_file_location(
        "parity_fill", str(reference / "parity" / "fill.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _ExactSine:
    """A numpy whose sine is computed in extended precision and then rounded.

    The sine of numpy 1.22 can be off by an ulp.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def sin(x: np.ndarray) -> np.ndarray:
        return np.sin(np.asarray(x, dtype=np.longdouble)).astype(np.float64)


def fill_exactly(fill: ModuleType, name: str, shape: Any, crc: int) -> np.ndarray:
    """Return the fill whose bytes have this crc; fail if no fill has."""
    values = fill.fill_tensor(name, shape)
    if zlib.crc32(values.tobytes()) != crc:
        fill.np = _ExactSine()  # ten times slower, so only where it matters
        try:
            values = fill.fill_tensor(name, shape)
        finally:
            fill.np = np
    assert zlib.crc32(values.tobytes()) == crc, f"the fill itself is wrong: {name}"
    return values


def fill_network(
    network: torch.nn.Module, fill: ModuleType, golden: Mapping[str, np.ndarray]
) -> None:
    """Give the network the reference's weights, each checked against its crc."""
    crc = {
        fill.strip_prefix(name): int(c)
        for name, c in zip(golden["tensor_names"].tolist(), golden["tensor_crc32"])
    }
    load_into(
        network,
        OrderedDict(
            (name, fill_exactly(fill, name, tensor.shape, crc[name]))
            for name, tensor in network.state_dict().items()
        ),
        "the reference's fill",
    )


def fill_for_group(network: torch.nn.Module, fill: ModuleType, group: int) -> None:
    """Give the network the weights of one group's copy; the reference has no crc of these."""
    load_into(
        network,
        OrderedDict(
            (name, fill.fill_tensor(name, tensor.shape, f"g{group}:"))
            for name, tensor in network.state_dict().items()
        ),
        "the reference's fill",
    )
