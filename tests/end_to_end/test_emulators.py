"""make predict and make export as a user gives them, in an environment and in a container."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import leapkit
from leapkit.core.layout import RawData
from leapkit.data.step_reader import StepReader
from tests.end_to_end.commands import RUNTIMES, make

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_network_predicts_the_steps_that_validate_and_becomes_files(
    clone: Path, tiny_world: Path, submission: Path, tmp_path: Path, runtime: str
) -> None:
    xarray = pytest.importorskip("xarray")
    results = tmp_path / "results"
    shutil.copytree(str(submission), str(results))
    given = {"NETWORK": "adam/195", "RUNTIME": runtime, "RAW_DATA": str(tiny_world)}
    given["SUBMISSION"] = str(results)
    product = results / "predictions" / "adam_195.nc"

    text = make(clone, "predict", STACK="modern", DEVICE="cpu", **given)
    assert "96 rows" in text and text.endswith(f"result: {product}\n")
    reader = StepReader()
    x = np.concatenate([reader.read(pair)[0] for pair in RawData(tiny_world).validation_pairs()])
    expected = leapkit.load("adam/195", submission, tiny_world, device="cpu").predict(x)
    with xarray.open_dataset(str(product)) as dataset:
        heating = dataset["ptend_t"].transpose("time", "ncol", "lev").values.reshape(-1, 60)
    assert np.allclose(heating, expected[:, :60], rtol=1e-5, atol=1e-10)
    assert "nothing to do: " in make(clone, "predict", STACK="modern", DEVICE="cpu", **given)

    make(clone, "export", FORMATS="safetensors", **given)
    exported = results / "exports" / "adam_195" / "adam-195.safetensors"
    packed = leapkit.load("adam/195", exported, tiny_world, device="cpu")
    assert np.allclose(packed.predict(x[:9]), expected[:9], rtol=1e-5, atol=1e-10)
