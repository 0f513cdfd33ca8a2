"""An inventory (launch/sboms/inventory.py) as a CycloneDX 1.6 document, the same bytes each time.

Its serial number comes from its content. It has a time only if SOURCE_DATE_EPOCH gives one.
"""

from __future__ import annotations

import datetime
import os
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping

from launch.runtimes import pip
from launch.sboms import components
from leapkit import __version__
from leapkit.core.files import sha256_json


@dataclass(frozen=True)
class Subject:
    """What a document is of.

    kind        of component: container, or platform for an environment of this machine
    name        leap-adam, with the version published-cpu
    digest      sha256 of the image or of its file, "" for an environment
    purl        "" if it has none
    properties  what else is known, by name
    """

    kind: str
    name: str
    version: str
    digest: str = ""
    purl: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


def document(subject: Subject, inventory: Mapping[str, Any], lock: str) -> Dict[str, Any]:
    """Return the document of a subject.

    inventory  what launch/sboms/inventory.py printed in it
    lock       the text of the lock that it was made from
    """
    told = [(f"leap:{name}", value) for name, value in sorted(subject.properties.items())]
    told += [("leap:lock:difference", line) for line in differences(inventory, lock)]
    told += [("leap:lock:beside", line) for line in beside(inventory, lock)]
    root = components.component(subject.kind, subject.name, subject.version, subject.purl, told)
    root["bom-ref"] = "subject"
    if subject.digest:
        root["hashes"] = [{"alg": "SHA-256", "content": subject.digest}]
    found = components.of_inventory(inventory, lock)
    found.sort(key=lambda one: str(one["bom-ref"]))
    content: Dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            **_timestamp(os.environ.get("SOURCE_DATE_EPOCH", "")),
            "lifecycles": [{"phase": "post-build"}],
            "tools": {
                "components": [{"type": "application", "name": "make sbom", "version": __version__}]
            },
            "component": root,
        },
        "components": found,
        "dependencies": components.dependencies(inventory, found),
        # What was linked into a library is known only if its wheel tells.
        "compositions": [{"aggregate": "incomplete", "assemblies": ["subject"]}],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, sha256_json(content))
    return {"serialNumber": f"urn:uuid:{serial}", **content}


def differences(inventory: Mapping[str, Any], lock: str) -> List[str]:
    """Return what is not as locked: packages that lack, or are of another version or content."""
    installed = {pip.normal(one["name"]): one for one in inventory["distributions"]}
    lines = []
    for name, (version, _) in sorted(pip.locked_hashes(lock).items()):
        if name not in installed:
            lines.append(f"{name} {version} is missing")
        elif installed[name]["version"] != version:
            lines.append(f"{name} is {installed[name]['version']} instead of {version}")
    return lines + [
        f"{name} has {len(one['changed'])} of {one['files']} files that its RECORD says otherwise:"
        f" {', '.join(one['changed'][:3])}"
        for name, one in sorted(installed.items())
        if one["changed"]
    ]


def beside(inventory: Mapping[str, Any], lock: str) -> List[str]:
    """Return the packages that the lock does not name: the base's, and the kit itself."""
    locked = pip.locked_hashes(lock)
    return [
        f"{one['name']} {one['version']}"
        for one in inventory["distributions"]
        if pip.normal(one["name"]) not in locked
    ]


def _timestamp(epoch: str) -> Dict[str, str]:
    if not re.fullmatch(r"\d{1,11}", epoch):
        return {}
    moment = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
    return {"timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
