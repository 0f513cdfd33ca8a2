"""No pickle kills, stops or fills the process that reads it, whichever reader that is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from tests.helpers import crafted as craft
from tests.helpers.attacks import attacks

pytestmark = [pytest.mark.process, pytest.mark.oldest]

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 96 << 20  # bytes of address space that a reader may take beyond its imports
SECONDS = 4.0  # of CPU for one file; the longest takes a tenth on an idle machine
READERS = {
    "checkpoint": "from leapkit.data.checkpoints import read_state as read",
    "index": "from leapkit.data.row_index import read_index as read",
    "table": "from blend.pickled import read_rows as read",
}
_CHILD = """
import json, resource, sys, time
from pathlib import Path
import numpy
{reader}
from leapkit.core.errors import KitError
pages = int(open("/proc/self/statm").read().split()[0])
size = pages * resource.getpagesize() + {memory}
resource.setrlimit(resource.RLIMIT_AS, (size, size))
for name in sys.stdin.read().splitlines():
    started = time.process_time()
    try:
        read(Path(name))
        text = "read"
    except KitError as error:
        text = str(error)
    print(json.dumps([time.process_time() - started, text]), flush=True)
"""


def read_in_a_child(reader: str, paths: List[Path]) -> List[Tuple[float, str]]:
    """Return (CPU seconds, "read" or the refusal) of each file, read in bounded memory."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD.format(reader=READERS[reader], memory=MEMORY)],
        input="\n".join(map(str, paths)),
        env=dict(os.environ, PYTHONPATH=f"{ROOT / 'shared'}{os.pathsep}{ROOT}"),
        capture_output=True,
        text=True,
        timeout=600,  # of a machine that is busy with others; SECONDS bounds what counts
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(paths)
    return [(seconds, text) for seconds, text in answers]


def files(folder: Path) -> Dict[str, Path]:
    """Write each attack: as the value of a name, as the whole object, as an array's state."""
    paths: Dict[str, Path] = {}
    for position, (name, value) in enumerate(attacks().items()):
        programs = {
            "a value": craft.program({"01_02": value}),
            "the whole": craft.PROTOCOL + value + craft.STOP,
            "a state": craft.program(
                {"01_02": craft.name("numpy", "ndarray") + b")R" + value + craft.BUILD}
            ),
        }
        for place, program in programs.items():
            path = folder / f"{position}-{place.replace(' ', '-')}.pt"
            paths[f"{name} as {place}"] = craft.write(path, program)
    return paths


@pytest.mark.parametrize("reader", sorted(READERS))
def test_every_attack_is_one_printable_sentence_in_bounded_time_and_memory(
    reader: str, tmp_path: Path
) -> None:
    paths = files(tmp_path)
    answers = read_in_a_child(reader, list(paths.values()))
    for (name, path), (seconds, text) in zip(paths.items(), answers):
        assert seconds < SECONDS, (name, seconds)
        assert text.startswith(f"{path}: ") and text.endswith("."), (name, text)
        assert text.isprintable() and len(text) < 1000, (name, text)
        assert "MemoryError" not in text and "RecursionError" not in text, (name, text)
