"""An inventory (launch/sboms/inventory.py) as a CycloneDX 1.6 document, the same bytes each time.

Its serial number comes from its content. It has a time only if SOURCE_DATE_EPOCH gives one.
"""

from __future__ import annotations

import datetime
import os
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote

from launch.runtimes import pip
from leapkit import __version__
from leapkit.core.files import sha256_json

Component = Dict[str, Any]
# What pip's metadata calls licences that SPDX knows. An Apache or BSD without number is not one.
SPDX = {
    **{name: name for name in ("MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MPL-2.0")},
    "MIT License": "MIT",
    "Apache License, Version 2.0": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
LONGEST = 80  # characters of a licence's name: what is longer is its text
KIT = "leapkit"


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
    root = _component(subject.kind, subject.name, subject.version, subject.purl, told)
    root["bom-ref"] = "subject"
    if subject.digest:
        root["hashes"] = [{"alg": "SHA-256", "content": subject.digest}]
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
        "components": sorted(_components(inventory, lock), key=lambda one: str(one["bom-ref"])),
        # Wheels bring libraries of their own, which nothing lists.
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


def _components(inventory: Mapping[str, Any], lock: str) -> List[Component]:
    locked = pip.locked_hashes(lock)
    python = inventory["python"]
    interpreter = _component("application", python["implementation"], python["version"])
    interpreter["hashes"] = [{"alg": "SHA-256", "content": python["sha256"]}]
    interpreter["licenses"] = [{"license": {"id": "PSF-2.0", "acknowledgement": "declared"}}]
    system = inventory.get("system") or {}
    return [
        interpreter,
        *(_package(one, locked.get(pip.normal(one["name"]))) for one in inventory["distributions"]),
        *(_debian(one, system) for one in inventory.get("debian") or ()),
        *(
            [_component("operating-system", system["ID"], system.get("VERSION_ID", ""))]
            if system
            else []
        ),
    ]


def _package(one: Mapping[str, Any], locked: Optional[Tuple[str, Sequence[str]]]) -> Component:
    """Return a distribution of Python; the kit's own is on no index, so it has no purl."""
    is_kit = pip.normal(one["name"]) == KIT
    told = [("leap:files", str(one["files"])), ("leap:record:sha256", one["record"])]
    hashes = list(locked[1]) if locked and locked[0] == one["version"] else []
    if len(hashes) > 1:  # of which one was installed
        told += [("leap:lock:sha256", value) for value in hashes]
    purl = "" if is_kit else f"pkg:pypi/{pip.normal(one['name'])}@{quote(one['version'])}"
    found = _component("library", one["name"], one["version"], purl, told)
    if len(hashes) == 1:
        found["hashes"] = [{"alg": "SHA-256", "content": hashes[0]}]
    licences = _licences(one["expression"], one["licence"], one["classifiers"])
    return {**found, "licenses": licences} if licences else found


def _licences(expression: str, text: str, classifiers: Sequence[str]) -> List[Dict[str, Any]]:
    """Return a package's licences as it declares them, the most exact of its three ways."""
    if expression:
        return [{"expression": expression, "acknowledgement": "declared"}]
    names = [line.split(" :: ")[-1] for line in classifiers]
    is_name = text and "::" not in text and "\n" not in text and len(text) <= LONGEST
    if is_name and (text in SPDX or not names):
        names = [text]
    return [
        {"license": {**_licence(name), "acknowledgement": "declared"}}
        for name in sorted(set(names))
        if name != "UNKNOWN"
    ]


def _licence(name: str) -> Dict[str, str]:
    return {"id": SPDX[name]} if name in SPDX else {"name": name}


def _debian(one: Mapping[str, Any], system: Mapping[str, str]) -> Component:
    release = f"&distro={system.get('ID')}-{system.get('VERSION_ID')}" if system else ""
    purl = (
        f"pkg:deb/{system.get('ID', 'debian')}/{quote(one['name'])}@{quote(one['version'])}"
        f"?arch={one['architecture']}{release}"
    )
    told = [("leap:debian:source", one["source"])]
    found = _component("library", one["name"], one["version"], purl, told)
    licences = [{"license": {"name": name}} for name in one["licences"]]
    return {**found, "licenses": licences} if licences else found


def _component(
    kind: str,
    name: str,
    version: str,
    purl: str = "",
    told: Sequence[Tuple[str, str]] = (),
) -> Component:
    properties = [{"name": key, "value": value} for key, value in told if value]
    return {
        "type": kind,
        "bom-ref": purl or f"{kind}:{name}@{version}",
        "name": name,
        "version": version,
        **({"purl": purl} if purl else {}),
        **({"properties": properties} if properties else {}),
    }
