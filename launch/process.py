"""One command, started and waited for: a stop of the launcher stops it too."""

from __future__ import annotations

import subprocess
from typing import Mapping, Sequence

from launch.registry import REPOSITORY


def run(command: Sequence[str], env: Mapping[str, str], quiet: bool = False) -> int:
    """Run a command to its end and return its exit code.

    Ctrl-C or SIGTERM at the launcher becomes one SIGTERM to the command, whose clean-up is waited
    for. The command has a session of its own, so that a terminal's Ctrl-C does not reach it twice.
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
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
