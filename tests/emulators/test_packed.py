"""An emulator in one .safetensors file: whole, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from leapkit.data import safetensors
from leapkit.emulators import packed, parts
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack
RECORD = {"constraints": "none"}


@pytest.fixture
def file(submission: Path, tiny_world: Path, tmp_path: Path) -> Path:
    path = tmp_path / "adam-195.safetensors"
    packed.write(path, parts.find("adam/195", submission, tiny_world), RECORD)
    return path


def test_a_blend_is_read_as_it_was_written(
    submission: Path, tiny_world: Path, tmp_path: Path
) -> None:
    networks = [parts.find(name, submission, tiny_world) for name in ("adam/195", "max2020/022")]
    weights = np.random.RandomState(0).uniform(size=(2, 368))
    blend = parts.EmulatorParts("mine", tuple(n.networks[0] for n in networks), weights)
    path = tmp_path / "mine.safetensors"
    packed.write(path, blend, RECORD)
    first = path.read_bytes()
    packed.write(path, blend, RECORD)
    assert path.read_bytes() == first and packed.is_packed(path)
    read = packed.read(path)
    assert read.name == "mine" and np.array_equal(read.weights, weights)
    for network, original in zip(read.networks, blend.networks):
        assert network.experiment == original.experiment and network.profile == original.profile
        assert [c.targets for c in network.checkpoints] == [c.targets for c in original.checkpoints]
        for name in ("input_mean", "input_std", "target_mean", "target_std", "weight"):
            assert np.array_equal(getattr(network.scaling, name), getattr(original.scaling, name))
        for module, expected in zip(network.modules(), original.modules()):
            assert not module.training
            state = expected.state_dict()
            assert all(torch.equal(t, state[name]) for name, t in module.state_dict().items())


def test_a_bare_checkpoint_is_no_packed_emulator(tmp_path: Path) -> None:
    path = tmp_path / "195.safetensors"
    with open(path, "wb") as handle:
        safetensors.write(handle, {"fc1.weight": np.zeros(2, np.float32)}, {"format": "pt"})
    assert not packed.is_packed(path) and not packed.is_packed(tmp_path / "none.safetensors")
    with refused(path, "export it again"):
        packed.read(path)


def changed(path: Path, change: Callable[[Dict[str, Any], Dict[str, np.ndarray]], None]) -> None:
    """Write a file again with other metadata or tensors."""
    metadata, tensors = safetensors.read_all(path, packed._KIND)
    about = json.loads(metadata["leapkit"])
    arrays = dict(tensors)
    change(about, arrays)
    with open(path, "wb") as handle:
        safetensors.write(handle, arrays, {**metadata, "leapkit": json.dumps(about)})


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda a, t: a.update(format="2"), "form 2"),
        (lambda a, t: a["networks"][0]["network"].update(hidden=7), "another design"),
        (lambda a, t: a["networks"][0].update(experiment="adam/999"), "adam/999"),
        (lambda a, t: t.update(weights=np.ones((2, 368))), "weights of another shape"),
        (lambda a, t: t.update({"0.scaling.weight": np.ones(3)}), "weight of another shape"),
        (lambda a, t: t.pop("0.scaling.weight"), "KeyError"),
        (lambda a, t: a.pop("networks"), "KeyError"),
    ],
)
def test_a_changed_file_is_refused(file: Path, change: Any, words: str) -> None:
    changed(file, change)
    with refused("", words):
        packed.read(file)


def test_a_tensor_that_is_missing_or_not_finite_is_named_when_it_is_loaded(file: Path) -> None:
    def damage(about: Dict[str, Any], tensors: Dict[str, np.ndarray]) -> None:
        tensors["0.0.fc1.bias"] = np.full_like(tensors["0.0.fc1.bias"], np.nan)

    changed(file, damage)
    with refused(file, "fc1.bias", "NaN"):
        packed.read(file).networks[0].modules()


def test_the_weights_of_another_width_are_refused_when_they_are_loaded(file: Path) -> None:
    def widened(about: Dict[str, Any], tensors: Dict[str, np.ndarray]) -> None:
        full = packed.read(file).networks[0].experiment.network_record("full")
        about["networks"][0].update(profile="full", network=json.loads(json.dumps(full)))

    changed(file, widened)
    with refused(file, "shape"):
        packed.read(file).networks[0].modules()
