"""A thousand mutations of step files in all forms: the right numbers, or one sentence.

LEAP_FUZZ=1000 asks for a thousand of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Dict, Tuple

import pytest

from leapkit.core.step_files import list_pairs
from leapkit.data.classic_header import parse_header
from tests.fuzz.reading_steps import Question
from tests.helpers.step_forms import FORMS, Form, rewritten

pytest.importorskip("netCDF4")
pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
SLOWEST = 2.0  # seconds of CPU for one file
EACH = int(os.environ.get("LEAP_FUZZ", "125"))  # mutations of each of eight files: 1,000


def outcomes(question: Question) -> Tuple[Counter, float]:
    """Return how often each outcome was seen, and the longest time.

    A crash of the netCDF library ends the process that reads; it is counted, and another process
    goes on behind the file.
    """
    seen: Counter = Counter()
    slowest = 0.0
    while question.start < question.count:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.reading_steps", json.dumps(question._asdict())],
            cwd=str(ROOT),
            env=dict(os.environ, PYTHONPATH=f"{ROOT / 'shared'}{os.pathsep}{ROOT}"),
            capture_output=True,
            text=True,
            timeout=60 + question.count,  # a machine of other tests may be slow
        )
        lines = [line.split() for line in done.stdout.splitlines() if line[:1].isdigit()]
        for words in lines:
            if len(words) == 3:
                seen[words[1]] += 1
                slowest = max(slowest, float(words[2]))
        if done.returncode == 0:
            break
        assert lines, done.stderr[-2000:]
        seen[f"ended with code {done.returncode}"] += 1
        question = question._replace(start=int(lines[-1][0]) + 1)
    return seen, slowest


def ask(folder: Path, tiny_world: Path, form: Form, kind: str, count: int) -> Dict[str, int]:
    whole = list_pairs(tiny_world / "ClimSim_low-res" / "train")[0]
    pair = rewritten(whole, folder, form)
    content = getattr(pair, kind).read_bytes()
    is_classic = content[:3] == b"CDF"
    length = parse_header(content).length if is_classic else 0
    seen, slowest = outcomes(Question(str(pair.folder), pair.stamp, kind, length, count))
    assert sum(seen.values()) == count and slowest < SLOWEST
    return dict(seen)


@pytest.mark.parametrize(
    "form, kind",
    [
        ("CDF-1", "mli"),
        ("CDF-2", "mlo"),
        ("CDF-5", "mli"),
        ("CDF-5", "mlo"),
        ("CDF-1 of records", "mlo"),
        ("CDF-5 of records", "mli"),
    ],
)
def test_mutations_of_a_classic_header_give_right_numbers_or_one_sentence(
    tmp_path: Path, tiny_world: Path, form: str, kind: str
) -> None:
    seen = ask(tmp_path, tiny_world, FORMS[form], kind, EACH)
    assert set(seen) <= {"right", "refused"} and seen["refused"] > EACH / 2, seen


# Where the chunks have checksums, as netCDF-4's own numbers have none: a changed bit of a float64
# that stays in its range is another number, in any form.
@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_mutations_of_a_netcdf_4_file_give_right_numbers_or_one_sentence(
    tmp_path: Path, tiny_world: Path, kind: str
) -> None:
    form = Form("NETCDF4", how={"zlib": True, "complevel": 1, "fletcher32": True})
    seen = ask(tmp_path, tiny_world, form, kind, EACH)
    assert set(seen) <= {"right", "refused"} and seen["refused"] > EACH / 2, seen
