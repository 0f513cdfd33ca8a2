"""The names of physical constraints on predictions, in the order in which they are applied.

What they do: leapkit.emulators.constraints. Standard library only: the launcher checks POSTPROCESS.
"""

from __future__ import annotations

from typing import List

from leapkit.core.errors import KitError

CONSTRAINTS = ("top_levels", "partition", "fluxes", "night", "stratosphere", "positivity")


def parse(text: str) -> List[str]:
    """Return the names of a list, comma separated. Raises KitError for an unknown one."""
    names = [name for name in text.replace(" ", "").split(",") if name]
    unknown = [name for name in names if name not in CONSTRAINTS]
    if unknown:
        remedy = f"choose among {', '.join(CONSTRAINTS)}"
        raise KitError(f"is no constraint: {unknown[0]}", f"POSTPROCESS={text}", remedy)
    return names
