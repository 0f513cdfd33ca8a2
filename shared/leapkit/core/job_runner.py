"""Several commands side by side: their lines under their names, one failure stops no other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, ContextManager, Dict, Iterator, List, Mapping, Optional, Sequence

from leapkit.core import exit_codes, pauses, stops
from leapkit.core.errors import EXIT_INTERRUPTED, LONGEST_LINE, printable
from leapkit.core.file_lock import try_hold

_POLL_SECONDS = 0.2  # between two tries to get a slot


@dataclass(frozen=True)
class Job:
    """A command.

    name   is printed before each line of its output
    after  names of jobs that must have ended with code 0 before it starts
    """

    name: str
    command: List[str]
    after: Sequence[str] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class JobSlots:
    """At most `count` commands at a time, in all processes and containers that see `folder`.

    With `gpus` (numbers or ids), the command in slot k sees only the k-th `together` of them,
    counted around.
    """

    def __init__(
        self, folder: Path, count: int, gpus: Sequence[str] = (), together: int = 1
    ) -> None:
        self.folder = folder
        self.count = count
        self.gpus = gpus
        self.together = together

    def path(self, slot: int) -> Path:
        """Return the file whose lock is the slot."""
        return self.folder / f"{slot}.lock"

    @contextlib.contextmanager
    def hold(
        self, stopping: threading.Event, is_next: Callable[[], bool] = lambda: True
    ) -> Iterator[Dict[str, str]]:
        """Wait for a slot (or for `stopping`) and hold it; yield what it adds to the environment.

        is_next  whether a free slot may be taken yet
        Raises KitError if the operating system refuses a lock.
        """
        while True:
            for slot in range(self.count) if is_next() else ():
                with try_hold(self.path(slot)) as is_held:
                    if is_held:
                        yield self._environment(slot)
                        return
            if stopping.wait(_POLL_SECONDS):
                yield {}
                return

    def _environment(self, slot: int) -> Dict[str, str]:
        if not self.gpus:
            return {}
        first = slot % max(1, len(self.gpus) // self.together) * self.together
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus[first : first + self.together])}


def run(jobs: Sequence[Job], slots: Optional[JobSlots] = None) -> int:
    """Run every job; return the first exit code that is not 0, in the order of `jobs`, else 0.

    jobs   each one after those that it waits for
    slots  how many run at a time, the first ones first; None runs all at once
    A job is not started if one that it comes after failed. At a stop the commands are told to end
    and waited for, no other is started, and KeyboardInterrupt is raised. A pause is passed on, no
    other is started, and the code is that of a paused job.
    """
    return JobRunner(jobs, slots).run()


class JobRunner:
    """One run of several jobs, with a thread for each."""

    def __init__(self, jobs: Sequence[Job], slots: Optional[JobSlots] = None) -> None:
        self._jobs = jobs
        self._slots = slots
        self._codes: Dict[str, Future[int]] = {}
        self._processes: List[subprocess.Popen[str]] = []
        self._waiting = {job.name for job in jobs if not job.after}  # for a slot
        self._stopping = threading.Event()
        self._starting = threading.Lock()  # no process starts while the others are stopped
        self._printing = threading.Lock()

    def run(self) -> int:
        with stops.collected() as stopping, pauses.listening():
            with ThreadPoolExecutor(max_workers=len(self._jobs)) as threads:
                for job in self._jobs:
                    self._codes[job.name] = threads.submit(self._run_job, job)
                self._watch(stopping)
        if stopping:
            raise KeyboardInterrupt
        codes = {name: code.result() for name, code in self._codes.items()}
        if any(exit_codes.is_paused(code) for code in codes.values()):
            return exit_codes.PAUSED
        for name, code in codes.items():
            if code:
                self._print(f"{name} {exit_codes.sentence(code)}; what the others made is kept")
        return next((code for code in codes.values() if code), 0)

    def _watch(self, stopping: List[int]) -> None:
        """Wait for all jobs. Tell them to end at a stop, and kill what does not."""
        kill_at = float("inf")
        while not all(code.done() for code in self._codes.values()):
            if stopping and kill_at == float("inf"):
                self._end(signal.SIGTERM)
                kill_at = time.monotonic() + stops.GRACE
            elif pauses.requested() and not self._stopping.is_set():
                self._end(pauses.SIGNAL)
            elif time.monotonic() > kill_at:
                for process in self._processes:
                    process.kill()
            time.sleep(stops.POLL)

    def _end(self, number: signal.Signals) -> None:
        """Tell all commands to end, and start no other."""
        with self._starting:
            self._stopping.set()
            for process in self._processes:
                process.send_signal(number)

    def _run_job(self, job: Job) -> int:
        """Run one job when those before it have ended; return its exit code, or theirs."""
        for name in job.after:
            code = self._codes[name].result() if name in self._codes else 0
            if code and not self._stopping.is_set():
                self._print(f"{job.name} is not started: {name} failed")
                return code
        with self._slot(job) as environment:
            process = self._start(job, environment)
            if process:
                return self._stream(job, process)
            return exit_codes.PAUSED if pauses.requested() else EXIT_INTERRUPTED

    @contextlib.contextmanager
    def _slot(self, job: Job) -> Iterator[Dict[str, str]]:
        """Hold a slot, which no later job takes before this one; yield what it adds."""
        self._waiting.add(job.name)
        slot: ContextManager[Dict[str, str]] = (
            self._slots.hold(self._stopping, lambda: self._is_next(job))
            if self._slots
            else contextlib.nullcontext({})
        )
        try:
            with slot as environment:
                self._waiting.discard(job.name)
                yield environment
        finally:
            self._waiting.discard(job.name)  # also if no slot could be had

    def _is_next(self, job: Job) -> bool:
        return job is next((one for one in self._jobs if one.name in self._waiting), job)

    def _start(self, job: Job, environment: Mapping[str, str]) -> Optional[subprocess.Popen[str]]:
        """Start a job's command; None if the run is being stopped."""
        with self._starting:
            if self._stopping.is_set():
                return None
            process = subprocess.Popen(
                job.command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                encoding="utf-8",
                errors="backslashreplace",  # what a driver prints need not be text
                # A terminal's Ctrl-C reaches a session of its own once, through `stop`.
                start_new_session=True,
                env=stops.of_a_child({**job.env, **environment}),
            )
            self._processes.append(process)
            return process

    def _stream(self, job: Job, process: subprocess.Popen[str]) -> int:
        """Print a command's lines with the job's name; return its exit code."""
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                # A job that runs jobs has named its lines itself: adam prints [adam/195].
                is_named = line.startswith(f"[{job.name}")
                self._print(line.rstrip() if is_named else f"[{job.name}] {line.rstrip()}")
        return exit_codes.of_shell(process.wait())

    def _print(self, line: str) -> None:
        # Where the terminal has closed a line is lost, not the job.
        with self._printing, contextlib.suppress(OSError):
            sys.stdout.write(printable(line, LONGEST_LINE) + "\n")
            sys.stdout.flush()
