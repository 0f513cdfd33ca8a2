"""python -I -c SOURCE [--system] [--code FOLDER]: what a Python environment holds, as JSON.

This source is given to the Python that is to be described, in an image too, so it imports nothing
of the kit, runs on Python 3.8, and says what is there and not what a lock wished.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional

DPKG = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\n"
LICENCE = re.compile(r"^License:[ \t]*(\S.*?)[ \t]*$", re.M)
# A shared library that a wheel brings; an extension module of Python is no lib*.so.
LIBRARY = re.compile(r"(^|/)lib(?!\.)[^/]*\.so(\.[\w.]+)?$")
LONGEST = 80  # characters of a licence's name: what is longer is its text


def main() -> int:
    """Print the inventory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--system", action="store_true", help="also the system's own packages")
    parser.add_argument("--code", help="the folder of the kit's code and of its lock")
    options = parser.parse_args()
    inventory: Dict[str, Any] = {
        "python": {
            "implementation": platform.python_implementation(),
            "version": platform.python_version(),
            "machine": platform.machine(),
            "sha256": digest(Path(os.path.realpath(sys.executable))),
        },
        "distributions": sorted(distributions(), key=lambda one: str(one["name"]).lower()),
    }
    if options.system:
        inventory["system"] = release(Path("/etc/os-release"))
        inventory["debian"] = debian_packages()
    if options.code:
        folder = Path(options.code)
        lock = folder / "requirements.txt"
        inventory["lock"] = lock.read_text() if lock.exists() else ""
        inventory["code"] = code(folder)
    json.dump(inventory, sys.stdout, sort_keys=True)
    return 0


def distributions() -> Iterator[Dict[str, Any]]:
    """Yield the installed distributions, each once: the first on the path is what is imported."""
    names = set()
    for distribution in importlib.metadata.distributions():
        about = distribution.metadata
        name = about["Name"]
        if not name or re.sub(r"[-_.]+", "-", name).lower() in names:
            continue
        names.add(re.sub(r"[-_.]+", "-", name).lower())
        yield {
            "name": name,
            "version": distribution.version,
            "expression": about["License-Expression"] or "",
            "licence": about["License"] or "",
            "classifiers": [
                text for text in about.get_all("Classifier") or () if text.startswith("License ::")
            ],
            "requires": required(distribution.requires or ()),
            **installed_files(distribution),
            "parts": list(parts(distribution)),
        }


def installed_files(distribution: importlib.metadata.Distribution) -> Dict[str, Any]:
    """Return the sha256 of a distribution's RECORD, its number of files, and those that differ."""
    record = distribution.read_text("RECORD")
    if record is None:
        return {"record": "", "files": 0, "changed": [], "libraries": {}}
    recorded = {
        str(file): file.hash.value
        for file in distribution.files or ()
        # Python writes its caches anew.
        if file.hash and file.hash.mode == "sha256" and file.suffix != ".pyc"
    }
    changed = [
        name
        for name, value in recorded.items()
        if record_digest(Path(str(distribution.locate_file(name)))) != value
    ]
    return {
        "record": hashlib.sha256(record.encode()).hexdigest(),
        "files": len(recorded),
        "changed": sorted(changed),
        "libraries": {
            name: base64.urlsafe_b64decode(value + "=").hex()
            for name, value in sorted(recorded.items())
            if LIBRARY.search(name) and name not in changed
        },
    }


def required(lines: Iterable[str]) -> List[str]:
    """Return the names of what a distribution requires, without its extras."""
    names = [re.match(r"[\w.-]+", line) for line in lines if "extra ==" not in line]
    return sorted({re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name})


def parts(distribution: importlib.metadata.Distribution) -> Iterator[Dict[str, str]]:
    """Yield what the SBOMs in a wheel (PEP 770) say that was built into it, if they are CycloneDX.

    Source: https://peps.python.org/pep-0770/, "SBOM files in .dist-info/sboms".
    """
    for file in sorted(distribution.files or (), key=str):
        if file.suffix == ".json" and file.parent.match("*.dist-info/sboms"):
            try:
                told = json.loads(Path(str(distribution.locate_file(file))).read_text("utf-8"))
                for one in told["components"]:
                    if one["name"] != told.get("metadata", {}).get("component", {}).get("name"):
                        words = {name: str(one.get(name, "")) for name in ("version", "purl")}
                        yield {"name": str(one["name"]), **words, "source": str(file)}
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue


def record_digest(path: Path) -> Optional[str]:
    """Return a file's sha256 as RECORD writes it, None if it is missing."""
    if not path.is_file():
        return None
    return base64.urlsafe_b64encode(bytes.fromhex(digest(path))).rstrip(b"=").decode()


def digest(path: Path) -> str:
    """Return the sha256 of a file."""
    total = hashlib.sha256()
    with open(str(path), "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()


def code(folder: Path) -> Dict[str, str]:
    """Return {file of the kit: sha256} of the code that is imported, named as in a clone.

    The rooms lie below `folder`; leapkit is a distribution.
    """
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*.py")}
    for one in importlib.metadata.distributions(name="leapkit"):
        for file in one.files or ():
            if file.suffix == ".py" and file.parts[0] == "leapkit":
                found[f"shared/{file}"] = Path(str(one.locate_file(file)))
    return {name: digest(path) for name, path in sorted(found.items())}


def release(path: Path) -> Dict[str, str]:
    """Return what /etc/os-release says, {} if there is none."""
    if not path.exists():
        return {}
    pairs = re.findall(r'^(\w+)="?(.*?)"?$', path.read_text(), re.M)
    return {name: value for name, value in pairs if name in ("ID", "VERSION_ID", "PRETTY_NAME")}


def debian_packages() -> List[Dict[str, Any]]:
    """Return what dpkg has installed, [] where there is no dpkg."""
    try:
        listed = subprocess.run(
            ["dpkg-query", "--show", f"--showformat={DPKG}"], stdout=subprocess.PIPE, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    packages = []
    for line in listed.stdout.decode().splitlines():
        status, name, version, architecture, source = line.split("\t")
        if status == "installed":
            packages.append(
                {
                    "name": name,
                    "version": version,
                    "architecture": architecture,
                    "source": source,
                    "licences": debian_licences(name),
                }
            )
    return packages


def debian_licences(name: str) -> List[str]:
    """Return the licences that a package's copyright file names, [] if it is of no such form."""
    try:
        text = Path(f"/usr/share/doc/{name}/copyright").read_text("utf-8", "replace")
    except OSError:
        return []
    is_readable = text.lstrip().startswith("Format:")
    return sorted(
        {one for one in LICENCE.findall(text) if len(one) <= LONGEST} if is_readable else ()
    )


if __name__ == "__main__":
    sys.exit(main())
