"""What the source cites can be opened: facts are in docs/reference, and errors name commands."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Dict, Iterator

from tests.docs.markdown import DOCUMENTS, ROOT, headings

FOLDERS = (
    "benchmarks",
    "blend",
    "containers",
    "evaluation",
    "reports",
    "fetch",
    "launch",
    "members",
    "shared",
    "submitting",
    "tests",
)
_KINDS = (".py", ".in", ".toml", ".sh", ".html", ".yaml", "")
_GAP = r"(?:\s|#)+"  # a citation may be continued on the next line, of a comment too
CITATION = re.compile(rf'docs/reference/(\w+\.md)((?:,?{_GAP}(?:and{_GAP})?"[^"]+")*)')
# Notes that are kept beside the project, which no reader of the repository can open.
OUTSIDE = re.compile(
    r"(?<!docs/)\breference/\w+\.(?:md|json)|\bDESIGN\b|\bpractice\.md|\bhouse_review"
    r"|(?<![/\"\w])(?:models|data_pipeline|performance|real_files)\.md"
)
README_HEADING = re.compile(r"README,? ['\"]|\b[Ss]ee (?:the )?README|README,? section")


def sources() -> Dict[str, str]:
    """Return {path: text} of the source files, without this folder."""
    here = Path(__file__).parent
    paths = [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and path.suffix in _KINDS and here not in path.parents
    ]
    paths += [ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".ci" / "run"]
    texts = {}
    for path in paths:
        if "__pycache__" not in path.parts and path.stat().st_size < 1 << 20:
            texts[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8", errors="replace")
    return texts


SOURCES = sources()


def test_a_citation_may_name_several_headings_and_go_on_in_the_next_line() -> None:
    text = 'docs/reference/models.md, "adam",\n    # "Group\n# fine-tuning" and "Losses" and "x'
    match = CITATION.search(text)
    assert match
    words = re.findall(r'"([^"]+)"', re.sub(_GAP, " ", match[2]))
    assert words == ["adam", "Group fine-tuning", "Losses"]


def test_every_citation_names_a_heading_of_a_page() -> None:
    wrong = []
    for path, text in SOURCES.items():
        for match in CITATION.finditer(text):
            page = f"docs/reference/{match[1]}"
            if page not in DOCUMENTS:
                wrong.append(f"{path}: {page} is missing")
                continue
            for heading in re.findall(r'"([^"]+)"', re.sub(_GAP, " ", match[2])):
                if heading not in headings(DOCUMENTS[page]):
                    wrong.append(f'{path}: {page} has no heading "{heading}"')
    assert not wrong, "\n".join(wrong)


def test_no_source_cites_notes_outside_the_repository() -> None:
    wrong = [
        f"{path}: {match[0]}" for path, text in SOURCES.items() for match in OUTSIDE.finditer(text)
    ]
    assert not wrong, "\n".join(wrong)


def strings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_message_sends_the_reader_to_a_heading_of_the_readme() -> None:
    wrong = [
        f"{path}: {text!r}"
        for path, source in SOURCES.items()
        if path.endswith(".py") and not path.startswith("tests/")
        for text in strings(source)
        if README_HEADING.search(text)
    ]
    assert not wrong, "\n".join(wrong)
