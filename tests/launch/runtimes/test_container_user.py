"""As whom containers run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launch.choices import Choice
from launch.runtimes import container_user, engine, image_runtimes
from launch.runtimes.container_user import OF_THE_IMAGES, User
from launch.settings import Settings
from leapkit.core.errors import KitError
from tests.helpers.refusals import refused

IMAGES = User(OF_THE_IMAGES, OF_THE_IMAGES)


def owner(path: Path) -> User:
    return User(path.stat().st_uid, path.stat().st_gid)


def test_a_user_runs_containers_as_himself_and_in_his_own_engine_as_its_root(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 99)
    monkeypatch.setattr(engine, "is_rootless", lambda: False)
    assert container_user.of(tmp_path) == User(1234, 99)
    monkeypatch.setattr(engine, "is_rootless", lambda: True)
    assert container_user.of(tmp_path) == User(0, 0)


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")


@needs_root
def test_root_runs_containers_as_the_owner_of_the_results_or_as_the_images_user(tmp_path) -> None:
    assert container_user.of(tmp_path / "not" / "there") == IMAGES
    os.chown(tmp_path, 1234, 99)
    assert container_user.of(tmp_path / "not" / "there") == User(1234, 99)


@needs_root
def test_root_gives_away_the_folders_of_results_and_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "subs" / ".cache").mkdir(parents=True)
    (tmp_path / "subs" / ".cache" / "hashes").touch()
    (tmp_path / "elsewhere").touch()
    (tmp_path / "subs" / "link").symlink_to(tmp_path / "elsewhere")
    container_user.give([tmp_path / "subs"], IMAGES)
    assert owner(tmp_path / "subs" / ".cache" / "hashes") == IMAGES
    assert owner(tmp_path) == owner(tmp_path / "elsewhere") == User(0, 0)


@needs_root
def test_root_takes_back_what_it_gave_to_containers_and_nothing_of_another_user(
    tmp_path: Path,
) -> None:
    of_a_user, subs = tmp_path / "of a user", tmp_path / "subs"
    for folder in (subs / ".cache", of_a_user / "subs"):
        folder.mkdir(parents=True)
    container_user.give([subs], IMAGES)
    container_user.take_back([tmp_path, subs])
    assert owner(subs) == owner(subs / ".cache") == User(0, 0)
    container_user.give([of_a_user], IMAGES)  # whose number is that of the images' user
    with refused(of_a_user / "subs", "belongs to user 10001", "run make as that user"):
        container_user.take_back([of_a_user / "subs"])
    assert owner(of_a_user / "subs") == IMAGES


@needs_root
def test_of_roots_other_folders_only_new_ones_are_given_away(tmp_path: Path) -> None:
    container_user.prepare(tmp_path / "new", IMAGES)
    assert owner(tmp_path / "new") == IMAGES
    with pytest.raises(KitError, match=r"closed to user 10001.*use RUNTIME=venv"):
        container_user.prepare(tmp_path, IMAGES)
    assert owner(tmp_path) == User(0, 0)


@needs_root
def test_a_folder_that_the_launcher_writes_to_as_well_is_given_away_while_it_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings("reproduce", {"RUNTIME": Choice("docker", "")})
    image_runtimes.prepare(chosen, tmp_path / "distilled")
    (tmp_path / "distilled" / "labels").mkdir()
    container_user.prepare(tmp_path / "distilled", IMAGES)
    with refused(tmp_path, "closed to user 10001"):
        image_runtimes.prepare(chosen, tmp_path)


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o600])
def test_data_that_only_root_can_read_is_named_with_the_command_that_opens_it(tmp_path, mode):
    container_user.require_readable([tmp_path / "not there"], IMAGES)
    tmp_path.chmod(0o755)
    (tmp_path / "test.csv").touch(mode=0o644)
    container_user.require_readable([tmp_path], IMAGES)
    (tmp_path / "test.csv").chmod(mode)
    with pytest.raises(KitError, match=r"test.csv: is closed to user 10001.*run `chmod -R go\+rX"):
        container_user.require_readable([tmp_path], IMAGES)
