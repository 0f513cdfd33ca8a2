"""The package that `pip install ./shared` makes, in a clone and where `shared` is alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Set

import pytest

from leapkit.core.errors import printable

ROOT = Path(__file__).resolve().parents[1]
INSTALL = "-m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile"
OFFLINE = "--no-deps --no-build-isolation --no-index"
USE = """
import sys
import leapkit
assert not {"numpy", "torch", "xarray"} & set(sys.modules), "imported before anything is loaded"
assert {"load", "Emulator"} <= set(dir(leapkit))
import numpy as np, xarray
from leapkit.core.step_files import list_pairs
from pathlib import Path
weights, world = sys.argv[1:]
emulator = leapkit.load("max2020/022", weights, world, device="cpu")
columns = xarray.open_dataset(list_pairs(Path(world) / "ClimSim_low-res/train")[0].mli)
predicted = emulator.predict(columns)
assert predicted.ptend_t.dims == ("lev", "ncol") and np.isfinite(predicted.ptend_t).all()
try:
    leapkit.load("v10", weights, world)
except Exception as error:
    print(error)
print(leapkit.__file__, *sorted(sys.modules["members"].__path__), sep="\\n")
"""


def installed(tmp_path: Path, *folders: str) -> Path:
    """Install a copy of these folders of the clone into a folder of its own, and return that."""
    for folder in folders:
        shutil.copytree(
            ROOT / folder,
            tmp_path / "clone" / folder,
            ignore=shutil.ignore_patterns("weights", "__pycache__", "build", "*.egg-info"),
        )
    target = tmp_path / "site"
    command = [sys.executable, *INSTALL.split(), *OFFLINE.split(), "--target", str(target)]
    done = subprocess.run(
        [*command, str(tmp_path / "clone/shared")], capture_output=True, text=True
    )
    assert done.returncode == 0, printable(done.stderr, 4000)
    return target


def modules(folder: Path) -> Set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py")}


@pytest.mark.process
@pytest.mark.oldest
def test_a_package_of_a_clone_predicts_outside_of_it(
    submission: Path, tiny_world: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("xarray")
    site = installed(tmp_path, "shared", "members", "blend")
    for name, source in (("leapkit", "shared/leapkit"), ("members", "members"), ("blend", "blend")):
        assert modules(site / name) == modules(ROOT / source)
    assert (site / "leapkit/py.typed").exists() and (site / "blend/tables/v10.csv").exists()
    environment: Dict[str, str] = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", USE, str(submission), str(tiny_world)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    refusal, *files = done.stdout.splitlines()
    assert "holds no checkpoint of forcewithme/" in refusal
    assert files == [str(site / "leapkit/__init__.py"), str(site / "members")]


@pytest.mark.process
def test_a_package_of_shared_alone_is_the_kit_alone(tmp_path: Path) -> None:
    site = installed(tmp_path, "shared")
    assert {path.name for path in site.iterdir() if "-info" not in path.name} == {"leapkit"}
