"""One command, started and waited for: a stop of the launcher stops it too."""

from __future__ import annotations

import subprocess
from typing import Mapping, Sequence

from launch.registry import REPOSITORY


def run(command: Sequence[str], env: Mapping[str, str], quiet: bool = False) -> int:
    """Run a command to its end and return its exit code.

    Ctrl-C or SIGTERM at the launcher becomes a SIGTERM to the command. KeyboardInterrupt is raised
    when the command has ended, so that its clean-up is complete and no next step starts. It has a
    session of its own, so that a terminal's Ctrl-C does not reach it twice.
    """
    output = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen(
        list(command),
        env=dict(env),
        cwd=str(REPOSITORY),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    stopped = False
    while process.returncode is None:
        try:
            process.wait()
        except KeyboardInterrupt:
            stopped = True
            process.terminate()
    if stopped:
        raise KeyboardInterrupt
    return process.returncode
