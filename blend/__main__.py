"""python -m blend run|verify|submittable: makes blends in turn, or checks parquets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Dict, List

from blend import names
from blend.alone import alone
from blend.context import BlendContext
from blend.naming import OPTIONS, parse_blends, parse_options, parse_search
from blend.run import run
from blend.submittable import require_submittable
from blend.verify import verify
from leapkit.core.errors import KitError, run_cli
from leapkit.core.layout import RawData, Results
from leapkit.core.score_receipts import FORMS, PARQUET


def main(argv: List[str]) -> int:
    """Run one command. Raises KitError if it cannot be done."""
    options = _parser().parse_args(argv)
    raw = RawData(options.raw_data)
    results = Results(options.submission)
    if options.command == "verify":
        artifacts = _split(options.artifacts)
        with alone(results.blend, "another blend") as index:
            verify(raw, results, index, artifacts)
        return 0
    if options.command == "submittable":
        products = [results.root / name for name in _split(options.products)]
        with alone(results.blend, "another blend") as index:
            require_submittable(raw, results, index, products, options.form)
        return 0
    choices = parse_choices(options.artifacts)
    blends = parse_blends(options.table, parse_options(options.postprocess))
    with alone(results.blend, "another blend") as index:
        for name in blends:
            run(BlendContext(name, choices, raw, results, index))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="blend", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="search weights, blend, score, report")
    run_command.add_argument(
        "--table",
        default="v10",
        help="comma list: shipped tables, files, searches (searched[-<member>][.<form>][.<scope>])",
    )
    run_command.add_argument(
        "--artifacts",
        default="",
        help="what each search may use: searched=a,b;searched-<member>=c,d",
    )
    run_command.add_argument(
        "--postprocess",
        default="",
        help=f"comma list of options beside the published post-processing: {', '.join(OPTIONS)}",
    )
    verify_command = commands.add_parser("verify", help="check parquets and admit your own")
    verify_command.add_argument(
        "--artifacts", default="", help="comma list of what to check (default: all parquets)"
    )
    submittable_command = commands.add_parser(
        "submittable", help="check what `make submit` sends, and make its CSV"
    )
    submittable_command.add_argument(
        "--products",
        required=True,
        help="comma list of parquets, by their paths below --submission",
    )
    submittable_command.add_argument("--form", choices=FORMS, default=PARQUET)
    for command in (run_command, verify_command, submittable_command):
        # Where a container has them mounted.
        command.add_argument("--raw-data", type=Path, default=Path("/raw_data"))
        command.add_argument("--submission", type=Path, default=Path("/submission"))
    return parser


def parse_choices(text: str) -> Dict[str, List[str]]:
    """Parse --artifacts of `run`: {search: the artifacts that it may use}.

    Raises KitError for an entry that is not NAME=LIST with the name of a search.
    """
    choices = {}
    for entry in filter(None, text.split(";")):
        name, equals, artifacts = entry.partition("=")
        if not equals or parse_search(name) is None:
            raise KitError(
                f"{entry!r} does not say which search it is for",
                "--artifacts",
                "write searched=a,b or searched-<member>=a,b, joined by ;",
            )
        choices[name] = _split(artifacts)
        for artifact in filter(names.problem_of, choices[name]):
            raise KitError(
                f"the name of the artifact {names.shown(artifact)} {names.problem_of(artifact)}",
                "--artifacts",
                "name artifacts as `make plan` does",
            )
    return choices


def _split(text: str) -> List[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    run_cli(main)
