"""A small seeded mutator of files: what disks, networks, editors and strangers do to bytes."""

from __future__ import annotations

from random import Random
from typing import Callable, Iterator, Sequence, Tuple

Mutate = Callable[[bytes, Random], bytes]

# What is inserted beside random bytes: what texts and binary formats are made of.
TOKENS: Tuple[bytes, ...] = (
    b"\0",
    b"\n",
    b"\r\n",
    b'"',
    b",",
    b"-",
    b"e999",
    b"nan",
    b"null",
    b"[",
    b"{",
    b"../",
    b"\x1b[2J",
    b"\xff",
    b"\xef\xbb\xbf",
    b"9" * 400,
    b"\x7f\xff\xff\xff",
)


def mutations(
    content: bytes, count: int, seed: int, more: Sequence[Mutate] = ()
) -> Iterator[bytes]:
    """Yield `count` mutations of `content`, each other than it; the same seed gives the same ones.

    more  ways to mutate that belong to one format
    """
    random = Random(seed)
    ways = [*WAYS, *more]
    while count:
        mutated = random.choice(ways)(content, random)
        if mutated != content:
            count -= 1
            yield mutated


def _slice(content: bytes, random: Random, longest: int = 64) -> Tuple[int, int]:
    """Return (start, stop) of up to `longest` bytes, one of ten times of any length."""
    start = random.randrange(len(content))
    if not random.randrange(10):
        longest = len(content)
    return start, min(len(content), start + random.randint(1, longest))


def flip(content: bytes, random: Random) -> bytes:
    """Flip one to four bits."""
    flipped = bytearray(content)
    for _ in range(random.randint(1, 4)):
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def burst(content: bytes, random: Random) -> bytes:
    """Overwrite a run of bytes with random ones or zeros."""
    start, stop = _slice(content, random)
    noise = bytes(random.getrandbits(8) for _ in range(stop - start))
    return content[:start] + random.choice((noise, bytes(len(noise)))) + content[stop:]


def cut(content: bytes, random: Random) -> bytes:
    """Lose the end."""
    return content[: random.randrange(len(content))]


def cut_out(content: bytes, random: Random) -> bytes:
    """Lose a run of bytes."""
    start, stop = _slice(content, random)
    return content[:start] + content[stop:]


def insert(content: bytes, random: Random) -> bytes:
    """Insert random bytes or a token."""
    position = random.randrange(len(content) + 1)
    noise = bytes(random.getrandbits(8) for _ in range(random.randint(1, 8)))
    return content[:position] + random.choice((noise, random.choice(TOKENS))) + content[position:]


def duplicate(content: bytes, random: Random) -> bytes:
    """Copy a run of bytes to another place, up to fifty times."""
    start, stop = _slice(content, random)
    position = random.randrange(len(content) + 1)
    times = random.choice((1, 1, 2, 50))
    return content[:position] + content[start:stop] * times + content[position:]


def exchange(content: bytes, random: Random) -> bytes:
    """Exchange two runs of bytes that follow each other."""
    start, stop = _slice(content, random)
    middle = random.randint(start, stop)
    return content[:start] + content[middle:stop] + content[start:middle] + content[stop:]


WAYS: Tuple[Mutate, ...] = (flip, burst, cut, cut_out, insert, duplicate, exchange)
