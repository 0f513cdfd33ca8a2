"""The grid of a world is found, read in any form, and proved by the world's own step files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from leapkit.climate.grid import layer_pressure
from leapkit.climate.grid_files import find_grid, read_grid, sample_grid
from leapkit.climate.step_levels import first_step, read_levels
from leapkit.core.layout import GRID_FILE, RawData
from tests.helpers.grid_file import Contents, contents_of, write_grid
from tests.helpers.refusals import refused

netCDF4 = pytest.importorskip("netCDF4")
pytestmark = pytest.mark.oldest


@pytest.fixture
def world(tiny_world: Path, tmp_path: Path) -> RawData:
    """Return a world with one step of the tiny world and no grid file."""
    source = first_step(RawData(tiny_world))
    assert source
    raw = RawData(tmp_path / "raw_data")
    month = raw.steps / source.parent.name
    month.mkdir(parents=True)
    for name in (source.name, source.name.replace(".mli.", ".mlo.")):
        shutil.copy(str(source.parent / name), str(month / name))
    return raw


def test_the_sample_worlds_grid_needs_no_file(world: RawData) -> None:
    grid = find_grid(world)
    assert grid.columns == 48 and "sample world" in grid.source
    step = first_step(world)
    assert step
    levels = read_levels(step)
    assert levels.pressure is not None
    np.testing.assert_allclose(layer_pressure(grid, levels.ps).T, levels.pressure, rtol=1e-12)


@pytest.mark.parametrize("form", ["NETCDF3_64BIT_DATA", "NETCDF4", "NETCDF3_CLASSIC"])
@pytest.mark.parametrize("place", ["ClimSim_low-res", "ClimSim_low-res/train", ".", ".."])
def test_a_grid_file_is_read_where_it_lies(world: RawData, form: str, place: str) -> None:
    write_grid(world.root / place / GRID_FILE, contents_of(sample_grid(48)), form)
    found = find_grid(world)
    assert found.source == GRID_FILE and found.p0 == 1e5
    for name, values in contents_of(sample_grid(48)).items():
        if name != "P0":
            np.testing.assert_array_equal(getattr(found, name), values)


def test_a_grid_file_lies_beside_the_folder_that_a_link_of_the_steps_names(
    world: RawData, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / "train"
    elsewhere.parent.mkdir()
    shutil.move(str(world.steps), str(elsewhere))
    world.steps.symlink_to(elsewhere)
    write_grid(elsewhere.parent / GRID_FILE, contents_of(sample_grid(48)))
    assert find_grid(world).source == GRID_FILE


def test_the_real_grid_covers_the_sphere_and_has_the_real_levels(real_steps: Path) -> None:
    grid = read_grid(real_steps.parent / GRID_FILE)
    assert grid.columns == 384
    assert grid.area.sum() == pytest.approx(4 * np.pi, rel=1e-12)
    levels = read_levels(next(real_steps.glob("*/*.mli.*")))
    assert levels.difference(grid) < 1e-14
    lev = layer_pressure(grid, np.array([grid.p0]))[0] / 100.0
    assert lev[-1] == pytest.approx(992.6355435925217, rel=1e-12)  # hPa, as its `lev`


def damaged(change: Callable[[Contents], Any]) -> Contents:
    contents = {name: np.array(values) for name, values in contents_of(sample_grid(48)).items()}
    change(contents)
    return contents


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("hybi"), "the variable hybi is missing"),
        (lambda c: c["area"].__setitem__(3, np.nan), "area holds what is no number"),
        (lambda c: c["area"].__setitem__(3, 1e30), "area holds what is no number"),
        (lambda c: c["area"].__setitem__(3, 0.0), "area is not above 0"),
        (lambda c: c["lat"].__setitem__(3, 123.0), "outside the sphere"),
        (lambda c: c.update(lat=np.radians(c["lat"]), lon=np.radians(c["lon"])), "in radians"),
        (lambda c: c.update(P0=np.array(1000.0)), "P0 is 1000, no pressure in Pa"),
        (lambda c: c.update(hyam=c["hyam"][:30], hybm=c["hybm"][:30]), "30 levels and 61"),
        (lambda c: c.update(hyai=c["hyai"][::-1], hybi=c["hybi"][::-1]), "do not go down"),
        (lambda c: c.update(hyam=c["hyai"][:60] + 0.1), "a level lies outside"),
    ],
)
def test_a_damaged_grid_file_is_named_in_one_sentence(
    tmp_path: Path, change: Callable[[Contents], Any], words: str
) -> None:
    path = tmp_path / GRID_FILE
    contents = damaged(change)
    if "30" in words:  # one axis cannot have two lengths
        contents = {key: contents[key] for key in contents if key != "hybm"}
        contents["hybm"] = contents["hyam"]
    write_grid(path, contents)
    with refused(path, words, "LEAP/ClimSim_low-res"):
        read_grid(path)


@pytest.mark.parametrize("content", [b"", b"CDF\x05", b"version https://git-lfs", b"\x89HDF\r\n"])
def test_what_is_no_grid_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / GRID_FILE
    path.write_bytes(content)
    with refused(path):
        read_grid(path)


def test_the_grid_of_other_data_is_refused_by_the_step_files(world: RawData) -> None:
    path = write_grid(world.root / GRID_FILE, contents_of(sample_grid(384)))
    with refused(path, "384 columns, the step files have 48"):
        find_grid(world)
    other = damaged(lambda c: c.update(P0=np.array(1.01e5)))
    write_grid(path, other)
    with refused(path, "levels are up to 1 % off those of E3SM-MMF.mli"):
        find_grid(world)


def test_a_world_without_a_grid_says_what_to_put_where(real_steps: Path, tmp_path: Path) -> None:
    raw = RawData(tmp_path)
    month = sorted(real_steps.iterdir())[0]
    (raw.steps / month.name).mkdir(parents=True)
    for step in sorted(month.glob("*.nc")):
        (raw.steps / month.name / step.name).symlink_to(step)
    with refused(tmp_path / "ClimSim_low-res" / GRID_FILE, "is missing", "LEAP/ClimSim_low-res"):
        find_grid(raw)


def test_steps_of_other_levels_are_not_given_the_sample_worlds_grid(world: RawData) -> None:
    step = first_step(world)
    assert step
    with netCDF4.Dataset(str(step), "a") as file:
        file["state_pmid"][...] *= 1.001
    with refused(world.steps.parent / GRID_FILE, "is missing"):
        find_grid(world)


def test_a_folder_without_steps_has_no_grid(tmp_path: Path) -> None:
    with refused(tmp_path / "ClimSim_low-res" / GRID_FILE, "is missing"):
        find_grid(RawData(tmp_path))
