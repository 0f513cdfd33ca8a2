"""The launcher behind `make`: it chooses, plans and runs. Standard library only, Python >= 3.8."""

import sys

# An older Python, also 2.7, reads no further: all that follows would be a SyntaxError to it.
if sys.version_info < (3, 8):  # noqa: UP036
    sys.stderr.write(
        "error: the launcher needs Python 3.8 or newer; write `make PYTHON=python3.11 plan`.\n"
    )
    sys.exit(2)
