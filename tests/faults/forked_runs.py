"""Commands of the kit as forks of one interpreter, with system calls that fail or kill.

An interpreter that has imported torch costs two seconds, a fork of it some milliseconds. The shim
is preloaded, so each fork can arm it for itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, Optional, Tuple

from tests.faults import tiny

ROOT = Path(__file__).resolve().parents[2]
KINDS = (
    *("open", "read", "write", "fsync", "rename", "link"),
    *("flock", "statvfs", "truncate", "mkdir", "unlink"),
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One command, and what befalls it.

    program  a name of PROGRAMS
    watched  folder whose system calls are counted and may fail; "" for none
    fault    (kind, number, errno) of the call that fails: number 0 for all calls of the kind,
             errno 0 to kill the process instead
    seconds  after which the process is killed; 0 for never
    clock    nanoseconds by which the wall clock goes back at every look
    """

    program: str
    arguments: List[str]
    watched: str = ""
    fault: Optional[Tuple[str, int, int]] = None
    seconds: float = 0.0
    clock: int = 0


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended: exit code or -signal, output, system calls by kind, seconds."""

    code: int
    output: str
    counts: Dict[str, int]
    seconds: float


class Runner:
    """A process that forks commands."""

    def __init__(self, shim: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forked_runs"],
            env=dict(
                os.environ,
                LD_PRELOAD=str(shim),
                PYTHONPATH=os.pathsep.join([str(ROOT / "shared"), str(ROOT)]),
                OMP_NUM_THREADS="1",
            ),
            cwd=str(ROOT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, run: Run) -> Ended:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(dataclasses.asdict(run)) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        self._process.communicate(timeout=30)


PROGRAMS: Dict[str, Callable[[List[str]], Optional[int]]] = {
    "member": tiny.member,
    "blend": tiny.blend,
}


def _import_all() -> None:
    """Import what a command would, also what it imports late."""
    import torch

    import blend.__main__  # noqa: F401
    import leapkit.run.member  # noqa: F401
    import members.adam.networks  # noqa: F401

    torch.set_num_threads(1)
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    with contextlib.suppress(ImportError):
        import pandas  # noqa: F401


def _command(run: Run, counts: IO[str]) -> int:
    """Run the command in this process, a fork, as from a terminal; return its exit code."""
    from leapkit.core.errors import run_cli

    shim = ctypes.CDLL(None)
    shim.fault_clock(ctypes.c_longlong(run.clock))
    if run.fault:
        kind, number, error = run.fault
        shim.fault_arm(kind.encode(), ctypes.c_long(number), error)
    shim.fault_watch(run.watched.encode())
    code = 1
    try:
        run_cli(PROGRAMS[run.program], run.arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    shim.fault_watch(b"")
    shim.fault_clock(ctypes.c_longlong(0))
    json.dump({kind: shim.fault_count(kind.encode()) for kind in KINDS}, counts)
    counts.flush()
    return code


def _fork(run: Run) -> List[Any]:
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as counts:
        started = time.monotonic()
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            code = _command(run, counts)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        killer = threading.Timer(run.seconds, os.kill, (child, signal.SIGKILL))
        if run.seconds:
            killer.start()
        _, status = os.waitpid(child, 0)
        killer.cancel()
        seconds = time.monotonic() - started
        output.seek(0)
        counts.seek(0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return [code, output.read(), json.loads(counts.read() or "{}"), seconds]


def _serve() -> None:
    _import_all()
    for line in sys.stdin:
        values = json.loads(line)
        json.dump(_fork(Run(**values)), sys.stdout)
        print(flush=True)


if __name__ == "__main__":
    _serve()
