"""Commands, started and waited for: a stop of the launcher stops them too."""

from __future__ import annotations

import subprocess
import sys
from typing import IO, Mapping, Optional, Sequence

from launch.registry import REPOSITORY
from leapkit.core import exit_codes, job_runner, stops


def run(
    command: Sequence[str],
    env: Mapping[str, str],
    quiet: bool = False,
    to: Optional[IO[bytes]] = None,
) -> int:
    """Run a command to its end and return its exit code, 128 + N if signal N ended it.

    quiet  show nothing that it prints
    to     an open file for its standard output
    A stop of the launcher becomes a SIGTERM to the command. KeyboardInterrupt is raised when the
    command has ended, so that its clean-up is complete and no next step starts. It has a session of
    its own, so that a terminal's Ctrl-C does not reach it twice.
    """
    output = subprocess.DEVNULL if quiet else to
    with stops.collected() as stopping:
        process = subprocess.Popen(
            list(command),
            env=stops.of_a_child(env),
            cwd=str(REPOSITORY),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL if quiet else None,
            start_new_session=True,
        )
        returncode = stops.wait(process, stopping)
    if stopping:
        raise KeyboardInterrupt
    code = exit_codes.of_shell(returncode)
    if returncode < 0:
        print(f"the command {exit_codes.sentence(code)}", file=sys.stderr, flush=True)
    return code


def side_by_side(commands: Mapping[str, Sequence[str]], env: Mapping[str, str]) -> int:
    """Run {name: command} side by side; return the first exit code that is not 0.

    The lines of several come under their names; one that fails does not stop the others.
    """
    if len(commands) == 1:
        [command] = commands.values()
        return run(command, env)
    jobs = [job_runner.Job(name, list(words), env=env) for name, words in commands.items()]
    return job_runner.run(jobs)
