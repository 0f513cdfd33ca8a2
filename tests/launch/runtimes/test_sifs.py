"""Which SIF fits: its image, its code, its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.runtimes import sifs
from leapkit.core import files
from leapkit.core.errors import KitError
from tests.helpers.refusals import refused

ADAM = "leap-adam:published-cpu"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEAP_SIFS", str(tmp_path))
    return tmp_path


def make(image: str, image_id: str, made: float, code: str = "") -> sifs.ImageFile:
    path = sifs.path(image, image_id)
    path.write_text(image_id)
    code = code or sifs.code_of("adam", ADAM)
    one = sifs.ImageFile(path, image, image_id, files.sha256(path), code, made)
    one.write_record()
    return one


def test_a_sif_is_named_after_its_image_and_the_images_content(folder: Path) -> None:
    assert sifs.image_of("adam", "published", "cpu") == ADAM
    assert sifs.image_of("world", "published", "cuda") == "leap-blend:cpu"
    assert sifs.image_of("emulator", "py38-torch1.10", "cpu") == "leap-emulator:py38-torch1.10-cpu"
    path = sifs.path(ADAM, "sha256:0123456789abcdef")
    assert path == folder / "leap-adam-published-cpu-0123456789ab.sif"


def test_the_newest_sif_that_holds_this_code_is_taken() -> None:
    make("leap-adam:published-cuda", "sha256:0", made=9)
    make(ADAM, "sha256:1", made=1)
    newest = make(ADAM, "sha256:2", made=2)
    make(ADAM, "sha256:3", made=3, code="another")
    assert sifs.find("adam", ADAM) == newest
    assert newest.provenance == f"{ADAM} sif sha256:{newest.sha256}"


@pytest.mark.parametrize(
    "service, image, words",
    [
        ("student", "leap-student:published-cuda", "STACK=published DEVICE=cuda EXPERIMENTS="),
        ("stacking", "leap-emulator:py311-torch2.13-cpu", "STACK=modern DEVICE=cpu NETWORK=v10"),
        ("emulator", "leap-emulator:py38-torch1.10-cpu", "DEVICE=cpu NETWORK=adam/195"),
        ("report", "leap-blend:cpu", ""),
    ],
)
def test_of_a_sif_that_is_missing_the_command_is_told_that_makes_it(
    folder: Path, service: str, image: str, words: str
) -> None:
    with refused(folder, f"holds no SIF of {image}; run `make sifs", words):
        sifs.find(service, image)


def test_a_sif_of_other_code_is_refused() -> None:
    make(ADAM, "sha256:1", made=1, code="another")
    with pytest.raises(KitError, match="made from other code than that of this clone; run `make"):
        sifs.find("adam", ADAM)


def test_the_code_of_an_image_is_that_of_its_rooms_and_of_its_lock() -> None:
    services = ("adam", "joseph", "blend", "world", "emulator", "stacking")
    images = {name: sifs.image_of(name, "published", "cpu") for name in services[:4]}
    images.update(dict.fromkeys(services[4:], "leap-emulator:py311-torch2.13-cpu"))
    codes = {name: sifs.code_of(name, image) for name, image in images.items()}
    assert len(set(codes.values())) == 4
    assert codes["world"] == codes["blend"] and codes["stacking"] == codes["emulator"]
    assert sifs.code_of("adam", "leap-adam:published-cuda") != codes["adam"]


@pytest.mark.parametrize(
    "name", ["reports/page.html", "blend/tables/v10.csv", "containers/locks/blend.txt"]
)
def test_pages_tables_and_packages_of_an_image_are_those_of_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = sifs.code_of("blend", "leap-blend:cpu")
    sha256 = files.sha256
    monkeypatch.setattr(
        files, "sha256", lambda path: "other" if str(path).endswith(name) else sha256(path)
    )
    assert sifs.code_of("blend", "leap-blend:cpu") != before


def test_a_sif_without_a_record_does_not_count_as_its_making_was_stopped() -> None:
    sifs.path(ADAM, "sha256:1").touch()
    with pytest.raises(KitError, match="holds no SIF of leap-adam:published-cpu"):
        sifs.find("adam", ADAM)


def test_a_sif_that_a_copy_has_cut_is_refused() -> None:
    make(ADAM, "sha256:1", made=1).path.write_text("sha")
    with pytest.raises(KitError, match="is not the file that its record"):
        sifs.find("adam", ADAM)


@pytest.mark.parametrize("content", ["[]", "{}", '{"image": 1}'])
def test_what_is_no_record_is_refused(content: str) -> None:
    sifs.record_path(make(ADAM, "sha256:1", made=1).path).write_text(content)
    with pytest.raises(KitError, match="is not the record of an image"):
        sifs.find("adam", ADAM)
