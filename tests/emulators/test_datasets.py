"""A dataset gives the numbers of its columns as rows, in any order of dimensions."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("xarray")
import xarray

import leapkit
from leapkit.core.columns import INPUTS, INPUTS_TO_NETWORK, TARGETS, UNITS
from leapkit.core.step_files import list_pairs
from leapkit.data.step_reader import StepReader
from leapkit.emulators import datasets
from leapkit.emulators.datasets import INPUT_VARIABLES, OUTPUT_VARIABLES
from tests.helpers.refusals import refused

pytestmark = pytest.mark.oldest
STEPS = 3


@pytest.fixture(scope="module")
def emulator(submission: Path, tiny_world: Path) -> leapkit.Emulator:
    return leapkit.load("adam/195", submission, tiny_world, device="cpu")


@pytest.fixture(scope="module")
def pairs(tiny_world: Path) -> Any:
    return list_pairs(tiny_world / "ClimSim_low-res" / "train")[:STEPS]


@pytest.fixture(scope="module")
def rows(pairs: Any) -> np.ndarray:
    """Return the rows (3 x 48, 556) of three steps, as the kit's own reader reads them."""
    return np.concatenate([StepReader().read(pair)[0] for pair in pairs])


@pytest.fixture
def dataset(pairs: Any) -> Any:
    """Return three steps as a user opens them: (time, lev, ncol), with coordinates, ymd and tod."""
    steps = [xarray.open_dataset(str(pair.mli), engine="netcdf4").load() for pair in pairs]
    columns = xarray.concat(steps, "time")
    return columns.assign_coords(
        time=("time", np.arange(STEPS), {"units": "days since 0008-01-01"}),
        lev=np.linspace(0.1, 998.0, 60),
        lat=("ncol", np.linspace(-80, 80, columns.sizes["ncol"])),
    )


def as_rows(predicted: Any) -> np.ndarray:
    """Return (time x ncol, 368) of a predicted dataset."""
    stacked = [
        predicted[name].transpose("time", "ncol", *(["lev"] if has_levels else [])).values
        for name, has_levels in OUTPUT_VARIABLES.items()
    ]
    count = STEPS * predicted.sizes["ncol"]
    return np.concatenate([values.reshape(count, -1) for values in stacked], axis=1)


def test_a_dataset_of_step_files_gives_the_numbers_of_its_rows(
    emulator: leapkit.Emulator, dataset: Any, rows: np.ndarray
) -> None:
    predicted = emulator.predict(dataset)
    assert as_rows(predicted).tobytes() == emulator.predict(rows).tobytes()
    assert predicted.ptend_t.dims == ("time", "lev", "ncol")
    assert predicted.cam_out_PRECC.dims == ("time", "ncol")
    assert {name: values.attrs["units"] for name, values in predicted.items()} == {
        name: UNITS[name] for name in OUTPUT_VARIABLES
    }
    assert all(
        values.dtype == np.float64 and values.attrs["long_name"] for values in predicted.values()
    )
    assert (
        predicted.cam_out_FLWDS.attrs["standard_name"] == "surface_downwelling_longwave_flux_in_air"
    )


@pytest.mark.parametrize(
    "axes", [("ncol", "lev", "time"), ("lev", "time", "ncol"), ("member", "ncol", "time", "lev")]
)
def test_dimensions_come_in_any_order_and_number(
    emulator: leapkit.Emulator, dataset: Any, rows: np.ndarray, axes: Any
) -> None:
    """A variable without one of the dimensions is the same along it."""
    expected = as_rows(emulator.predict(dataset))
    turned = dataset
    if "member" in axes:
        warmer = dataset.state_t + xarray.DataArray([0.0, 1.0], dims="member")
        turned = dataset.assign(state_t=warmer)
    predicted = emulator.predict(turned.transpose(*axes))
    assert predicted.ptend_u.dims == axes
    one = predicted.isel(member=0) if "member" in axes else predicted
    np.testing.assert_allclose(as_rows(one), expected, rtol=1e-4, atol=1e-9)
    if "member" in axes:
        assert not np.array_equal(predicted.isel(member=1).ptend_t, one.ptend_t)


def test_a_single_column_needs_no_other_dimension(
    emulator: leapkit.Emulator, dataset: Any, rows: np.ndarray
) -> None:
    predicted = emulator.predict(dataset.isel(time=0, ncol=7))
    assert predicted.ptend_t.dims == ("lev",) and predicted.cam_out_NETSW.dims == ()
    expected = emulator.predict(rows[7:8])[0]
    assert np.array_equal(predicted.ptend_t, expected[:60])
    assert predicted.cam_out_SOLLD == expected[TARGETS.index("cam_out_SOLLD")]


def test_coordinates_stay_and_attributes_say_what_made_the_result(
    emulator: leapkit.Emulator, dataset: Any, submission: Path
) -> None:
    from leapkit.core.files import sha256

    moved = dataset.assign_coords(ilev=np.arange(61)).reset_coords("lat")
    predicted = emulator.predict(moved)
    assert set(predicted.coords) == {"time", "lev", "lat", "ymd", "tod"}
    assert predicted.time.attrs == dataset.time.attrs and predicted.lat.equals(dataset.lat)
    assert np.array_equal(predicted.ymd, dataset.ymd), "which steps these are"
    attributes = predicted.attrs
    assert attributes["Conventions"] == "CF-1.8" and attributes["networks"] == "adam/195"
    assert sha256(submission / "outputs/adam/195/195.pt") in attributes["checkpoints_sha256"]
    assert leapkit.__version__ in attributes["source"] and attributes["precision"] == "float32"
    assert all(isinstance(value, str) and value for value in attributes.values())


