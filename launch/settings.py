"""Every choice of a run with its reason: the user's, or made from the machine and the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from blend.naming import BlendName, parse_blends, parse_options
from launch import gpus, registry
from launch.choices import AS_REQUESTED, Choice, accelerator, runtime, stack
from launch.registry import REPOSITORY
from launch.runtimes import stacks
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData, Results
from leapkit.core.stacks import MODERN, Stack
from leapkit.core.training_options import parse

CONTAINERS = ("docker", "apptainer")


@dataclass(frozen=True)
class Settings:
    """What a run uses.

    mode     reproduce or infer-only
    choices  {variable: its choice}, in the order in which they are printed
    """

    mode: str
    choices: Mapping[str, Choice]

    def __getitem__(self, variable: str) -> str:
        """Return the value of a variable."""
        return self.choices[variable].value

    @property
    def raw(self) -> RawData:
        """The data, below RAW_DATA."""
        return RawData(Path(self["RAW_DATA"]).resolve())

    @property
    def results(self) -> Results:
        """The results, below SUBMISSION."""
        return Results(Path(self["SUBMISSION"]).resolve())

    @property
    def emulator(self) -> Stack:
        """The stack of the service `emulator`: the modern one unless EMULATOR names a member."""
        member = self.choices.get("EMULATOR")
        return stacks.stacks_of(member.value)[self["STACK"]] if member else MODERN

    @property
    def in_containers(self) -> bool:
        """Whether steps run in images, whose folders have names of their own."""
        return self["RUNTIME"] in CONTAINERS

    @property
    def everything(self) -> bool:
        """Whether a run without EXPERIMENTS takes all networks, not only the published blend's."""
        return self["PROFILE"] == "sample"

    @property
    def blends(self) -> List[BlendName]:
        """The blends that TABLE names, in order. Raises KitError for an unknown table."""
        return parse_blends(self["TABLE"], self.options)

    @property
    def options(self) -> Tuple[str, ...]:
        """Post-processing beside the published one."""
        return parse_options(self["POSTPROCESS"])

    def weights(self, member: str) -> Path:
        """Return the folder of a member's published checkpoints."""
        if self["WEIGHTS"]:
            return Path(self["WEIGHTS"]).resolve()
        return REPOSITORY / "members" / member / "weights"

    @property
    def is_sample_world(self) -> bool:
        """Whether RAW_DATA is the world that the kit makes itself."""
        return self.raw.root == sample_world()

    def experiments(self, only: str = "") -> registry.Registry:
        """Return {member: experiments} of the run, of `only` one member if it is named.

        A run that names no experiments has those that its blends search among.
        """
        everything = self.everything or bool(only)
        run = registry.chosen(self["EXPERIMENTS"], only, self.mode, everything)
        if not only and not self["EXPERIMENTS"] and self.mode == "reproduce":
            searched = [blend.search.member for blend in self.blends if blend.search]
            run = registry.with_members(run, searched)
        beyond = parse(self["OPTIONS"])
        return {
            member: tuple(experiment.with_options(beyond) for experiment in experiments)
            for member, experiments in run.items()
        }

    def lines(self) -> List[str]:
        """Return a line for each choice: variable, value, reason."""
        return [
            f"{variable:<12} {choice.value:<22} {choice.reason}"
            for variable, choice in self.choices.items()
            if choice.value
        ]


def sample_world() -> Path:
    """Return the folder of the world that the kit makes itself."""
    return (REPOSITORY / "raw_data" / "sample").resolve()


def choose(
    mode: str,
    requested: Mapping[str, str],
    needs_runtime: bool = True,
    is_elsewhere: bool = False,
) -> Settings:
    """Choose everything that a run needs and that was not requested.

    mode           reproduce or infer-only
    requested      {variable: the user's value}
    needs_runtime  whether something will be started: the machine is looked at
    is_elsewhere   whether that will be on another machine: DEVICE=cuda needs no GPU here
    Raises KitError if the user requests what cannot be had.
    """
    choices: Dict[str, Choice] = {}
    choices["PROFILE"] = _profile(mode, requested)
    choices["RAW_DATA"] = _raw_data(mode, choices["PROFILE"].value, requested)
    default = Choice(str(REPOSITORY / "submission"), "the default")
    choices["SUBMISSION"] = _requested(requested, "SUBMISSION") or default
    choices["EXPERIMENTS"] = _requested(requested, "EXPERIMENTS") or Choice("", "")
    choices["OPTIONS"] = _training_options(mode, requested)
    choices["STEP_PRECISION"] = _requested(requested, "STEP_PRECISION") or Choice("", "")
    choices["WEIGHTS"] = _requested(requested, "WEIGHTS") or Choice("", "")
    choices["TABLE"] = _table(mode, choices["PROFILE"].value, requested)
    choices["CARD"] = _requested(requested, "CARD") or Choice("", "")
    choices["POSTPROCESS"] = _requested(requested, "POSTPROCESS") or Choice("", "")
    parse_options(choices["POSTPROCESS"].value)
    default = Choice("auto", "a GPU if torch sees one that it was built for")
    if needs_runtime:
        choices["RUNTIME"] = runtime(requested.get("RUNTIME", ""))
        name = choices["RUNTIME"].value
        gpu = gpus.probe()
        choices["STACK"] = stack(name in CONTAINERS, gpu, requested.get("STACK", ""))
        device = _requested(requested, "DEVICE") if is_elsewhere else None
        if device and device.value != "auto":
            choices["ACCELERATOR"] = device
        else:
            choices["ACCELERATOR"] = accelerator(name == "docker", gpu, requested.get("DEVICE", ""))
        if gpu.state == gpus.HIDDEN:
            default = Choice("cpu", gpu.how)
    choices["DEVICE"] = _requested(requested, "DEVICE") or default
    choices["PRECISION"] = _precision(requested, choices)
    choices["GPUS"] = _requested(requested, "GPUS") or Choice("", "")
    return Settings(mode, choices)


