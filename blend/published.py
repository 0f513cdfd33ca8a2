"""What is said of a table when it is used: its rows, its sums, whether it is the published one.

Standard library only.
"""

from __future__ import annotations

import re

from blend.tables import WeightTable, find, shipped

_WORD = "[A-Za-z0-9]"  # what a shipped table's name in the name of a file must not touch


def describe(table: WeightTable) -> str:
    """Say how many rows a table has, what they sum to, and whether it is a published one."""
    sums = table.sums
    total = f"sum {sums[0]!r}"
    if len(sums) > 1:
        total = f"{len(sums)} weights each, sums {min(sums)!r} to {max(sums)!r}"
    beside = (_beside(table, find(name)) for name in shipped())
    return "; ".join([f"{len(table.rows)} rows, {total}", *filter(None, beside)])


def _beside(table: WeightTable, published: WeightTable) -> str:
    """Compare a table with a published one that it equals or that its name speaks of."""
    if table.sha256 == published.sha256:
        return f"the published weights {published.name}"
    name = re.escape(published.name)
    if not re.search(rf"(?<!{_WORD}){name}(?!{_WORD})", table.name):
        return ""
    if sorted(table.rows) == sorted(published.rows):
        return f"the published weights {published.name} in another order"
    return (
        f"NOT the published weights {published.name}, "
        f"which have {len(published.rows)} rows and the sum {published.sums[0]!r}"
    )
