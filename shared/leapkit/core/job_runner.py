"""Several commands side by side: their output line by line under their names, one's failure not the others'."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ContextManager, Dict, Iterator, List, Mapping, Optional, Sequence, TextIO

from leapkit.core.errors import EXIT_INTERRUPTED, explain_os_errors


@dataclass(frozen=True)
class Job:
    """A command, the name before its lines, and the names of the jobs that must have ended well before it starts."""

    name: str
    command: List[str]
    after: Sequence[str] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class Slots:
    """At most `count` commands at a time, of all processes and containers that see `folder`.

    A slot is a file's lock, which the kernel takes back however its holder ends. With `gpus`, slot k's command sees only
    the k-th of them.
    """

    def __init__(self, folder: Path, count: int, gpus: Sequence[str] = ()) -> None:
        self.folder, self.count, self.gpus = folder, count, gpus

    @contextlib.contextmanager
    def one(self, stopping: threading.Event) -> Iterator[Dict[str, str]]:
        """Waits for a slot (or for `stopping`) and holds it; yields what it adds to the environment."""
        while True:
            for k in range(self.count):
                handle = self._take(k)
                if handle:
                    with handle:
                        yield (
                            {"CUDA_VISIBLE_DEVICES": self.gpus[k % len(self.gpus)]}
                            if self.gpus
                            else {}
                        )
                    return
            if stopping.wait(0.2):
                yield {}
                return

    def _take(self, k: int) -> Optional[TextIO]:
        """The locked file of slot k, None where another command has it."""
        with explain_os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = open(self.folder / ("%d.lock" % k), "w")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                return None
        return handle


def run(jobs: Sequence[Job], slots: Optional[Slots] = None) -> int:
    """Runs every job, those that others wait for first; returns the first exit code that is not 0, in their order.

    As many run at a time as there are slots (all of them without). A job whose forerunner failed is not started. On
    Ctrl-C or SIGTERM the commands are asked to end, waited for, and none is started any more.
    """
    running: Dict[str, subprocess.Popen[str]] = {}
    stopping, write = threading.Event(), threading.Lock()
    futures: Dict[str, Future[int]] = {}

    def one(job: Job) -> int:
        failed = [name for name in job.after if name in futures and futures[name].result()]
        if failed and not stopping.is_set():
            _say(write, f"{job.name} is not started: {failed[0]} failed")
            return futures[failed[0]].result()
        slot: ContextManager[Dict[str, str]] = (
            slots.one(stopping) if slots else contextlib.nullcontext({})
        )
        with slot as extra:
            with write:
                if stopping.is_set():
                    return EXIT_INTERRUPTED
                # In a session of its own: a terminal's Ctrl-C reaches it once, through the handler below.
                process = running[job.name] = subprocess.Popen(
                    job.command,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    universal_newlines=True,
                    start_new_session=True,
                    env=dict(job.env, **extra),
                )
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip():
                    own = line.startswith(f"[{job.name}")  # of a job that runs jobs
                    _say(write, line.rstrip() if own else f"[{job.name}] {line.rstrip()}")
            return process.wait()

    with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        for job in jobs:
            futures[job.name] = pool.submit(one, job)
        try:
            while not all(future.done() for future in futures.values()):
                time.sleep(0.05)
        except KeyboardInterrupt:
            with write:
                stopping.set()
                for process in running.values():
                    process.terminate()
            raise
    codes = {name: future.result() for name, future in futures.items()}
    for name, code in codes.items():
        if code:
            print("%s ended with code %d; what the others made is kept" % (name, code), flush=True)
    return next((code for code in codes.values() if code), 0)


def _say(write: threading.Lock, line: str) -> None:
    with write:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
