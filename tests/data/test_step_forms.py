"""Step files in each form of netCDF give the numbers of CDF-5, or one sentence on what is lost."""

from __future__ import annotations

import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np
import pytest

from leapkit.core.step_files import StepPair, list_pairs
from leapkit.data import netcdf_library
from leapkit.data.step_reader import StepReader, grid_columns
from tests.helpers.refusals import refused
from tests.helpers.step_forms import (
    CLASSIC_FORMS,
    FORMS,
    LIBRARY_FORMS,
    Form,
    copied,
    rewritten,
)

netCDF4 = pytest.importorskip("netCDF4")


def rows(pair: StepPair, **options: bool) -> Tuple[bytes, bytes]:
    x, y = StepReader(**options).levels(pair)
    return x.tobytes(), y.tobytes()


@pytest.fixture(scope="session")
def whole(tiny_world: Path) -> StepPair:
    return list_pairs(tiny_world / "ClimSim_low-res" / "train")[0]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_sample_step_gives_the_same_bits(
    whole: StepPair, tmp_path: Path, form: str
) -> None:
    pair = rewritten(whole, tmp_path, FORMS[form])
    assert rows(pair) == rows(whole)
    assert grid_columns(pair) == 48


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_real_step_gives_the_same_bits(
    real_steps: Path, tmp_path: Path, form: str
) -> None:
    real = list_pairs(real_steps)[-1]
    assert rows(rewritten(real, tmp_path, FORMS[form])) == rows(real)


@pytest.mark.parametrize("options", [{}, {"format": "NETCDF3_64BIT"}, {"unlimited_dims": ["lev"]}])
def test_what_xarray_writes_gives_the_same_bits(
    whole: StepPair, tmp_path: Path, options: Dict[str, Any]
) -> None:
    xarray = pytest.importorskip("xarray")
    pair = copied(whole, tmp_path)
    for old, new in ((whole.mli, pair.mli), (whole.mlo, pair.mlo)):
        with xarray.open_dataset(str(old)) as file:
            file.load().to_netcdf(str(new), mode="w", **options)
    assert rows(pair) == rows(whole)


def test_one_reader_reads_forms_in_turn(whole: StepPair, tmp_path: Path) -> None:
    reader = StepReader()
    expected = rows(whole)
    for number, (first, second) in enumerate(zip(FORMS, reversed(list(FORMS)))):
        pair = rewritten(whole, tmp_path / str(number), FORMS[first], FORMS[second])
        x, y = reader.levels(pair)
        assert (x.tobytes(), y.tobytes()) == expected, (first, second)


def test_threads_may_read_netcdf_4_at_once(whole: StepPair, tmp_path: Path) -> None:
    pair = rewritten(whole, tmp_path, LIBRARY_FORMS["netCDF-4 compressed"])
    expected = rows(whole)
    with ThreadPoolExecutor(8) as threads:
        assert all(found == expected for found in threads.map(lambda _: rows(pair), range(64)))


