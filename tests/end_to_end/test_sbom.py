"""make sbom of real images: what their own Pythons and dpkg say, to the public validator."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.commands import make

pytestmark = [pytest.mark.end_to_end, pytest.mark.docker]
IMAGES = ("leap-adam-published-cpu", "leap-blend-cpu")


def test_the_images_of_a_run_are_described_as_they_are(clone: Path, tmp_path: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    choices = {"RUNTIME": "docker", "STACK": "published", "DEVICE": "cpu", "EXPERIMENTS": "195"}
    said = make(clone, "sbom", **choices, TO=str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.cdx.json" for n in IMAGES]
    for name in IMAGES:
        text = (tmp_path / f"{name}.cdx.json").read_text()
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        document = json.loads(text)
        about = document["metadata"]["component"]
        image = name.replace("leap-blend-", "leap-blend:").replace("adam-", "adam:")
        command = ["docker", "image", "inspect", "--format", "{{.Id}}", image]
        identity = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        assert about["hashes"][0]["content"] == identity.strip().partition(":")[2]
        told = {each["name"]: each["value"] for each in about["properties"]}
        assert told["leap:base"].startswith(("leap-base:", "python:"))
        assert told["leap:code:sha256"] and told["leap:lock:sha256"]
        # A copy without git has no commit; other code than the clone's would be said.
        assert "not known" not in told.get("leap:code:commit", "")
        kinds = {str(each.get("purl", "")).partition("/")[0] for each in document["components"]}
        assert {"pkg:pypi", "pkg:deb"} <= kinds
    assert "Debian packages" in said
    again = make(clone, "sbom", **choices, TO=str(tmp_path))
    assert again.count("(as before)") == len(IMAGES)
