"""Read mutated step files one after the other; a process of its own, as a library may crash.

    python -m tests.fuzz.reading_steps QUESTION     (JSON: see `Question`)

It prints a line before each file and one on its outcome, so that the parent knows which file ended
the process.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from random import Random
from typing import Iterator, List, NamedTuple

from leapkit.core.errors import KitError
from leapkit.core.step_files import StepPair
from leapkit.data.step_reader import StepReader
from tests.fuzz.mutations import Mutate, mutations

MEMORY = 256 << 20  # bytes of address space beyond the imports, for files of 300 kB
LONGEST_SENTENCE = 1500


class Question(NamedTuple):
    """What is read: `count` mutations, from number `start` on.

    folder  of the month, with the pair of `stamp`
    kind    of the file that is mutated
    header  its first bytes, which are mutated; 0 for all bytes
    """

    folder: str
    stamp: str
    kind: str
    header: int
    count: int
    start: int = 0


def mutated_files(content: bytes, question: Question) -> Iterator[bytes]:
    """Yield the mutations of a file."""
    length = question.header or len(content)
    more: List[Mutate] = [one_number]
    for changed in mutations(content[:length], question.count, seed=length, more=more):
        yield changed + content[length:]


def one_number(content: bytes, random: Random) -> bytes:
    """Overwrite a number of four or eight bytes with one that overflows or nearly fits."""
    size = random.choice((4, 8))
    number = random.choice((0, 1, 2, 60, (1 << 8 * size - 1) - 1, (1 << 8 * size) - 1, 1 << 62))
    order = random.choice(("big", "little"))
    written = (number % (1 << 8 * size)).to_bytes(size, order)
    position = random.randrange(max(1, len(content) - size)) // 4 * 4
    return content[:position] + written + content[position + size :]


def main(question: Question) -> None:
    pair = StepPair(Path(question.folder), question.stamp)
    path: Path = getattr(pair, question.kind)
    content = path.read_bytes()
    reader = StepReader()
    right = [values.copy() for values in reader.levels(pair)]
    limit = _address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number, changed in enumerate(mutated_files(content, question)):
        if number < question.start:
            continue
        path.write_bytes(changed)
        print(number, end=" ", flush=True)
        started = time.process_time()
        outcome = _outcome(reader, pair, right)
        print(outcome, f"{time.process_time() - started:.2f}", flush=True)
    path.write_bytes(content)


def _outcome(reader: StepReader, pair: StepPair, right: List) -> str:
    try:
        values = reader.levels(pair)
    except KitError as error:
        text = str(error)
        is_sentence = "\n" not in text and len(text) < LONGEST_SENTENCE and error.remedy
        return "refused" if is_sentence else "sentence:" + json.dumps(text)[:300].replace(" ", "_")
    except Exception as error:
        return "traceback:" + repr(error)[:300].replace(" ", "_")
    is_right = all((a.tobytes() == b.tobytes()) for a, b in zip(values, right))
    return "right" if is_right else "other"


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(Question(**json.loads(sys.argv[1])))
