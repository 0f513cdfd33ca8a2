"""SIF files in a bundle: with their records, and found on the other machine as if made there."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

import pytest

from launch.bundles import scope, sif_files
from launch.runtimes import apptainer, engine, sifs
from leapkit.core.files import sha256
from tests.helpers.refusals import refused
from tests.launch.bundles.test_manifests import manifest_of


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> List[Path]:
    """Return SIFs of joseph and the emulator and an archive of the blend, as an engine makes."""
    monkeypatch.setenv("LEAP_SIFS", str(tmp_path / "here"))
    monkeypatch.setattr(engine, "problem", lambda: None)
    paths: Dict[str, Path] = {}
    images = (
        ("joseph", "leap-joseph:modern-cpu", ".sif"),
        ("blend", "leap-blend:cpu", ".tar"),
        ("emulator", "leap-emulator:py311-torch2.13-cpu", ".sif"),
    )
    for service, image, suffix in images:
        path = sifs.path(image, "sha256:0123456789abcdef", suffix)
        path.parent.mkdir(exist_ok=True)
        path.write_text(image)
        code = sifs.code_of(service, image)
        sifs.ImageFile(
            path, image, "sha256:0123456789abcdef", sha256(path), code, 1.0
        ).write_record()
        paths[service] = path
    monkeypatch.setattr(
        apptainer, "make_files", lambda _, services: [paths[name] for name in services]
    )
    return list(paths.values())


def test_files_and_records_go_into_a_bundle_and_come_out_of_it(
    made: List[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = manifest_of(tmp_path, runtime="apptainer", experiments="joseph/907", files={})
    settings = scope.of_bundle(manifest)
    folder = tmp_path / "bundle" / sif_files.FOLDER
    folder.mkdir(parents=True)
    (folder / "leap-joseph-modern-cpu-of-other-code.sif").touch()
    gathered = sif_files.gather(folder, settings)
    assert sorted(folder.iterdir()) == sorted(gathered) and len(gathered) == 6
    kept = {path: path.stat().st_mtime_ns for path in gathered}
    sif_files.gather(folder, settings)
    assert kept == {path: path.stat().st_mtime_ns for path in gathered}
    # on the other machine
    monkeypatch.setenv("LEAP_SIFS", str(tmp_path / "there"))
    with refused(tmp_path / "there", "holds no SIF of leap-joseph:modern-cpu"):
        sifs.find("joseph", "leap-joseph:modern-cpu")
    assert sorted(sif_files.place(gathered)) == sorted(path.name for path in made)
    assert sifs.find("joseph", "leap-joseph:modern-cpu").path.parent == tmp_path / "there"
    assert len(sifs.of_image("leap-blend:cpu", sifs.ARCHIVE)) == 1
    assert sifs.find("emulator", "leap-emulator:py311-torch2.13-cpu")


def test_a_bundle_without_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAP_SIFS", str(tmp_path))
    with refused("the bundle", "holds no SIF"):
        sif_files.place([tmp_path / "a.sif.json"])
