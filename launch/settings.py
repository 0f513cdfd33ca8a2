"""Every choice of a run, each with its reason: given by the user, or made from what the machine has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Tuple

from blend import plan
from launch import machine, registry, stacks
from launch.registry import REPOSITORY
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData, Results

ALLOWED = {
    "RUNTIME": ("docker", "venv"),
    "STACK": stacks.STACKS,
    "PROFILE": ("sample", "full"),
    "DEVICE": ("auto", "cpu", "cuda"),
}


@dataclass(frozen=True)
class Choice:
    """A value and why it was taken."""

    value: str
    reason: str


@dataclass(frozen=True)
class Settings:
    """What a run uses; `choices` keeps the reasons for printing."""

    mode: str
    choices: Mapping[str, Choice]

    def __getitem__(self, name: str) -> str:
        return self.choices[name].value

    @property
    def raw(self) -> RawData:
        return RawData(Path(self["RAW_DATA"]).resolve())

    @property
    def results(self) -> Results:
        return Results(Path(self["SUBMISSION"]).resolve())

    @property
    def everything(self) -> bool:
        """Whether a run without EXPERIMENTS is about all networks, and not only those that the published blend counts."""
        return self["PROFILE"] == "sample"

    @property
    def tables(self) -> List[str]:
        return [name.strip() for name in self["TABLE"].split(",") if name.strip()]

    @property
    def options(self) -> Tuple[str, ...]:
        """Post-processing beside the published one."""
        return plan.options_of(self["POSTPROCESS"])

    def weights(self, member: str) -> Path:
        """Where a member's published checkpoints lie."""
        return (
            Path(self["WEIGHTS"]).resolve()
            if self["WEIGHTS"]
            else REPOSITORY / "members" / member / "weights"
        )

    @property
    def is_sample_world(self) -> bool:
        """Whether RAW_DATA is the world that the kit makes itself."""
        return self.raw.root == sample_world()

    def lines(self) -> List[str]:
        return [
            "%-12s %-22s %s" % (name, choice.value, choice.reason)
            for name, choice in self.choices.items()
            if choice.value
        ]


def sample_world() -> Path:
    return (REPOSITORY / "raw_data" / "sample").resolve()


def given(name: str) -> str:
    """The user's value of a variable ("" when not given). Raises KitError for one that is not allowed."""
    value = os.environ.get(name, "").strip()
    if value and value not in ALLOWED.get(name, (value,)):
        raise KitError(f"{value!r} is not allowed", name, "choose " + " or ".join(ALLOWED[name]))
    return value


def choose(mode: str, needs_runtime: bool = True) -> Settings:
    """All choices for `reproduce` or `infer-only`. Raises KitError where the user asks for what cannot be had."""
    choices: Dict[str, Choice] = {}
    choices["PROFILE"] = _profile(mode)
    choices["RAW_DATA"] = _raw_data(mode, choices["PROFILE"].value)
    choices["SUBMISSION"] = _or(
        given("SUBMISSION"), Choice(str(REPOSITORY / "submission"), "the default")
    )
    choices["EXPERIMENTS"] = _or(given("EXPERIMENTS"), Choice("", ""))
    choices["WEIGHTS"] = _or(given("WEIGHTS"), Choice("", ""))
    choices["TABLE"] = _table(mode, choices["PROFILE"].value, choices["EXPERIMENTS"].value)
    choices["POSTPROCESS"] = _or(given("POSTPROCESS"), Choice("", ""))
    plan.options_of(choices["POSTPROCESS"].value)
    if needs_runtime:
        choices["RUNTIME"] = runtime()
        docker = choices["RUNTIME"].value == "docker"
        choices["STACK"] = stack(docker)
        choices["ACCELERATOR"] = accelerator(docker)
    choices["DEVICE"] = _or(
        given("DEVICE"), Choice("auto", "a GPU where torch sees one that it knows")
    )
    return Settings(mode, choices)


def _or(value: str, default: Choice) -> Choice:
    return Choice(value, "as you asked") if value else default


def _profile(mode: str) -> Choice:
    if given("PROFILE"):
        return Choice(given("PROFILE"), "as you asked")
    if mode == "infer-only":
        return Choice("full", "published checkpoints have the published size")
    raw = Path(given("RAW_DATA") or REPOSITORY / "raw_data")
    if RawData(raw).test_csv.exists():
        return Choice("full", f"{RawData(raw).test_csv} is there")
    return Choice("sample", f"{RawData(raw).test_csv} is not there")


def _raw_data(mode: str, profile: str) -> Choice:
    if given("RAW_DATA"):
        return Choice(str(Path(given("RAW_DATA")).resolve()), "as you asked")
    if profile == "sample" and mode == "reproduce":
        return Choice(str(sample_world()), "the built-in sample world")
    return Choice(str(REPOSITORY / "raw_data"), "the default")


def _table(mode: str, profile: str, experiments: str) -> Choice:
    if given("TABLE"):
        return Choice(given("TABLE"), "as you asked")
    if mode == "reproduce" and profile == "sample":
        names = registry.searches(registry.chosen(experiments, "", mode, everything=True))
        return Choice(
            ",".join(names),
            "sample networks need weights of their own, climbed on their validation predictions",
        )
    return Choice("v10", "the published weights")


def runtime() -> Choice:
    """docker where an engine answers and its base images can be had, else venv."""
    wanted = given("RUNTIME")
    if wanted == "venv":
        return Choice("venv", "as you asked")
    problem = machine.engine_problem()
    if not problem and not stacks.base_image("3.11", probe=True):
        problem = "there are no base images and no image registry answers (containers/make-bases makes them)"
    if wanted == "docker":
        if problem:
            raise KitError(
                problem,
                "RUNTIME=docker",
                "see README, 'Containers' (containers/start-engine, containers/make-bases), or use RUNTIME=venv",
            )
        return Choice("docker", "as you asked")
    return Choice("venv", problem) if problem else Choice("docker", "a container engine answers")


def stack(docker: bool) -> Choice:
    """published where its interpreter can be had and the GPU, if any, is one that its wheels know; else modern."""
    wanted = given("STACK")
    capability = machine.gpu_capability()
    problem = ""
    if capability and capability[0] > machine.PUBLISHED_NEWEST_GPU:
        problem = "its CUDA 11.3 wheels do not know a GPU of compute capability %d.%d" % capability
    elif not docker:
        absent = sorted({v for v in stacks.pythons_of("published") if not machine.interpreter(v)})
        problem = f"python{absent[0]} is not installed" if absent else ""
    if wanted:
        if wanted == "published" and problem:
            raise KitError(
                problem,
                "STACK=published",
                "use STACK=modern or install it (PYTHON_3_8=path names one)",
            )
        return Choice(wanted, "as you asked")
    return (
        Choice("modern", "not published: " + problem)
        if problem
        else Choice("published", "the team's own versions can be had here")
    )


def accelerator(docker: bool) -> Choice:
    if machine.gpu_capability() is None:
        return Choice("cpu", "nvidia-smi names no GPU")
    if given("DEVICE") == "cpu":
        return Choice("cpu", "as you asked with DEVICE=cpu")
    if docker and not machine.engine_has_gpu():
        return Choice("cpu", "the container engine has no NVIDIA runtime")
    return Choice("cuda", "nvidia-smi names a GPU")
