"""python -m blend run|verify: one blend after the other, or a check of the parquets that they are made of."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Dict, List

from blend import plan
from blend.run import Room, run
from blend.verify import verify
from leapkit.core.errors import KitError, run_cli
from leapkit.core.files import TEMPORARY
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results


def main(argv: List[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="blend", description="Blends verified submission parquets."
    )
    parser.add_argument("command", choices=("run", "verify"))
    parser.add_argument("--raw-data", type=Path, default=Path("raw_data"))
    parser.add_argument("--submission", type=Path, default=Path("submission"))
    parser.add_argument(
        "--table",
        default="v10",
        help="shipped tables, files, `searched`, `searched-<group>` (comma list)",
    )
    parser.add_argument(
        "--artifacts",
        default="",
        help="run: what each search may use (searched=a,b;searched-<group>=c,d); "
        "verify: what to check (comma list)",
    )
    parser.add_argument(
        "--postprocess",
        default="",
        help="run: beside the published post-processing ({})".format(", ".join(plan.OPTIONS)),
    )
    options = parser.parse_args(argv)
    raw, results = RawData(options.raw_data), Results(options.submission)
    index = HashIndex(results.blend / ".cache" / "hashes.json")
    try:
        if options.command == "verify":
            found = [
                p.stem
                for p in sorted(results.subs.glob("*.parquet"))
                if not p.name.startswith(TEMPORARY)
            ]
            verify(raw, results, _names(options.artifacts) or found)
        else:
            choices = _choices(options.artifacts)
            extra = plan.options_of(options.postprocess)
            for name in plan.requested(options.table):
                run(name, choices, extra, Room(raw, results, index))
    finally:
        index.save()
    return 0


def _names(text: str) -> List[str]:
    return [name for name in text.split(",") if name]


def _choices(text: str) -> Dict[str, List[str]]:
    """{search: artifacts that it may use}. Raises KitError for an entry that is no NAME=LIST of a search."""
    found = {}
    for entry in filter(None, text.split(";")):
        name, _, names = entry.partition("=")
        if "=" not in entry or plan.search_of(name) is None:
            raise KitError(
                f"{entry!r} does not say which search it is for",
                "--artifacts",
                "write searched=a,b or searched-<group>=a,b, joined by ;",
            )
        found[name] = _names(names)
    return found


if __name__ == "__main__":
    run_cli(main)
