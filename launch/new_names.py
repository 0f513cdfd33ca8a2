"""Which name a new member may have: it becomes a package, a command, a service and an image."""

from __future__ import annotations

import importlib.util
import keyword
import re
from typing import Set

from blend import tables
from blend.naming import parse_search
from launch import registry
from launch.registry import REPOSITORY
from launch.runtimes.stacks import LOCKS
from leapkit.core.errors import KitError

# One that Python, make, Compose, and the names of images and of variables all take.
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 20  # lines of its code stay below the limit of the linter


def require(name: str, where: str) -> None:
    """Raises KitError if a new member cannot have a name; it says why.

    where  what gave the name, as NAME=alice
    """
    problem = problem_of(name)
    if problem:
        raise KitError(problem, where, "choose another name")


def problem_of(name: str) -> str:
    """Return why no new member can have a name, "" if one can."""
    if not _NAME.fullmatch(name):
        return "is not made of lower-case letters, digits and single _ after a letter"
    if len(name) > _LONGEST:
        return f"has {len(name)} characters, more than {_LONGEST}"
    if keyword.iskeyword(name):
        return "is a word of Python"
    if name in registry.members():
        return "is a member already"
    if name in _targets() or name in _services():
        return "is a command or a service of the kit"
    if name in tables.shipped() or parse_search(name):
        return "is the name of a blend"
    if importlib.util.find_spec(name) or name in _packages():
        return "is the name of a module or a package that Python finds already"
    return ""


def _targets() -> Set[str]:
    """Return the targets of the Makefile."""
    text = (REPOSITORY / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.M))


def _services() -> Set[str]:
    """Return the services of compose.yaml that are not members."""
    text = (REPOSITORY / "containers" / "compose.yaml.in").read_text()
    return set(re.findall(r"^  ([a-z]+):", text, flags=re.M))


def _packages() -> Set[str]:
    """Return the packages that some environment has, by the names that Python imports."""
    names = set()
    for path in LOCKS.glob("*.txt"):
        names.update(re.findall(r"^([A-Za-z][\w.-]*)==", path.read_text(), flags=re.M))
    return {name.lower().replace("-", "_") for name in names}
