"""A crate to hand on: metadata and small files in one archive, large ones by sha256 alone."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Dict, Mapping, Set
from urllib.parse import unquote

from leapkit.core.files import atomic
from reports import crate
from reports.crate_files import Entity, contextual, references

# Receipts, logs, tables, scores, pages, cards. No data, no predictions, no checkpoints.
SMALL = (".json", ".txt", ".csv", ".html", ".md")
LONGEST = 16 << 20  # bytes of a file: a page with its curves is the largest
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same archive each time


def write(metadata: Mapping[str, Any], root: Path, path: Path) -> int:
    """Write an archive of a crate whose files lie below `root`; return how many it holds."""
    kept = {unquote(each["@id"]) for each in metadata["@graph"] if _is_small(each, root)}
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _add(archive, crate.FILE, crate.text(portable(metadata, kept)).encode())
        for name in sorted(kept):
            _add(archive, name, (root / name).read_bytes())
    return len(kept)


def _is_small(entity: Entity, root: Path) -> bool:
    path = root / unquote(entity["@id"])
    if entity["@type"] != "File" or path.suffix not in SMALL:
        return False
    # Nothing that a link points to: a log of anybody's may be one to a file of yours.
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= LONGEST


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    about = zipfile.ZipInfo(name, EPOCH)
    about.compress_type = zipfile.ZIP_DEFLATED
    about.external_attr = 0o644 << 16
    archive.writestr(about, content)


def portable(metadata: Mapping[str, Any], kept: Set[str]) -> Dict[str, Any]:
    """Return the metadata without the files that are not kept: what they were is still told."""
    absent = {
        each["@id"]: contextual("file", unquote(each["@id"]))
        for each in metadata["@graph"]
        if each["@type"] == "File" and unquote(each["@id"]) not in kept
    }
    graph = [_without(each, absent) for each in metadata["@graph"]]
    return {**metadata, "@graph": graph}


def _without(entity: Entity, absent: Mapping[str, str]) -> Entity:
    """Return an entity that names no absent file as a part, and points to what tells of it."""
    changed: Entity = _renamed(entity, absent)
    if entity["@id"] in absent:
        changed = {**changed, "@type": "CreativeWork", "name": unquote(entity["@id"])}
        changed["description"] = f"{entity.get('description', '')} (not in this archive)".strip()
    if entity["@id"] == "./" and "hasPart" in entity:
        parts = entity["hasPart"] if isinstance(entity["hasPart"], list) else [entity["hasPart"]]
        changed["hasPart"] = references(part["@id"] for part in parts if part["@id"] not in absent)
    return changed


def _renamed(value: Any, absent: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: absent.get(item, item) if key == "@id" else _renamed(item, absent)
            for key, item in value.items()
        }
    return [_renamed(item, absent) for item in value] if isinstance(value, list) else value
