"""python container_run.py NAME COMMAND...: one `docker compose run`, which a stop ends well.

Compose itself, told to stop, leaves its container running and shows no more of its output. Here
a stop becomes `docker stop`: the container ends within its grace period, its last lines are shown,
and the exit code is its own. A process of its own, so that it can be a job among others.

An exit code alone does not say what happened: the engine's events tell a container that was killed
for memory from one that somebody killed, or that never started.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional

QUIET = subprocess.DEVNULL
SECONDS = 5.0  # a container that was created and not yet started is stopped at the next attempt
CLOCKS = 60  # seconds that the engine's clock may be behind this machine's
ENGINE_SECONDS = 20.0  # for an answer of the engine


def main(argv: List[str]) -> int:
    """Run the command to its end and return its exit code."""
    from leapkit.core import exit_codes, stops
    from leapkit.core.errors import EXIT_INTERRUPTED, EXIT_REFUSED

    name, command = argv[0], argv[1:]
    started = time.time()
    with stops.collected() as stopping:
        process = subprocess.Popen(command, stdin=QUIET, start_new_session=True)
        while process.poll() is None and not stopping:
            time.sleep(stops.POLL)
        returncode = stop(name, process) if stopping else process.returncode
    code = exit_codes.of_shell(returncode)
    if not stopping and code not in (0, EXIT_REFUSED, EXIT_INTERRUPTED):
        reason = ending(events(name, started), code)
        print(f"the container {reason}", file=sys.stderr, flush=True)
    return code


def stop(name: str, process: subprocess.Popen[bytes]) -> int:
    """Stop the container, wait for the command and return its exit code. Leave no container."""
    while process.poll() is None:
        if not docker("stop", name):
            process.terminate()  # the container does not exist yet, and need not
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            continue
    docker("rm", "--force", name)
    return process.returncode


def docker(*arguments: str) -> bool:
    """Return whether a command of the engine succeeds. Print nothing."""
    command = ["docker", *arguments]
    return subprocess.call(command, stdin=QUIET, stdout=QUIET, stderr=QUIET) == 0


def events(name: str, started: float) -> Optional[List[str]]:
    """Return what happened to a container since a time, None if the engine does not say."""
    span = [f"--since={int(started) - CLOCKS}", f"--until={int(time.time()) + 1}"]
    command = ["docker", "events", *span, f"--filter=container={name}", "--format={{.Action}}"]
    try:
        done = subprocess.run(
            command, stdin=QUIET, stdout=subprocess.PIPE, stderr=QUIET, timeout=ENGINE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").split() if done.returncode == 0 else None


def ending(events: Optional[List[str]], code: int) -> str:
    """Return how a container ended, as what follows its name."""
    from leapkit.core import exit_codes

    again = "the same command continues from what was finished"
    if events is None:
        return f"was lost: the engine does not answer any more; start it: {again}"
    if "oom" in events:
        limit = os.environ.get("LEAP_MEMORY", "")
        allowed = f" of {limit} bytes (LEAP_MEMORY)" if limit.isdigit() else " (LEAP_MEMORY)"
        return (
            f"ran out of memory: a process in it was killed at its limit{allowed};"
            f" run one member at a time, or use a machine with more; {again}"
        )
    if "start" not in events:
        return "was not started (the lines above say why)"
    if "die" not in events:
        return f"was lost: its engine was stopped; start it: {again}"
    if "kill" in events:
        return f"was killed from outside, with `docker kill` or by the engine's end; {again}"
    return exit_codes.sentence(code)


if __name__ == "__main__":
    # leapkit need not be installed: it lies in this repository.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))
    from leapkit.core.errors import run_cli

    run_cli(main)
