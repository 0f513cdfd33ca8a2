"""What a bundle is of: its folder, its networks, and choices for a machine that is not this one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List, Mapping, Tuple

from launch import registry
from launch.bundles.manifests import Manifest
from launch.choices import AS_REQUESTED, Choice
from launch.runtimes import engine, stacks
from launch.settings import Settings, choose
from leapkit.core.errors import KitError
from leapkit.core.stacks import MODERN

CHOSEN = ("RUNTIME", "STACK", "ACCELERATOR", "EXPERIMENTS")


def folder(command: str, requested: Mapping[str, str]) -> Path:
    """Return the folder that BUNDLE names. Raises KitError if it names none."""
    if not requested.get("BUNDLE"):
        raise KitError("lacks BUNDLE", f"make {command}", f"write make {command} BUNDLE=folder")
    return Path(requested["BUNDLE"]).resolve()


def of_this_machine(requested: Mapping[str, str]) -> Settings:
    """Return the choices for a new bundle. DEVICE=cuda needs no GPU here.

    Raises KitError for a runtime or a stack that cannot be had here, or an unknown network.
    """
    wanted = requested.get("RUNTIME", "")
    # Docker alone can make what Apptainer needs.
    is_made_by_docker = wanted == "apptainer" and engine.apptainer_problem()
    values = {name: value for name, value in requested.items() if name != "BUNDLE"}
    if is_made_by_docker:
        values["RUNTIME"] = "docker"
    settings = choose("reproduce", values, is_elsewhere=True)
    if is_made_by_docker:
        settings = _with(settings, RUNTIME=Choice(wanted, AS_REQUESTED))
    return settings


def of_bundle(manifest: Manifest) -> Settings:
    """Return the choices that a bundle was made with. Raises KitError for an unknown network."""
    names = {"EXPERIMENTS": manifest.experiments}
    return _with(
        choose("reproduce", names, needs_runtime=False),
        RUNTIME=Choice(manifest.runtime, "the bundle's"),
        STACK=Choice(manifest.stack, "the bundle's"),
        ACCELERATOR=Choice(manifest.accelerator, "the bundle's"),
    )


def _with(settings: Settings, **choices: Choice) -> Settings:
    return replace(settings, choices={**settings.choices, **choices})


def lines(settings: Settings) -> List[str]:
    """Return a line for each choice that decides what is in a bundle."""
    return [line for line in settings.lines() if line.startswith(CHOSEN)]


def members(settings: Settings) -> List[str]:
    """Return the members of a bundle."""
    return list(_run(settings))


def _run(settings: Settings) -> registry.Registry:
    return registry.chosen(settings["EXPERIMENTS"], "", "reproduce", everything=True)


def images(settings: Settings) -> List[Tuple[Settings, List[str]]]:
    """Return (choices, services) of the images that a bundle holds.

    The emulator has one for each stack: a network predicts on that of its own member. Blends, files
    for other programs and stacks are made on the modern one.
    """
    run = _run(settings)
    one_of = {stacks.stacks_of(name)[settings["STACK"]]: name for name in run}
    emulators = [_with(settings, EMULATOR=Choice(name, "a stack")) for name in one_of.values()]
    if MODERN not in one_of:
        emulators.append(settings)
    return [(settings, [*run, "blend"]), *((each, ["emulator"]) for each in emulators)]


def command(manifest: Manifest) -> str:
    """Return the command that runs what a bundle brought."""
    words = [f"make reproduce RUNTIME={manifest.runtime} STACK={manifest.stack}"]
    if manifest.accelerator == "cpu":
        words.append("DEVICE=cpu")
    if manifest.experiments:
        words.append(f"EXPERIMENTS={manifest.experiments}")
    return " ".join(words)
