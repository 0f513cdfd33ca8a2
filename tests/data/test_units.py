"""Which texts mean a unit: another way to write it, never another unit."""

from __future__ import annotations

import pytest

from leapkit.core.columns import UNITS
from leapkit.data.units import means

SAME = [
    ("kg/kg/s", "kg kg-1 s-1"),
    ("W/m2", "W m**-2"),
    ("W/m2", "Wm-2"),
    ("W/m2", "W.m-2"),
    ("m/s2", "m s-2"),
    ("m/s", "m s^-1"),
    ("K/s", "K s^-1"),
    ("K/s", "s-1 K"),
    ("K", "Kelvin"),
    ("K", "degrees_K"),
    ("Pa", "Pascal"),
    ("W/m2", "W m⁻²"),
    ("kg/kg", "dimensionless"),
    ("N/m2", "Pa"),
    ("kg/kg", "1"),
    ("kg/kg", "kg kg-1"),
    ("mol/mol", "mol.mol-1"),
    ("1", ""),
    ("1", "fraction"),
    ("1", "0-1"),
]
DIFFERENT = [
    ("K/s", "K/day"),
    ("m/s", "mm/s"),
    ("kg/kg/s", "g/kg/s"),
    ("kg/kg/s", "1"),
    ("kg/kg", "kg"),
    ("W/m2", "W/m"),
    ("Pa", "hPa"),
    ("1", "0.01"),
    ("1", "%"),
    ("1", "100"),
    ("m/s", "m/s-"),
    ("K", ""),
    ("K", "-"),
    ("K", "k"),
    ("K", "degrees_C"),
    ("m", "M"),
    ("K", "**^/ . -"),
]


@pytest.mark.parametrize(("unit", "spelled"), SAME)
def test_another_spelling_means_the_unit(unit: str, spelled: str) -> None:
    assert means(spelled, unit)


@pytest.mark.parametrize(("unit", "spelled"), DIFFERENT)
def test_another_unit_is_not_taken_for_it(unit: str, spelled: str) -> None:
    assert not means(spelled, unit)


@pytest.mark.parametrize("unit", sorted(set(UNITS.values())))
def test_the_kits_own_spelling_means_itself_alone(unit: str) -> None:
    meant = {other for other in UNITS.values() if means(unit, other)}
    either = {"1": {"1", "kg/kg", "mol/mol"}, "Pa": {"Pa", "N/m2"}}
    assert meant == either.get(unit, {unit})
