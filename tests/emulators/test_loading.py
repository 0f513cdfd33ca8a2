"""`leapkit.load` returns a network, a blend or an exported file, or says what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

pytest.importorskip("torch")

import leapkit
from leapkit.core.layout import RawData
from leapkit.data import kaggle_csv
from leapkit.emulators import packed, parts
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack
ROOT = Path(__file__).resolve().parents[2]


def test_a_file_of_an_export_needs_nothing_else(
    submission: Path, tiny_world: Path, tmp_path: Path
) -> None:
    file = tmp_path / "adam-195.safetensors"
    found = parts.find("adam/195", submission, tiny_world)
    packed.write(file, found, {"constraints": "fluxes positivity"})
    exported = leapkit.load(weights=file)
    assert exported.name == "adam/195" and exported.constraints == ("fluxes", "positivity")
    free = leapkit.load("adam/195", file, constraints=())
    assert free.constraints == ()
    ((_, x),) = kaggle_csv.read_test_csv(RawData(tiny_world).test_csv)
    original = leapkit.load("adam/195", submission, tiny_world)
    assert free.predict(x).tobytes() == original.predict(x).tobytes()
    with refused(file, "holds adam/195 and not adam/200"):
        leapkit.load("adam/200", file)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"weights": ""}, ("weights: are not given", "submission")),
        ({"name": ""}, ("name: is not given",)),
        ({"raw_data": ""}, ("raw_data: is not given",)),
        ({"raw_data": "/nowhere"}, ("/nowhere", "missing")),
        ({"device": "tpu"}, ("device: cannot be 'tpu'", "cuda")),
        ({"precision": "float16"}, ("precision: cannot be 'float16'", "bf16")),
        ({"precision": "tf32", "device": "cpu"}, ("a CPU has no TF32",)),
        ({"profile": "small"}, ("profile: cannot be 'small'", "sample, full")),
        ({"constraints": ("gravity",)}, ("gravity", "positivity")),
    ],
)
def test_a_wrong_argument_is_named(
    submission: Path, tiny_world: Path, arguments: Dict[str, Any], words: Any
) -> None:
    given = {"name": "adam/195", "weights": submission, "raw_data": tiny_world, **arguments}
    with refused("", *words):
        leapkit.load(**given)


def test_the_kit_is_typed_and_lists_its_names() -> None:
    assert {"load", "Emulator", "__version__"} <= set(dir(leapkit))
    assert leapkit.load.__module__ == "leapkit.emulators.loading"
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        leapkit.lode  # type: ignore[attr-defined] # noqa: B018


@pytest.mark.process
def test_importing_the_kit_imports_nothing_of_third_parties_and_loading_names_what_it_lacks() -> (
    None
):
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'shared')!r}); import leapkit; dir(leapkit)"
    code += "\nleapkit.load"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    [*_, last] = done.stderr.splitlines()
    assert last.startswith("leapkit.core.errors.KitError: numpy: is not installed; pip install ")


def test_a_blend_has_the_weights_of_its_table(
    submission: Path, tiny_world: Path, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(
        "artifact,weight\nadam_195_78569.oof,0.5\nmax_022_deeper_gf_cv7908_lbUnknown,0.5\n"
    )
    ((_, x),) = kaggle_csv.read_test_csv(RawData(tiny_world).test_csv)
    x = x[:8]
    blend = leapkit.load(str(table), submission, tiny_world)
    singles = [leapkit.load(name, submission, tiny_world) for name in ("195", "022")]
    expected = sum(0.5 * single.predict(x) for single in singles)
    assert np.array_equal(blend.predict(x), expected) and "2 networks" in repr(blend)
    assert "weights_sha256" in blend.attributes and "weights_sha256" not in singles[0].attributes
