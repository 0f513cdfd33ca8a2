"""`make member NAME=alice`: a new member from templates/newcomer, made whole or not at all.

The template is real code, which is checked and tested as it stands; its name is replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Dict, Iterator, List, Mapping, Sequence

from launch import generated, new_names
from launch.generated import Service
from launch.registry import REPOSITORY
from leapkit.core import file_lock
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, write_text

ROOM, NEWCOMER = "templates", "newcomer"  # what `members` and the name take the place of
TEST = f"tests/members/test_{NEWCOMER}.py"


def run(requested: Mapping[str, str]) -> int:
    """Make the member that NAME names, and say what can be done with it. Raises KitError."""
    name = requested.get("NAME", "")
    if not name:
        raise KitError("lacks NAME", "make member", "write make member NAME=alice")
    with file_lock.hold(REPOSITORY / "members"):
        new_names.require(name, f"NAME={name}")
        texts = files_of(name)
        _require_free(texts, name)
        install(texts, _folder(name))
    print("\n".join(_lines(name, texts)), flush=True)
    return 0


def files_of(name: str) -> Dict[Path, str]:
    """Return {path: text} of all that a new member is, and of what else its folder changes."""
    its_own = [*sorted((REPOSITORY / ROOM / NEWCOMER).rglob("*.*")), REPOSITORY / TEST]
    texts = {
        REPOSITORY / renamed(str(path.relative_to(REPOSITORY)), name): renamed(
            path.read_text(encoding="utf-8"), name
        )
        for path in its_own
        if path.suffix in (".py", ".md")
    }
    service = Service.of(_template("stack").STACKS, _template("experiments").EXPERIMENTS)
    members = {**generated.services(), name: service}
    for path, text in generated.files(members).items():
        if not path.exists() or path.read_text() != text:
            texts[path] = text
    return texts


def _template(module: str) -> ModuleType:
    return importlib.import_module(f"{ROOM}.{NEWCOMER}.{module}")


def renamed(text: str, name: str) -> str:
    """Return a text or a path of the template as that of a member."""
    return text.replace(ROOM, "members").replace(NEWCOMER, name)


def install(texts: Mapping[Path, str], folder: Path) -> None:
    """Write all files, or none of them if something fails or stops it.

    They are written beside their places, and then only renamed, the folder of the member last: a
    full disk is met before the first change, and a member that exists is whole.
    """
    with _stage(folder.name) as stage:
        elsewhere = [path for path in texts if folder not in path.parents]
        for path, text in texts.items():
            write_text(stage / "new" / path.relative_to(REPOSITORY), text)
        for path in elsewhere:
            if path.exists():
                write_text(stage / "old" / path.relative_to(REPOSITORY), path.read_text())
        try:
            with explain_os_errors(folder):
                for path in elsewhere:
                    os.replace(str(stage / "new" / path.relative_to(REPOSITORY)), str(path))
                new = stage / "new" / folder.relative_to(REPOSITORY)
                new.rename(folder)
        except BaseException:
            if not folder.exists():
                _put_back(stage / "old", elsewhere)
            raise


@contextlib.contextmanager
def _stage(name: str) -> Iterator[Path]:
    """Yield an empty folder on the file system of the repository, and remove it."""
    stage = REPOSITORY / f"{TEMPORARY}member-{name}"
    shutil.rmtree(str(stage), ignore_errors=True)  # of a command that was killed
    try:
        yield stage
    finally:
        shutil.rmtree(str(stage), ignore_errors=True)


def _put_back(old: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        before = old / path.relative_to(REPOSITORY)
        if before.exists():
            os.replace(str(before), str(path))
        elif path.exists():
            path.unlink()


def _folder(name: str) -> Path:
    return REPOSITORY / "members" / name


def _require_free(texts: Mapping[Path, str], name: str) -> None:
    """Raises KitError if a file of somebody's own stands where the member needs one."""
    test = REPOSITORY / renamed(TEST, name)
    is_ours = test.exists() and test.read_text(encoding="utf-8") == texts[test]
    for path in (_folder(name), *([] if is_ours else [test])):
        if os.path.lexists(str(path)):
            raise KitError("exists already", path, "choose another NAME, or move it away")


def _lines(name: str, texts: Mapping[Path, str]) -> List[str]:
    """Return what is said of a new member: what was made, what can be done, how it is undone."""
    network = f"{name}/{_template('experiments').EXPERIMENTS[0].id}"
    purposes = {
        f"make {name}": f"trains {network} and predicts; without data, in the sample world",
        f"make blend TABLE=searched-{name}": "blends its networks, scores them",
        f"make blend TABLE=searched-with-{name}": "blends them with the published blend's",
    }
    width = max(map(len, purposes))
    return [
        *(str(path.relative_to(REPOSITORY)) for path in sorted(texts)),
        "",
        *(f"{command:<{width}}  {purpose}" for command, purpose in purposes.items()),
        f"docs/new_member.md tells the rest; change {network} in members/{name}/networks.py",
        f"to undo it: rm -r members/{name} {renamed(TEST, name)} && containers/generate",
    ]
