"""python container_run.py NAME COMMAND...: one `docker compose run`, which a stop ends well.

Compose itself, told to stop, leaves its container running and shows no more of its output. Here
SIGTERM becomes `docker stop`: the container ends within its grace period, its last lines are shown,
and the exit code is its own. A process of its own, so that it can be a job among others.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import List

POLL = 0.1  # seconds
SECONDS = 5.0  # a container that was created and not yet started is stopped at the next attempt


def main(argv: List[str]) -> int:
    """Run the command to its end and return its exit code."""
    name, command = argv[0], argv[1:]
    # A list, as an exception could be raised anywhere, also while the command is being started.
    stops: List[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stops.append(number))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not stops:
        time.sleep(POLL)
    return stop(name, process) if stops else process.returncode


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
    quiet = subprocess.DEVNULL
    return subprocess.call(["docker", *arguments], stdin=quiet, stdout=quiet, stderr=quiet) == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
