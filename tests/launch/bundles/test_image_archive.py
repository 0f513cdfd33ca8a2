"""The images of a bundle: saved whole or not at all, and loaded once. `docker` is a script."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Callable, Dict

import pytest

from launch import machine
from launch.bundles import image_archive
from tests.helpers.refusals import refused

NAMES = ["leap-adam:modern-cpu", "leap-blend:cpu"]
IDS = {name: f"sha256:{number:064}" for number, name in enumerate(NAMES, 1)}
ENGINE = """#!/bin/sh
case "$*" in
"image inspect --format {{{{.Size}}}} "*) echo 20; echo 30 ;;
"save "*) {save} ;;
"load "*) {load} ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a maker of a `docker` that runs some shell to save and to load."""

    def write(save: str = "exit 1", load: str = "exit 1") -> None:
        script = tmp_path / "programs" / "docker"
        script.parent.mkdir(exist_ok=True)
        script.write_text(ENGINE.format(save=save, load=load))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")

    return write


def archive(path: Path, ids: Dict[str, str], configs: str = "{}.json") -> Path:
    """Write an archive as `docker save` does, without layers."""
    listed = [
        {"Config": configs.format(number.split(":")[1]), "RepoTags": [name]}
        for name, number in ids.items()
    ]
    text = json.dumps(listed).encode()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return path


@pytest.mark.parametrize("configs", ["{}.json", "blobs/sha256/{}"])
def test_an_archive_says_which_images_it_holds(tmp_path: Path, configs: str) -> None:
    assert image_archive.saved(archive(tmp_path / "images.tar", IDS, configs)) == IDS


def test_an_archive_that_is_cut_off_or_of_something_else_holds_none(tmp_path: Path) -> None:
    path = tmp_path / "images.tar"
    assert image_archive.saved(path) == {}
    path.write_bytes(archive(tmp_path / "whole.tar", IDS).read_bytes()[:700])
    assert image_archive.saved(path) == {}
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("manifest.json"))
    assert image_archive.saved(path) == {}


@pytest.mark.process
def test_images_on_a_full_disk_are_one_sentence_and_the_same_command_continues(
    small_disk: Path, docker: Callable[..., None]
) -> None:
    path = small_disk / "images.tar"
    docker(save="head -c 200000 /dev/zero")
    with refused(path, "the disk is full", "run the same command again"):
        image_archive.save(path, NAMES)
    assert list(small_disk.iterdir()) == []
    docker(save='shift; echo "$@"')
    image_archive.save(path, NAMES)
    assert path.read_text().split() == NAMES


@pytest.mark.process
def test_an_engine_that_fails_leaves_the_archive_of_before(
    tmp_path: Path, docker: Callable[..., None]
) -> None:
    path = tmp_path / "images.tar"
    path.write_text("of before")
    docker(save="echo half; exit 3")
    with refused(path, "could not be saved"):
        image_archive.save(path, NAMES)
    assert path.read_text() == "of before"


@pytest.mark.process
def test_images_are_loaded_unless_the_engine_has_them(
    tmp_path: Path, docker: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "images.tar", IDS)
    loaded = tmp_path / "loaded"
    monkeypatch.setattr(machine, "image_id", lambda name: IDS[name] if loaded.exists() else "")
    docker(load="exit 1")
    with refused(path, "could not be loaded"):
        image_archive.load(path, NAMES)
    docker(load=f"touch {loaded}")
    assert image_archive.load(path, NAMES) == IDS
    docker(load="exit 1")  # not asked again
    assert image_archive.load(path, NAMES) == IDS
    monkeypatch.setattr(machine, "image_id", lambda name: IDS[name] if "adam" in name else "")
    docker(load="exit 0")
    with refused(path, "holds no leap-blend:cpu"):
        image_archive.load(path, NAMES)