def test_the_slow_way_is_said_once(
    whole: StepPair, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    pair = rewritten(whole, tmp_path, FORMS["netCDF-4"])
    netcdf_library._say_that_it_is_slow.cache_clear()
    for of in (whole, rewritten(whole, tmp_path / "classic", FORMS["CDF-1"])):
        rows(of)
    assert capsys.readouterr().out == ""
    for _ in range(3):
        rows(pair)
    assert capsys.readouterr().out.count("read through the netCDF4 library") == 1


def test_where_the_library_is_absent_netcdf_4_is_one_sentence(
    whole: StepPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = rewritten(whole, tmp_path, FORMS["CDF-2"], FORMS["netCDF-4"])
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    assert rows(whole)  # the classic forms need no library
    with refused(pair.mlo, "is not installed", "pip install netCDF4"):
        rows(pair)


# --- what loses digits ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["NETCDF3_64BIT_DATA", "NETCDF3_CLASSIC", "NETCDF4"])
def test_float32_is_read_only_where_the_user_accepts_it(
    whole: StepPair, tmp_path: Path, form: str
) -> None:
    pair = rewritten(whole, tmp_path, Form(form, kind="f4"))
    with refused(pair.mli, "state_t is float32", "STEP_PRECISION=float32"):
        rows(pair)
    reader = StepReader(accept_float32=True)
    x, y = reader.levels(pair)
    assert reader.precision == "float32"
    exact_x, exact_y = (values.copy() for values in StepReader().levels(whole))
    assert (x == exact_x.astype(np.float32)).all() and (x != exact_x).any()
    assert (y[360:] == exact_y[360:].astype(np.float32)).all()


def test_where_float32_is_accepted_float64_stays_what_it_is(whole: StepPair) -> None:
    reader = StepReader(accept_float32=True)
    x, y = reader.levels(whole)
    assert (x.tobytes(), y.tobytes()) == rows(whole) and reader.precision == "float64"


def change(path: Path, form: str, **attributes: object) -> None:
    """Write a file again with attributes of state_t."""
    copy = path.with_name("copy.nc")
    Form(form).write(path, copy)
    with netCDF4.Dataset(str(copy), "a") as file:
        file["state_t"].setncatts(attributes)
    copy.replace(path)


@pytest.mark.parametrize("form", ["NETCDF3_64BIT_DATA", "NETCDF4"])
@pytest.mark.parametrize(
    "attributes", [{"scale_factor": 0.5}, {"add_offset": 273.15}, {"scale_factor": 1.0}]
)
def test_a_packed_variable_is_refused(
    whole: StepPair, tmp_path: Path, form: str, attributes: Dict[str, float]
) -> None:
    pair = copied(whole, tmp_path)
    change(pair.mlo, form, **attributes)
    with refused(pair.mlo, "state_t is packed"):
        rows(pair)


def test_packed_whole_numbers_are_refused(whole: StepPair, tmp_path: Path) -> None:
    with np.errstate(invalid="ignore"):
        pair = rewritten(whole, tmp_path, Form("NETCDF4", kind="i2"))
    with refused(pair.mli, "state_t is int16 (60, 48) instead of float64 (60, 48)"):
        rows(pair)


# netCDF-4 takes a _FillValue only where a variable is made.
@pytest.mark.parametrize(
    "form, key",
    [
        ("NETCDF3_64BIT_DATA", "_FillValue"),
        ("NETCDF3_64BIT_DATA", "missing_value"),
        ("NETCDF4", "missing_value"),
    ],
)
def test_a_number_that_the_file_calls_missing_is_refused(
    whole: StepPair, tmp_path: Path, form: str, key: str
) -> None:
    pair = copied(whole, tmp_path)
    value = float(StepReader().levels(whole)[0][7, 5])
    change(pair.mli, form, **{key: value + 1e-9})
    assert rows(pair) == rows(whole)  # no number of the file is called missing
    change(pair.mli, form, **{key: value})
    with refused(pair.mli, "state_t holds", "which it says is no value"):
        rows(pair)


# --- what is not a step file ----------------------------------------------------------------------


def damaged(path: Path, form: str, axis: str = "", drop: str = "") -> None:
    """Write a file again without a variable, or with a second value along an axis in front."""
    copy = path.with_name("copy.nc")
    with netCDF4.Dataset(str(path)) as old, netCDF4.Dataset(str(copy), "w", format=form) as new:
        for name, dimension in old.dimensions.items():
            new.createDimension(name, len(dimension))
        if axis:
            new.createDimension(axis, 2)
        for name, stored in old.variables.items():
            if name != drop:
                front = (axis,) if axis and name == "state_u" else ()
                new.createVariable(name, stored.dtype, (*front, *stored.dimensions))[...] = stored[
                    ...
                ]
    copy.replace(path)


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF4"])
def test_two_times_in_one_file_are_refused(whole: StepPair, tmp_path: Path, form: str) -> None:
    pair = copied(whole, tmp_path)
    damaged(pair.mli, form, axis="time")
    with refused(pair.mli, "state_u is float64 (2, 60, 48) instead of float64 (60, 48)"):
        rows(pair)


def test_two_axes_exchanged_in_one_variable_alone_are_refused(
    whole: StepPair, tmp_path: Path
) -> None:
    pair = copied(whole, tmp_path)
    content = pair.mli.read_bytes()
    # the name, two axes, lev is number 1, ncol is number 0
    position = content.index(b"state_u\0") + 8
    axes = struct.pack(">QQQ", 2, 1, 0)
    assert content[position : position + 24] == axes
    pair.mli.write_bytes(
        content.replace(b"state_u\0" + axes, b"state_u\0" + struct.pack(">QQQ", 2, 0, 1))
    )
    with refused(pair.mli, "has its axes in several orders"):
        rows(pair)


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF4"])
def test_a_missing_variable_is_named(whole: StepPair, tmp_path: Path, form: str) -> None:
    pair = copied(whole, tmp_path)
    damaged(pair.mlo, form, drop="cam_out_SOLL")
    with refused(pair.mlo, "the variable cam_out_SOLL is missing"):
        rows(pair)


@pytest.mark.parametrize("form", [*LIBRARY_FORMS, *CLASSIC_FORMS])
def test_a_file_that_was_cut_is_refused(whole: StepPair, tmp_path: Path, form: str) -> None:
    pair = rewritten(whole, tmp_path, FORMS[form])
    content = pair.mli.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 600, 9):
        pair.mli.write_bytes(content[:length])
        with refused(pair.mli, "download this file again"):
            rows(pair)


def test_a_grid_of_more_columns_than_any_step_takes_no_memory(
    whole: StepPair, tmp_path: Path
) -> None:
    pair = copied(whole, tmp_path)
    pair.mli.unlink()
    with netCDF4.Dataset(str(pair.mli), "w") as file:
        file.createDimension("ncol", 1 << 40)
        file.createDimension("lev", 60)
        file.createVariable("state_t", "f8", ("lev", "ncol"), chunksizes=(1, 1024))
    with refused(pair.mli, "1099511627776 columns"):
        rows(pair)


def test_a_step_of_another_instant_is_refused_in_netcdf_4_too(
    whole: StepPair, tmp_path: Path
) -> None:
    other = list_pairs(whole.folder.parent)[1]
    pair = copied(whole, tmp_path)
    pair.mlo.unlink()
    FORMS["netCDF-4"].write(other.mlo, pair.mlo)
    with refused(pair.mlo, f"holds the step {other.stamp}"):
        rows(pair)
