"""Files and inputs of a run as entities of its crate: what lies there, what a hash names."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple
from urllib.parse import quote

from reports.record import FileRecord, Record, Step

Entity = Dict[str, Any]
# {suffix: media type}; what is not among them is told as bytes.
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".txt": "text/plain",
    ".zip": "application/zip",
}
BYTES = "application/octet-stream"
# What is hashed and is no file: a record of the code, or an order of rows.
RECORDS = ("network", "recipe", "split", "start", "page", "artifacts", "post-processing")


def reference(identifier: str) -> Entity:
    """Return what points to an entity."""
    return {"@id": identifier}


def references(identifiers: Iterable[str]) -> Any:
    """Return what points to entities: one alone stands without a list."""
    found = [reference(identifier) for identifier in dict.fromkeys(identifiers)]
    return found[0] if len(found) == 1 else found


def file_id(path: str) -> str:
    """Return the @id of a file of the crate: its path, escaped."""
    return quote(path)


def contextual(kind: str, *words: str) -> str:
    """Return the @id of an entity that is no file."""
    return f"#{kind}/" + "/".join(quote(word, safe="/") for word in words)


def file_entity(file: FileRecord, description: str = "") -> Entity:
    """Return a file that lies in the crate's folder; nothing of it is read or copied."""
    suffix = "." + file.path.rpartition(".")[2]
    return {
        "@id": file_id(file.path),
        "@type": "File",
        "name": file.path.rpartition("/")[2],
        "encodingFormat": FORMATS.get(suffix, BYTES),
        **({"description": description} if description else {}),
        **({"contentSize": str(file.bytes)} if file.bytes is not None else {}),
        **({"sha256": file.sha256} if file.sha256 else {}),
    }


def of_steps(steps: Iterable[Step]) -> Iterator[Entity]:
    """Yield the files of steps that exist, and their receipts."""
    for step in steps:
        for file in (step.product, *step.outputs):
            if file.bytes is not None:
                yield file_entity(file, f"made by: {step.name}")
        if step.receipt:
            yield file_entity(FileRecord(step.receipt), f"the receipt of: {step.name}")


class Inputs:
    """What the steps of a run were made of, by sha256: files of the crate, or what lies elsewhere.

    Each that is asked for is kept in `entities`.
    """

    def __init__(self, record: Record) -> None:
        self.entities: Dict[str, Entity] = {}
        self._made: Dict[str, List[str]] = {}
        for step in record.steps:
            for file in (step.product, *step.outputs):
                if file.sha256 and file.bytes is not None:
                    self._made.setdefault(file.sha256, []).append(file.path)

    def of(self, step: Step) -> List[str]:
        """Return the @ids of what a step was made of."""
        return [self._of(role, sha256, step) for role, sha256 in sorted(step.inputs.items())]

    def _of(self, role: str, sha256: str, step: Step) -> str:
        if sha256 in self._made:
            return file_id(_meant(role, self._made[sha256]))
        identifier = contextual("input", role, sha256[:16])
        if role in RECORDS:
            entity = _record(role, sha256, step.details)
        else:
            entity = {"@type": "CreativeWork", "name": role, "sha256": sha256}
        self.entities[identifier] = {"@id": identifier, **entity}
        return identifier


def _meant(role: str, paths: Sequence[str]) -> str:
    """Return which of the files with the same bytes a role means: the one of its name, if any.

    A group that keeps its parent's weights has the parent's bytes.
    """
    word = role.split(" ")[-1]
    names = {path: path.rpartition("/")[2] for path in paths}
    named = [path for path, name in names.items() if word in (name, name.rpartition(".")[0])]
    return (named or paths)[0]


def _record(role: str, sha256: str, details: Mapping[str, Any]) -> Entity:
    """Return a record by its hash, and in full where the receipt has it."""
    known = details.get(role)
    text = {"description": json.dumps(known, sort_keys=True)} if known else {}
    return {"@type": "PropertyValue", "name": role, "propertyID": "sha256", "value": sha256, **text}


def properties(kind: str, values: Mapping[str, Any]) -> Iterator[Tuple[str, Entity]]:
    """Yield (@id, entity) of named values; the same value is the same entity everywhere."""
    for name, value in sorted(values.items()):
        if value not in ("", None):
            identifier = contextual(kind, name, str(value))
            entity = {"@id": identifier, "@type": "PropertyValue", "name": name, "value": value}
            yield identifier, entity
