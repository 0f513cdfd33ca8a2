"""make predict and make export: what is asked for, checked before anything starts, and run.

Both run `python -m leapkit.emulators`, on the stack of the network's own member. A blend of several
members' networks, and every export, runs on the modern stack.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Mapping, Sequence, Tuple

from launch import emulated, process, registry, run, settings
from launch.choices import AS_REQUESTED, Choice
from launch.code_version import code_version
from launch.emulated import Emulated
from launch.folders import require_writable
from launch.runtimes import containers, environments, image_runtimes
from launch.settings import Settings
from leapkit.core import constraint_names, prediction_inputs
from leapkit.core.errors import KitError

SEVERAL = "networks of several members run together on the modern stack"
SHOWN = (
    *("NETWORK", "WEIGHTS", "RAW_DATA", "INPUTS", "TO", "POSTPROCESS"),
    *("RUNTIME", "STACK", "ACCELERATOR", "DEVICE", "PRECISION"),
)
FOLDERS = {"LEAP_WEIGHTS": "/weights", "LEAP_INPUTS": "/inputs", "LEAP_TO": "/to"}


@dataclass(frozen=True)
class Step:
    """A run of leapkit.emulators, and the folders that it is about.

    words  what follows the module, but for folders
    paths  (flag, variable of compose.yaml, path) of what lies in a folder
    mounts {variable of compose.yaml: folder}
    """

    settings: Settings
    emulated: Emulated
    words: Sequence[str]
    paths: Sequence[Tuple[str, str, Path]]
    mounts: Mapping[str, Path]

    @property
    def made(self) -> Path:
        """The folder in which files are made."""
        return self.mounts["LEAP_TO"]

    def here(self) -> List[str]:
        """Return the arguments with the paths of this machine."""
        named = [f"--network={self.emulated.name}", f"--raw-data={self.settings.raw.root}"]
        return [*self.words, *named, *(f"{flag}={path}" for flag, _, path in self.paths)]

    def inside(self) -> List[str]:
        """Return the arguments with the paths that a container sees."""
        name = self.emulated.name
        if self.emulated.is_table:
            [name] = containers.tables_inside(self.settings)[0]
        seen = [
            f"{flag}={Path(FOLDERS[variable]) / path.relative_to(self.mounts[variable])}"
            for flag, variable, path in self.paths
        ]
        return [*self.words, f"--network={name}", "--raw-data=/raw_data", *seen]


def predict(requested: Mapping[str, str]) -> int:
    """Predict what INPUTS names and return the exit code. Raises KitError for a wrong name."""
    target = emulated.named(requested.get("NETWORK", ""), "predict")
    chosen = choose(requested, target)
    default = chosen.results.root / "predictions" / f"{target.file_name}.nc"
    to = _to(requested, default)
    words = ["predict", *_arithmetic(chosen, requested)]
    inputs = _inputs(requested, chosen)
    shown = Choice(",".join(map(str, inputs)), AS_REQUESTED)
    if not inputs:
        shown = Choice("validation", f"the steps that validate in {chosen.raw.steps}")
    chosen = replace(chosen, choices={**chosen.choices, "INPUTS": shown})
    return _run(chosen, target, words, inputs, to)


def export(requested: Mapping[str, str]) -> int:
    """Write a network into files below TO and return the exit code. Raises KitError."""
    target = emulated.named(requested.get("NETWORK", ""), "export")
    chosen = choose(requested, target, "files are exported by the modern stack")
    to = _to(requested, chosen.results.root / "exports" / target.file_name)
    if Path(to.value).is_file():
        raise KitError("is a file", f"TO={to.value}", "name a folder")
    words = ["export", f"--formats={requested.get('FORMATS', '')}"]
    words += [f"--postprocess={requested.get('POSTPROCESS', '')}", *_profile(requested)]
    return _run(chosen, target, words, [], to)


def choose(requested: Mapping[str, str], target: Emulated, modern: str = "") -> Settings:
    """Return the choices of a run. Raises KitError for what cannot be had.

    modern  why the modern stack is needed; without a reason a blend needs it all the same
    """
    modern = modern or ("" if target.experiment else SEVERAL)
    if modern and requested.get("STACK") == "published":
        raise KitError(modern, "STACK=published", "leave it out, or write STACK=modern")
    postprocess = ",".join(constraint_names.parse(requested.get("POSTPROCESS", "")))
    # The blend's post-processing has two of these names, and refuses the others.
    values = {**requested, "POSTPROCESS": "", **({"STACK": "modern"} if modern else {})}
    if target.is_table:
        values["TABLE"] = target.name
    chosen = with_stack(settings.choose("reproduce", values), target, modern)
    if not chosen.raw.root.is_dir():
        remedy = "name the folder that holds statistics/ with RAW_DATA=, or run `make reproduce`"
        raise KitError("the folder does not exist", chosen.raw.root, remedy)
    weights = emulated.weights(requested, target, chosen.results)
    named = {"WEIGHTS": weights, "POSTPROCESS": Choice(postprocess, AS_REQUESTED)}
    return replace(chosen, choices={**chosen.choices, **named})


def with_stack(chosen: Settings, target: Emulated, modern: str = "") -> Settings:
    """Return choices with the stack of a network's own member, or the modern one.

    modern  why the modern stack is needed, "" if it is not
    """
    if target.experiment and not modern:
        member = Choice(target.experiment.member, "whose stack it is")
        return replace(chosen, choices={**chosen.choices, "EMULATOR": member})
    stack = Choice("modern", modern or SEVERAL)
    return replace(chosen, choices={**chosen.choices, "STACK": stack})


def with_emulator(
    chosen: Settings, services: Sequence[str], network: str, command: str
) -> List[Tuple[Settings, List[str]]]:
    """Return (choices, services) of images, beside them the emulator's if a network is named.

    It has a stack of its own: that of the network's member, or the modern one. Raises KitError for
    an unknown network.
    """
    images = [(chosen, list(services))]
    if network:
        target = emulated.named(network, command)
        images.append((with_stack(chosen, target), ["emulator"]))
    return images


def _arithmetic(chosen: Settings, requested: Mapping[str, str]) -> List[str]:
    return [
        f"--device={chosen['DEVICE']}",
        f"--precision={chosen['PRECISION']}",
        f"--postprocess={requested.get('POSTPROCESS', '')}",
        *_profile(requested),
        *([f"--step-precision={chosen['STEP_PRECISION']}"] if chosen["STEP_PRECISION"] else []),
    ]


def _profile(requested: Mapping[str, str]) -> List[str]:
    """The checkpoint's shapes tell the profile, unless it is asked for."""
    return [f"--profile={requested['PROFILE']}"] if "PROFILE" in requested else []


