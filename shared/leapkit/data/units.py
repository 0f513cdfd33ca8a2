"""The spellings of a unit: W/m2, W m-2 and W m**-2 mean the same."""

from __future__ import annotations

import re
from collections import Counter
from typing import Mapping, Set, Tuple

# What files write, without spaces and in lower case, that is no product of the unit's own powers.
_SPELLINGS: Mapping[str, Set[str]] = {
    "K": {"kelvin", "kelvins", "degk", "degreesk"},
    "kg/kg": {"kgkg-1", "kg/kg-1", "1", "", "dimensionless"},
    "m/s": {"ms-1"},
    "Pa": {"pascal", "pascals"},
    "W/m2": {"Wm-2"},
    "N/m2": {"Nm-2", "Pa"},
    "mol/mol": {"molmol-1", "1", "", "dimensionless"},
    "1": {"", "-", "fraction", "unitless", "none", "dimensionless", "0-1"},
    "m": {"meter", "metre", "meters", "metres"},
}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_FACTOR = re.compile(r"([^\W\d_]+)(-?\d+)?")


def means(spelled: str, unit: str) -> bool:
    """Return whether a text means one of the units of `leapkit.core.columns`."""
    spelled = spelled.translate(_SUPERSCRIPTS)
    text = re.sub(r"[\s^_]|\*\*", "", spelled)
    word = text.lower() if text.isalpha() else text
    known = _SPELLINGS.get(unit, ())
    return text in known or word in known or _factors(spelled) == _factors(unit)


def _factors(unit: str) -> Tuple[Tuple[str, int], ...]:
    """Return (name, exponent) of each factor, equal ones together: kg kg-1 s-1 and kg/kg/s agree.

    What is no product of powers is a factor of its own, which equals only itself.
    """
    exponents: Counter[Tuple[str, int]] = Counter()
    for position, part in enumerate(re.sub(r"\*\*|\^", "", unit).split("/")):
        for word in re.split(r"[\s*.]+", part.strip()):
            factor = _FACTOR.fullmatch(word)
            if factor:
                sign = -1 if position else 1
                exponents[factor[1], sign * int(factor[2] or 1)] += 1
            elif word:
                exponents[word, 0] += 1
    return tuple(sorted(exponents.elements()))
