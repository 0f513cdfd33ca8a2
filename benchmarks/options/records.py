"""The file of measurements: one line of JSON each, appended whole, so that a run may be killed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List


def append(path: Path, record: Dict[str, Any]) -> None:
    """Append one measurement as one line, in one write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(str(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, (json.dumps(record, sort_keys=True) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> List[Dict[str, Any]]:
    """Return the measurements; a line that a full disk has cut off is none."""
    records = []
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records
