"""make sbom: what each image or environment of a run holds, as CycloneDX documents.

Each is described by its own Python, without a network and as the user that it runs as, so a
document says what is there. What differs from the lock is said.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Mapping

from launch import emulating, run
from launch.bundles import scope
from launch.code_version import code_version
from launch.folders import require_writable
from launch.registry import REPOSITORY
from launch.sboms import cyclonedx, described
from launch.sboms.cyclonedx import Subject
from launch.sboms.described import Described
from launch.settings import choose
from leapkit.core import files

SUFFIX = ".cdx.json"
SHOWN = ("RUNTIME", "STACK", "ACCELERATOR", "EXPERIMENTS")


def make(requested: Mapping[str, str]) -> int:
    """Write the documents of what a run would use, which is built first; return 0."""
    values = {name: value for name, value in requested.items() if name not in ("NETWORK", "TO")}
    settings = choose("reproduce", values)
    members = [*scope.members(settings), "blend"]
    images = emulating.with_emulator(settings, members, requested.get("NETWORK", ""), "sbom")
    to = Path(requested.get("TO") or settings.results.root / "sbom").absolute()
    run.show(replace(settings, choices={k: settings.choices[k] for k in SHOWN}).lines())
    require_writable(to, "name a folder that you may write to with TO=")
    # An environment may be that of a member and of the emulator.
    every = {one.stem: one for parts in images for one in described.of_run(*parts)}
    for stem, one in every.items():
        print("\n".join(write(to / (stem + SUFFIX), one)), flush=True)
    return 0


def write(path: Path, one: Described) -> List[str]:
    """Write a document, unless the file holds it already; return the lines that tell of it.

    Raises KitError if there is no inventory.
    """
    inventory = one.inventory()
    lock = one.lock or inventory.get("lock", "")
    subject = _with_code(one.subject, inventory, lock)
    text = json.dumps(cyclonedx.document(subject, inventory, lock), indent=1) + "\n"
    is_new = not path.exists() or path.read_text() != text
    if is_new:
        files.write_text(path, text)
    counts = [f"{len(inventory['distributions'])} Python packages"]
    if inventory.get("debian"):
        counts.append(f"{len(inventory['debian'])} Debian packages")
    held = sum(len(one["libraries"]) + len(one["parts"]) for one in inventory["distributions"])
    if held:
        counts.append(f"{held} libraries in them")
    lines = [f"{path}: {', '.join(counts)}{'' if is_new else ' (as before)'}"]
    others = cyclonedx.differences(inventory, lock)
    lines += [f"  not as its lock says: {line}" for line in others]
    return [*lines, f"  beside its lock: {', '.join(cyclonedx.beside(inventory, lock))}"]


def _with_code(subject: Subject, inventory: Mapping[str, Any], lock: str) -> Subject:
    """Return the subject with its lock, and the commit of its code if that is this clone's."""
    told = {"lock:sha256": hashlib.sha256(lock.encode()).hexdigest()}
    code = inventory.get("code")
    if code:  # an environment holds none: it runs the clone's
        told["code:sha256"] = files.sha256_json(code)
        is_ours = all(_sum(name) == digest for name, digest in code.items())
        told["code:commit"] = code_version() if is_ours else "not known: it is not this clone's"
    return replace(subject, properties={**subject.properties, **told})


def _sum(name: str) -> str:
    path = REPOSITORY / name
    return files.sha256(path) if path.is_file() else ""
