"""What an SBOM is made of: the images, SIF files and environments of a run, and their inventories.

Each is described by its own Python, without a network and as the user that it runs as.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Sequence

from launch import machine, registry
from launch.registry import REPOSITORY
from launch.runtimes import (
    apptainer,
    container_user,
    containers,
    environments,
    sifs,
    stacks,
    venv,
)
from launch.sboms.cyclonedx import Subject
from launch.settings import Settings
from leapkit.core import files
from leapkit.core.errors import KitError

SOURCE = REPOSITORY / "launch" / "sboms" / "inventory.py"
INSIDE = "/opt/leap"  # where an image has the kit's code and its lock
SECONDS = 600.0  # for an inventory: a cold disk reads gigabytes
CONFINED = (
    *("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    "--entrypoint=python",
)


@dataclass(frozen=True)
class Described:
    """An image or an environment, and the command that prints its inventory.

    stem  of its document's name
    lock  the text of its lock; an image holds its own
    """

    subject: Subject
    command: Sequence[str]
    stem: str
    lock: str = ""

    def inventory(self) -> Dict[str, Any]:
        """Return what inventory.py prints in it. Raises KitError if it prints nothing."""
        answer = machine.ask(list(self.command), SECONDS, machine.plain_environment())
        if answer.code != 0:
            what = f"its Python gives no inventory ({answer.complaint})"
            raise KitError(what, self.stem, "run the same command again")
        inventory: Dict[str, Any] = json.loads(answer.output)
        return inventory


def of_run(settings: Settings, services: Sequence[str]) -> Iterator[Described]:
    """Yield what services run in, each once, after it was made. Raises KitError if it cannot be."""
    return _RUNTIMES[settings["RUNTIME"]](settings, services)


def _program(*more: str) -> List[str]:
    return ["-I", "-c", SOURCE.read_text(), *more]


def _of_images(settings: Settings, services: Sequence[str]) -> Iterator[Described]:
    """Describe the images of services, each once, after they were built."""
    env = containers.build_images(settings, services, container_user.of(settings.results.root))
    names = apptainer.images_of(settings, services)
    for image, service in {image: service for service, image in names.items()}.items():
        yield of_image(image, env[f"LEAP_BASE_{service.upper()}"])


def of_image(image: str, base: str) -> Described:
    """Describe an image that the engine has.

    base  the name of the image that it was built on
    """
    digest = machine.image_id(image)
    name, _, tag = image.partition(":")
    purl = f"pkg:oci/{name}@{digest.replace(':', '%3A')}?tag={tag}"
    subject = Subject("container", name, tag, digest.split(":")[-1], purl, _base(image, base))
    command = ["docker", "run", "--rm", *CONFINED, image, *_program("--system", "--code", INSIDE)]
    return Described(subject, command, f"{name}-{tag}")


def _base(image: str, base: str) -> Dict[str, str]:
    """Return what is known of the base: its layers are the image's first ones."""
    layers = _layers(base)
    if not layers or _layers(image)[: len(layers)] != layers:
        return {"base": "not known: no image here has the first layers"}
    return {"base": base, "base:id": machine.image_id(base)}


def _layers(image: str) -> List[str]:
    answer = machine.output_of(
        ["docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", image]
    )
    return list(json.loads(answer)) if answer else []


def _of_sifs(settings: Settings, services: Sequence[str]) -> Iterator[Described]:
    """Describe the SIF files of services, each once, after they were made."""
    apptainer.prepare(settings, services)
    names = apptainer.images_of(settings, services)
    for image, service in {image: service for service, image in names.items()}.items():
        sif = sifs.find(service, image)
        name, _, tag = image.partition(":")
        told = {"image:id": sif.id, "file": sif.path.name}
        subject = Subject("container", name, tag, sif.sha256, "", told)
        program = ["python", *_program("--system", "--code", INSIDE)]
        yield Described(subject, apptainer.inside(sif.path, program), sif.path.stem)


def _of_environments(settings: Settings, services: Sequence[str]) -> Iterator[Described]:
    """Describe the environments of this machine that services run in, each once."""
    stack, accelerator = settings["STACK"], settings["ACCELERATOR"]
    members = [service for service in services if service not in ("blend", "emulator")]
    if "emulator" in services:
        named = settings.choices.get("EMULATOR")
        members.append(named.value if named else next(iter(registry.members())))
    found = {}
    if "blend" in services:
        found["blend"] = (environments.blend_python(), stacks.lock("blend"))
    for member, python in environments.member_pythons(members, stack, accelerator).items():
        built = environments.reachable(stacks.stacks_of(member)[stack], accelerator)
        found[python.parts[-3]] = (python, stacks.lock_of(member, stack, built))
    for name, (python, lock) in sorted(found.items()):
        version = files.sha256(python.parents[1] / venv.MARKER)[:12]
        subject = Subject("platform", name, version, properties={"lock": lock.name})
        yield Described(subject, [str(python), *_program()], name, lock.read_text())


_RUNTIMES = {"docker": _of_images, "apptainer": _of_sifs, "venv": _of_environments}
