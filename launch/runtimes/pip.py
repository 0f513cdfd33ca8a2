"""pip inside an environment: what it is told, what of the user's settings it keeps, what it left.

A user's settings say where packages come from (an index, a proxy, certificates), and those stay.
Some also say where packages go, or which are taken. Those would leave an environment empty or
other than its lock, without a word.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Set, Tuple

from launch import machine

# --no-deps: the lock is complete, and two locks on top of each other must not argue.
INSTALL = (
    *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
    *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement"),
)
# Options of pip that send packages elsewhere, take others or refuse the environment.
HARMFUL = (
    *("target", "prefix", "root", "user", "python", "src"),
    *("require-virtualenv", "dry-run", "report", "requirement", "editable", "group"),
    *("platform", "python-version", "implementation", "abi", "no-binary", "no-clean"),
)
# pip lets a variable win over a file only if it is not empty: this is the value of a switch.
SWITCHES = ("user", "require-virtualenv", "dry-run")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def variables(python: str) -> Dict[str, str]:
    """Return the environment of `python -m pip`: the user's without what is harmful in it.

    A harmful setting of a pip.conf cannot be taken back by an option. If there is one, all other
    settings of the files become variables, and the files are left out.
    """
    env = machine.plain_environment()
    for name in HARMFUL:
        env.pop(_variable(name), None)
    env.update((_variable(name), "0") for name in SWITCHES)
    files = dict(_of_files(python, env))
    if any(name in HARMFUL and name not in SWITCHES for name in files):
        kept = {_variable(name): value for name, value in files.items() if name not in HARMFUL}
        env = {**kept, **env, "PIP_CONFIG_FILE": os.devnull}
    return env


def only_from(folder: Path) -> Dict[str, str]:
    """Return the variables that let pip take packages from a folder and from nowhere else."""
    # pip splits the value at spaces, of which an address has none.
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder.resolve().as_uri()}


def _variable(option: str) -> str:
    return "PIP_" + option.upper().replace("-", "_")


def _of_files(python: str, env: Dict[str, str]) -> Iterator[Tuple[str, str]]:
    """Yield (option, value) of pip's files, those of `install` last: they win over `global`."""
    lines = (machine.output_of([python, "-m", "pip", "config", "list"], 60, env) or "").splitlines()
    for section in ("global", "install"):
        for line in lines:
            match = re.match(rf"{section}\.([\w-]+)=('.*'|\".*\")$", line)
            if match:
                yield match[1], " ".join(ast.literal_eval(match[2]).split())


def absent(home: Path, version: str, locks: Sequence[Path]) -> List[str]:
    """Return the packages of the locks, as name==version, that an environment does not hold.

    home     of the environment, whose Python is of this version: "3.8"
    """
    site = home / "lib" / f"python{version}" / "site-packages"
    # Read here, as no process answers as fast: this is asked before every run.
    installed = {
        (normal(distribution.metadata["Name"] or ""), distribution.version)
        for distribution in importlib.metadata.distributions(path=[str(site)])
    }
    packages = [package for lock in locks for package in locked(lock)]
    return [f"{name}=={number}" for name, number in packages if (name, number) not in installed]


def locked(lock: Path) -> List[Tuple[str, str]]:
    """Return (name, version) of the packages of a lock."""
    return [(name, version) for name, (version, _) in locked_hashes(lock.read_text()).items()]


def locked_hashes(text: str) -> Dict[str, Tuple[str, List[str]]]:
    """Return {name: (version, sha256 of all wheels that may be installed)} of a lock's text."""
    packages = re.split(r"^(?=[\w.-]+==)", text, flags=re.M)
    found = ((re.match(r"([\w.-]+)==([^\s;\\]+)", package), package) for package in packages)
    return {
        normal(match[1]): (match[2], _HASH.findall(package)) for match, package in found if match
    }


def hashes(lock: Path) -> Set[str]:
    """Return the sha256 of all wheels that a lock allows: of one package, several builds."""
    return set(_HASH.findall(lock.read_text()))


def normal(name: str) -> str:
    """Return the name by which an index knows a package."""
    return re.sub(r"[-_.]+", "-", name).lower()
