"""Export the sixteen published networks at full width: sizes, seconds, largest differences.

    python -m benchmarks.exports ../shared [--networks max2020/022,..] [--formats torchscript,..]

The folder holds `reference` (the rule that fills weights), `published` (statistics) and real steps.
Each network has a process of its own; a line is written per network and format as soon as it is
measured, and what the file of lines already holds is not measured again. The table is Markdown.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

from benchmarks.export_formats import WRITERS, Predict
from leapkit.core.errors import run_cli

RESULTS = Path(__file__).resolve().parent / "results"
BATCHES = (1, 16, 61)
SUFFIXES = {"torchscript": "pt"}
STEP = 384  # columns of the grid: one step of the climate model


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with reference, published and real steps")
    parser.add_argument("--networks", default="", help="names; all sixteen if none is given")
    parser.add_argument("--formats", default="torchscript,pt2,onnx,safetensors")
    parser.add_argument("--columns", type=int, default=STEP, help="columns of the timed batch")
    parser.add_argument("--lines", type=Path, default=None, help="file of the lines (JSON)")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


# ---- the parent ----------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    """Measure what the file of lines lacks, and print the table of all that it holds."""
    options = parse_arguments(argv)
    options.lines = options.lines or RESULTS / f"exports-{_stack()}.jsonl"
    if options.one:
        for name in options.networks.split(","):
            measure(name, options)
        return 0
    options.lines.parent.mkdir(parents=True, exist_ok=True)
    for name in options.networks.split(",") if options.networks else published():
        wanted = [form for form in options.formats.split(",") if (name, form) not in _done(options)]
        if wanted:
            _in_a_process(name, wanted, options)
    print(table(_lines(options.lines)))
    return 0


def _stack() -> str:
    import torch

    return f"torch{torch.__version__.split('+')[0]}"


def published() -> List[str]:
    """Return the names of the networks of the published blend."""
    from launch.registry import members

    return [e.name for experiments in members().values() for e in experiments if e.blended]


def _in_a_process(name: str, formats: List[str], options: argparse.Namespace) -> None:
    words = [str(options.shared), "--networks", name, "--formats", ",".join(formats), "--one"]
    more = ["--columns", str(options.columns), "--lines", str(options.lines)]
    command = [sys.executable, "-m", "benchmarks.exports", *words, *more]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["killed, perhaps for memory"]
        print(f"{name}: ended with {done.returncode}: {said[-1]}", file=sys.stderr, flush=True)


def _lines(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _done(options: argparse.Namespace) -> List[Tuple[str, str]]:
    return [(line["network"], line["format"]) for line in _lines(options.lines)]


def table(lines: List[Dict[str, Any]]) -> str:
    """Return the lines as a Markdown table. What could not be exported says why."""
    heads: Tuple[str, ...] = (
        "network",
        "copies",
        "format",
        "MB",
        "export s",
        "load s",
        "largest difference",
    )
    heads += (f"s / {STEP} columns", "eager s")
    rows = [heads, ("---",) * len(heads)]
    for line in lines:
        cells = [line["network"], str(line["copies"]), line["format"]]
        if "failed" in line:
            rows.append((*cells, *("-",) * 5, line["failed"].replace("|", "/")))
            continue
        numbers = (line["mb"], line["export_s"], line["load_s"])
        cells += [f"{number:.1f}" for number in numbers]
        cells.append(f"{line['difference']:.0e}")
        cells += [f"{number:.1f}" for number in (line["predict_s"], line["eager_s"])]
        rows.append(tuple(cells))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


# ---- one network ---------------------------------------------------------------------------------


def measure(name: str, options: argparse.Namespace) -> None:
    """Fill a network, export it in each format, and write a line for each."""
    import torch

    from leapkit.emulators import parts
    from leapkit.emulators.emulator import Emulator

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="leap-exports-") as folder:
        fill_checkpoints(name, options.shared / "reference", Path(folder))
        found = parts.find(name, Path(folder), options.shared / "published", "full")
        x = real_columns(options.shared, options.columns)
        batches = [*BATCHES, options.columns]  # the timed one last: torch optimises what it runs
        eager = functools.partial(Emulator(found, "cpu").predict, check=False)
        expected, eager_seconds = predictions(eager, x, batches)
        del eager
        for form in options.formats.split(","):
            line = {"network": name, "format": form, "copies": len(found.networks[0].checkpoints)}
            try:
                line.update(exported(form, found, Path(folder), x, expected))
                line["eager_s"] = eager_seconds * STEP / options.columns
                line["predict_s"] *= STEP / options.columns
            except Exception as error:  # what cannot be exported is a finding
                line["failed"] = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            with open(options.lines, "a") as handle:
                handle.write(json.dumps(line) + "\n")


def fill_checkpoints(name: str, reference: Path, folder: Path) -> None:
    """Write the checkpoints of one network, filled by the reference's rule."""
    import torch

    from launch.registry import members

    spec = importlib.util.spec_from_file_location("fill", str(reference / "parity" / "fill.py"))
    assert spec and spec.loader
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    (experiment,) = [e for found in members().values() for e in found if e.name == name]
    entries = json.loads((reference / "checkpoints.json").read_text())
    (entry,) = [
        entry
        for entry in entries.values()
        if entry["blend_row"] and entry["submission_file"] == experiment.parquet
    ]
    assert experiment.published
    for group in experiment.checkpoint_groups:
        salt = "" if group is None else f"g{group}:"
        tensors = fill.fill_entries(entry["state_dict"], salt)
        prefix = entry["saved_key_prefix"]
        state = OrderedDict(
            (prefix + fill.strip_prefix(key), torch.from_numpy(value))
            for key, value in tensors.items()
        )
        torch.save(state, str(folder / f"{experiment.published.names[0]}{_suffix(group)}.pt"))


