"""CITATION.cff is of the Citation File Format 1.2.0, and what cites cites the same."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator

import pytest

from leapkit.core import card_prose, model_cards
from reports import crate
from tests.docs.markdown import ROOT

yaml = pytest.importorskip("yaml")

# Of the schema of 1.2.0: what a file and a reference must have, and the fields that are used here.
REQUIRED = {"cff-version", "message", "title", "authors"}
ALLOWED = {
    *REQUIRED,
    *("abstract", "type", "version", "date-released", "license", "keywords"),
    *("preferred-citation", "references"),
}
REFERENCE = {"type", "title", "authors"}
REFERENCE_ALLOWED = {
    *REFERENCE,
    *("year", "collection-title", "url", "identifiers", "repository-code", "commit", "institution"),
    *("license", "notes"),
}
TYPES = {"software", "conference-paper", "data"}
SPDX = {"MIT", "CC-BY-4.0"}


@pytest.fixture(scope="module")
def citation() -> Dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "CITATION.cff").read_text()))


def cited(citation: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    yield citation["preferred-citation"]
    yield from citation["references"]


def test_the_file_has_what_its_format_requires_and_nothing_else(citation: Dict[str, Any]) -> None:
    assert set(citation) >= REQUIRED and set(citation) <= ALLOWED
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    for one in cited(citation):
        assert set(one) >= REFERENCE and set(one) <= REFERENCE_ALLOWED
        assert one["type"] in TYPES
        assert one["authors"] and all(isinstance(author, dict) for author in one["authors"])
        assert one.get("license", "MIT") in SPDX and citation["license"] in SPDX
        assert isinstance(one["year"], int)


def test_it_cites_the_solution_the_data_set_and_its_paper(citation: Dict[str, Any]) -> None:
    kinds = {one["type"]: one for one in citation["references"]}
    assert set(kinds) == TYPES
    assert kinds["software"]["repository-code"] == crate.SOLUTION
    assert citation["preferred-citation"]["repository-code"] == crate.SOLUTION
    assert kinds["conference-paper"]["url"] == crate.PAPER
    assert kinds["data"]["url"] == crate.DATA and kinds["data"]["url"].endswith(model_cards.DATA)
    assert kinds["data"]["license"] == "CC-BY-4.0"


def test_cards_and_crates_cite_what_the_file_cites(citation: Dict[str, Any]) -> None:
    addresses = {one.get("url") or one["repository-code"] for one in cited(citation)}
    assert set(re.findall(r"\((https://[^)]+)\)", card_prose.CITATION)) <= addresses
    of_crate = {crate.SOLUTION, crate.PAPER, crate.DATA}
    assert of_crate == addresses and of_crate <= {each["@id"] for each in crate.CONTEXT}
    commit = citation["preferred-citation"]["commit"]
    assert f"commit {commit}" in card_prose.CITATION


def test_it_names_no_doi_as_none_is_known(citation: Dict[str, Any]) -> None:
    assert "doi" not in (ROOT / "CITATION.cff").read_text().lower()
