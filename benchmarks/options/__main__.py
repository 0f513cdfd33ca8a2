"""Measure variants on worlds, one after another, each in a process of its own; show the table."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from benchmarks.options import records, table
from benchmarks.options.variants import VARIANTS, experiment, network_names
from leapkit.core.errors import KitError, run_cli
from leapkit.core.files import read_json, sha256_json
from leapkit.core.layout import RawData, Results, world_receipt


class Cell(NamedTuple):
    """One measurement."""

    network: str
    variant: str
    seed: int
    world: str

    def identity(self, root: Path) -> str:
        """Return what decides its numbers, as a hash: network, recipe and the world's files."""
        row = experiment(self.network, self.variant, self.seed)
        files = read_json(world_receipt(root), "make the world again with `make split`")["files"]
        return sha256_json([row.network_record("sample"), row.recipe_record("sample"), files])


def main(argv: List[str]) -> int:
    """Run one command. Raises KitError for an unknown variant or a folder that is no world."""
    options = _parser().parse_args(argv)
    if options.command == "table":
        print("\n".join(table.lines(records.read(options.results))), flush=True)
        return 0
    worlds = dict(_named_folder(word) for word in options.world)
    names = options.variants.split(",") if options.variants else list(VARIANTS)
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise KitError(f"{unknown[0]} is unknown", "--variants", f"choose {', '.join(VARIANTS)}")
    if options.command == "one":
        [(world, root)] = worlds.items()
        [name] = names
        _measure(Cell(options.network, name, options.seeds, world), root, options)
        return 0
    # A seed of every variant and world before the next seed: a run that is ended has whole pairs.
    cells = [
        Cell(options.network, name, seed, world)
        for seed in range(options.seeds)
        for name in names
        for world in worlds
    ]
    return _run(cells, worlds, options)


def _run(cells: Sequence[Cell], worlds: Dict[str, Path], options: argparse.Namespace) -> int:
    """Measure what the file does not hold yet; return 1 if a measurement failed."""
    failed = 0
    for cell in cells:
        root = worlds[cell.world]
        identity = cell.identity(root)
        if any(record["identity"] == identity for record in records.read(options.results)):
            continue
        print(f"measuring {' '.join(map(str, cell))}", flush=True)
        command = [sys.executable, "-m", "benchmarks.options", "one"]
        command += [f"--network={cell.network}", f"--variants={cell.variant}"]
        command += [f"--seeds={cell.seed}", f"--world={cell.world}={root}"]
        command += [f"--results={options.results}", f"--work={options.work}"]
        failed += subprocess.call(command) != 0
    return min(failed, 1)


def _measure(cell: Cell, root: Path, options: argparse.Namespace) -> None:
    from benchmarks.options import training
    from leapkit.run import devices

    devices.tune_libraries()
    row = experiment(cell.network, cell.variant, cell.seed)
    results = Results(options.work / cell.world)
    record: Dict[str, Any] = {
        **cell._asdict(),
        "identity": cell.identity(root),
        **training.measure(row, RawData(root), results),
    }
    records.append(options.results, record)
    shutil.rmtree(str(results.experiment(row.member, row.id)))
    for path in results.subs.glob(f"{row.artifact}.*"):
        path.unlink()


def _named_folder(word: str) -> Any:
    name, _, folder = word.partition("=")
    if not Path(folder, "split.json").is_file():
        raise KitError("is no NAME=FOLDER of a world", f"--world={word}", "name one of make split")
    return name, Path(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.options", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("run", "measure what is not in the file yet"),
        ("one", "measure one variant with the seed that --seeds names"),
        ("table", "show the file's table"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--results", type=Path, required=True, help="a file of JSON lines")
        if name == "table":
            continue
        command.add_argument("--world", action="append", required=True, metavar="NAME=FOLDER")
        command.add_argument("--work", type=Path, required=True, help="for unfinished trainings")
        command.add_argument("--network", choices=network_names(), default=network_names()[0])
        command.add_argument("--variants", default="", help="comma list; all")
        command.add_argument("--seeds", type=int, default=3)
    return parser


if __name__ == "__main__":
    run_cli(main)
