"""The transfer of a file to the address that Kaggle gives, by Kaggle's own client.

An address holds a signature, so nothing that the client prints of it is shown.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from pathlib import Path
from typing import Any, ContextManager

from fetch.network import Unreachable, stall_timeout
from fetch.outcome import progress_of
from leapkit.core.errors import KitError
from submitting.answers import BY_HAND

TRIES = 6  # of one file, each of which continues the last one
STALL_SECONDS = 120.0  # without a byte read, after which a try is broken off
_HANDLES = Path("/proc/self/fd")  # of the files that this process has open, on Linux


def transfer(api: Any, file: Path, address: str) -> None:
    """Upload a file with a progress bar; continue where a try ended.

    api  Kaggle's client
    Raises KitError if the server refuses it, Unreachable after TRIES.
    """
    from kaggle.models.kaggle_models_extended import ResumableUploadResult

    with progress_of(file.name, file.stat().st_size, lambda: _position(file)):
        for number in range(TRIES):
            time.sleep(min(2.0**number / 2, 30.0) if number else 0.0)
            with _stall_timeout(file), contextlib.redirect_stdout(io.StringIO()):
                result = api.upload_complete(str(file), address, quiet=True, resume=number > 0)
            if result == ResumableUploadResult.COMPLETE:
                return
            if result == ResumableUploadResult.FAILED:
                raise KitError(
                    "the server of the uploads refuses the file, and nothing was submitted",
                    file.name,
                    f"run the same command again, or {BY_HAND}",
                )
    raise Unreachable(
        f"the upload broke off {TRIES} times, and nothing was submitted",
        file.name,
        f"check the network and its proxy and run the same command again, or {BY_HAND}",
    )


def _stall_timeout(file: Path) -> ContextManager[None]:
    """Break off a try that stalls, where Linux tells how far it is.

    The client itself would wait forever.
    """
    if not _HANDLES.is_dir():
        return contextlib.nullcontext()
    return stall_timeout(lambda: _position(file), STALL_SECONDS)


def _position(file: Path) -> int:
    """Return how far this process has read a file that it has open, as Linux tells; else 0."""
    target = os.path.realpath(str(file))
    with contextlib.suppress(OSError, LookupError, ValueError):  # closed meanwhile, or no Linux
        for handle in _HANDLES.iterdir():
            if os.path.realpath(str(handle)) == target:
                text = (_HANDLES.parent / "fdinfo" / handle.name).read_text()
                return int(text.split("pos:")[1].split()[0])
    return 0
