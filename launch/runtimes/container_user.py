"""As whom containers run: never as root, and as somebody who may write the results.

A container of a user runs as that user. If root starts it, it runs as the owner of the folder that
it writes; if that is root too, as the user that the images name, to whom the kit's own folders of
results are given.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Iterable, NamedTuple

from launch.registry import REPOSITORY
from launch.runtimes import engine
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import existing_folder

OF_THE_IMAGES = 10001  # USER of the Dockerfiles


class User(NamedTuple):
    """Who runs a container, as the container sees it."""

    uid: int
    gid: int


def of(folder: Path) -> User:
    """Return who runs the containers that write below a folder, which need not exist yet."""
    if os.getuid():
        # In a rootless engine the caller is the container's root, who has no right beyond his own.
        return User(0, 0) if engine.is_rootless() else User(os.getuid(), os.getgid())
    status = existing_folder(folder).stat()
    if status.st_uid:
        return User(status.st_uid, status.st_gid)
    return User(OF_THE_IMAGES, OF_THE_IMAGES)


def give(folders: Iterable[Path], user: User) -> None:
    """Give folders and all that they hold to a user, if root asks for it.

    Raises KitError if the file system refuses, as one on the network may.
    """
    if os.getuid():
        return
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            _give_one(path, user)


def take_back(folders: Iterable[Path]) -> None:
    """Give root again what it gave to the images' user: in a SIF it may do what its files allow.

    Raises KitError for another user's folder, and if the file system refuses.
    """
    if os.getuid():
        return
    for folder in folders:
        status = folder.stat()
        if status.st_uid == OF_THE_IMAGES and not folder.parent.stat().st_uid:
            give([folder], User(0, os.getgid()))
        elif status.st_uid and not status.st_mode & stat.S_IWOTH:
            what = f"belongs to user {status.st_uid}, and root has no rights of others in a SIF"
            remedy = "run make as that user, or use RUNTIME=docker or RUNTIME=venv"
            raise KitError(what, folder, remedy)


def _give_one(path: Path, user: User) -> None:
    remedy = f"run make as a user, or give the folder to one (chown -R {user.uid}:{user.gid})"
    # Another run's unfinished file may end here.
    with explain_os_errors(path, remedy), contextlib.suppress(FileNotFoundError):
        status = path.lstat()
        if (status.st_uid, status.st_gid) != user:
            os.chown(str(path), user.uid, user.gid, follow_symlinks=False)


def prepare(folder: Path, user: User) -> None:
    """Make a folder in which a user may make files.

    Root gives away what is empty or the kit's own. Raises KitError for any other folder of root's.
    """
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() or _allows(folder.stat(), user, stat.S_IWOTH | stat.S_IXOTH):
        return
    if any(folder.iterdir()) and REPOSITORY not in folder.parents:
        raise KitError(
            f"is closed to user {user.uid}, as whom containers run if root starts them",
            folder,
            "name a new folder, give this one to a user (chown), or use RUNTIME=venv",
        )
    _give_one(folder, user)


def require_readable(folders: Iterable[Path], user: User) -> None:
    """Raise KitError if a folder, or what lies in it, is closed to the user that root made."""
    if os.getuid():
        return
    for folder in folders:
        entries = [folder, *folder.iterdir()] if folder.is_dir() else []
        for path in entries:
            if path.exists() and not _is_open(path.stat(), user):
                raise KitError(
                    f"is closed to user {user.uid}, as whom containers run if root starts them",
                    path,
                    f"run `chmod -R go+rX {folder}`, or run make as a user",
                )


def _is_open(status: os.stat_result, user: User) -> bool:
    wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else 0)
    return _allows(status, user, wanted)


def _allows(status: os.stat_result, user: User, wanted: int) -> bool:
    """Return whether a mode gives a user the wanted rights, written as those of all others."""
    if user.uid == 0:
        return True
    shift = 6 if status.st_uid == user.uid else 3 if status.st_gid == user.gid else 0
    return status.st_mode >> shift & wanted == wanted
