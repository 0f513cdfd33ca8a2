"""What an inventory (launch/sboms/inventory.py) holds, as components of a CycloneDX document."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote

from launch.runtimes import pip

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


def of_inventory(inventory: Mapping[str, Any], lock: str) -> List[Component]:
    """Return the interpreter, the packages of Python and of Debian, and the system."""
    locked = pip.locked_hashes(lock)
    python = inventory["python"]
    interpreter = component("application", python["implementation"], python["version"])
    interpreter["hashes"] = [_sha256(python["sha256"])]
    interpreter["licenses"] = [{"license": {"id": "PSF-2.0", "acknowledgement": "declared"}}]
    system = inventory.get("system") or {}
    return [
        interpreter,
        *(_package(one, locked.get(pip.normal(one["name"]))) for one in inventory["distributions"]),
        *(_debian(one, system) for one in inventory.get("debian") or ()),
        *(
            [component("operating-system", system["ID"], system.get("VERSION_ID", ""))]
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
    found = component("library", one["name"], one["version"], purl, told)
    if len(hashes) == 1:
        found["hashes"] = [_sha256(hashes[0])]
    licences = _licences(one["expression"], one["licence"], one["classifiers"])
    inside = [*_libraries(one, found["bom-ref"]), *_parts(one, found["bom-ref"])]
    return {
        **found,
        **({"licenses": licences} if licences else {}),
        **({"components": inside} if inside else {}),
    }


def _libraries(one: Mapping[str, Any], package: str) -> Iterator[Component]:
    """Yield the shared libraries that a wheel brought, as files: no name of theirs is sure."""
    for path, digest in sorted(one["libraries"].items()):
        file = component("file", path, "")
        yield {**file, "bom-ref": f"{package}#{path}", "hashes": [_sha256(digest)]}


def _parts(one: Mapping[str, Any], package: str) -> Iterator[Component]:
    """Yield what the wheel's own SBOM says that was built into it."""
    for number, part in enumerate(one["parts"]):
        purl = part["purl"] if re.fullmatch(r"pkg:\S+", part["purl"]) else ""
        told = [("leap:told by", part["source"])]
        found = component("library", part["name"], part["version"], purl, told)
        yield {**found, "bom-ref": f"{package}#{number}:{part['name']}"}


def dependencies(inventory: Mapping[str, Any], found: Sequence[Component]) -> List[Dict[str, Any]]:
    """Return what depends on what: the subject on all, a package on those that it requires."""
    refs = {
        pip.normal(each["name"]): str(each["bom-ref"])
        for each in found
        if each["type"] == "library" and not str(each["bom-ref"]).startswith("pkg:deb/")
    }
    of_packages = [
        {"ref": refs[name], "dependsOn": [refs[each] for each in one["requires"] if each in refs]}
        for one in inventory["distributions"]
        for name in [pip.normal(one["name"])]
    ]
    whole = {"ref": "subject", "dependsOn": [str(each["bom-ref"]) for each in found]}
    return [whole, *sorted(of_packages, key=lambda each: str(each["ref"]))]


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
    found = component("library", one["name"], one["version"], purl, told)
    licences = [{"license": {"name": name}} for name in one["licences"]]
    return {**found, "licenses": licences} if licences else found


def _sha256(digest: str) -> Dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def component(
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
        **({"version": version} if version else {}),
        **({"purl": purl} if purl else {}),
        **({"properties": properties} if properties else {}),
    }
