"""leapkit: what every member and the blend share, from raw files to a verified submission.

>>> emulator = leapkit.load("max2020/022", "submission", "raw_data/sample")
>>> tendencies = emulator.predict(dataset)
"""

import sys

# An older Python, also 2.7, runs no further: what other modules hold is a SyntaxError to it.
if sys.version_info < (3, 8):  # noqa: UP036
    sys.stderr.write("error: leapkit needs Python 3.8 or newer.\n")
    sys.exit(2)

__version__ = "0.1.0"

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leapkit.emulators.emulator import Emulator as Emulator
    from leapkit.emulators.loading import load as load
else:
    # What needs torch is imported when it is first asked for: the launcher has no third-party
    # package. No annotations: an older Python reads this file whole before it runs the first line.
    _LAZY = {"Emulator": "leapkit.emulators.emulator", "load": "leapkit.emulators.loading"}

    def __getattr__(name):
        if name not in _LAZY:
            raise AttributeError("module 'leapkit' has no attribute " + repr(name))
        import importlib

        try:
            return getattr(importlib.import_module(_LAZY[name]), name)
        except ImportError as error:
            lacking = getattr(error, "name", "")
            if lacking not in ("numpy", "torch"):
                raise
        from leapkit.core.errors import KitError

        remedy = "pip install './shared[networks]' in a clone, or '<the wheel>[networks]'"
        raise KitError("is not installed", lacking, remedy)

    def __dir__():
        return sorted(set(globals()) | set(_LAZY))