def test_a_result_is_written_as_netcdf_and_read_again(
    emulator: leapkit.Emulator, dataset: Any, tmp_path: Path
) -> None:
    predicted = emulator.predict(dataset)
    predicted.to_netcdf(str(tmp_path / "predicted.nc"), engine="netcdf4")
    with xarray.open_dataset(str(tmp_path / "predicted.nc"), decode_times=False) as again:
        assert again.identical(predicted)


def test_dask_arrays_are_predicted_lazily_with_the_same_numbers(
    emulator: leapkit.Emulator, dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of whole batches: a step has 48 columns, and so has a batch here."""
    pytest.importorskip("dask")
    monkeypatch.setattr(emulator._networks, "_batches", [48])
    expected = emulator.predict(dataset)
    lazy = emulator.predict(dataset.chunk({"time": 1, "lev": 20}))
    assert lazy.chunks["time"] == (1, 1, 1) and lazy.ptend_t.dims == expected.ptend_t.dims
    assert lazy.identical(expected)
    broken = dataset.state_t.where(dataset.time < 2)
    with refused("the columns", "state_t at level 0 is NaN", "leave their columns out"):
        emulator.predict(dataset.assign(state_t=broken).chunk({"time": 1})).compute()


def test_an_emulator_may_be_sent_to_another_process(
    emulator: leapkit.Emulator, rows: np.ndarray
) -> None:
    again = pickle.loads(pickle.dumps(emulator))
    assert again.predict(rows[:9]).tobytes() == emulator.predict(rows[:9]).tobytes()
    assert repr(again) == repr(emulator) and "adam/195" in repr(again)


def test_memory_beside_columns_and_results_is_that_of_a_block(dataset: Any) -> None:
    """64 MB of float32 columns become 84 MB of results, in blocks of 500 rows, 2 MB each."""
    count = 600
    many = dataset.isel(time=0, drop=True).astype(np.float32)
    many = many.isel(ncol=np.arange(count * 48) % 48)

    def function(x: np.ndarray) -> np.ndarray:
        return np.zeros((len(x), len(TARGETS)))

    results = count * 48 * len(TARGETS) * 8
    tracemalloc.start()
    try:
        datasets.mapped(many, function, 500, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert results < peak < results + (16 << 20)


def renamed(dataset: Any) -> Any:
    return dataset.rename({"lev": "level"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.drop_vars(["state_t", "pbuf_CH4"]), ("lacks state_t, pbuf_CH4 (2 of 25",)),
        (renamed, ("state_t has no dimension `lev`", "(time, level, ncol)")),
        (lambda d: d.isel(lev=slice(0, 59)), ("59 levels",)),
        (lambda d: d.isel(lev=slice(None, None, -1)), ("ground up", "the coordinate `lev`")),
        (
            lambda d: d.isel(lev=slice(None, None, -1)).drop_vars("lev"),
            ("ground up", "state_pmid"),
        ),
        (
            lambda d: d.isel(lev=slice(None, None, -1)).drop_vars(["lev", "state_pmid"]),
            ("upside down", "N2O"),
        ),
        (lambda d: d.assign(state_ps=d.state_ps.assign_attrs(units="hPa")), ("hPa", "in Pa")),
        (
            lambda d: d.assign(state_q0001=d.state_q0001.assign_attrs(units="g/kg")),
            ("state_q0001 is in g/kg",),
        ),
        (lambda d: d.assign(state_t=d.state_t - 273.15), ("state_t at level", "outside 100")),
        (lambda d: d.assign(state_ps=d.state_ps.where(d.ncol != 5)), ("NaN in 3 of 144",)),
        (lambda d: d.assign(pbuf_SOLIN=d.state_t), ("pbuf_SOLIN has levels",)),
        (lambda d: d.assign(state_u=d.state_u.astype(str)), ("state_u is of the type",)),
        (lambda d: {"state_t": d.state_t}, ("is of the type dict",)),
    ],
)
def test_what_is_missing_or_in_other_units_or_orders_is_named(
    emulator: leapkit.Emulator, dataset: Any, change: Any, words: Any
) -> None:
    dataset = dataset.assign_coords(ncol=np.arange(dataset.sizes["ncol"]))
    with refused("", *words):
        emulator.predict(change(dataset))


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("state_ps", "Pa"),
        ("pbuf_SOLIN", "W m**-2"),
        ("state_q0002", "kg kg-1"),
        ("state_u", "m s^-1"),
        ("pbuf_COSZRS", ""),
        ("pbuf_ozone", "mol mol-1"),
    ],
)
def test_other_spellings_of_the_same_unit_are_understood(
    emulator: leapkit.Emulator, dataset: Any, name: str, units: str
) -> None:
    spelled = dataset.assign({name: dataset[name].assign_attrs(units=units)})
    assert emulator.predict(spelled).equals(emulator.predict(dataset))


def test_rows_of_another_number_order_or_type_are_refused(
    emulator: leapkit.Emulator, rows: np.ndarray
) -> None:
    with refused("the columns", "(144, 555)"):
        emulator.predict(rows[:, :555])
    with refused("the columns", "state_t at level 0"):
        emulator.predict(rows[:, INPUTS_TO_NETWORK])
    with refused("the columns", "state_t at level 2 is NaN in 1 of 144"):
        emulator.predict(np.ma.masked_equal(rows, rows[7, 2]))  # as netCDF4 reads what is missing
    for kind in ("U32", "complex128", "object"):
        with refused("the columns", "are of the type"):
            emulator.predict(rows.astype(kind))
    assert emulator.predict(rows[:0]).shape == (0, 368)
    assert len(INPUT_VARIABLES) == 25 and len(INPUTS) == rows.shape[1]