def _suffix(group: Any) -> str:
    return "" if group is None else f"_g{group}"


def real_columns(shared: Path, count: int) -> Any:
    """Return (count, 556) float32 raw columns of real steps, Kaggle order."""
    import numpy as np

    from leapkit.core import step_files
    from leapkit.data.step_reader import StepReader

    pairs = step_files.list_pairs(shared / "climsim_low-res_sample" / "train")
    rows = max(count, BATCHES[-1])
    steps = [StepReader().read(pair)[0] for pair in pairs[: rows // STEP + 1]]
    return np.concatenate(steps)[:rows].astype(np.float32)


def timed(work: Callable[[], Any]) -> Tuple[float, Any]:
    """Return the seconds of CPU of some work, and its result."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def predictions(predict: Predict, x: Any, batches: List[int]) -> Tuple[Dict[int, Any], float]:
    """Return what is predicted at each batch size, and the seconds of CPU of the last one."""
    values, seconds = {}, 0.0
    for rows in dict.fromkeys(batches):
        seconds, values[rows] = timed(functools.partial(predict, x[:rows]))
    return values, seconds


def exported(
    form: str, found: Any, folder: Path, x: Any, expected: Dict[int, Any]
) -> Dict[str, Any]:
    """Write a file, read it and run it; return what is measured of it."""
    import numpy as np

    path = folder / f"network.{SUFFIXES.get(form, form)}"
    export_seconds, reader = timed(lambda: WRITERS[form](found, path))
    measured = {"mb": path.stat().st_size / 1e6, "export_s": export_seconds}
    load_seconds, predict = timed(reader)
    values, seconds = predictions(predict, x, list(expected))
    differences = [
        float((abs(values[rows].astype(np.float64) - y) / target_units(found)).max())
        for rows, y in expected.items()
    ]
    return {
        **measured,
        "load_s": load_seconds,
        "difference": max(differences),
        "predict_s": seconds,
    }


def target_units(found: Any) -> Any:
    """Return (368,) the standard deviation of each target; infinite where a formula decides it."""
    import numpy as np

    scaling = found.networks[0].scaling
    with np.errstate(divide="ignore"):
        return np.where(scaling.weight > 0, scaling.target_std / scaling.weight, np.inf)


if __name__ == "__main__":
    run_cli(main)
