"""The published scores stand in three places, and say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Tuple

from blend import tables
from blend.published_scores import BLEND, LEADERBOARD, NETWORKS, TABLE
from launch.registry import flat, members
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "published.md").read_text(encoding="utf-8")
ARTIFACTS = {one.name: one.artifact for one in flat(members()) if one.artifact in NETWORKS}


def rows(text: str, columns: int) -> List[List[str]]:
    """Return the cells of all table rows with so many columns, without the stars of bold text."""
    lines = [line.strip("| ").replace("*", "") for line in text.splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in cells if len(row) == columns]


def test_the_page_of_published_figures_has_every_score() -> None:
    of_page = {row[0].strip("`"): tuple(row[2:]) for row in rows(PAGE, 5) if row[0][:1] == "`"}
    assert of_page == {
        name: (NETWORKS[artifact].cv, NETWORKS[artifact].public, NETWORKS[artifact].private)
        for name, artifact in ARTIFACTS.items()
    }
    assert "| **the blend of sixteen (2nd place)** | 0.7955 | **0.79211** | **0.78856** |" in PAGE
    assert (BLEND.cv, BLEND.public, BLEND.private) == ("0.7955", "0.79211", "0.78856")
    assert set(NETWORKS) == set(tables.find(TABLE).artifacts)


def test_the_page_has_the_leaderboard() -> None:
    of_page = [row for row in rows(PAGE, 5) if row[0].isdigit()]
    known = [(row[0], row[2].replace("not known", ""), row[3]) for row in of_page]
    assert known == [(str(one.place), one.public, one.private) for one in LEADERBOARD]
    assert list(LEADERBOARD) == sorted(LEADERBOARD, key=lambda one: -float(one.private))


def of_readme(path: Path) -> Dict[str, Tuple[str, ...]]:
    """Return {network: (CV, public, private)} of a member's README."""
    text = path.read_text(encoding="utf-8")
    header = re.search(r"^\| \| (.+) \|$", text, flags=re.M)
    assert header
    ids = header[1].split(" | ")
    found: Dict[str, List[str]] = {}
    for row in rows(text, len(ids) + 1):
        if re.match(r"(CV|public|private)\b.* R2( \(the team's\))?$", row[0]):
            for number, cell in zip(ids, row[1:]):
                found.setdefault(number, []).extend(cell.split(" / "))
    return {f"{path.parent.name}/{number}": tuple(cells) for number, cells in found.items()}


def test_the_members_readmes_have_the_same_scores() -> None:
    readmes: Dict[str, Tuple[str, ...]] = {}
    for path in sorted((REPOSITORY / "members").glob("*/README.md")):
        if any(name.startswith(path.parent.name + "/") for name in ARTIFACTS):
            readmes.update(of_readme(path))
    for name, artifact in ARTIFACTS.items():
        score = NETWORKS[artifact]
        assert readmes[name] == (score.cv, score.public, score.private), name
    others = set(readmes) - set(ARTIFACTS)
    assert all("not known" in readmes[name] for name in others), others
