"""Several commands side by side: their output line by line under their names, one's failure not the others'."""
from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Sequence

from leapkit.errors import EXIT_INTERRUPTED


def run(commands: Sequence[List[str]], names: Sequence[str], jobs: int) -> int:
    """Runs every command, at most `jobs` at a time; returns the first exit code that is not 0, in their order.

    On Ctrl-C or SIGTERM the commands are asked to end, waited for, and none is started any more.
    """
    running: Dict[str, subprocess.Popen[str]] = {}
    stopping, write = threading.Event(), threading.Lock()

    def one(command: List[str], name: str) -> int:
        with write:
            if stopping.is_set():
                return EXIT_INTERRUPTED
            # In a session of its own: a terminal's Ctrl-C reaches it once, through the handler below.
            process = running[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                                       stdin=subprocess.DEVNULL, universal_newlines=True,
                                                       start_new_session=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                with write:
                    sys.stdout.write("[%s] %s\n" % (name, line.rstrip()))
                    sys.stdout.flush()
        return process.wait()

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        waiting = [pool.submit(one, command, name) for command, name in zip(commands, names)]
        try:
            codes = [future.result() for future in waiting]
        except KeyboardInterrupt:
            with write:
                stopping.set()
                for process in running.values():
                    process.terminate()
            raise
    for name, code in zip(names, codes):
        if code:
            print("%s ended with code %d; what the others made is kept" % (name, code), flush=True)
    return next((code for code in codes if code), 0)
