"""What `make unbundle` left here: the code that a bundle is of, its wheels, its images.

Wheels count as long as their lock is the bundle's, images as long as the code in them is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from launch import machine
from launch.registry import REPOSITORY
from launch.runtimes import pip
from leapkit.core.errors import KitError
from leapkit.core.files import read_json, sha256, write_json

PATH = REPOSITORY / ".bundle" / "record.json"
# What .dockerignore lets through.
IN_IMAGES = ("shared/", "members/", "blend/", "evaluation/", "reports/", "stacking/", "containers/")
AGAIN = "run `make unbundle BUNDLE=folder` again"


@dataclass(frozen=True)
class Record:
    """What a bundle brought.

    code    its version of the kit
    files   {file of the kit: sha256}
    wheels  the folder of the wheels, "" if there are none
    locks   the locks whose packages are all among them, by name: "blend"
    images  {name: id}, as this machine's engine knows them
    sifs    the names of SIF files
    """

    code: str
    files: Mapping[str, str]
    wheels: str = ""
    locks: Sequence[str] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    sifs: Sequence[str] = ()

    def write(self) -> None:
        """Leave the record, in the place of an earlier one."""
        write_json(PATH, asdict(self))

    def changed(self, among: Tuple[str, ...] = ("",)) -> List[str]:
        """Return the files of the kit, those below some folders, that the bundle brought other."""
        names = [name for name in self.files if name.startswith(among)]
        return [name for name in names if _sum(name) != self.files[name]]


def _sum(name: str) -> str:
    path = REPOSITORY / name
    return sha256(path) if path.is_file() else ""


def record() -> Optional[Record]:
    """Return the record, None if nothing was unbundled here. Raises KitError if it is damaged."""
    if not PATH.exists():
        return None
    try:
        return Record(**read_json(PATH, AGAIN))
    except TypeError as error:
        raise KitError("is no record of a bundle", PATH, AGAIN) from error


def code_version() -> str:
    """Return the version of the code that was unbundled, marked if it was changed since."""
    found = record()
    if not found:
        return ""
    return found.code + ("-dirty" if found.changed() else "")


def pip_settings(lock: Path) -> Dict[str, str]:
    """Return the variables of pip for a lock whose packages are in the bundle, {} for another."""
    found = record()
    if not found or not has_lock(lock) or not Path(found.wheels).is_dir():
        return {}
    return pip.only_from(Path(found.wheels))


def has_lock(lock: Path) -> bool:
    """Return whether the bundle holds all packages of a lock, as it is now."""
    found = record()
    if not found or lock.stem not in found.locks:
        return False
    return found.files.get(f"containers/locks/{lock.name}") == sha256(lock)


def lacks(lock: Path) -> bool:
    """Return whether a bundle of wheels was unbundled here, without those of a lock."""
    found = record()
    return bool(found and found.wheels) and not has_lock(lock)


def images() -> Mapping[str, str]:
    """Return {name: id} of the images that the bundle brought."""
    found = record()
    return found.images if found else {}


def has_images(names: Sequence[str]) -> bool:
    """Return whether images are those that the bundle brought, and the code is still theirs."""
    found = record()
    if not found or not set(names) <= set(found.images) or found.changed(IN_IMAGES):
        return False
    return all(machine.image_id(name) == found.images[name] for name in names)


def has_sifs() -> bool:
    """Return whether the bundle brought SIF files: none is made of an engine's images then."""
    found = record()
    return bool(found and found.sifs)
