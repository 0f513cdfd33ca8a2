"""The images as files, for machines without a Docker engine: which there are, and which fit.

leap-adam-published-cpu-8ab1c2d3e4f5.sif       the image whose id begins with these digits
leap-adam-published-cpu-8ab1c2d3e4f5.sif.json  its record: the image's name and id, the sha256 of
                                               the file and that of the code and lock in it
leap-adam-published-cpu-8ab1c2d3e4f5.tar       the same as `docker save` writes it, with its record:
                                               a SIF can be made from it without an engine
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import List, Sequence

from launch import registry
from launch.folders import expanded
from launch.registry import REPOSITORY
from launch.runtimes import stacks
from leapkit.core import files
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.stacks import MODERN

SIF = ".sif"
ARCHIVE = ".tar"
ID_SHOWN = 12  # hexadecimal digits of an image's id in a name, as engines show it
REMEDY = "run `make sifs` where a Docker engine answers, and copy the folder"
INDEX = "hashes.json"
OF_THE_EMULATOR = ("emulator", "stacking")  # services that run in the image of the first
# What a step runs, and what it reads of its image: templates of pages, tables of weights.
CODE = (".py", ".html", ".css", ".js", ".csv")


@dataclass(frozen=True)
class ImageFile:
    """An image as a file, and what its record says.

    image   the name of the image: leap-adam:published-cpu
    id      the image's id: sha256:...
    sha256  of the file
    code    sha256 of the kit's code and of the lock in it (`code_of`)
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
        return f"{self.image} {self.path.suffix[1:]} sha256:{self.sha256}"

    def write_record(self) -> None:
        """Write the record beside the file."""
        record = {name: value for name, value in asdict(self).items() if name != "path"}
        files.write_json(record_path(self.path), record)


def folder() -> Path:
    """Return the folder of all SIFs and archives: LEAP_SIFS, else .sifs in the repository."""
    chosen = expanded(os.environ.get("LEAP_SIFS", ""), "LEAP_SIFS")
    return Path(chosen).absolute() if chosen else REPOSITORY / ".sifs"


def exist() -> bool:
    """Return whether there are SIFs, or archives to make some from."""
    return any(any(folder().glob(f"*{suffix}")) for suffix in (SIF, ARCHIVE))


def image_of(service: str, stack: str, accelerator: str) -> str:
    """Return the name of a service's image, as compose.yaml has it.

    stack  published or modern; of services of the emulator's image the name of its lock
    """
    if service in OF_THE_EMULATOR:
        return f"leap-emulator:{stack}-{accelerator}"
    return f"leap-{service}:{stack}-{accelerator}" if _is_member(service) else "leap-blend:cpu"


def path(image: str, image_id: str, suffix: str = SIF) -> Path:
    """Return where the SIF (or the archive) of an image belongs, which need not exist."""
    return folder() / f"{_stem(image)}-{image_id.split(':')[-1][:ID_SHOWN]}{suffix}"


def _stem(image: str) -> str:
    return image.replace(":", "-")


def record_path(path: Path) -> Path:
    """Return the record of a SIF or an archive."""
    return path.with_name(path.name + ".json")


def of_image(image: str, suffix: str = SIF) -> List[ImageFile]:
    """Return the SIFs (or the archives) of an image that have a record, the newest first."""
    recorded = [
        read(candidate)
        for candidate in folder().glob(f"{_stem(image)}-*{suffix}")
        if record_path(candidate).exists()
    ]
    return sorted((one for one in recorded if one.image == image), key=lambda one: -one.made)


def read(path: Path) -> ImageFile:
    """Return what the record of a SIF or an archive says. Raises KitError if it is not whole."""
    record = files.read_json(record_path(path), REMEDY)
    texts = ("image", "id", "sha256", "code")
    is_whole = isinstance(record, dict) and all(isinstance(record.get(n), str) for n in texts)
    if not is_whole or not isinstance(record.get("made"), (int, float)):
        raise KitError("is not the record of an image", record_path(path), REMEDY)
    return ImageFile(path, **{name: record[name] for name in (*texts, "made")})


def of_this_code(candidates: Sequence[ImageFile], service: str) -> List[ImageFile]:
    """Return those that hold this clone's code of a service, and its lock."""
    codes = {image: code_of(service, image) for image in {one.image for one in candidates}}
    return [candidate for candidate in candidates if candidate.code == codes[candidate.image]]


def find(service: str, image: str) -> ImageFile:
    """Return the newest SIF of an image that holds this clone's code, its content checked.

    Raises KitError if there is none, it holds other code, or it is not the file of its record.
    """
    candidates = of_image(image)
    if not candidates:
        raise KitError(f"holds no SIF of {image}", folder(), _remedy(service, image))
    fitting = of_this_code(candidates, service)
    if not fitting:
        what = "was made from other code than that of this clone"
        raise KitError(what, candidates[0].path, _remedy(service, image))
    check(fitting[0])
    return fitting[0]


def _remedy(service: str, image: str) -> str:
    """Return the command that makes the SIF of a service's image, where it can be made."""
    stack, _, accelerator = image.partition(":")[2].rpartition("-")
    words = ""
    if _is_member(service):
        network = registry.members()[service][0].name
        words = f" STACK={stack} DEVICE={accelerator} EXPERIMENTS={network}"
    elif service in OF_THE_EMULATOR:
        words = f" STACK=modern DEVICE={accelerator} NETWORK=v10"
        for member, row in stacks.members_stacks().items():
            if row["published"].name == stack != MODERN.name:
                network = registry.members()[member][0].name
                words = f" STACK=published DEVICE={accelerator} NETWORK={network}"
    return REMEDY.replace("`make sifs`", f"`make sifs{words}`")


def check(image_file: ImageFile) -> None:
    """Raise KitError if a SIF or an archive is not the file of its record.

    Its content is read once: the index remembers it.
    """
    index = HashIndex(folder() / INDEX)
    if index.of(image_file.path) != image_file.sha256:
        what = "is not the file that its record (.json) names"
        raise KitError(what, image_file.path, f"copy it again, or {REMEDY}")
    index.save()


def code_of(service: str, image: str) -> str:
    """Return the sha256 of what a service's image holds of this clone: code and lock."""
    held = [*_code_files(service), _lock(service, image)]
    return files.sha256_json(
        {str(path.relative_to(REPOSITORY)): files.sha256(path) for path in held}
    )


def _code_files(service: str) -> List[Path]:
    rooms = ["shared/leapkit", *([f"members/{service}"] if _is_member(service) else ["blend"])]
    if service in OF_THE_EMULATOR:
        rooms += ["members", "stacking"]
    elif not _is_member(service):
        rooms += ["evaluation", "reports"]
    every = [path for room in rooms for path in sorted((REPOSITORY / room).rglob("*"))]
    return [path for path in every if path.suffix in CODE and path.is_file()]


def _lock(service: str, image: str) -> Path:
    """Return the lock that an image was made of."""
    tag = image.partition(":")[2]
    if service in OF_THE_EMULATOR:
        return stacks.lock(tag)
    if _is_member(service):
        return stacks.lock_of(service, *tag.rsplit("-", 1))
    return stacks.lock("blend")


def _is_member(service: str) -> bool:
    return (REPOSITORY / "members" / service).is_dir()
