"""Pickles that ask for far more time or memory than they are long, for every reader of pickles."""

from __future__ import annotations

import struct
from typing import Dict

from tests.helpers import crafted as craft

NONE = b"N"
ORDERED = craft.name("collections", "OrderedDict")
TENSOR = craft.name("torch._utils", "_rebuild_tensor_v2")


def put(number: int) -> bytes:
    return b"r" + struct.pack("<I", number)


def get(number: int) -> bytes:
    return b"j" + struct.pack("<I", number)


def listed(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def thousand_keys(number: int) -> bytes:
    return craft.mapping({str(key): NONE for key in range(1000)}) + put(number)


def attacks(scale: int = 1) -> Dict[str, bytes]:
    """Return {name: a value for the dict of a hostile program of up to 400 kB times `scale`}."""
    n = scale
    doubled = b")" + b"".join(put(k) + get(k) + b"\x86" for k in range(60))
    copies = (ORDERED + get(k) + b"\x85R" + put(k + 1) for k in range(5000 * n))
    thousand = b"(" + NONE * 1000 + b"t" + put(0)
    return {
        "a key of nested tuples": b"})" + b"\x85" * (170_000 * n) + b"Ns",
        "a key of tuples that double": b"}" + doubled + b"Ns",
        "a key that is a tuple": b"}" + craft.group(craft.text("a")) + b"Ns",
        "keys of one hash": b"}("
        + b"".join(craft.integer(k * (2**61 - 1)) + NONE for k in range(1, 20_000 * n))
        + b"u",
        "OrderedDicts of one another": listed(thousand_keys(0), *copies),
        "an OrderedDict of pairs": craft.call(ORDERED, listed(craft.group(craft.text("a"), NONE))),
        "a state of a thousand keys": listed(
            thousand_keys(0), *[ORDERED + b")R" + get(0) + b"b"] * (5000 * n)
        ),
        "a call of a thousand arguments": listed(thousand, *[TENSOR + get(0) + b"R"] * (500 * n)),
        "a shape of a thousand numbers": listed(
            b"(" + b"K\x01" * 1000 + b"t" + put(0),
            *[craft.call(TENSOR, craft.storage(), b"K\0", get(0), get(0))] * (500 * n),
        ),
        "empty lists": listed(b"]" * (200_000 * n)),
        "empty dicts": listed(b"}" * (200_000 * n)),
        "lists of one": listed(b"]Na" * (120_000 * n)),
        "dicts of one": listed(b"}NNs" * (100_000 * n)),
        "tuples of one": listed(b"N\x85" * (120_000 * n)),
        "empty OrderedDicts": listed(ORDERED + put(0), (get(0) + b")R") * (30_000 * n)),
        "numbers": listed(b"M\0\xff" * (80_000 * n)),
        "long numbers": listed(craft.integer(1 << 2000) * (900 * n)),
        "texts": listed(craft.text("") * (40_000 * n)),
        "remembered lists": listed(*[b"]" + put(k) for k in range(40_000 * n)]),
        "a memo of gigabytes": NONE + put(1 << 27),
        "a memo as long as the file": NONE + put(200_000 * n) + b"N" * (200_000 * n),
        "a wide text": craft.text("a" * (250_000 * n) + "\U0001f600"),
        "a tall stack": NONE * (240_000 * n),
        "marks": b"(" * (240_000 * n),
        "a name of a megabyte": b"c" + b"m" * (200_000 * n) + b"\nx\n",
        "a number of many digits": b"L" + b"9" * (300_000 * n) + b"L\n",
        "a short number of many digits": b"I" + b"9" * (300_000 * n) + b"\n",
        "a float of many digits": b"F" + b"9" * (300_000 * n) + b"\n",
        "a name that clears the screen": b"c\x1b[2J\x1b]0;t\x07\nerror: all is well\n",
        "a key of a megabyte": b"}" + craft.text("\x1b[2J\n" + "k" * (200_000 * n)) + b"Ns",
        "a dict of itself": b"}q\x01" + craft.text("a") + b"h\x01s",
    }
