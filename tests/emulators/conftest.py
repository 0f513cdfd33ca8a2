"""What tests of emulators share: `submission`, in tests/conftest.py, holds untrained checkpoints."""

from tests.helpers.untrained import untrained as untrained
