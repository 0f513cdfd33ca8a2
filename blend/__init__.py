"""The blend: verified parquets and weights in, one submission out.

It knows no member and no network.
"""

import sys

# An older Python, also 2.7, reads no further: all that follows would be a SyntaxError to it.
if sys.version_info < (3, 8):  # noqa: UP036
    sys.stderr.write(
        "error: the blend needs Python 3.8 or newer; write `make PYTHON=python3.11 blend`.\n"
    )
    sys.exit(2)
