"""`make distil`: a teacher predicts, a world is made of that, the student learns and is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from leapkit.core.files import read_json
from leapkit.core.layout import world_receipt
from tests.end_to_end.commands import make, modification_times, scores
from tests.helpers.untrained import untrained

pytestmark = pytest.mark.end_to_end


def test_a_student_is_taught_scored_and_taught_once_only(
    clone: Path, tiny_world: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    untrained("joseph/907", tmp_path / "weights")
    to = tmp_path / "distilled"
    command = {
        "RUNTIME": "venv",
        "STACK": "modern",
        "PROFILE": "sample",
        "RAW_DATA": str(tiny_world),
        "SUBMISSION": str(tmp_path / "submission"),
        "WEIGHTS": str(tmp_path / "weights"),
        "TEACHER": "joseph/907",
        "TO": str(to),
    }
    text = make(clone, "distil", **command)
    assert f"{to / 'world'}: 12 training steps hold the teacher's predictions" in text
    assert "blend searched-student" in text and set(scores(to / "submission", "searched-student"))
    taught_by = read_json(world_receipt(to / "world"))["inputs"]
    assert [role for role in taught_by if role.startswith("checkpoints joseph/907")]
    learned = read_json(to / "submission" / "outputs" / "student" / "stack" / "stack.receipt.json")
    assert learned["details"]["training rows"] == 12 * 48

    before = made(to)
    text = make(clone, "distil", **command)
    assert text.count("its receipt proves it") >= 3 and "nothing to do: every step" in text
    assert made(to) == before


def made(folder: Path) -> Dict[str, int]:
    """Return {path: time} of all files but those that remember hashes."""
    times = modification_times(folder)
    return {path: time for path, time in times.items() if not path.endswith(".hashes.json")}
