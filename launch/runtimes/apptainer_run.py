"""python apptainer_run.py COMMAND...: one `apptainer exec`, which ends whole however it ends.

What the container may see of the environment is decided where it starts: a batch job knows its GPUs
and cores only on its node. The caller's own settings of Apptainer, such as a cluster's binds for
every container, do not count. Signals go to the container: a stop ends it within its grace period,
SIGUSR1 asks it to pause. Apptainer ends what runs inside when it is killed itself; the helper that
mounts the SIF would stay, and is ended here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Mapping

# What a member reads of its allotment: GPUs, cores, memory, threads.
PASSED = ("CUDA_VISIBLE_DEVICES", "OMP_", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SLURM_")
OF_THE_PROGRAM = ("APPTAINER", "SINGULARITY")
PAUSE = {signal.SIGUSR1}
KEPT = ("_TMPDIR", "_CACHEDIR")  # where it unpacks; not what a container sees


def main(argv: List[str]) -> int:
    """Run the command to its end and return its exit code."""
    from leapkit.core import exit_codes, stops

    this = os.getpid()

    def of_the_container() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PAUSE)
        stops.end_with(this)

    # A pause that comes before there is somebody to pass it on to waits, and does not end this.
    signal.pthread_sigmask(signal.SIG_BLOCK, PAUSE)
    with tempfile.TemporaryDirectory(prefix="leap-") as scratch, stops.collected() as stopping:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            env=environment(os.environ, scratch),
            start_new_session=True,
            preexec_fn=of_the_container,
        )
        signal.signal(signal.SIGUSR1, lambda number, _: process.send_signal(number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PAUSE)
        returncode = stops.wait(process, stopping, stops.CONTAINERS_GRACE)
        end_session(process.pid)
    code = exit_codes.of_shell(returncode)
    if not stopping and code > 128:
        print(f"the container {exit_codes.sentence(code)}", file=sys.stderr, flush=True)
    return code


def environment(caller: Mapping[str, str], scratch: str) -> Dict[str, str]:
    """Return the environment of the program; what it passes on has its prefix.

    scratch  the folder behind the container's /tmp: Apptainer's own holds 64 MB
    """
    env = {
        name: value
        for name, value in caller.items()
        if not name.startswith(OF_THE_PROGRAM) or name.endswith(KEPT)
    }
    passed = {name: value for name, value in caller.items() if name.startswith(PASSED)}
    for program in OF_THE_PROGRAM:
        env.update((f"{program}ENV_{name}", value) for name, value in passed.items())
        env[f"{program}_WORKDIR"] = scratch
    return env


def end_session(session: int) -> None:
    """Kill what is left of a session."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                os.kill(int(status.parent.name), signal.SIGKILL)
        except OSError:  # it has ended
            continue


if __name__ == "__main__":
    # leapkit need not be installed: it lies in this repository.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))
    from leapkit.core.errors import run_cli

    run_cli(main)
