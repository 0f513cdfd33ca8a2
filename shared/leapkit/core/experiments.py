"""An experiment is data: one frozen, validated record per network.

The launcher plans with these records without torch; a member's code turns them into networks.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from leapkit.core.columns import GROUP_NAMES
from leapkit.core.errors import KitError
from leapkit.core.recipes import Recipe, require
from leapkit.core.training_options import TrainingOptions

# The two families of statistics, never mixed: `adam` is adam's own, `fdzm` is the one that the
# other four members share (the team's folder `fdzm_part`).
FAMILY_NAMES = ("adam", "fdzm")
PROFILES = ("sample", "full")
# The usual one first. Readers go by the content, not by the suffix.
CHECKPOINT_SUFFIXES = (".pt", ".safetensors")


@dataclass(frozen=True)
class GroupRule:
    """Fine-tuning of one copy of the parent per group of targets.

    Source: docs/reference/models.md, "Group fine-tuning".

    parents         groups that keep the parent's weights without being trained
    keep_if_better  a group whose fine-tuned score is below the parent's keeps the parent's weights
    """

    parents: Tuple[int, ...] = ()
    keep_if_better: bool = False


@dataclass(frozen=True)
class PublishedCheckpoints:
    """The team's own checkpoint files (docs/reference/models.md, "Checkpoint files").

    names   stems of the files, the usual one first: <name>.pt, or <name>_g0.pt to <name>_g6.pt
    prefix  of the tensors' names: `module.` if the team saved its nn.DataParallel wrapper
    indistinguishable_from
            another experiment whose files have the same tensor names and shapes, and compute
            something else
    """

    names: Tuple[str, ...]
    prefix: str = ""
    indistinguishable_from: str = ""


@dataclass(frozen=True)
class Experiment:
    """One network, or seven copies of one.

    member, id     `adam`, `195`: the kit's name is `adam/195`
    artifact       stem of the parquet in submission/subs, as the published blend table has it (dots
                   included); "" for a network that only others start from
    family         of statistics
    network        profile -> frozen dataclass, built by the member's networks.py
    recipe         profile -> recipe
    batch          rows per forward pass at inference
    parent         id of the experiment whose weights it starts from; "" starts from random weights
    reinitialised  tensors that are not taken from the parent
    groups         the rule of group fine-tuning; None for one checkpoint that predicts all targets
    published      the team's checkpoint files; None if it released none
    blended        whether the published blend counts it
    on_request     whether only a run that names it, or its member, trains it

    Raises ValueError if the fields contradict each other.
    """

    member: str
    id: str
    artifact: str
    family: str
    network: Mapping[str, Any]
    recipe: Mapping[str, Recipe]
    batch: int
    parent: str = ""
    reinitialised: Tuple[str, ...] = ()
    groups: Optional[GroupRule] = None
    published: Optional[PublishedCheckpoints] = None
    blended: bool = False
    on_request: bool = False

    def __post_init__(self) -> None:
        require(self.family in FAMILY_NAMES, self.name, f"unknown family {self.family!r}")
        require(
            bool(re.match(r"^[\w.-]*$", self.artifact))
            and not self.artifact.endswith((".parquet", ".npy")),
            self.name,
            "the artifact is a file stem",
        )
        require(
            set(self.network) == set(self.recipe) == set(PROFILES),
            self.name,
            "one network and recipe per profile",
        )
        require(self.batch >= 1, self.name, "batch is at least 1")
        require(
            bool(self.parent) or not (self.groups or self.reinitialised),
            self.name,
            "groups are tuned from a parent",
        )
        require(
            bool(self.artifact and self.published) or not self.blended,
            self.name,
            "what the published blend counts has an artifact and checkpoints",
        )
        require(
            not (self.blended and self.on_request),
            self.name,
            "what the published blend counts is no extra",
        )

    @property
    def name(self) -> str:
        return f"{self.member}/{self.id}"

    @property
    def parquet(self) -> str:
        return self.artifact + ".parquet"

    @property
    def checkpoint_groups(self) -> Tuple[Optional[int], ...]:
        """The group of each checkpoint: (None,) for one of all targets, else (0, ..., 6)."""
        return (None,) if self.groups is None else tuple(range(len(GROUP_NAMES)))

    @property
    def checkpoint_names(self) -> Tuple[str, ...]:
        """The names that its published checkpoints may have: the team's, then the kit's own."""
        return (self.published.names if self.published else ()) + (self.id,)

    def stem(self, group: Optional[int]) -> str:
        """Return the name of a checkpoint without its suffix: 195, or 32_g0."""
        return group_stem(self.id, group)

    def checkpoint_candidates(self, weights: Path, group: Optional[int]) -> List[Path]:
        """Return where the published checkpoint of a group may lie below a weights folder.

        It has any of its names, directly in `weights` or in a folder of any of its names. The
        first path is where `make fetch` puts it: seven checkpoints have a folder of their own.
        """
        stems = [group_stem(name, group) for name in self.checkpoint_names]
        files = [stem + suffix for suffix in CHECKPOINT_SUFFIXES for stem in stems]
        flat = [weights / file for file in files]
        nested = [weights / folder / file for folder in self.checkpoint_names for file in files]
        return flat + nested if group is None else nested + flat

    def with_options(self, options: TrainingOptions) -> Experiment:
        """Return the experiment with options of training on, beside those that it has.

        Raises KitError if its recipe does not go with them.
        """
        if not options.on():
            return self
        try:
            recipes = {
                profile: replace(
                    recipe, options=TrainingOptions(**{**recipe.options.on(), **options.on()})
                )
                for profile, recipe in self.recipe.items()
            }
        except ValueError as error:
            rule = str(error).rsplit(": ", 1)[-1]
            remedy = "leave the option out, or name other networks with EXPERIMENTS="
            raise KitError(rule, self.name, remedy) from error
        return replace(self, recipe=recipes)

    def network_record(self, profile: str) -> Dict[str, Any]:
        """Return the network as plain data: what a receipt records and compares."""
        return {"class": type(self.network[profile]).__name__, **asdict(self.network[profile])}

    def recipe_record(self, profile: str) -> Dict[str, Any]:
        """Return the recipe as plain data: what a receipt records and compares.

        Of the options it holds those that are on, and has no `options` if none is.
        """
        recipe = self.recipe[profile]
        schedule = {"class": type(recipe.schedule).__name__, **asdict(recipe.schedule)}
        record = {**asdict(recipe), "schedule": schedule}
        del record["options"]
        on = recipe.options.on()
        return {**record, "options": on} if on else record


def group_stem(name: str, group: Optional[int]) -> str:
    """Return the stem of a group's file: `name` for all targets, else `name`_g<group>."""
    return name if group is None else f"{name}_g{group}"
