"""What a bundle left counts as long as the code is the bundle's."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from launch import choices, code_version, machine
from launch.bundles import bundled
from launch.bundles.bundled import Record
from launch.runtimes import engine, environments, stacks
from leapkit.core.files import sha256
from leapkit.core.stacks import MODERN
from tests.conftest import REPOSITORY
from tests.helpers.refusals import refused

IMAGES = {"leap-adam:modern-cpu": "sha256:1", "leap-blend:cpu": "sha256:2"}
FILES = ("shared/leapkit/__init__.py", "containers/locks/blend.txt", "README.md")


@pytest.fixture(autouse=True)
def record_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bundled, "PATH", tmp_path / "record.json")
    return tmp_path / "record.json"


def files(**changed: str) -> Dict[str, str]:
    """Return the sums of some files of this kit, with other ones for some names."""
    return {**{name: sha256(REPOSITORY / name) for name in FILES}, **changed}


def test_where_nothing_was_unbundled_nothing_counts() -> None:
    assert bundled.pip_settings(stacks.lock("blend")) == {} and not bundled.images()
    assert not bundled.has_images(list(IMAGES)) and not bundled.has_sifs()
    assert bundled.code_version() == ""


def test_packages_of_a_bundled_lock_come_from_the_bundle_and_from_nowhere_else(
    tmp_path: Path,
) -> None:
    wheels = tmp_path / "a b" / "wheels"
    wheels.mkdir(parents=True)
    Record("abc", files(), str(wheels), ["blend"]).write()
    settings = bundled.pip_settings(stacks.lock("blend"))
    assert settings == {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"file://{tmp_path}/a%20b/wheels"}
    assert bundled.pip_settings(stacks.lock("fetch")) == {}  # has none: as without a bundle
    assert bundled.lacks(stacks.lock("fetch")) and not bundled.lacks(stacks.lock("blend"))
    changed = {"containers/locks/blend.txt": "0"}
    Record("abc", files(**changed), str(wheels), ["blend"]).write()
    assert bundled.pip_settings(stacks.lock("blend")) == {}
    Record("abc", files(), str(tmp_path / "unplugged"), ["blend"]).write()
    assert bundled.pip_settings(stacks.lock("blend")) == {}


@pytest.mark.parametrize("built", ["cpu", "cuda"])
def test_the_bundled_build_of_torch_is_taken_without_a_question_to_an_index(
    built: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{MODERN.name}-{built}"
    sums = files(**{f"containers/locks/{name}.txt": sha256(stacks.lock(name))})
    Record("abc", sums, "", [name]).write()
    monkeypatch.setattr(machine, "output_of", lambda *_: pytest.fail("asked"))
    assert environments.reachable(MODERN, "cpu") == built


def test_images_count_while_the_engine_and_the_code_are_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = dict(IMAGES)
    monkeypatch.setattr(machine, "image_id", lambda name: ids.get(name, ""))
    Record("abc", files(), images=IMAGES).write()
    assert bundled.has_images(list(IMAGES))
    assert not bundled.has_images(["leap-zuiye:modern-cpu"])
    Record("abc", files(**{"README.md": "0"}), images=IMAGES).write()
    assert bundled.has_images(list(IMAGES))  # no image holds it
    Record("abc", files(**{FILES[0]: "0"}), images=IMAGES).write()
    assert not bundled.has_images(list(IMAGES))
    Record("abc", files(), images=IMAGES).write()
    ids["leap-blend:cpu"] = "sha256:3"
    assert not bundled.has_images(list(IMAGES))


def test_docker_needs_no_base_where_a_bundle_brought_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "problem", lambda: None)
    with refused("RUNTIME=docker", "no base image exists"):
        choices.runtime("docker")
    Record("abc", files(), images=IMAGES).write()
    assert choices.runtime("docker").value == choices.runtime().value == "docker"


def test_receipts_record_the_bundles_version_and_that_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Record("abc1234", files()).write()
    monkeypatch.setattr(code_version, "REPOSITORY", tmp_path)  # no clone
    assert code_version.code_version() == "abc1234"
    Record("abc1234", files(**{"README.md": "0"})).write()
    assert code_version.code_version() == "abc1234-dirty"


def test_a_damaged_record_is_refused_with_the_command_that_writes_it(record_path: Path) -> None:
    for text in ("{", "[]", '{"code": "abc"}'):
        record_path.write_text(text)
        with refused(record_path, "make unbundle BUNDLE=folder"):
            bundled.record()
