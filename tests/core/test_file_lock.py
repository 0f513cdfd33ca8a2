"""One process at a time holds a lock, and a lock is free once its holder has ended in any way."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from leapkit.core import file_lock
from leapkit.core.errors import KitError
from leapkit.core.file_lock import hold, try_hold
from tests.helpers.refusals import refused

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
BUSY = KitError("another run is at work here", "the folder", "wait for it")


@pytest.fixture(params=["a file", "a file in a new folder", "a folder"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "a folder":
        return tmp_path
    return tmp_path / ("new/.lock" if "new" in request.param else ".lock")


def holder(path: Path, seconds: float, without_locks: str = "") -> subprocess.Popen:
    """Start another process that holds the lock when this returns."""
    script = (
        "import errno, fcntl, sys, time\nfrom pathlib import Path\n"
        "from leapkit.core.file_lock import hold\n"
        "def refuse(*_): raise OSError(errno.ENOSYS, 'none')\n"
        "if sys.argv[3]: fcntl.flock = refuse\n"
        "with hold(Path(sys.argv[1])):\n"
        "    print('has it', flush=True)\n"
        "    time.sleep(float(sys.argv[2]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path), str(seconds), without_locks],
        env=dict(os.environ, PYTHONPATH=str(ROOT / "shared")),
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "has it\n"
    return process


def test_a_second_process_is_refused_with_the_reason(path: Path) -> None:
    process = holder(path, 60)
    try:
        with refused("the folder", "another run is at work here"), hold(path, BUSY):
            raise AssertionError("two processes hold one lock")
        with try_hold(path) as is_held:
            assert not is_held
    finally:
        process.kill()
        process.communicate()


def test_a_second_process_waits_until_the_first_one_ends(path: Path) -> None:
    process = holder(path, 0.5)
    started = time.monotonic()
    with hold(path):
        assert time.monotonic() - started > 0.3
    process.communicate()


def test_a_killed_holder_gives_the_lock_back(path: Path) -> None:
    process = holder(path, 60)
    process.kill()
    process.communicate()
    with hold(path, BUSY):
        pass
    with try_hold(path) as is_held:
        assert is_held


def test_a_holder_that_fails_gives_the_lock_back(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(path, BUSY):
        raise ZeroDivisionError
    with hold(path, BUSY):
        pass


def test_what_a_lock_file_holds_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("content")
    with hold(tmp_path / ".lock", BUSY):
        pass
    assert (tmp_path / ".lock").read_text() == "content"


def test_a_lock_that_cannot_be_created_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refused(tmp_path / "file"), hold(tmp_path / "file" / ".lock"):
        raise AssertionError("a lock below a file")


@pytest.fixture(params=["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL", "EBADF"])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let flock answer as on a file system that has no locks; return its words."""
    number = getattr(errno, request.param)
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    file_lock._say_what_is_lost.cache_clear()
    return os.strerror(number)


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_without_locks_the_work_is_done_and_one_note_says_what_is_lost(
    path: Path, without_locks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for refusal in (None, BUSY):
        with hold(path, refusal):
            pass
    with try_hold(path) as is_held:
        assert is_held
    (note,) = capsys.readouterr().err.splitlines()
    assert f"has no locks ({without_locks})" in note and "start no two runs in one folder" in note


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names in the kernel")
@pytest.mark.parametrize("without_locks", ["ENOSYS"], indirect=True)
def test_without_locks_runs_of_one_machine_still_exclude_each_other(
    path: Path, without_locks: str
) -> None:
    process = holder(path, 60, without_locks)
    with try_hold(path) as is_held:
        assert not is_held
    with refused("the folder", "another run is at work here"), hold(path, BUSY):
        raise AssertionError("two processes hold one lock")
    waiting = threading.Timer(0.3, process.kill)
    waiting.start()
    with hold(path):
        assert not waiting.is_alive()
    process.communicate()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_lock_that_the_disk_refuses_is_an_error(
    path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with refused(path), hold(path):
        raise AssertionError("nothing was locked")
