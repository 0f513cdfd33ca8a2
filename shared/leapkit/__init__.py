"""leapkit: what every member and the blend share, from raw files to a verified submission."""

import sys

# An older Python, also 2.7, reads no further: all that follows would be a SyntaxError to it.
if sys.version_info < (3, 8):  # noqa: UP036
    sys.stderr.write("error: leapkit needs Python 3.8 or newer.\n")
    sys.exit(2)

__version__ = "0.1.0"
