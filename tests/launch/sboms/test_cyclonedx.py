"""An inventory becomes a CycloneDX document that is valid, complete and the same each time."""

from __future__ import annotations

import copy
import json
from typing import Any, Dict, List

import pytest

from launch.sboms import cyclonedx
from launch.sboms.cyclonedx import Subject

A, B = "a" * 64, "b" * 64
LOCK = f"""\
certifi==2026.1.1 \\
    --hash=sha256:{A}
torch==1.10.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
# a comment
pyarrow==13.0.0 ; python_version < "3.9" \\
    --hash=sha256:{B}
"""
IMAGE = Subject(
    "container", "leap-adam", "published-cpu", A, f"pkg:oci/leap-adam@sha256%3A{A}", {"base": "x"}
)


def package(name: str, version: str, **more: Any) -> Dict[str, Any]:
    plain = {"expression": "", "licence": "", "classifiers": [], "files": 3, "changed": []}
    inside: Dict[str, Any] = {"libraries": {}, "parts": [], "requires": []}
    return {"name": name, "version": version, "record": B, **plain, **inside, **more}


def inventory(**more: Any) -> Dict[str, Any]:
    return {
        "python": {"implementation": "CPython", "version": "3.8.18", "sha256": A},
        "distributions": [
            package("certifi", "2026.1.1", licence="MPL-2.0"),
            package("leapkit", "0.1.0", licence="MIT"),
            package("pyarrow", "13.0.0", classifiers=["License :: OSI Approved :: MIT License"]),
            package("torch", "1.10.0", licence="BSD-3\nall of its text", expression=""),
        ],
        "system": {"ID": "debian", "VERSION_ID": "12"},
        "debian": [
            {
                "name": "libc6",
                "version": "2.36-9+deb12u4",
                "architecture": "amd64",
                "source": "glibc",
                "licences": ["LGPL-2.1"],
            }
        ],
        **more,
    }


def errors(document: Dict[str, Any]) -> Any:
    """Return what the public validator finds, in its strict form; None if nothing."""
    pytest.importorskip("cyclonedx", reason="the validator is installed on the modern stack")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


def named(document: Dict[str, Any], name: str) -> Dict[str, Any]:
    [found] = [each for each in document["components"] if each["name"] == name]
    return dict(found)


def told(component: Dict[str, Any], name: str) -> List[str]:
    return [each["value"] for each in component.get("properties", []) if each["name"] == name]


def test_a_document_is_valid_to_the_public_validator() -> None:
    assert errors(cyclonedx.document(IMAGE, inventory(), LOCK)) is None


def test_the_validator_refuses_a_document_that_is_wrong() -> None:
    wrong = cyclonedx.document(IMAGE, inventory(), LOCK)
    wrong["components"][0]["kind"] = wrong["components"][0].pop("type")
    assert errors(wrong) is not None


def test_packages_have_their_address_licence_and_the_hashes_of_the_lock() -> None:
    document = cyclonedx.document(IMAGE, inventory(), LOCK)
    certifi, torch = named(document, "certifi"), named(document, "torch")
    assert certifi["purl"] == "pkg:pypi/certifi@2026.1.1"
    assert certifi["hashes"] == [{"alg": "SHA-256", "content": A}]
    assert certifi["licenses"] == [{"license": {"id": "MPL-2.0", "acknowledgement": "declared"}}]
    # Which of two wheels was installed nobody says: neither is called its hash.
    assert "hashes" not in torch and told(torch, "leap:lock:sha256") == [A, B]
    assert "licenses" not in torch and named(document, "pyarrow")["hashes"][0]["content"] == B
    libc = named(document, "libc6")
    assert libc["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12"
    assert "purl" not in named(document, "leapkit")  # on no index: another could take its name
    assert named(document, "CPython")["hashes"][0]["content"] == A


def test_a_package_holds_the_libraries_of_its_wheel_and_depends_on_what_it_requires() -> None:
    told = {"name": "bzip2-libs", "version": "1.0.6", "purl": "pkg:rpm/x/bzip2-libs@1.0.6"}
    held = inventory()
    held["distributions"][2].update(
        libraries={"pyarrow/libarrow.so.1300": A},
        parts=[{**told, "source": "s.json"}, {**told, "purl": "no address", "source": "s.json"}],
        requires=["certifi", "not-installed"],
    )
    document = cyclonedx.document(IMAGE, held, LOCK)
    assert errors(document) is None
    file, bzip2, other = named(document, "pyarrow")["components"]
    assert (file["type"], file["name"]) == ("file", "pyarrow/libarrow.so.1300")
    assert file["hashes"] == [{"alg": "SHA-256", "content": A}]
    assert bzip2["purl"] == told["purl"] and "purl" not in other
    depends = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert depends["pkg:pypi/pyarrow@13.0.0"] == ["pkg:pypi/certifi@2026.1.1"]
    assert set(depends["subject"]) == {each["bom-ref"] for each in document["components"]}


def test_what_differs_from_the_lock_is_said() -> None:
    other = inventory()
    other["distributions"][0]["version"] = "2025.1.1"
    other["distributions"][3]["changed"] = ["torch/x.py"]
    del other["distributions"][2]
    assert cyclonedx.differences(other, LOCK) == [
        "certifi is 2025.1.1 instead of 2026.1.1",
        "pyarrow 13.0.0 is missing",
        "torch has 1 of 3 files that its RECORD says otherwise: torch/x.py",
    ]
    document = cyclonedx.document(IMAGE, other, LOCK)
    assert told(document["metadata"]["component"], "leap:lock:beside") == ["leapkit 0.1.0"]
    assert len(told(document["metadata"]["component"], "leap:lock:difference")) == 3
    # The hash of a version that is not there is not its hash.
    assert "hashes" not in named(document, "certifi")
    assert cyclonedx.differences(inventory(), LOCK) == []


def test_the_same_content_gives_the_same_document_and_another_one_another_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    first = cyclonedx.document(IMAGE, inventory(), LOCK)
    shuffled = inventory()
    shuffled["distributions"].reverse()
    assert cyclonedx.document(IMAGE, inventory(), LOCK) == first
    assert cyclonedx.document(IMAGE, shuffled, LOCK)["components"] == first["components"]
    other = copy.deepcopy(inventory())
    other["python"]["version"] = "3.8.19"
    assert cyclonedx.document(IMAGE, other, LOCK)["serialNumber"] != first["serialNumber"]
    assert "timestamp" not in first["metadata"]


def test_a_time_is_told_only_if_the_builder_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    document = cyclonedx.document(IMAGE, inventory(), LOCK)
    assert document["metadata"]["timestamp"] == "1970-01-02T00:00:00Z" and errors(document) is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert "timestamp" not in cyclonedx.document(IMAGE, inventory(), LOCK)["metadata"]
