"""What INPUTS names: step files in the order of time, or one data set."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from leapkit.core import prediction_inputs
from leapkit.core.prediction_inputs import find
from tests.helpers.refusals import refused

NAMES = [
    "0008-07/E3SM-MMF.mli.0008-07-03-49200.nc",
    "0008-07/E3SM-MMF.mlo.0008-07-03-49200.nc",
    "0008-07/E3SM-MMF.mli.0008-07-03-01200.nc",
    "0008-06/E3SM-MMF.mli.0008-06-30-84000.nc",
    "0008-06/notes.txt",
]
IN_ORDER = ["0008-06-30-84000", "0008-07-03-01200", "0008-07-03-49200"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "train" / name).touch()
    return tmp_path / "train"


def stamps(words: List[str]) -> List[str]:
    return [step.stamp for step in find(words).steps]


def test_steps_are_found_in_the_order_of_time_however_they_are_named(tree: Path) -> None:
    assert stamps([str(tree)]) == IN_ORDER
    assert stamps([str(tree / "0008-07"), str(tree / "0008-06")]) == IN_ORDER
    assert stamps([f"{tree}/0008-0[67]/*.mli.*.nc"]) == IN_ORDER
    assert stamps([f"{tree}/*/E3SM*.nc"]) == IN_ORDER  # an .mlo is passed over
    assert stamps([str(tree / NAMES[2])]) == IN_ORDER[1:2]


def test_a_folder_whose_name_is_a_pattern_is_a_folder(tree: Path) -> None:
    odd = tree.rename(tree.with_name("train[1]*"))
    assert stamps([str(odd)]) == IN_ORDER


def test_a_receipt_names_files_without_their_folder(tree: Path) -> None:
    files = find([str(tree)]).files
    assert files["E3SM-MMF.mli.0008-07-03-49200.nc"] == tree / NAMES[0] and len(files) == 3


@pytest.mark.parametrize("marker", ["", ".zgroup", "zarr.json"])
def test_any_other_file_and_a_zarr_folder_are_a_data_set(tmp_path: Path, marker: str) -> None:
    path = tmp_path / "some.data"
    if marker:
        path.mkdir()
        (path / marker).touch()
    else:
        path.touch()
    assert find([str(path)]) == prediction_inputs.PredictionInputs(dataset=path)


def test_what_cannot_be_read_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused(tree / "none", "does not exist"):
        find([str(tree / "none")])
    with refused(f"{tree}/*.grib", "no file matches it"):
        find([f"{tree}/*.grib"])
    with refused(tree.parent, "holds no .mli step file"):
        find([str(tree.parent)])
    with refused("INPUTS", "names no .mli step file"):
        find([str(tree / NAMES[1])])
    with refused("notes.txt", "is not a step file", "not the only input"):
        find([str(tree / NAMES[4]), str(tree / NAMES[0])])
    (tree / "again").mkdir()
    again = tree / "again" / Path(NAMES[0]).name
    again.touch()
    with refused(again, "is the same step as"):
        find([str(tree), str(again.parent)])
    monkeypatch.setattr(prediction_inputs, "MOST_FILES", 2)
    with refused("INPUTS", "names 3 step files", "at most 2 at once"):
        find([str(tree)])
