"""The images as SIF files, which Apptainer runs: where they lie, and which of them fits this code.

leap-adam-published-cpu-8ab1c2d3e4f5.sif   the image whose id begins with these digits
leap-adam-published-cpu-8ab1c2d3e4f5.json  its record: the image's name and id, the sha256 of the
                                           SIF and that of the code in it

Both are made where a Docker engine or a registry answers, and copied to where none does.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, List

from launch.folders import expanded
from launch.registry import REPOSITORY
from leapkit.core import files
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex

ID_SHOWN = 12  # hexadecimal digits of an image's id in a name, as engines show it
REMEDY = "make it where a Docker engine answers (make sifs), and copy it with its record (.json)"
INDEX = "hashes.index"


@dataclass(frozen=True)
class Sif:
    """A SIF file and what its record says.

    image   name of the image it was made from: leap-adam:published-cpu
    id      the image's id: sha256:...
    sha256  of the file
    code    sha256 of the kit's code in it (`code_of`)
    made    when, in seconds since 1970
    """

    path: Path
    image: str
    id: str
    sha256: str
    code: str
    made: float

    @property
    def provenance(self) -> str:
        """What receipts record as the image."""
        return f"{self.image} sif sha256:{self.sha256}"

    def write_record(self) -> None:
        """Write the record beside the file."""
        record = {name: value for name, value in asdict(self).items() if name != "path"}
        files.write_json(record_path(self.path), record)


def folder() -> Path:
    """Return the folder of all SIFs: LEAP_SIFS, else .sifs in the repository."""
    chosen = expanded(os.environ.get("LEAP_SIFS", ""), "LEAP_SIFS")
    return Path(chosen).absolute() if chosen else REPOSITORY / ".sifs"


def image(service: str, stack: str, accelerator: str) -> str:
    """Return the name of a service's image, as compose.yaml has it."""
    if service in ("blend", "verify", "world"):
        return "leap-blend:cpu"
    return f"leap-{service}:{stack}-{accelerator}"


def path(image: str, image_id: str) -> Path:
    """Return where the SIF of an image belongs, which need not exist."""
    digits = re.sub("^sha256:", "", image_id)[:ID_SHOWN]
    return folder() / f"{image.replace(':', '-')}-{digits}.sif"


def record_path(sif: Path) -> Path:
    """Return the record of a SIF."""
    return sif.with_suffix(".json")


def of_image(image: str) -> List[Sif]:
    """Return the SIFs of an image that have a record, the newest first."""
    found = []
    for candidate in folder().glob(f"{image.replace(':', '-')}-*.sif"):
        if record_path(candidate).exists():
            found.append(_read(candidate))
    return sorted((sif for sif in found if sif.image == image), key=lambda sif: -sif.made)


def _read(sif: Path) -> Sif:
    record = files.read_json(record_path(sif), REMEDY)
    names = {"image": str, "id": str, "sha256": str, "code": str, "made": (int, float)}
    for name, kind in names.items():
        if not isinstance(record, dict) or not isinstance(record.get(name), kind):
            raise KitError(f"does not say {name}", record_path(sif), REMEDY)
    return Sif(sif, **{name: record[name] for name in names})


def find(service: str, image: str) -> Sif:
    """Return the newest SIF of an image that holds this clone's code of a service, checked.

    Raises KitError if there is none, it holds other code, or it is not the file of its record.
    """
    candidates = of_image(image)
    if not candidates:
        raise KitError(f"there is no SIF of {image}", folder(), REMEDY)
    code = code_of(service)
    for sif in candidates:
        if sif.code == code:
            check(sif)
            return sif
    raise KitError("holds other code than this clone", candidates[0].path, REMEDY)


def check(sif: Sif) -> None:
    """Raise KitError if a SIF is not the file of its record. Its content is read once."""
    index = HashIndex(folder() / INDEX)
    if index.of(sif.path) != sif.sha256:
        raise KitError("is not the file that its record (.json) names", sif.path, "copy it again")
    with contextlib.suppress(KitError):  # a folder that others share may be closed
        index.save()


def code_of(service: str) -> str:
    """Return the sha256 of the kit's Python code that an image holds."""
    return files.sha256_json(_code_files(service))


def _code_files(service: str) -> Dict[str, str]:
    """Return {path in the repository: sha256} of what the Dockerfile of a service copies."""
    rooms = ["shared/leapkit", *([f"members/{service}"] if _is_member(service) else ["blend"])]
    return {
        str(path.relative_to(REPOSITORY)): files.sha256(path)
        for room in rooms
        for path in sorted((REPOSITORY / room).rglob("*.py"))
    }


def _is_member(service: str) -> bool:
    return (REPOSITORY / "members" / service / "experiments.py").exists()
