"""Steps of a run as actions of its crate: with which software, in which image, at which cost."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, Tuple
from urllib.parse import quote

from leapkit.core.files import sha256_json
from reports.crate_files import (
    Entity,
    Inputs,
    contextual,
    file_id,
    properties,
    reference,
    references,
)
from reports.record import VALID, Record, Step

TERMS = "https://w3id.org/ro/terms/workflow-run#"
DONE = "http://schema.org/CompletedActionStatus"
# Where the versions of what is recorded are described.
INDEX = "https://pypi.org/project/"
PYTHON = "https://www.python.org/downloads/release/python-"
KIT = "#kit"
# What a receipt says of the environment beside packages, image and code.
RECORDED = ("platform", "stack", "lock")
UNITS = {"GB": "peak of the largest process", "GPU GB": "peak of its GPU"}


def of_record(record: Record, inputs: Inputs) -> Tuple[List[Entity], Dict[str, Entity]]:
    """Return the actions, in the order of the steps, and what they point to, by @id.

    A step without a receipt is none: nothing says what it was made of.
    """
    actions = []
    others: Dict[str, Entity] = {}
    for step in record.steps:
        if step.receipt:
            parts = dict(_parts(step, record))
            others.update(
                {identifier: entity for found in parts.values() for identifier, entity in found}
            )
            actions.append(_action(step, parts, inputs, record.kit.user))
    return actions, others


Part = List[Tuple[str, Entity]]


def _parts(step: Step, record: Record) -> Iterator[Tuple[str, Part]]:
    """Yield (property of the action, the entities that it points to)."""
    software, required = _software(step, record)
    yield "instrument", [software]
    yield "", required
    told = {name: step.environment.get(name) for name in RECORDED}
    yield (
        "environment",
        list(
            properties("environment", {**told, "device": step.device, "precision": step.precision})
        ),
    )
    yield "resourceUsage", list(_usage(step))
    image = step.environment.get("image", "")
    yield "containerImage", [_image(image)] if image else []


def _action(step: Step, parts: Mapping[str, Part], inputs: Inputs, user: str) -> Entity:
    made = [file_id(file.path) for file in (step.product, *step.outputs) if file.bytes is not None]
    objects = inputs.of(step)
    if step.kind == "admitted":  # the user's own parquet was checked, and not made
        objects = [*made, *objects]
        made = []
    pointed = {
        name: references(identifier for identifier, _ in found)
        for name, found in parts.items()
        if name and found
    }
    return {
        "@id": contextual("step", step.name),
        "@type": "CreateAction",
        "name": step.name,
        "description": _description(step),
        "actionStatus": DONE,
        **({"startTime": step.started} if step.started else {}),
        **({"endTime": step.finished} if step.finished else {}),
        **({"agent": reference(contextual("user", user))} if user else {}),
        **({"object": references(objects)} if objects else {}),
        "result": references([*made, file_id(step.receipt)]),
        **pointed,
    }


def _description(step: Step) -> str:
    why = f" It ran because {step.why}." if step.why else ""
    standing = step.standing
    verdict = "holds" if standing.state == VALID else f"is {standing.state}"
    return f"A step of kind {step.kind}.{why} Its product {verdict}: {standing.reason}."


def _software(step: Step, record: Record) -> Tuple[Tuple[str, Entity], Part]:
    """Return the room of the kit that ran, at its commit, and what it required."""
    room = _room(step)
    environment = step.environment
    code = environment.get("code", "")
    required = list(_required(step))
    identity = [room, code, sorted(identifier for identifier, _ in required)]
    identifier = contextual("software", room, sha256_json(identity)[:12])
    version = f"{record.kit.version}+{code}" if code else record.kit.version
    entity = {
        "@id": identifier,
        "@type": "SoftwareApplication",
        "name": f"{room} of the reproduction kit",
        "softwareVersion": version,
        "isPartOf": reference(KIT),
        **({"softwareRequirements": references(name for name, _ in required)} if required else {}),
    }
    return (identifier, entity), required


def _room(step: Step) -> str:
    """Return which room of the kit made a step."""
    member, is_of_member, _ = step.network.partition("/")
    if is_of_member:
        return f"members/{member}"
    if step.kind == "stack network" or "out of fold" in step.details:
        return "stacking"
    return "evaluation" if step.kind in ("evaluation", "pages") else "blend"


def _required(step: Step) -> Iterator[Tuple[str, Entity]]:
    """Yield the Python and the packages that a receipt names."""
    versions = dict(step.packages)
    pages = {
        name: f"{INDEX}{quote(name)}/{quote(version.partition('+')[0])}/"
        for name, version in versions.items()
    }
    python = step.environment.get("python", "")
    if re.fullmatch(r"[\d.]+", python):
        versions["Python"] = python
        pages["Python"] = PYTHON + python.replace(".", "") + "/"
    for name, version in sorted(versions.items()):
        identifier = f"{pages[name]}#{quote(version, safe='+')}"
        entity = {
            "@id": identifier,
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": version,
            "url": pages[name],
        }
        yield identifier, entity


def _usage(step: Step) -> Iterator[Tuple[str, Entity]]:
    """Yield the seconds and the memory of a step."""
    values = {"seconds": step.seconds, **{f"memory, {n}": v for n, v in step.memory.items()}}
    for name, value in values.items():
        if value is not None:
            identifier = contextual("usage", step.name, name)
            unit = "s" if name == "seconds" else "GB"
            entity = {"@type": "PropertyValue", "name": name, "value": value, "unitText": unit}
            yield identifier, {"@id": identifier, **entity}


def _image(provenance: str) -> Tuple[str, Entity]:
    """Return an image as receipts name it: `leap-adam:published-cpu`, a SIF with its sha256."""
    name, _, rest = provenance.partition(" ")
    digest = rest.partition("sha256:")[2]
    identifier = contextual("image", provenance)
    kind = "SIFImage" if rest.startswith("sif") else "DockerImage"
    entity = {
        "@id": identifier,
        "@type": "ContainerImage",
        "additionalType": reference(TERMS + kind),
        "name": name.partition(":")[0],
        **({"tag": name.partition(":")[2]} if ":" in name else {}),
        **({"sha256": digest} if digest else {}),
    }
    return identifier, entity
