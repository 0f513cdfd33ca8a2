"""The sub-commands: their help, the options that they take, and what they call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Tuple

from launch import (
    actions,
    distil,
    doctor,
    emulating,
    new_member,
    registry,
    reporting,
    stacking,
    testing,
)
from launch.actions import Request
from launch.bundles import bundle, unbundle
from launch.sboms import sbom

WORLD_OPTIONS = ("RAW_DATA", "SUBMISSION", "PROFILE")
RUN_OPTIONS = (
    *("RUNTIME", "STACK", "DEVICE", "GPUS", *WORLD_OPTIONS, "WEIGHTS", "EXPERIMENTS"),
    *("STEP_PRECISION", "PRECISION"),
)
BLEND_OPTIONS = (*RUN_OPTIONS, "TABLE", "POSTPROCESS")
TRAINING_OPTIONS = (*BLEND_OPTIONS, "OPTIONS")
EMULATOR_OPTIONS = ("NETWORK", "TO", "RUNTIME", "STACK", *WORLD_OPTIONS, "WEIGHTS", "POSTPROCESS")
STACK_OPTIONS = ("RUNTIME", "DEVICE", *WORLD_OPTIONS, "TABLE", "ARTIFACTS")
DISTIL_OPTIONS = (
    *("TEACHER", "RUNTIME", "STACK", *WORLD_OPTIONS, "WEIGHTS", "TO", "INPUTS", "POSTPROCESS"),
    *("DEVICE", "STEP_PRECISION", "PRECISION"),
)


@dataclass(frozen=True)
class Command:
    """One sub-command.

    options    the variables that it takes
    passes_to  what gets the arguments that are no options, "" if they are refused
    """

    help: str
    run: Callable[[Request], int]
    options: Tuple[str, ...] = ()
    passes_to: str = ""


def commands() -> Dict[str, Command]:
    """Return every sub-command, in the order of the help."""
    return {
        "reproduce": Command(
            "train everything, predict, blend", actions.reproduce, TRAINING_OPTIONS
        ),
        "infer-only": Command(
            "predict with published checkpoints", actions.infer_only, BLEND_OPTIONS
        ),
        **{
            member: Command(
                f"{member} alone: train and predict",
                actions.member(member),
                (*RUN_OPTIONS, "MODE", "OPTIONS"),
            )
            for member in registry.members()
        },
        "blend": Command("the blend alone", actions.blend, (*BLEND_OPTIONS, "MODE")),
        "predict": Command(
            "a network or a blend on columns of your own",
            lambda request: emulating.predict(request.values),
            (*EMULATOR_OPTIONS, "INPUTS", "DEVICE", "PRECISION", "STEP_PRECISION"),
        ),
        "export": Command(
            "a network or a blend as files for other programs",
            lambda request: emulating.export(request.values),
            (*EMULATOR_OPTIONS, "FORMATS"),
        ),
        "stack": Command(
            "a blend corrected by a small network over the levels",
            lambda request: stacking.stack(request.values),
            STACK_OPTIONS,
        ),
        "distil": Command(
            "train the student on what a network or a blend predicts",
            lambda request: distil.distil(request.values),
            DISTIL_OPTIONS,
        ),
        "plan": Command(
            "what would run, why, and how long it takes",
            actions.plan,
            (*TRAINING_OPTIONS, "MODE", "CARD"),
        ),
        "slurm": Command(
            "the plan as batch jobs; SUBMIT=1 submits them",
            actions.slurm,
            (*TRAINING_OPTIONS, "MODE", "SUBMIT", "SLURM", "HOURS", "PACK", "CARD"),
        ),
        "doctor": Command(
            "what this machine has, and what you can run now",
            lambda request: doctor.run(request.values),
            ("RAW_DATA", "SUBMISSION", "WEIGHTS"),
        ),
        "verify": Command(
            "check the parquets in submission/subs, admit your own",
            actions.verify,
            ("RUNTIME", *WORLD_OPTIONS, "MODE", "ARTIFACTS"),
        ),
        "evaluate": Command(
            "the field's figures of predictions, as pages",
            actions.evaluate,
            ("RUNTIME", *WORLD_OPTIONS, "ARTIFACTS", "ROWS", "PREDICTIONS", "TRUTH"),
        ),
        "submit": Command(
            "send a blend, or networks, to Kaggle and say how their scores stand",
            actions.submit,
            (
                *("RUNTIME", *WORLD_OPTIONS, "TABLE", "POSTPROCESS", "ARTIFACTS"),
                *("FORM", "MESSAGE", "SUBMIT"),
            ),
        ),
        "report": Command(
            "one page on all that a run left",
            lambda request: reporting.run(request.values),
            ("RUNTIME", *WORLD_OPTIONS, "MODE", "EXPERIMENTS", "WEIGHTS", "TABLE", "TO"),
        ),
        "fetch": Command(
            "fetch the data that WHAT names; without it, list what exists",
            actions.fetch,
            ("RAW_DATA", "WEIGHTS", "WHAT", "MONTHS", "DRIVE", "DROP"),
        ),
        "world": Command("make the sample world alone", actions.world, ("RUNTIME",)),
        "statistics": Command(
            "mean and std of train.csv", actions.statistics, ("RUNTIME", "RAW_DATA", "PROFILE")
        ),
        "sifs": Command(
            "the images as files, for a machine with Apptainer",
            actions.make_sifs,
            ("STACK", "DEVICE", "EXPERIMENTS", "NETWORK"),
        ),
        "sbom": Command(
            "what images and environments hold, as CycloneDX documents",
            lambda request: sbom.make(request.values),
            ("RUNTIME", "STACK", "DEVICE", "EXPERIMENTS", "NETWORK", "SUBMISSION", "TO"),
        ),
        "split": Command(
            "make a scored world from step files",
            actions.split,
            ("RUNTIME",),
            "leapkit.worlds.make_world: --steps DIR --to DIR --train M:M --validation M:M"
            " --test M:M [--statistics DIR]",
        ),
        "store": Command(
            "write step files as one array a month",
            actions.store,
            ("RUNTIME", "RAW_DATA", "PROFILE"),
            "leapkit.worlds.month_arrays: --to DIR [--steps DIR] [--months M:M]"
            " [--scheduler ADDRESS]",
        ),
        "bundle": Command(
            "all that a machine without a network needs, in one folder with its sums",
            lambda request: bundle.run(request.values),
            ("BUNDLE", "RUNTIME", "STACK", "DEVICE", "EXPERIMENTS"),
        ),
        "unbundle": Command(
            "check a bundle, and install what it holds",
            lambda request: unbundle.run(request.values),
            ("BUNDLE",),
        ),
        "member": Command(
            "make a new member: its folder, its container, a first network, a test",
            lambda request: new_member.run(request.values),
            ("NAME",),
        ),
        "check": Command(
            "format, lint, types and the unit tests: two minutes",
            lambda request: testing.check(request.rest),
            passes_to="pytest",
        ),
        "test": Command(
            "what you run before you hand over",
            lambda request: testing.test(request.rest),
            passes_to="pytest",
        ),
        "test-end-to-end": Command(
            "whole commands, in containers and without",
            lambda request: testing.end_to_end(request.rest),
            passes_to="pytest",
        ),
        "lint": Command("ruff and mypy", lambda request: testing.lint()),
        "bench": Command("the benchmarks", lambda request: testing.bench()),
        "variables": Command("the variables of make, which are the options", actions.variables),
    }
