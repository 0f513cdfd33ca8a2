"""The sample world has the real format, exact relations, closed budgets and something to learn."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from leapkit.sampleworld import shortwave as sw
from leapkit.sampleworld.air import Air, Layers
from leapkit.sampleworld.condensation import adjust
from leapkit.sampleworld.constants import CP_DRY, GRAVITY, LATENT_ICE, LATENT_VAPOUR
from leapkit.sampleworld.convection import convect
from leapkit.sampleworld.grid import (
    StepTime,
    cubed_sphere,
    hybrid_levels,
    interface_pressure,
    layer_mass,
)
from leapkit.sampleworld.physics import step
from leapkit.sampleworld.precipitation import precipitate
from leapkit.sampleworld.radiation import absorber_paths, heating, longwave
from leapkit.sampleworld.state import make_state
from leapkit.sampleworld.thermo import heights
from leapkit.sampleworld.write import write_steps

REAL = Path(__file__).resolve().parents[3] / "shared" / "climsim_low-res_sample" / "train"
SEED = 20
TIMES = [
    StepTime(1, 1, 16, 0),
    StepTime(1, 4, 3, 43200),
    StepTime(1, 7, 16, 64800),
    StepTime(2, 10, 9, 22800),
]
PROFILES = ("t", "q0001", "q0002", "q0003", "u", "v")
FLUXES = ("netsw", "flwds", "precsc", "precc", "sols", "soll", "solsd", "solld")
LEVELS = hybrid_levels()
BUDGET = 1.0e-11  # relative closure: rounding of 60 layers


@pytest.fixture(scope="module")
def steps():
    """Return (state, result) of every test time on the whole grid."""
    states = [make_state(step_time, cubed_sphere(), LEVELS, SEED) for step_time in TIMES]
    return [(state, step(state, LEVELS)) for state in states]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> list[Path]:
    return write_steps(tmp_path_factory.mktemp("world"), TIMES[:2], SEED)


def tendency(before, after, name: str) -> np.ndarray:
    return (getattr(after, name) - getattr(before, name)) / 1200  # (60, C)


def moist_column(state) -> tuple[Air, Layers]:
    """Return levels 12..59 of a state as the moist processes read them."""
    z, thickness = heights(state.t, state.q0001, interface_pressure(LEVELS, state.ps))
    layers = (state.pmid, z, thickness, layer_mass(LEVELS, state.ps, GRAVITY))
    air = (state.t, state.q0001, state.q0002, state.q0003, state.u, state.v)
    return Air(*(values[12:] for values in air)), Layers(*(values[12:] for values in layers))


def moist_enthalpy(t, q, ice, mass) -> np.ndarray:
    """Return the column sum of cp T + Lv q - Lf q_ice in J/m2, (C,).

    Only fluxes and precipitation change it.
    """
    return (mass * (CP_DRY * t + LATENT_VAPOUR * q - LATENT_ICE * ice)).sum(axis=0)


def enthalpy_of(air: Air, mass: np.ndarray) -> np.ndarray:
    return moist_enthalpy(air.t, air.vapour, air.ice, mass)


def water_of(air: Air) -> np.ndarray:
    return air.vapour + air.liquid + air.ice


# files


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_depend_on_seed_and_time_alone(tmp_path, written):
    other_order = write_steps(tmp_path / "again", [TIMES[1]], SEED)
    assert [digest(p) for p in other_order] == [digest(p) for p in written[2:]]
    assert [p.name for p in other_order] == [p.name for p in written[2:]]
    other_seed = write_steps(tmp_path / "seed", [TIMES[1]], SEED + 1)
    assert all(digest(a) != digest(b) for a, b in zip(other_order, other_seed))


def test_paths_and_magic(written):
    names = [str(p.relative_to(written[0].parents[1])) for p in written[:2]]
    assert names == [f"0001-01/E3SM-MMF.{kind}.0001-01-16-00000.nc" for kind in ("mli", "mlo")]
    assert all(p.read_bytes()[:4] == b"CDF\x05" for p in written)
    assert sorted(written[0].parent.iterdir()) == sorted(written[:2]), (
        "nothing else is left in the folder"
    )


@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_layout_is_that_of_a_real_file(written, kind):
    real = sorted(REAL.glob(f"*/*.{kind}.*.nc"))
    if not real:
        pytest.skip(f"no real step files below {REAL}")
    written_path = next(p for p in written if f".{kind}." in p.name)

    def layout(path):
        with netCDF4.Dataset(str(path)) as file:
            return (
                file.data_model,
                {n: len(d) for n, d in file.dimensions.items()},
                [(n, v.dtype, v.dimensions, v.ncattrs()) for n, v in file.variables.items()],
                {n: file.getncattr(n) for n in file.ncattrs()},
            )

    assert layout(written_path) == layout(real[0])
    assert written_path.stat().st_size == real[0].stat().st_size
    header = {"mli": 2200, "mlo": 1300}[kind]
    assert written_path.read_bytes()[:header] == real[0].read_bytes()[:header]


def test_a_fraction_of_the_grid_is_spread_over_it(tmp_path: Path) -> None:
    path = write_steps(tmp_path, TIMES[:1], SEED, columns=48)[0]
    with netCDF4.Dataset(str(path)) as file:
        assert file["state_t"].shape == (60, 48)
    lat = cubed_sphere(48).lat
    assert lat.min() < -50.0 and lat.max() > 50.0
    for wrong in (0, 385):
        with pytest.raises(ValueError, match="columns"):
            cubed_sphere(wrong)


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = sys.modules[write_steps.__module__]

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(writer, "_fill", fail)
    with pytest.raises(OSError, match="disk full"):
        write_steps(tmp_path, TIMES[:1], SEED, columns=6)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("wrong", [(1, 2, 29, 0), (1, 13, 1, 0), (1, 1, 1, 600), (1, 1, 1, 86400)])
def test_times_outside_the_calendar_are_refused(wrong):
    with pytest.raises(ValueError):
        StepTime(*wrong)


def test_grid_covers_the_sphere_and_levels_fill_the_column() -> None:
    grid = cubed_sphere()
    assert grid.area.sum() == pytest.approx(4.0 * np.pi, rel=1e-12)
    assert np.unique(np.round(grid.xyz, 9), axis=1).shape[1] == 384
    assert np.abs((grid.area * grid.xyz).sum(axis=1)).max() < 1e-12
    pint = interface_pressure(LEVELS, np.array([7.0e4, 1.04e5]))
    assert (np.diff(pint, axis=0) > 0).all() and np.allclose(pint[-1], [7.0e4, 1.04e5])


# relations of the real data


def test_water_is_never_negative_and_all_is_finite(steps):
    for state, after in steps:
        for name in ("q0001", "q0002", "q0003"):
            assert getattr(state, name).min() >= 0.0 and getattr(after, name).min() >= 0.0, name
        for record in (state, after):
            assert all(np.isfinite(values).all() for values in vars(record).values())


def test_exact_relations(steps):
    for state, after in steps:
        traces = state.q0002[12:28]
        assert (traces > 0).all() and traces[0].max() < 1e-30 and 1e-14 < traces[-1].mean() < 1e-10
        assert (tendency(state, after, "q0002")[12:28] == -traces / 1200).all()
        for name in PROFILES[1:]:
            assert (tendency(state, after, name)[:12] == 0.0).all(), name
        assert (tendency(state, after, "t") != 0.0).all()
        pmid = LEVELS.hyam[:, None] * 1e5 + LEVELS.hybm[:, None] * state.ps
        assert np.abs(state.pmid / pmid - 1.0).max() < 1e-15
        iced = state.icefrac > 0.0
        assert set(state.snowhice[~iced]) == {1e30} and (state.snowhice[iced] < 10).all()
        assert np.allclose(state.landfrac + state.ocnfrac + state.icefrac, 1.0)


def test_every_active_target_varies(steps):
    columns = []
    for name in PROFILES:
        rows = np.concatenate([tendency(state, after, name) for state, after in steps], axis=1)
        first = 0 if name == "t" else 28 if name == "q0002" else 12
        columns.extend(rows[first:])
    columns.extend(np.concatenate([getattr(after, name) for _, after in steps]) for name in FLUXES)
    assert len(columns) == 292
    for i, values in enumerate(columns):
        # Many distinct values that no single row makes: a column that a network can learn from.
        assert values.std() > 0 and np.unique(values).size > 40, i
        share = (values - values.mean()) ** 2
        assert share.max() < 0.5 * share.sum(), i


def test_seasons_and_days() -> None:
    grid = cubed_sphere()
    january, july = (make_state(StepTime(1, m, 16, 0), grid, LEVELS, SEED) for m in (1, 7))
    north = grid.lat > 40.0
    assert july.t[-1, north].mean() > january.t[-1, north].mean() + 8.0
    assert july.t[-1, grid.lat < -40.0].mean() < january.t[-1, grid.lat < -40.0].mean() - 2.0
    noon = make_state(StepTime(1, 7, 16, 43200), grid, LEVELS, SEED)
    land = (noon.landfrac > 0.9) & (np.abs(grid.lat) < 50)
    greenwich = np.cos(np.radians(grid.lon)) > 0.0  # midday there, midnight on the other side
    change = noon.lwup - july.lwup
    assert change[land & greenwich].mean() > 30.0 and change[land & ~greenwich].mean() < -30.0
    assert (noon.solin[greenwich & (np.abs(grid.lat) < 20)] > 0).mean() > 0.9


# physics


def test_no_sun_no_shortwave(steps):
    for state, after in steps:
        night = state.coszrs == 0.0
        assert night.any() and (~night).any()
        for name in ("netsw", "sols", "soll", "solsd", "solld"):
            assert (getattr(after, name)[night] == 0.0).all() and (
                getattr(after, name)[~night] >= 0.0
            ).all()


def test_net_shortwave_is_what_the_albedos_leave(steps):
    for state, after in steps:
        absorbed = (
            after.sols * (1 - state.asdir)
            + after.solsd * (1 - state.asdif)
            + after.soll * (1 - state.aldir)
            + after.solld * (1 - state.aldif)
        )
        assert np.allclose(after.netsw, absorbed, rtol=1e-12, atol=1e-10)
        assert (after.netsw <= state.solin).all()


def test_radiative_heating_is_the_flux_difference(steps):
    for state, after in steps:
        mass = layer_mass(LEVELS, state.ps, GRAVITY)
        paths = absorber_paths(state, mass)
        sun, _ = sw.shortwave(state, paths)
        earth, down = longwave(state.t, paths, state.pmid, state.lwup)
        for net in (sun, earth):
            gained = (CP_DRY * mass * heating(net, mass)).sum(axis=0)
            assert np.allclose(gained, net[0] - net[-1], rtol=1e-11, atol=1e-9)
        assert np.allclose(earth[-1], down - state.lwup) and (down == after.flwds).all()
        assert (heating(sun, mass) >= -1e-12).all(), "sunlight never cools"
        top = tendency(state, after, "t")[:12]
        assert np.allclose(top, heating(sun + earth, mass)[:12], rtol=1e-8, atol=1e-15)


def test_scattering_alone_loses_no_light(steps, monkeypatch):
    for absorber in (
        "OZONE_DEPTH",
        "OXYGEN_DEPTH",
        "VAPOUR_DEPTH",
        "LIQUID_ABSORBS",
        "ICE_ABSORBS",
    ):
        monkeypatch.setattr(sw, absorber, (0.0,) * 4)
    state, _ = steps[1]
    mass = layer_mass(LEVELS, state.ps, GRAVITY)
    paths = absorber_paths(state, mass)
    net, _ = sw.shortwave(state, paths)
    assert net[0].max() > 300.0 and np.allclose(net, net[0], rtol=1e-11, atol=1e-9)


def test_condensation_keeps_moist_enthalpy_and_water(steps):
    for state, _ in steps:
        air, layers = moist_column(state)
        before = replace(air, vapour=1.1 * air.vapour)
        after = adjust(before, layers.p, 16)
        assert np.allclose(
            enthalpy_of(after, layers.mass), enthalpy_of(before, layers.mass), rtol=BUDGET, atol=0.0
        )
        assert np.allclose(water_of(after), water_of(before), rtol=1e-13, atol=0.0)
        assert np.abs(after.t - before.t).max() > 0.5, "the test must see real condensation"


def test_convection_keeps_moist_enthalpy_and_water(steps):
    active = 0
    for state, _ in steps:
        before, layers = moist_column(state)
        mass = layers.mass
        done = convect(before, layers, 16)
        after = done.air
        assert np.allclose(
            enthalpy_of(after, mass), enthalpy_of(before, mass), rtol=BUDGET, atol=0.0
        )
        water = (mass * water_of(before)).sum(axis=0)
        water_after = (mass * water_of(after) + 1200 * done.rain).sum(axis=0)
        assert np.allclose(water_after, water, rtol=BUDGET, atol=0.0)
        assert np.allclose(
            (mass * after.u).sum(axis=0), (mass * before.u).sum(axis=0), rtol=1e-9, atol=1e-6
        )
        active += (done.rain.sum(axis=0) > 0).sum()
    assert 10 < active < 0.9 * 384 * len(steps), "some columns convect, others do not"


def test_precipitation_keeps_moist_enthalpy_and_water(steps):
    for state, _ in steps:
        air, layers = moist_column(state)
        mass = layers.mass
        rain_in = np.full_like(mass, 1.0e-6)  # kg/m2/s per layer, as from convection
        done = precipitate(air, layers, rain_in)
        before = enthalpy_of(air, mass) + LATENT_ICE * 1200 * done.snow
        assert np.allclose(enthalpy_of(done.air, mass), before, rtol=BUDGET, atol=0.0)
        water = (mass * water_of(air) + 1200 * rain_in).sum(axis=0)
        water_after = (mass * water_of(done.air)).sum(axis=0) + 1200 * (done.rain + done.snow)
        assert np.allclose(water_after, water, rtol=BUDGET, atol=0.0)


def test_the_whole_step_closes_its_budgets(steps):
    for state, after in steps:
        mass = layer_mass(LEVELS, state.ps, GRAVITY)
        not_dewy = state.lhflx > -5.0  # strong dew may be limited
        assert not_dewy.mean() > 0.8
        paths = absorber_paths(state, mass)
        net = sw.shortwave(state, paths)[0] + longwave(state.t, paths, state.pmid, state.lwup)[0]
        gain = (
            net[0] - net[-1] + state.shflx + state.lhflx + LATENT_ICE * 1000 * after.precsc
        )  # W/m2
        before = moist_enthalpy(state.t, state.q0001, state.q0003, mass) + 1200 * gain
        result = moist_enthalpy(after.t, after.q0001, after.q0003, mass)
        assert np.allclose(result[not_dewy], before[not_dewy], rtol=BUDGET, atol=0.0)
        water, water_after = (
            (mass * (s.q0001 + s.q0002 + s.q0003)).sum(axis=0) for s in (state, after)
        )
        water = water + 1200 * (state.lhflx / LATENT_VAPOUR - 1000 * after.precc)
        assert np.allclose(water_after[not_dewy], water[not_dewy], rtol=1e-9, atol=0.0)


def test_rain_and_snow_fall(steps):
    rain = np.concatenate([after.precc for _, after in steps])
    snow = np.concatenate([after.precsc for _, after in steps])
    assert (snow <= rain).all() and (snow >= 0).all()
    assert 1e-9 < rain.mean() < 1e-7 and snow.max() > 1e-9


def test_tendencies_are_functions_of_the_column_alone(steps):
    state, after = steps[1]
    for columns in (np.random.RandomState(0).permutation(384), np.array([7, 200, 31, 8, 383])):
        chosen_columns = step(state.take(columns), LEVELS)
        for name, values in vars(chosen_columns).items():
            # Vector units may round the ends of an array differently, hence not bit for bit.
            assert np.allclose(values, getattr(after, name)[..., columns], rtol=1e-9, atol=1e-18), (
                name
            )


def test_the_response_is_not_linear(steps):
    """Doubling a disturbance does not double the answer: thresholds and saturation are at work."""
    state, after = steps[1]
    small, large = (
        step(replace(state, q0001=state.q0001 * factor), LEVELS) for factor in (1.1, 1.2)
    )
    small_response, large_response = (small.t - after.t)[30:55], (large.t - after.t)[30:55]
    assert (
        np.abs(large_response - 2.0 * small_response).mean() > 0.2 * np.abs(large_response).mean()
    )
