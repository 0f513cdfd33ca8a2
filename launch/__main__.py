"""python -m launch COMMAND: what `make COMMAND` calls. Its options are the variables of `make`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import List


def main(argv: List[str]) -> int:
    """Run one command and return its exit code."""
    from launch import command_line, make_watch

    make_watch.start()
    command, request = command_line.parse(argv)
    return command.run(request)


if __name__ == "__main__":
    # leapkit need not be installed: it lies in this repository.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
    from leapkit.core.errors import run_cli

    try:
        run_cli(main)
    except BrokenPipeError:  # `make plan | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        sys.exit(1)
