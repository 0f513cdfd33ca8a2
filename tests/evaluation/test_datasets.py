"""Predictions from elsewhere, as NetCDF or Zarr: the same figures, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest

pytest.importorskip("plotly", reason="pages are made on Python 3.11 alone")
import xarray

from evaluation.datasets import DatasetPrediction, DatasetTruth
from leapkit.climate.diagnostics import NEEDED_INPUTS
from leapkit.core.columns import (
    INPUTS,
    LEVELS,
    OUTPUT_SCALARS,
    TENDENCY_PROFILES,
    UNITS,
)
from leapkit.core.layout import Results
from tests.evaluation.conftest import (
    TWO,
    evaluate,
    figures,
    validation_steps,
    validation_values,
)
from tests.helpers.refusals import refused
from tests.helpers.small_blend import Maker

pytestmark = pytest.mark.process
COLUMNS = 48


def dataset(values: np.ndarray, stamps: Any) -> xarray.Dataset:
    """Return targets (rows, 368) of whole steps in the form of `make predict`."""
    steps = values.reshape(len(stamps), COLUMNS, -1)
    variables: Dict[str, Any] = {}
    for k, (name, unit) in enumerate(TENDENCY_PROFILES):
        profile = steps[:, :, k * LEVELS : (k + 1) * LEVELS].transpose(0, 2, 1)
        variables[name] = (("time", "lev", "ncol"), profile, {"units": unit})
    for k, (name, unit) in enumerate(OUTPUT_SCALARS, LEVELS * len(TENDENCY_PROFILES)):
        variables[name] = (("time", "ncol"), steps[:, :, k], {"units": unit})
    days = [int(stamp[:10].replace("-", "")) for stamp in stamps]
    variables["ymd"] = ("time", np.array(days, np.int32))
    variables["tod"] = ("time", np.array([int(stamp[11:]) for stamp in stamps], np.int32))
    return xarray.Dataset(variables, attrs={"emulator": "one/two"})


def write(made: xarray.Dataset, path: Path) -> Path:
    if path.suffix == ".zarr":
        made.to_zarr(str(path))
    else:
        made.to_netcdf(str(path))
    return path


@pytest.fixture(scope="module")
def of_network(maker: Maker, judged: Results) -> xarray.Dataset:
    """Return a network's validation predictions as a data set."""
    stamps = [stamp for stamp, _, _ in validation_steps(maker.raw)]
    return dataset(validation_values(maker, judged, TWO[0]), stamps)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("is_reversed", [False, True], ids=["in_order", "in_another_order"])
def test_a_file_gives_the_figures_of_the_same_predictions_of_a_network(
    maker: Maker,
    judged: Results,
    of_network: xarray.Dataset,
    tmp_path: Path,
    suffix: str,
    is_reversed: bool,
) -> None:
    made = of_network.isel(time=slice(None, None, -1)) if is_reversed else of_network
    path = write(made, tmp_path / f"from elsewhere{suffix}")
    results = Results(tmp_path / "submission")
    steps = maker.raw.validation_pairs()
    months = {pair.folder.parent for pair in steps}
    assert len(months) == 1
    truth = [f"--truth={months.pop()}"] if is_reversed else []  # else that of RAW_DATA
    assert evaluate(maker.raw, results, f"--prediction={path}", *truth) == 0
    one, other = (
        figures(each, n) for each, n in ((results, path.stem), (judged, f"{TWO[0]}.validation"))
    )
    assert one["origin"] == f"from elsewhere{suffix}, predicted by one/two"
    for field in ("rmse", "bias", "r2_clipped", "kaggle_r2"):
        np.testing.assert_allclose(
            np.array(one["result"]["targets"][field], float),
            np.array(other["result"]["targets"][field], float),
            rtol=1e-9,
            atol=1e-25,
        )


