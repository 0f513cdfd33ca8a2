"""The lock file of fetch/."""

from __future__ import annotations

import re

from launch.runtimes import stacks


def test_the_rooms_lock_has_hashes_and_no_address() -> None:
    text = stacks.lock("fetch").read_text()
    packages = re.split(r"^(?=\S)", text, flags=re.M)[1:]
    assert len(packages) > 10 and all(
        "==" in package and "--hash=sha256:" in package for package in packages
    )
    assert "://" not in text and "index" not in text
    for line in stacks.lock("fetch").with_suffix(".in").read_text().splitlines():
        assert line.startswith("#") or line.replace("_", "-").lower() + " " in text, (
            f"make-locks was not run after {line}"
        )
