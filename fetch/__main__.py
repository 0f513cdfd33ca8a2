"""python -m fetch: what `make fetch` runs in its own environment. Without --what it only looks."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from fetch import inventory
from fetch.outcome import Outcome, say
from fetch.places import KAGGLE_SIZES, TRAIN, Places
from leapkit.core import file_lock
from leapkit.core.errors import EXIT_INTERRUPTED, EXIT_REFUSED, KitError, explain_os_errors, run_cli
from leapkit.core.layout import RawData
from leapkit.core.splits import months_of

WHAT = ("kaggle", TRAIN, "steps", "statistics", "weights", "drop")


def _stop(*_: object) -> None:
    """Ends at once. A KeyboardInterrupt can be swallowed by a client's callback; what is unfinished may be cut anywhere."""
    os.write(2, b"\nstopped: what was finished is kept; the same command goes on from there.\n")
    os._exit(EXIT_INTERRUPTED)


def main(argv: List[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    options = _options(argv)
    what = options.what.replace(",", " ").split()
    inventory.require_known(what, WHAT)
    months = sorted(set(months_of(options.months, "MONTHS"))) if options.months.strip() else []
    weights: Dict[str, Path] = {}
    for item in options.weights:
        member, _, folder = item.partition("=")
        weights[member] = Path(folder)
    drop = Path(options.drop or options.raw_data / "drop").expanduser().absolute()
    places = Places(RawData(options.raw_data), weights, drop)
    if not what:
        for line in inventory.show(places, months):
            say(line)
        return 0
    if "steps" in what and not months:
        raise KitError(
            "which months?",
            "MONTHS",
            "write MONTHS=0008-01:0008-03,0009-01; all published ones are 0001-02:0009-01, 637 GB",
        )
    if not places.drop.is_dir() and (options.drop or "drop" in what):
        raise KitError("the drop folder is missing", places.drop, "check DROP")
    outcome = Outcome()
    with _alone(places):
        _fetch(places, what, months, options.drive.strip(), outcome)
    return _end(places, what, months, outcome)


def _options(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fetch", description=__doc__)
    parser.add_argument("--raw-data", type=Path, required=True)
    parser.add_argument("--weights", action="append", default=[], metavar="MEMBER=FOLDER")
    for name in ("--what", "--months", "--drive", "--drop"):
        parser.add_argument(name, default="")
    return parser.parse_args(argv)


def _fetch(
    places: Places, what: List[str], months: Sequence[str], address: str, outcome: Outcome
) -> None:
    """What came by hand first: it need not be fetched."""
    from fetch.network import trust_the_users_certificates

    trust_the_users_certificates()
    if places.drop.is_dir():
        from fetch.drop import take

        take(places.drop, places, outcome)
    if "statistics" in what:
        from fetch import team

        team.fetch(places, outcome)
    if "kaggle" in what or TRAIN in what:
        from fetch import competition

        names = [name for name in KAGGLE_SIZES if (TRAIN if name == TRAIN else "kaggle") in what]
        competition.fetch(places, names, outcome)
    if "weights" in what:
        from fetch import drive

        drive.fetch(places, address, outcome)
    if "steps" in what:
        from fetch import hub

        hub.fetch(places, months, outcome)


def _end(places: Places, what: List[str], months: Sequence[str], outcome: Outcome) -> int:
    """Tells what of the asked is missing still."""
    asked = [row for row in inventory.rows(places, months) if row.what in what and row.missing]
    lacking = [row for row in asked if row.needed or row.what in ("steps", TRAIN)]
    for row in lacking:
        say(f"still missing: {row.name} ({row.state})")
    if outcome.refused:
        say("%d refusals, told above" % len(outcome.refused))
    if not lacking:
        say("nothing that was asked for is missing")
    return EXIT_REFUSED if lacking or outcome.refused else 0


@contextlib.contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Two runs at a time would write into the same unfinished files."""
    with explain_os_errors(places.raw.root):
        places.staging.mkdir(parents=True, exist_ok=True)
    refusal = KitError(
        "another `make fetch` is at work there", places.raw.root, "wait for it to end"
    )
    with file_lock.hold(places.staging, refusal):
        yield
        for folder, _, _ in os.walk(str(places.staging), topdown=False):
            with contextlib.suppress(OSError):  # something unfinished lies there
                os.rmdir(folder)


if __name__ == "__main__":
    code = EXIT_INTERRUPTED
    with contextlib.suppress(BrokenPipeError):  # `make fetch | head` has read enough
        try:
            run_cli(main)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            sys.stdout.flush()
            sys.stderr.flush()
    os._exit(
        code
    )  # Python would wait for transfers whose server is silent; what is unfinished may be cut anywhere
