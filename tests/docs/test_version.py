"""The version stands in one place, and what repeats it for readers agrees."""

from __future__ import annotations

import re

import leapkit
from tests.docs.markdown import DOCUMENTS, ROOT


def test_the_citation_has_the_version_and_its_date() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    released = re.findall(r"^## \[(\d[^\]]*)\] - (\S+)$", DOCUMENTS["CHANGELOG.md"], flags=re.M)
    assert re.findall(r"^version: (.+)$", citation, flags=re.M) == [leapkit.__version__]
    assert re.findall(r"^date-released: (.+)$", citation, flags=re.M) == [released[0][1]]
    assert released[0][0] == leapkit.__version__


def test_the_package_reads_its_version_from_the_source() -> None:
    metadata = (ROOT / "shared" / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in metadata and "leapkit.__version__" in metadata
    assert not re.search(r"^version\s*=", metadata.split("[tool.")[0], flags=re.M)


def test_the_changelog_says_which_numerics_a_version_has() -> None:
    receipts = (ROOT / "shared" / "leapkit" / "core" / "receipts.py").read_text()
    numerics = re.findall(r"^NUMERICS\s*=\s*(\d+)", receipts, flags=re.M)
    assert len(numerics) == 1
    assert f"`receipts.NUMERICS` is {numerics[0]}" in DOCUMENTS["CHANGELOG.md"]
