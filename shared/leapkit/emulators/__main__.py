"""python -m leapkit.emulators predict|export: what `make predict` and `make export` start."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import List

from leapkit.core import constraint_names, pauses
from leapkit.core.errors import run_cli
from leapkit.core.experiments import PROFILES
from leapkit.core.precisions import PRECISIONS
from leapkit.core.step_files import PRECISIONS as STEP_PRECISIONS


def arguments(argv: List[str]) -> argparse.Namespace:
    """Return the arguments of a command line."""
    parser = argparse.ArgumentParser(
        prog="leapkit.emulators", description="Applies networks to columns, or makes files of them."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    predict = commands.add_parser("predict", help="columns to tendencies and surface fluxes")
    export = commands.add_parser("export", help="networks to files for other programs")
    for command in (predict, export):
        command.add_argument("--network", required=True, help="max2020/022, v10, searched, a table")
        command.add_argument("--weights", type=Path, default=Path("members"))
        command.add_argument("--raw-data", type=Path, default=Path("raw_data"))
        command.add_argument("--to", type=Path, required=True)
        command.add_argument("--profile", choices=PROFILES)
        command.add_argument("--postprocess", default="", help="constraints, comma separated")
    predict.add_argument("--inputs", action="append", default=[], metavar="PATH")
    predict.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    predict.add_argument("--precision", choices=("auto", *PRECISIONS), default="auto")
    predict.add_argument("--step-precision", choices=STEP_PRECISIONS, default=STEP_PRECISIONS[0])
    export.add_argument("--formats", default="", help="comma separated; all if empty")
    return parser.parse_args(argv)


def main(argv: List[str]) -> int:
    """Run one command and return its exit code. Raises KitError, and Paused after a pause."""
    options = arguments(argv)
    from leapkit.run.devices import tune_libraries

    tune_libraries()
    with pauses.listening():
        _COMMANDS[options.command](options)
    return 0


def _predict(options: argparse.Namespace) -> None:
    from leapkit.emulators import parts, prediction
    from leapkit.emulators.emulator import Emulator

    found = parts.find(options.network, options.weights, options.raw_data, options.profile)
    names = constraint_names.parse(options.postprocess)
    emulator = Emulator(found, options.device, options.precision, names)
    accepts = options.step_precision == "float32"
    request = prediction.Request(options.inputs, options.to, options.raw_data, accepts)
    prediction.predict(request, found, emulator)


def _export(options: argparse.Namespace) -> None:
    from leapkit.emulators import parts

    found = parts.find(options.network, options.weights, options.raw_data, options.profile)
    formats = [name for name in options.formats.replace(" ", "").split(",") if name]
    # By name: the room of exports stands on this one.
    making = importlib.import_module("leapkit.exports.making")
    making.make(found, options.to, formats, constraint_names.parse(options.postprocess))


_COMMANDS = {"predict": _predict, "export": _export}

if __name__ == "__main__":
    run_cli(main)
