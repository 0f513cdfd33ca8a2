"""What NETWORK names, where its checkpoints are, and the folder that inputs share."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Sequence

from blend import tables
from blend.naming import BlendName
from launch import registry
from launch.choices import AS_REQUESTED, Choice
from launch.registry import REPOSITORY
from leapkit.core import prediction_inputs
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.layout import Results


@dataclass(frozen=True)
class Emulated:
    """One network, or the networks that a table weighs.

    name        max2020/022, v10, searched, or the path of a table file
    experiment  the network; None for a table
    """

    name: str
    experiment: Optional[Experiment] = None

    @property
    def is_table(self) -> bool:
        return self.experiment is None

    @property
    def is_search(self) -> bool:
        return self.is_table and BlendName.parse(self.name).search is not None

    @property
    def reason(self) -> str:
        return "a blend" if self.is_table else "one network"

    @property
    def file_name(self) -> str:
        """The name of a file about it: max2020_022."""
        text = self.name if self.experiment else BlendName.parse(self.name).table
        return re.sub(r"[^\w.+-]", "_", text)


def named(name: str, command: str, variable: str = "NETWORK") -> Emulated:
    """Return what a variable names. Raises KitError if that is nothing, or several networks."""
    if not name:
        examples = [f"{variable}={example}" for example in ("max2020/022", "v10", "searched")]
        remedy = f"write make {command} {examples[0]}, {examples[1]} or {examples[2]}"
        raise KitError(f"lacks {variable}", f"make {command}", remedy)
    every = registry.flat(registry.members())
    canonical = tables.canonical(name)
    found = [one for one in every if canonical in (one.id, one.name, one.artifact)]
    if len(found) > 1:
        names = " or ".join(one.name for one in found)
        raise KitError("is the id of several networks", f"{variable}={name}", f"write {names}")
    if found:
        return Emulated(found[0].name, found[0])
    try:
        BlendName.parse(name)
    except KitError as error:
        if Path(name).exists():
            raise
        known = ", ".join(one.name for one in every if one.artifact)
        what = "is neither a network nor a weight table nor a file"
        remedy = f"choose {known}, v10 or searched"
        raise KitError(what, f"{variable}={name}", remedy) from error
    return Emulated(name)


def weights(requested: Mapping[str, str], target: Emulated, results: Results) -> Choice:
    """Choose where checkpoints are looked for: WEIGHTS, those trained here, the published ones.

    Raises KitError if WEIGHTS does not exist, or a search has no results here.
    """
    given = requested.get("WEIGHTS", "")
    if given:
        if not Path(given).exists():
            raise KitError("does not exist", f"WEIGHTS={given}", "check the path")
        return Choice(str(Path(given).absolute()), AS_REQUESTED)
    found = _weights_searched(target, results)
    if found and not found.exists():
        remedy = "run `make reproduce`, or name another folder of results with SUBMISSION="
        raise KitError("the weights were not searched yet", found, remedy)
    if found or _is_trained(target, results):
        return Choice(str(results.root), "trained here")
    return Choice(str(_published(target)), "the published ones: none was trained here")


def _published(target: Emulated) -> Path:
    """Return the folder of all members. Raises KitError if a network has no checkpoint there."""
    experiment = target.experiment
    if experiment and not _has_checkpoint(experiment, _weights_of(experiment)):
        fetch = " or `make fetch WHAT=weights`" if experiment.published else ""
        raise KitError(
            "no checkpoint of it was found, neither trained here nor published",
            f"NETWORK={target.name}",
            f"run `make {experiment.member} EXPERIMENTS={experiment.id}`{fetch}, or name a folder"
            " with WEIGHTS= or SUBMISSION=",
        )
    return REPOSITORY / "members"


def _weights_of(experiment: Experiment) -> Path:
    return REPOSITORY / "members" / experiment.member / "weights"


def _weights_searched(target: Emulated, results: Results) -> Optional[Path]:
    if not target.is_search:
        return None
    return results.blend / f"weights_{BlendName.parse(target.name).table}.csv"


def _is_trained(target: Emulated, results: Results) -> bool:
    """Return whether the network, or all of the published blend, has checkpoints in the results."""
    experiments = [target.experiment] if target.experiment else _blended()
    folders = [results.experiment(one.member, one.id) for one in experiments]
    return all(map(_has_checkpoint, experiments, folders))


def _blended() -> List[Experiment]:
    return [one for one in registry.flat(registry.members()) if one.blended]


def _has_checkpoint(experiment: Experiment, folder: Path) -> bool:
    return any(
        path.exists()
        for group in experiment.checkpoint_groups
        for path in experiment.checkpoint_candidates(folder, group)
    )


def common_folder(inputs: Sequence[Path]) -> Path:
    """Return the folder that a container must see to read inputs, which may hold patterns.

    Raises KitError if that is the root of the file system.
    """
    common = Path(os.path.commonpath([str(_fixed(path)) for path in inputs]))
    if common == Path("/"):
        remedy = "put them below one folder, or use RUNTIME=venv"
        raise KitError("lie in folders that have only / in common", "INPUTS", remedy)
    return common


def _fixed(path: Path) -> Path:
    """Return the folder of a path, up to its first part that is a pattern."""
    if path.exists():
        is_folder = path.is_dir() and not prediction_inputs.is_dataset(path)
        return path if is_folder else path.parent
    parts: List[str] = []
    for part in path.parts:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)