def choose_for_jobs(mode: str, requested: Mapping[str, str]) -> Settings:
    """Choose for batch jobs. They run on other machines: a GPU that this one lacks decides nothing.

    Raises KitError if the user requests what cannot be had, or containers of Docker.
    """
    if requested.get("RUNTIME") == "docker":
        remedy = "write RUNTIME=venv or RUNTIME=apptainer"
        raise KitError("a batch job cannot start Docker's containers", "RUNTIME=docker", remedy)
    asked = requested.get("DEVICE", "")
    here = {"RUNTIME": "venv", **requested, "DEVICE": "cpu", "PRECISION": ""}
    choices = dict(choose(mode, here).choices)
    if "RUNTIME" not in requested:
        choices["RUNTIME"] = Choice("venv", "a batch job cannot start Docker's containers")
    if asked != "cpu":
        choices["ACCELERATOR"] = Choice("cuda", "jobs get GPUs of the cluster, unless DEVICE=cpu")
        choices["DEVICE"] = Choice(asked or "auto", AS_REQUESTED if asked else "a job's GPU")
    choices["PRECISION"] = _precision(requested, choices)
    return Settings(mode, choices)


def _requested(requested: Mapping[str, str], variable: str) -> Optional[Choice]:
    value = requested.get(variable, "")
    return Choice(value, AS_REQUESTED) if value else None


def _training_options(mode: str, requested: Mapping[str, str]) -> Choice:
    """Choose how training goes beyond the published one: not at all unless the user says so.

    Raises KitError for what is no option, and where it would replace results of another recipe.
    """
    text = requested.get("OPTIONS", "")
    if not parse(text).on():
        return Choice("", "")
    if mode != "reproduce":
        raise KitError("is of training, and nothing is trained", f"OPTIONS={text}", "leave it out")
    if "SUBMISSION" not in requested:
        remedy = "name a folder for its own with SUBMISSION="
        raise KitError("would replace the results in submission", f"OPTIONS={text}", remedy)
    return Choice(text, AS_REQUESTED)


def _precision(requested: Mapping[str, str], choices: Mapping[str, Choice]) -> Choice:
    """Choose what networks compute in; the member knows the device, if it is not asked for here.

    Raises KitError for TF32 where there is no GPU.
    """
    default = Choice("auto", "tf32 on a GPU, as the team's cards had; float32 on a CPU")
    choice = _requested(requested, "PRECISION") or default
    accelerator = choices.get("ACCELERATOR", choices["DEVICE"]).value
    if choice.value == "tf32" and accelerator == "cpu":
        remedy = "use PRECISION=float32, or leave it out"
        raise KitError("a CPU has no TF32", "PRECISION=tf32", remedy)
    return choice


def _profile(mode: str, requested: Mapping[str, str]) -> Choice:
    choice = _requested(requested, "PROFILE")
    if choice:
        return choice
    if mode == "infer-only":
        return Choice("full", "published checkpoints have the published size")
    test_csv = RawData(Path(requested.get("RAW_DATA") or REPOSITORY / "raw_data")).test_csv
    if test_csv.exists():
        return Choice("full", f"{test_csv} exists")
    return Choice("sample", f"{test_csv} does not exist")


def _raw_data(mode: str, profile: str, requested: Mapping[str, str]) -> Choice:
    folder = requested.get("RAW_DATA", "")
    if folder:
        return Choice(str(Path(folder).resolve()), AS_REQUESTED)
    if profile == "sample" and mode == "reproduce":
        return Choice(str(sample_world()), "the built-in sample world")
    return Choice(str(REPOSITORY / "raw_data"), "the default")


def _table(mode: str, profile: str, requested: Mapping[str, str]) -> Choice:
    choice = _requested(requested, "TABLE")
    if choice:
        return choice
    if mode == "reproduce" and profile == "sample":
        run = registry.chosen(requested.get("EXPERIMENTS", ""), "", mode, everything=True)
        return Choice(
            ",".join(registry.usual_searches(run)),
            "sample networks need weights of their own, searched on their validation predictions",
        )
    return Choice("v10", "the published weights")
