"""The file of unfinished predictions, and the record beside it of what computed them.

predictions-<key>.f32   (N, 368) float32, named after all inputs
predictions-<key>.json  the environments that took part
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

from leapkit.core import leftovers
from leapkit.core.errors import KitError
from leapkit.core.files import read_json, write_json
from leapkit.run import provenance


def environments(scratch: Path, now: provenance.Environment) -> List[provenance.Environment]:
    """Return and record what computes the predictions in `scratch`.

    Predictions of another stack are emptied, not removed: while the file exists, a parquet without
    a receipt is known to be the kit's own.
    """
    took_part = [now]
    if scratch.exists():
        try:
            before = read_json(_record(scratch))["environments"]
            goes_on = provenance.may_go_on(before[-1], now)
        except (KitError, KeyError, TypeError, IndexError, AttributeError):
            goes_on = False  # an older version of the kit recorded nothing
        if goes_on:
            took_part = provenance.joined(before, now)
        elif scratch.stat().st_size:
            print(f"{scratch}: predicts anew, it was begun on another stack", flush=True)
            os.truncate(str(scratch), 0)
    write_json(_record(scratch), {"environments": took_part})
    return took_part


def remove_others(scratch: Path) -> None:
    """Remove unfinished predictions of other inputs."""
    for file in scratch.parent.glob(leftovers.SCRATCH):
        if file not in (scratch, _record(scratch)):
            file.unlink()


def remove(scratch: Path) -> None:
    """Remove the predictions, which are finished, and then their record."""
    scratch.unlink()
    _record(scratch).unlink()


def _record(scratch: Path) -> Path:
    return scratch.with_suffix(".json")
