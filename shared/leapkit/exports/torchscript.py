"""TorchScript: one file that LibTorch loads from C++, Fortran (FTorch, pytorch-fortran) and Python.

torch calls it deprecated since 2.11 in favour of torch.export. FTorch reads nothing else, and torch
2.13 still writes and reads it, so the warning is silenced here.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any, Callable, Iterator, Mapping

import torch
from torch import nn

from leapkit.core.files import atomic, require_free

# Batch of the trace; nothing in a file depends on it.
_ROWS = 3
_jit: Any = torch.jit  # typed in some versions of torch only
_ALIGNMENT = 64  # of torch's own archives
RECORD = "leapkit.json"


def write(path: Path, network: nn.Module, inputs: int, record: Mapping[str, str]) -> None:
    """Trace a network and write it atomically; `record` is JSON in the file `extra/leapkit.json`.

    The file refuses rows of another length. Its bytes depend on what the process traced before, as
    torch numbers the classes that it makes: the same command writes the same bytes.
    """
    with _without_warnings(), torch.no_grad():
        guarded = _Guarded(network, inputs)
        traced = _jit.trace(guarded, torch.zeros(_ROWS, inputs), check_trace=False)
        content = io.BytesIO()
        text = json.dumps(dict(record), indent=1, sort_keys=True)
        # Through memory: on a full disk torch's own writer aborts the process (torch 1.10).
        _jit.save(traced, content, _extra_files={RECORD: text})
    require_free(path, len(content.getbuffer()), path.name)
    with atomic(path) as temporary, open(temporary, "wb") as file:
        _repack(content, file)


def of_length(x: torch.Tensor, length: int) -> torch.Tensor:
    """Return columns (B, length). Raise ValueError for others: a gather takes longer rows as well.

    Scripted, as a trace keeps no condition.
    """
    if x.dim() != 2 or x.size(1) != length:
        raise ValueError(f"takes (columns, {length}) numbers, not {x.size()}")
    return x


class _Guarded(nn.Module):
    def __init__(self, network: nn.Module, length: int) -> None:
        super().__init__()
        self.network = network
        self._length = length
        self._of_length = scripted(of_length)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.network(self._of_length(x, self._length))
        return y


def read(path: Path) -> torch.nn.Module:
    """Return the network of a file, on the CPU."""
    with _without_warnings():
        network: nn.Module = _jit.load(str(path), map_location="cpu")
    return network


def scripted(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return a function as TorchScript, which keeps its loop where a trace would unroll it."""
    with _without_warnings():
        script: Callable[..., torch.Tensor] = _jit.script(function)
    return script


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.\w+` is deprecated")
        # The check of the input's shape, which a file need not hold.
        warnings.filterwarnings("ignore", category=_jit.TracerWarning)
        yield


def _repack(archive: IO[bytes], file: IO[bytes]) -> None:
    """Copy an archive without what describes the machine: the source lines of the trace.

    They name the files of this Python and of the kit. The id of the archive goes with them, as it
    is a hash of both. torch needs neither.
    """
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(file, "w") as target:
        for entry in source.infolist():
            if entry.filename.endswith((".debug_pkl", "/.data/serialization_id")):
                continue
            kept = zipfile.ZipInfo(entry.filename, (1980, 1, 1, 0, 0, 0))
            # Local header: 30 bytes, name, extra field; the content is aligned behind it.
            start = file.tell() + 30 + len(entry.filename.encode("utf-8")) + 4
            padding = -start % _ALIGNMENT
            kept.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            with target.open(kept, "w", force_zip64=False) as copy, source.open(entry) as original:
                for block in iter(lambda: original.read(1 << 20), b""):
                    copy.write(block)
