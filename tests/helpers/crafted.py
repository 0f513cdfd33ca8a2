"""Hand-made PyTorch archives, written opcode by opcode, so that a test decides every byte."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Dict, Mapping

import numpy as np

PROTOCOL = b"\x80\x02"
STOP, REDUCE, BUILD, EMPTY_DICT, EMPTY_TUPLE, FALSE = b".", b"R", b"b", b"}", b")", b"\x89"


def name(module: str, attribute: str) -> bytes:
    return (f"c{module}\n{attribute}\n").encode()


def dotted(module: str, attribute: str) -> bytes:
    """Return a STACK_GLOBAL, which since protocol 4 follows dots into attributes."""
    return text(module) + text(attribute) + b"\x93"


def text(value: str) -> bytes:
    raw = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def group(*elements: bytes) -> bytes:
    return b"(" + b"".join(elements) + b"t"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + group(*arguments) + REDUCE


def mapping(items: Mapping[str, bytes]) -> bytes:
    return EMPTY_DICT + b"(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(kind: str = "FloatStorage", key: str = "0", count: int = 6) -> bytes:
    return (
        group(text("storage"), name("torch", kind), text(key), text("cpu"), integer(count)) + b"Q"
    )


def tensor(
    of_storage: bytes = b"",
    offset: int = 0,
    size: tuple[int, ...] = (2, 3),
    stride: tuple[int, ...] = (3, 1),
) -> bytes:
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        of_storage or storage(),
        integer(offset),
        group(*map(integer, size)),
        group(*map(integer, stride)),
        FALSE,
        name("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE,
    )


def program(items: Mapping[str, bytes], protocol: bytes = PROTOCOL) -> bytes:
    """Return a whole data.pkl that holds a dict."""
    return protocol + mapping(items) + STOP


SIX_FLOATS = np.arange(6, dtype="<f4").tobytes()


def write(
    path: Path,
    pickled: bytes,
    storages: Dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    extra: Dict[str, bytes] | None = None,
) -> Path:
    """Write a zip archive with the layout of torch.save's."""
    with zipfile.ZipFile(str(path), "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, value in (storages if storages is not None else {"0": SIX_FLOATS}).items():
            archive.writestr("archive/data/" + key, value)
        archive.writestr("archive/version", b"3\n")
        for key, value in (extra or {}).items():
            archive.writestr(key, value)
    return path
