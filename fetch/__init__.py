"""Get the data (`make fetch`): Kaggle's files, ClimSim's step files, statistics and checkpoints.

This package runs on the host, because the kit's containers have no network. Order to read:
`layout` (what belongs where), `steps` and `checks` (whether a file is whole), `inventory` (what
exists and what is missing); `competition` (Kaggle), `hub` (Hugging Face), `team` (statistics),
`drive` (checkpoints); `recognise` and `drop` (files that the user downloaded by hand). It imports
leapkit and the members' experiments; nothing imports it.
"""

import sys

# An older Python, also 2.7, reads no further: all that follows would be a SyntaxError to it.
if sys.version_info < (3, 8):  # noqa: UP036
    sys.stderr.write(
        "error: fetch needs Python 3.8 or newer; write `make PYTHON=python3.11 fetch`.\n"
    )
    sys.exit(2)
