"""What a bundle is of: its folder, its networks, and choices for a machine that is not this one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List, Mapping

from launch import choices, gpus, registry
from launch.bundle_manifest import Manifest
from launch.choices import AS_REQUESTED, Choice
from launch.settings import CONTAINERS, Settings, choose
from leapkit.core.errors import KitError

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
    runtime = choices.runtime(requested.get("RUNTIME", ""))
    gpu = gpus.probe()
    stack = choices.stack(runtime.value in CONTAINERS, gpu, requested.get("STACK", ""))
    device = requested.get("DEVICE", "auto")
    accelerator = Choice(device, AS_REQUESTED)
    if device == "auto":
        accelerator = choices.accelerator(runtime.value == "docker", gpu)
    return _settings(runtime, stack, accelerator, requested.get("EXPERIMENTS", ""))


def of_bundle(manifest: Manifest) -> Settings:
    """Return the choices that a bundle was made with. Raises KitError for an unknown network."""
    made_with = (manifest.runtime, manifest.stack, manifest.accelerator)
    runtime, stack, accelerator = (Choice(value, "the bundle's") for value in made_with)
    return _settings(runtime, stack, accelerator, manifest.experiments)


def _settings(runtime: Choice, stack: Choice, accelerator: Choice, names: str) -> Settings:
    settings = choose("reproduce", {"EXPERIMENTS": names}, needs_runtime=False)
    chosen = {"RUNTIME": runtime, "STACK": stack, "ACCELERATOR": accelerator}
    return replace(settings, choices={**settings.choices, **chosen})


def lines(settings: Settings) -> List[str]:
    """Return a line for each choice that decides what is in a bundle."""
    return [line for line in settings.lines() if line.startswith(CHOSEN)]


def members(settings: Settings) -> List[str]:
    """Return the members of a bundle."""
    return list(registry.chosen(settings["EXPERIMENTS"], "", "reproduce", everything=True))


def command(manifest: Manifest) -> str:
    """Return the command that runs what a bundle brought."""
    words = [f"make reproduce RUNTIME={manifest.runtime} STACK={manifest.stack}"]
    if manifest.accelerator == "cpu":
        words.append("DEVICE=cpu")
    if manifest.experiments:
        words.append(f"EXPERIMENTS={manifest.experiments}")
    return " ".join(words)
