"""The rooms of leapkit: the folder of a module decides what it may import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest

pytestmark = pytest.mark.stack

KIT = Path(__file__).resolve().parents[1] / "shared" / "leapkit"

# room -> (the rooms that it may import, the distributions that it may import)
LAWS: Dict[str, Tuple[Set[str], Tuple[str, ...]]] = {
    "core": (set(), ()),
    "data": ({"core"}, ("numpy", "pyarrow", "tqdm")),
    "nets": ({"core"}, ("numpy", "torch")),
    "run": ({"core", "data"}, ("numpy", "pyarrow", "tqdm", "torch")),
    "emulators": ({"core", "data", "nets", "run"}, ("numpy", "pyarrow", "tqdm", "torch")),
    "exports": (
        {"core", "data", "nets", "run", "emulators"},
        ("numpy", "pyarrow", "tqdm", "torch"),
    ),
    "climate": ({"core", "data", "sampleworld"}, ("numpy",)),
    "worlds": ({"core", "data"}, ("numpy", "pyarrow", "tqdm")),
    "sampleworld": ({"core", "worlds"}, ("numpy", "pyarrow", "tqdm", "netCDF4")),
}
MODULES = [
    ".".join(path.relative_to(KIT.parent).with_suffix("").parts)
    for room in LAWS
    for path in sorted((KIT / room).glob("*.py"))
    if path.stem not in ("__init__", "__main__")
]


def test_every_module_stands_in_a_room() -> None:
    assert sorted(path.name for path in KIT.iterdir() if path.name != "__pycache__") == sorted(
        [*LAWS, "__init__.py", "py.typed"]
    )


def imported_rooms(path: Path) -> Set[str]:
    names: List[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("leapkit.")}


@pytest.mark.parametrize("room", LAWS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    for path in (KIT / room).glob("*.py"):
        above = imported_rooms(path) - LAWS[room][0] - {room}
        assert not above, f"{path.name} imports {above}"


def with_requirements(distribution: str, names: Set[str]) -> Iterator[metadata.Distribution]:
    """Yield an installed distribution and all that it requires, each once."""
    name = re.sub(r"[-_.]+", "-", distribution).lower()
    if name in names:
        return
    names.add(name)
    try:
        installed = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return  # of another platform
    yield installed
    for requirement in installed.requires or ():
        if "extra ==" not in requirement:
            match = re.match(r"[\w.-]+", requirement)
            assert match
            yield from with_requirements(match[0], names)


@pytest.fixture(scope="session", params=sorted({law[1] for law in LAWS.values()}), ids=" ".join)
def interpreter(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Tuple[Tuple[str, ...], Path]:
    """Return the distributions, and a folder that holds only them and what they require."""
    folder = tmp_path_factory.mktemp("site")
    names: Set[str] = set()
    for distribution in request.param:
        pytest.importorskip(distribution)
    # torch 1.10 imports pkg_resources of setuptools and does not declare it.
    for distribution in (*request.param, *(["setuptools"] if "torch" in request.param else [])):
        for installed in with_requirements(distribution, names):
            for file in installed.files or ():
                top = file.parts[0]
                if top not in ("..", "__pycache__") and not (folder / top).exists():
                    (folder / top).symlink_to(Path(str(installed.locate_file(top))))
    return request.param, folder


def test_every_module_of_a_room_runs_where_there_is_nothing_more(
    interpreter: Tuple[Tuple[str, ...], Path],
) -> None:
    distributions, folder = interpreter
    modules = [name for name in MODULES if LAWS[name.split(".")[1]][1] == distributions]
    code = (
        "import sys, importlib\n"
        f"sys.path += [{str(KIT.parent)!r}, {str(folder)!r}]\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    # -S: without site-packages; -I: without the user's variables and folders.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert modules and done.returncode == 0, done.stderr
