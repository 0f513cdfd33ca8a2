"""SIFs are made whole, once, from an engine or an archive. Both programs are shell scripts."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from launch import machine
from launch.runtimes import engine, sif_making, sifs
from leapkit.core.errors import KitError

pytestmark = pytest.mark.process
IMAGES = {"blend": "leap-blend:cpu", "world": "leap-blend:cpu"}
SAVE = 'echo save >> {calls}; echo "content of $4" > "$3"'
BUILD = 'echo build >> {calls}; for last; do :; done; cp "${{last#docker-archive:}}" "$5"'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the machine a Docker engine, Apptainer and an empty folder of SIFs."""
    for name, script in (("docker", SAVE), ("singularity", BUILD)):
        program(tmp_path, name, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("LEAP_SIFS", str(tmp_path / "sifs"))
    monkeypatch.setattr(engine, "apptainer_program", lambda: str(tmp_path / "singularity"))
    monkeypatch.setattr(machine, "image_id", lambda name: "sha256:" + "1" * 64)
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text("#!/bin/sh\n" + script.format(calls=folder / "calls") + "\n")
    path.chmod(0o755)


def calls(folder: Path) -> List[str]:
    return (folder / "calls").read_text().split()


def test_a_sif_is_made_once_and_again_if_its_image_changed(folder, monkeypatch):
    [path] = sif_making.from_engine(IMAGES)
    assert path.name == "leap-blend-cpu-111111111111.sif"
    assert sifs.find("world", "leap-blend:cpu").path == path
    assert sif_making.from_engine(IMAGES) == [path] and calls(folder) == ["save", "build"]
    monkeypatch.setattr(machine, "image_id", lambda name: "sha256:" + "2" * 64)
    [newer] = sif_making.from_engine(IMAGES)
    assert newer != path and sifs.find("blend", "leap-blend:cpu").path == newer
    assert path.exists(), "a batch job may be waiting to use it"


def test_a_machine_without_an_engine_makes_a_sif_of_an_archive_once(folder):
    sif_making.from_engine(IMAGES, sifs.ARCHIVE)
    assert calls(folder) == ["save"]
    (folder / "docker").unlink()
    sif_making.from_archives(IMAGES)
    sif_making.from_archives(IMAGES)
    assert calls(folder) == ["save", "build"]
    assert sifs.find("blend", "leap-blend:cpu").id == "sha256:" + "1" * 64


def test_an_archive_that_a_copy_has_cut_is_refused(folder):
    [archive] = sif_making.from_engine(IMAGES, sifs.ARCHIVE)
    archive.write_text("cut")
    with pytest.raises(KitError, match="is not the file that its record"):
        sif_making.from_archives(IMAGES)


@pytest.mark.parametrize("name", ["docker", "singularity"])
def test_a_sif_that_cannot_be_made_leaves_nothing(folder, name):
    program(folder, name, "echo no >&2; exit 1")
    with pytest.raises(KitError, match="leap-blend:cpu: could not be made into a file"):
        sif_making.from_engine(IMAGES)
    assert [path.suffix for path in (folder / "sifs").iterdir()] == [".lock"]
