"""What tests of emulators share, beside `submission` of tests/conftest.py."""

from tests.helpers.untrained import untrained as untrained
