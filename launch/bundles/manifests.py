"""The manifest of a bundle: what it is of, and the bytes and the sha256 of each file.

A bundle may have come a long way, on a disk that others had: nothing of it is used before every
file was found to be what the manifest says, and the folder to hold no other.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from leapkit.core.errors import KitError, explain_os_errors, printable
from leapkit.core.files import read_json, sha256, write_json, write_text

FORMAT = 1
NAME = "manifest.json"
SUMS = "SHA256SUMS"
COPY_AGAIN = "copy the bundle again"
_FILE = re.compile(r"([A-Za-z0-9][\w.+-]*/)?[A-Za-z0-9][\w.+-]*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """What a bundle is of.

    code         the version of the kit
    made         when, in UTC
    runtime      docker, venv, ...
    stack        published or modern
    accelerator  the build of torch: cpu or cuda
    experiments  the networks that EXPERIMENTS named, "" for all
    machine      the kind of processor: x86_64
    glibc        the oldest C library that it runs with: "2.28"; "" if it brings its own
    pythons      the interpreters that it needs: "3.11"
    locks        the locks whose wheels it holds: "blend"
    files        {path in the folder: {"bytes": .., "sha256": ..}}
    """

    code: str
    made: str
    runtime: str
    stack: str
    accelerator: str
    experiments: str
    machine: str
    glibc: str
    pythons: List[str]
    locks: List[str]
    files: Dict[str, Dict[str, Any]]

    @property
    def total(self) -> int:
        """The bytes of all files."""
        return sum(int(entry["bytes"]) for entry in self.files.values())

    def sums(self, own: str) -> str:
        """Return the text of SHA256SUMS, which `sha256sum -c` reads.

        own  the sha256 of the manifest itself
        """
        listed = {NAME: own, **{path: str(entry["sha256"]) for path, entry in self.files.items()}}
        return "".join(f"{listed[path]}  {path}\n" for path in sorted(listed))


def entry(path: Path) -> Dict[str, Any]:
    """Return what the manifest says of a file."""
    with explain_os_errors(path):
        return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def write(folder: Path, manifest: Manifest) -> bool:
    """Write the manifest and the sums of a folder; return whether anything is new in them."""
    path = folder / NAME
    before = read_if_whole(folder)
    is_new = before is None or before != replace(manifest, made=before.made)
    if is_new:
        write_json(path, {"format": FORMAT, **asdict(manifest)})
    sums = manifest.sums(sha256(path))
    if is_new or _text(folder / SUMS) != sums:
        write_text(folder / SUMS, sums)
    return is_new


def read_if_whole(folder: Path) -> Optional[Manifest]:
    """Return the manifest of a folder, None if there is none that can be read."""
    with contextlib.suppress(KitError):
        return read(folder)
    return None


def read(folder: Path) -> Manifest:
    """Return the manifest of a folder. Raises KitError if it is missing or not one."""
    path = folder / NAME
    if not os.path.lexists(str(path)):
        remedy = "name the folder of a bundle, or finish it with `make bundle`"
        raise KitError("holds no finished bundle", folder, remedy)
    value = read_json(path, COPY_AGAIN)
    if not isinstance(value, dict) or value.pop("format", None) != FORMAT:
        remedy = "use `make unbundle` of the code that the bundle holds"
        raise KitError(f"is no manifest of format {FORMAT}", path, remedy)
    problem = _problem(value)
    if problem:
        raise KitError(problem, path, COPY_AGAIN)
    return Manifest(**value)


def _problem(value: Dict[str, Any]) -> str:
    """Return what is wrong with the entries of a manifest, "" if nothing."""
    kinds = {field.name: str(field.type) for field in fields(Manifest)}
    if set(value) != set(kinds):
        return f"has not the entries of a manifest: {printable(sorted(set(value) ^ set(kinds)))}"
    for name, kind in kinds.items():
        if not isinstance(value[name], {"str": str, "List[str]": list}.get(kind, dict)):
            return f"{name} is of another kind"
    for name in ("pythons", "locks"):
        if not all(isinstance(word, str) for word in value[name]):
            return f"{name} are not all text"
    for path, of_file in value["files"].items():
        if not _FILE.fullmatch(path) or path in (NAME, SUMS):
            return f"names a file that no bundle holds: {printable(path)}"
        if not isinstance(of_file, dict) or set(of_file) != {"bytes", "sha256"}:
            return f"does not say the bytes and the sha256 of {path}"
        size, digest = of_file["bytes"], of_file["sha256"]
        if type(size) is not int or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            return f"says no bytes or no sha256 of {path}"
    return ""


def verified(folder: Path) -> Manifest:
    """Return the manifest of a folder in which every file is as the manifest says, and no other.

    Raises KitError for the first that is changed, missing, of nobody, or no plain file.
    """
    manifest = read(folder)
    if _text(folder / SUMS) != manifest.sums(sha256(folder / NAME)):
        raise KitError(f"does not agree with {NAME}", folder / SUMS, COPY_AGAIN)
    expected = {NAME, SUMS, *manifest.files}
    found = set(present(folder))
    if found - expected:
        where = folder / min(found - expected)
        raise KitError(f"is not named in {NAME}", where, "remove it, or " + COPY_AGAIN)
    if expected - found:
        raise KitError("the file is missing", folder / min(expected - found), COPY_AGAIN)
    # The sizes of all first: that takes no time.
    for path, of_file in manifest.files.items():
        if (folder / path).stat().st_size != of_file["bytes"]:
            raise KitError(f"has not its {of_file['bytes']} bytes", folder / path, COPY_AGAIN)
    for path, of_file in manifest.files.items():
        if sha256(folder / path) != of_file["sha256"]:
            raise KitError("has changed since the bundle was made", folder / path, COPY_AGAIN)
    return manifest


def present(folder: Path) -> Iterator[str]:
    """Yield the files of a folder, as paths in it.

    Raises KitError for a link and for what is neither file nor folder.
    """
    with explain_os_errors(folder):
        found = sorted(os.scandir(str(folder)), key=lambda one: one.name)
    for one in found:
        path = folder / one.name
        if one.is_dir(follow_symlinks=False):
            yield from (f"{one.name}/{name}" for name in present(path))
        elif not one.is_file(follow_symlinks=False):
            raise KitError("is a link or no plain file", path, "remove it, or " + COPY_AGAIN)
        else:
            yield one.name


def _text(path: Path) -> str:
    """Return the text of a small file, "" if there is none or it is no text."""
    with contextlib.suppress(OSError, ValueError), open(str(path), "rb") as handle:
        return handle.read(1 << 24).decode("ascii")
    return ""
