"""Read mutations of one file in a process of its own, whose time and memory are bounded."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np

from leapkit.core.errors import KitError
from tests.fuzz.mutations import mutations
from tests.helpers import crafted as craft

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 96 << 20  # bytes of address space beyond the imports, for files of at most a megabyte
SECONDS = 4.0  # of CPU for one file
LONGEST_SENTENCE = 1500
# {kind of file: (module, function)}
READERS = {
    "checkpoint": ("leapkit.data.checkpoints", "read_state"),
    "index": ("leapkit.data.row_index", "read_index"),
    "table": ("blend.pickled", "read_rows"),
    "split": ("leapkit.core.splits", "read_split"),
    "json": ("leapkit.core.files", "read_json"),
}


def read_mutations(kind: str, seed_file: Path, count: int, wrapped: bool = False) -> Dict[str, Any]:
    """Return {"right", "other", "refused": how many; "slowest": CPU seconds; "problems": texts}.

    right    what was read is what the seed file holds
    other    it is something else, which is harmless: plain numbers and text
    wrapped  the seed file is a pickle, and each mutation gets an archive with right checksums
    """
    question = [kind, str(seed_file), count, wrapped]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.bounded", json.dumps(question)],
        cwd=str(ROOT),
        env=dict(os.environ, PYTHONPATH=f"{ROOT / 'shared'}{os.pathsep}{ROOT}"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: Dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert answer["right"] + answer["other"] + answer["refused"] + len(answer["problems"]) == count
    return answer


def _read_all(kind: str, seed_file: str, count: int, wrapped: bool) -> Dict[str, Any]:
    module, function = READERS[kind]
    read: Callable[[Path], Any] = getattr(importlib.import_module(module), function)
    path = Path(seed_file)
    content = path.read_bytes()
    target = path.with_name("mutated" + path.suffix)

    def write(mutated: bytes) -> None:
        if wrapped:
            craft.write(target, mutated)
        else:
            target.write_bytes(mutated)

    write(content)
    right = plain(read(target))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    counts = {"right": 0, "other": 0, "refused": 0}
    problems: List[str] = []
    slowest = 0.0
    for number, mutated in enumerate(mutations(content, count, seed=len(content))):
        write(mutated)
        started = time.process_time()
        try:
            counts["right" if plain(read(target)) == right else "other"] += 1
        except KitError as error:
            text = str(error)
            counts["refused"] += 1
            if not text.isprintable() or len(text) > LONGEST_SENTENCE or "MemoryError" in text:
                counts["refused"] -= 1
                problems.append(f"{number}: {text[:200]!r}")
        except Exception as error:  # a traceback, which no user may see
            problems.append(f"{number}: {type(error).__name__} {error}")
        slowest = max(slowest, time.process_time() - started)
    return {**counts, "slowest": slowest, "problems": problems}


def plain(value: Any) -> Any:
    """Return the value as what compares bit for bit. Raises TypeError for anything not harmless."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return [value.dtype.str, list(value.shape), value.tobytes().hex()]
    if isinstance(value, dict):
        return [[plain(key), plain(item)] for key, item in dict.items(value)]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return repr(value)
    if type(value).__name__ == "Split":
        return repr(value)
    raise TypeError(f"a {type(value).__name__}")


if __name__ == "__main__":
    print(json.dumps(_read_all(*json.loads(sys.argv[1]))))
