"""Fetch the data (`make fetch` runs this in an environment of its own).

Without --what, only list it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from fetch import inventory
from fetch.layout import KAGGLE_SIZES, TRAIN, FetchLayout
from fetch.outcome import Outcome, end_at_once, log
from leapkit.core import file_lock, stops
from leapkit.core.errors import EXIT_INTERRUPTED, EXIT_REFUSED, KitError, explain_os_errors
from leapkit.core.layout import RawData
from leapkit.core.splits import months_of

WHAT = ("kaggle", TRAIN, "steps", "statistics", "weights", "drop")


def _stop(*_: object) -> None:
    """End at once: unfinished files may be cut anywhere.

    A KeyboardInterrupt would not do, because a client's callback may swallow it.
    """
    os.write(2, b"\nstopped: what was finished is kept; the same command continues from there.\n")
    os._exit(EXIT_INTERRUPTED)


def main(argv: List[str]) -> int:
    """List what can be fetched, or fetch the words of --what; return the exit code."""
    stops.handle(_stop)
    options = _options(argv)
    words = options.what.replace(",", " ").split()
    inventory.require_known(words, WHAT)
    months = sorted(set(months_of(options.months, "MONTHS"))) if options.months.strip() else []
    layout = _layout(options)
    if not words:
        with explain_os_errors(layout.raw.root):
            lines = list(inventory.listing(layout, months))
        for line in lines:
            log(line)
        return 0
    if "steps" in words and not months:
        raise KitError(
            "the months are not given",
            "MONTHS",
            "write MONTHS=0008-01:0008-03,0009-01; all published ones are 0001-02:0009-01, 637 GB",
        )
    if not layout.drop.is_dir() and (options.drop or "drop" in words):
        raise KitError(
            "the drop folder is missing", layout.drop, "make it, or name another with DROP="
        )
    outcome = Outcome()
    with _exclusive(layout):
        _fetch(layout, words, months, options.drive.strip(), outcome)
    return _end(layout, words, months, outcome)


def _options(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fetch", description=__doc__)
    parser.add_argument("--raw-data", type=Path, required=True)
    parser.add_argument("--weights", action="append", default=[], metavar="MEMBER=FOLDER")
    for name in ("--what", "--months", "--drive", "--drop"):
        parser.add_argument(name, default="")
    return parser.parse_args(argv)


def _layout(options: argparse.Namespace) -> FetchLayout:
    weights: Dict[str, Path] = {}
    for item in options.weights:
        member, _, folder = item.partition("=")
        weights[member] = Path(folder)
    drop = Path(os.path.expanduser(options.drop or options.raw_data / "drop")).absolute()
    return FetchLayout(RawData(options.raw_data), weights, drop)


def _fetch(
    layout: FetchLayout, words: List[str], months: Sequence[str], address: str, outcome: Outcome
) -> None:
    """Place the user's own downloads, so that they are not fetched again; then fetch the words."""
    from fetch.network import trust_the_users_certificates

    trust_the_users_certificates()
    if layout.drop.is_dir():
        from fetch import drop

        drop.place_folder(layout.drop, layout, outcome)
    if "statistics" in words:
        from fetch import team

        team.fetch(layout, outcome)
    if "kaggle" in words or TRAIN in words:
        from fetch import competition

        names = [name for name in KAGGLE_SIZES if (TRAIN if name == TRAIN else "kaggle") in words]
        competition.fetch(layout, names, outcome)
    if "weights" in words:
        from fetch import drive

        drive.fetch(layout, address, outcome)
    if "steps" in words:
        from fetch import hub

        hub.fetch(layout, months, outcome)


def _end(layout: FetchLayout, words: List[str], months: Sequence[str], outcome: Outcome) -> int:
    """Print what is still missing of what was requested; return the exit code."""
    lacking = [
        entry
        for entry in inventory.entries(layout, months)
        if entry.what in words
        and entry.missing
        and (entry.needed or entry.what in ("steps", TRAIN))
    ]
    for entry in lacking:
        log(f"still missing: {entry.name} ({entry.state})")
    if outcome.refused:
        log(f"errors, printed above: {len(outcome.refused)}")
    if not lacking:
        log("nothing of what was requested is missing")
    return EXIT_REFUSED if lacking or outcome.refused else 0


@contextlib.contextmanager
def _exclusive(layout: FetchLayout) -> Iterator[None]:
    """Hold the lock of RAW_DATA: two runs at a time would write into the same unfinished files."""
    with explain_os_errors(layout.raw.root):
        layout.staging.mkdir(parents=True, exist_ok=True)
    refusal = KitError(
        "another `make fetch` is running there", layout.raw.root, "wait for it to end"
    )
    with file_lock.hold(layout.staging, refusal):
        if (
            os.path.expanduser("~") == "~"
        ):  # nobody's home: the clients would make a folder `~` here
            os.environ["HOME"] = str(layout.staging)
        yield
        for folder, _, _ in os.walk(str(layout.staging), topdown=False):
            with contextlib.suppress(OSError):  # it holds unfinished files
                os.rmdir(folder)


if __name__ == "__main__":
    end_at_once(main)