def _to(requested: Mapping[str, str], default: Path) -> Choice:
    """Choose what is made, an absolute path. Raises KitError if nothing can be written there."""
    given = requested.get("TO", "")
    to = Path(given or default).absolute()
    require_writable(to.parent, "name a file in a folder that you may write to with TO=")
    return Choice(str(to), AS_REQUESTED if given else "the default")


def _inputs(requested: Mapping[str, str], chosen: Settings) -> List[Path]:
    """Return the words of INPUTS, absolute; none stands for the steps that validate.

    Raises KitError if they name nothing that can be read.
    """
    text = requested.get("INPUTS", "")
    if not text:
        chosen.raw.validation_pairs()
        return []
    words = [text] if Path(text).exists() else [word.strip() for word in text.split(",")]
    prediction_inputs.find(words)
    return [Path(word).absolute() for word in words]


def _run(
    chosen: Settings, target: Emulated, words: Sequence[str], inputs: Sequence[Path], to: Choice
) -> int:
    """Show the choices that count, and run the step."""
    weights, made = Path(chosen["WEIGHTS"]).resolve(), Path(to.value)
    mounts = {
        "LEAP_WEIGHTS": weights.parent if weights.is_file() else weights,
        "LEAP_TO": made.parent,
    }
    if inputs and chosen.in_containers:
        mounts["LEAP_INPUTS"] = emulated.common_folder(inputs)
    paths = [("--weights", "LEAP_WEIGHTS", weights), ("--to", "LEAP_TO", made)]
    paths += [("--inputs", "LEAP_INPUTS", word) for word in inputs]
    choices = {"NETWORK": Choice(target.name, target.reason), **chosen.choices, "TO": to}
    run.show(replace(chosen, choices={k: choices[k] for k in SHOWN if k in choices}).lines())
    code = start(Step(chosen, target, words, paths, mounts))
    if not code:
        print(f"result: {made}", flush=True)  # a container knows it by another path
    return code


def start(step: Step) -> int:
    """Run a step in its runtime and return its exit code."""
    chosen = step.settings
    if chosen.in_containers:
        return image_runtimes.on_folder(chosen, "emulator", step.inside(), step.mounts, step.made)
    experiment = step.emulated.experiment
    member = experiment.member if experiment else next(iter(registry.members()))
    python = environments.member_python(member, chosen["STACK"], chosen["ACCELERATOR"])
    env = environments.environment({"LEAP_STACK": chosen["STACK"], "LEAP_CODE": code_version()})
    return process.run([str(python), "-m", "leapkit.emulators", *step.here()], env)
