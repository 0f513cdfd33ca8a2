"""Every path and every module that the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

from tests.docs.markdown import ROOT, everywhere

ROOMS = (
    *("core", "data", "nets", "run", "worlds", "sampleworld"),
    *("emulators", "exports", "climate"),
)
FOLDERS = (
    *(
        "benchmarks",
        "blend",
        "containers",
        "templates",
        "evaluation",
        "reports",
        "docs",
        "fetch",
        "launch",
        "members",
        "shared",
        "stacking",
        "submitting",
    ),
    *("tests", ".ci", ".github"),
)
_PATH = re.compile(r"[\w.*<>{},-]+(/[\w.*<>{},-]*)*")


def expanded(path: str) -> List[str]:
    """Return the patterns of a path: <name> stands for any name, {a,b} for either."""
    match = re.search(r"\{([^}]*)\}", path)
    if match:
        ways = [path[: match.start()] + way + path[match.end() :] for way in match[1].split(",")]
        return [pattern for way in ways for pattern in expanded(way)]
    return [re.sub(r"<\w+>", "*", path)]


def exists(pattern: str) -> bool:
    """Whether a path of the repository, or of a module in leapkit without its .py, exists."""
    pattern = pattern.rstrip("/")
    if pattern.split("/")[0] in ROOMS:
        pattern = f"shared/leapkit/{pattern}"
    return any(True for name in (pattern, pattern + ".py") for _ in ROOT.glob(name))


def is_path(text: str) -> bool:
    first = text.split("/")[0]
    inside = "/" in text and first in FOLDERS + ROOMS
    return bool(_PATH.fullmatch(text)) and (inside or text.endswith((".yaml", ".cff")))


def test_every_path_in_backticks_exists() -> None:
    paths = [(document, text) for document, text in everywhere("in_backticks") if is_path(text)]
    assert len(paths) > 60
    wrong = [
        f"{document}: {path}"
        for document, path in paths
        if not all(exists(pattern) for pattern in expanded(path))
    ]
    assert not wrong, "\n".join(wrong)


def defined(dotted: str) -> bool:
    """Whether leapkit.room.module.name is a module, or a name that its module defines."""
    parts = dotted.split(".")
    root = ROOT / "shared" if parts[0] == "leapkit" else ROOT
    folder = root.joinpath(*parts)
    if folder.is_dir() or folder.with_suffix(".py").exists():
        return True
    module = root.joinpath(*parts[:-1])
    path = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return path.exists() and bool(re.search(rf"\b{parts[-1]}\b", Path(path).read_text()))


def test_every_module_in_backticks_exists() -> None:
    names = [
        (document, name)
        for document, text in everywhere("in_backticks")
        for name in re.findall(
            r"\b(?:leapkit|members|launch|blend|evaluation|reports)(?:\.[A-Za-z_]\w*)+", text
        )
        if not name.endswith((".csv", ".py", ".md"))
    ]
    assert names
    wrong = [f"{document}: {name}" for document, name in names if not defined(name)]
    assert not wrong, "\n".join(wrong)