def test_the_truth_may_be_a_file_of_more_steps_in_any_order(
    maker: Maker, of_network: xarray.Dataset, tmp_path: Path
) -> None:
    steps = validation_steps(maker.raw)
    truth = dataset(np.concatenate([y for _, _, y in steps]), [stamp for stamp, _, _ in steps])
    for name in NEEDED_INPUTS:
        values = np.stack([x[:, INPUTS.index(name)] for _, x, _ in steps])
        truth[name] = (("time", "ncol"), values, {"units": UNITS[name]})
    path = write(truth.isel(time=[1, 0]), tmp_path / "truth.nc")
    prediction = write(of_network.isel(time=[0]), tmp_path / "prediction.nc")
    results = Results(tmp_path / "submission")
    errors = []
    for given in (f"--truth={path}", f"--truth={maker.raw.steps}"):
        assert evaluate(maker.raw, results, f"--prediction={prediction}", given) == 0
        shown = figures(results, "prediction")["result"]
        assert shown["rows"] == COLUMNS and shown["months"] == [steps[0][0][:7]]
        errors.append(shown["targets"]["rmse"])
    np.testing.assert_allclose(*errors, rtol=1e-12)
    with refused(path, "lacks the step 0001-01-01-00000"):
        DatasetTruth(path, ["0001-01-01-00000"])


DAMAGES: Dict[str, Callable[[xarray.Dataset], xarray.Dataset]] = {
    "lacks the variable ptend_q0002": lambda d: d.drop_vars("ptend_q0002"),
    "ptend_t is in K/day, not in K/s": lambda d: d.assign(
        ptend_t=d.ptend_t.assign_attrs(units="K/day")
    ),
    "ptend_t has 59 levels, not 60": lambda d: d.isel(lev=slice(1, None)),
    "cam_out_PRECC has the dimensions": lambda d: d.assign(cam_out_PRECC=d.cam_out_PRECC[0]),
    "has no coordinate `time`": lambda d: d.drop_vars(["ymd", "tod"]),
    "its `time` is no time of a calendar": lambda d: d.drop_vars("tod").assign_coords(
        time=[0.5, 1.5]
    ),
    "two of its steps have the same time": lambda d: d.isel(time=[0, 0]),
    "lev decreases": lambda d: d.assign_coords(lev=np.arange(60)[::-1]),
    "has no dimension time, or an empty one": lambda d: d.isel(time=slice(0, 0)),
}


@pytest.mark.parametrize("says", DAMAGES)
def test_a_file_of_another_form_is_refused_by_what_is_wrong(
    of_network: xarray.Dataset, tmp_path: Path, says: str
) -> None:
    path = write(DAMAGES[says](of_network), tmp_path / "damaged.nc")
    with refused(path, says):
        DatasetPrediction("damaged", path)


def test_values_that_are_missing_and_steps_that_have_no_truth_are_refused(
    maker: Maker, of_network: xarray.Dataset, tmp_path: Path
) -> None:
    results = Results(tmp_path / "submission")
    holed = of_network.copy(deep=True)
    holed.ptend_u[1, 3, 5] = np.nan
    path = write(holed, tmp_path / "holed.nc")
    with refused(path, "holds NaN or infinity at the step 0008-07"):
        evaluate(maker.raw, results, f"--prediction={path}")
    path = write(of_network.assign(tod=of_network.tod + 1200), tmp_path / "moved.nc")
    with refused(maker.raw.steps, "holds no files of the step 0008-07", "TRUTH="):
        evaluate(maker.raw, results, f"--prediction={path}")
    assert not list(results.evaluation.glob("*.html"))


def test_a_classic_file_that_was_cut_off_is_refused(
    maker: Maker, of_network: xarray.Dataset, tmp_path: Path
) -> None:
    """The library reads zeros behind its end: they would be judged as predictions."""
    path = tmp_path / "classic.nc"
    of_network.to_netcdf(str(path), format="NETCDF3_64BIT")
    results = Results(tmp_path / "submission")
    assert evaluate(maker.raw, results, f"--prediction={path}") == 0
    path.write_bytes(path.read_bytes()[:-5000])
    with xarray.open_dataset(str(path), engine="netcdf4") as read:
        assert np.isfinite(read.cam_out_PRECC.values).all(), "nothing else would show it"
    with refused(path, "is truncated"):
        evaluate(maker.raw, results, f"--prediction={path}")


@pytest.mark.parametrize("name", ["cut.nc", "text.nc", "empty.zarr", "some.txt", "-x.nc"])
def test_a_file_that_is_none_is_refused(
    maker: Maker, of_network: xarray.Dataset, tmp_path: Path, name: str
) -> None:
    path = write(of_network, tmp_path / "whole.nc").rename(tmp_path / name)
    if name == "cut.nc":
        path.write_bytes(path.read_bytes()[:20000])
    elif name == "text.nc":
        path.write_text("no numbers")
    elif name == "empty.zarr":
        path.unlink()
        path.mkdir()
    with refused(path):
        evaluate(maker.raw, Results(tmp_path / "submission"), f"--prediction={path}")
