"""A bundle says what each of its images holds, and asks no image twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from launch.bundles import bundle, sbom_files, scope
from launch.runtimes import engine
from launch.runtimes.engine import Problem
from launch.sboms import described
from launch.sboms.cyclonedx import Subject
from launch.sboms.described import Described
from launch.settings import Settings
from tests.launch.bundles.test_manifests import manifest_of

PYTHON = {"implementation": "CPython", "version": "3.8.18", "sha256": "b" * 64}


@dataclass
class Engine:
    """The images of an engine: which runtimes were asked for, which images for their inventory."""

    digest: str
    runtimes: List[str]
    asked: List[str]

    def of_run(self, settings: Settings, services: List[str]) -> Iterator[Described]:
        outer = self
        self.runtimes.append(settings["RUNTIME"])

        class Image(Described):
            def inventory(self) -> Dict[str, Any]:
                outer.asked.append(self.stem)
                return {"python": PYTHON, "distributions": []}

        for name in services:
            subject = Subject("container", name, "cpu", self.digest)
            yield Image(subject, (), f"leap-{name}-cpu")


@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_each_image_is_described_once_and_again_only_if_it_is_another(
    runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Engine("a" * 64, [], [])
    monkeypatch.setattr(described, "of_run", images.of_run)
    monkeypatch.setattr(engine, "apptainer_problem", lambda: Problem("is not installed", "."))
    manifest = manifest_of(tmp_path, runtime=runtime, experiments="joseph/907", files={})
    settings = scope.of_bundle(manifest)
    made = sbom_files.gather(tmp_path / sbom_files.FOLDER, settings)
    names = ["leap-blend-cpu", "leap-emulator-cpu", "leap-joseph-cpu"]
    assert [path.name for path in made] == [f"{name}.cdx.json" for name in names]
    assert all(bundle._is_a_bundles(str(path.relative_to(tmp_path))) for path in made)
    # Archives that become SIF files elsewhere are described as images: nothing here runs a SIF.
    assert sorted(images.asked) == names and set(images.runtimes) == {"docker"}
    assert sbom_files.gather(tmp_path / sbom_files.FOLDER, settings) == made
    assert len(images.asked) == 3
    images.digest = "c" * 64
    made[0].write_text("{")  # and one that was damaged
    sbom_files.gather(tmp_path / sbom_files.FOLDER, settings)
    assert len(images.asked) == 6
    told = json.loads(made[0].read_text())["metadata"]["component"]["hashes"]
    assert told == [{"alg": "SHA-256", "content": "c" * 64}]
