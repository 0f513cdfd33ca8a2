"""What the tests of the documents read: headings, links, code blocks and words in backticks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Tuple

ROOT = Path(__file__).resolve().parents[2]
_WHERE = (
    "*.md",
    "docs/**/*.md",
    "members/*/README.md",
    "members/*/weights/README.md",
    "raw_data/README.md",
    "submission/README.md",
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.M | re.S)
_INDENTED = re.compile(r"^    .*$", flags=re.M)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", flags=re.M)

DOCUMENTS: Dict[str, str] = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for pattern in _WHERE
    for path in sorted(ROOT.glob(pattern))
}


def prose(text: str) -> str:
    """Return a document without its fenced code blocks."""
    return _FENCE.sub("", text)


def headings(text: str) -> List[str]:
    return [heading.strip() for heading in _HEADING.findall(prose(text))]


def anchors(text: str) -> List[str]:
    """Return the anchors that GitHub gives a document's headings."""
    result: List[str] = []
    for heading in headings(text):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        same = sum(1 for other in result if re.fullmatch(re.escape(anchor) + r"(-\d+)?", other))
        result.append(f"{anchor}-{same}" if same else anchor)
    return result


def links(text: str) -> List[str]:
    return _LINK.findall(re.sub(r"`[^`]*`", "", _INDENTED.sub("", prose(text))))


def blocks(text: str, language: str) -> List[str]:
    """Return the fenced code blocks of a language."""
    return [code for kind, code in _FENCE.findall(text) if kind == language]


def in_backticks(text: str) -> List[str]:
    return re.findall(r"`([^`\n]+)`", _INDENTED.sub("", prose(text)))


def commands(text: str) -> List[str]:
    """Return the `make` commands of a document: in backticks, and on indented lines of code."""
    joined = re.sub(r" *\\\n\s*", " ", text)
    lines = re.findall(r"^ {4}\s*((?:[A-Z_]+=\S+ )*make\b.*)$", joined, flags=re.M)
    words = [word for word in in_backticks(text) if re.match(r"([A-Z_]+=\S+ )*make\b", word)]
    return [re.sub(r"\s+#.*$", "", command) for command in lines + words]


def everywhere(of: str) -> List[Tuple[str, str]]:
    """Return (document, item) pairs: of = "links", "commands" or "in_backticks"."""
    reader = {"links": links, "commands": commands, "in_backticks": in_backticks}[of]
    return [(name, item) for name, text in DOCUMENTS.items() for item in reader(text)]
