"""python3 -m launch COMMAND: what `make COMMAND` calls. Its options are the variables of `make`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import List


def main(argv: List[str]) -> int:
    """Run one command and return its exit code."""
    from launch import command_line, make_watch, options
    from leapkit.core.errors import KitError

    make_watch.start()
    command, request = command_line.parse(argv)
    for line in options.inherited(argv[0], request.values):
        print(line, flush=True)
    try:
        return command.run(request)
    except BrokenPipeError:  # `make plan | head`: below
        raise
    except OSError as error:  # as a folder that may not be looked into
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        where = error.filename or f"make {argv[0]}"
        raise KitError(reason, where, "check the path, its owner and its mode") from error


if __name__ == "__main__":
    # leapkit need not be installed: it lies in this repository.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
    from leapkit.core.errors import run_cli

    try:
        run_cli(main)
    except BrokenPipeError:  # `make plan | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        sys.exit(1)
