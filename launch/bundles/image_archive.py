"""The images of a bundle: one archive of the engine, in which common layers stand once."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tarfile
from pathlib import Path
from typing import Dict, Sequence

from launch import machine, process
from leapkit.core.errors import KitError
from leapkit.core.files import atomic, is_full, require_free

FILE = "images.tar"
_SIZE = ["docker", "image", "inspect", "--format", "{{.Size}}"]


def save(path: Path, names: Sequence[str]) -> None:
    """Write the archive of some images. Raises KitError if the engine or the disk refuses."""
    sizes = (machine.output_of([*_SIZE, *names]) or "").split()
    require_free(path, max(map(int, sizes), default=0), "the largest image")
    print(f"{path.name}: saving {', '.join(names)}", flush=True)
    with atomic(path) as temporary, open(str(temporary), "wb") as handle:
        if process.run(["docker", "save", *names], os.environ, to=handle):
            if is_full(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            remedy = "run the same command again"
            raise KitError("could not be saved (the lines above say why)", path, remedy)


def saved(path: Path) -> Dict[str, str]:
    """Return {name: id} of the images in an archive, {} if there is none that is whole."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, tarfile.TarError):
        with tarfile.open(str(path)) as archive:
            handle = archive.extractfile("manifest.json")
            listed = json.load(handle) if handle else []
        return {name: _id(image["Config"]) for image in listed for name in image["RepoTags"]}
    return {}


def _id(config: str) -> str:
    """Return the id of an image from the name of its configuration in an archive."""
    return "sha256:" + Path(config).name.replace(".json", "")


def ids(names: Sequence[str]) -> Dict[str, str]:
    """Return {name: id} of images in the engine, "" for one that it does not have."""
    return {name: machine.image_id(name) for name in names}


def load(path: Path, names: Sequence[str]) -> Dict[str, str]:
    """Give the engine the images of an archive; return {name: id}, as it knows them.

    Raises KitError if it cannot take them, or if the archive lacks one.
    """
    if ids(names) == saved(path):
        print(f"{path.name}: the engine has {', '.join(names)}", flush=True)
        return ids(names)
    print(f"{path.name}: loading {', '.join(names)}", flush=True)
    if process.run(["docker", "load", "--quiet", "--input", str(path)], os.environ):
        remedy = "free the engine's disk or repair the engine, and run the same command again"
        raise KitError("could not be loaded (the lines above say why)", path, remedy)
    loaded = ids(names)
    absent = [name for name, found in loaded.items() if not found]
    if absent:
        raise KitError(f"holds no {', '.join(absent)}", path, "make the bundle again")
    return loaded
