"""python -m reports: writes what a run left as one page, run.json, cards and a crate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import List

from leapkit.core.errors import run_cli
from leapkit.core.files import write_json
from leapkit.core.layout import Results
from reports import collection, crate_writing, network_cards, page, record, traces

PAGE = "index.html"
RUN = "run.json"


def main(argv: List[str]) -> int:
    """Run the command. Raises KitError if there is nothing of a run."""
    parser = argparse.ArgumentParser(prog="reports", description=__doc__)
    parser.add_argument("--table", default="", help="the blend that the page is about")
    # Where a container has them mounted.
    parser.add_argument("--submission", type=Path, default=Path("/submission"))
    parser.add_argument("--asked", type=Path, default=Path("/asked"), help="what make plan said")
    parser.add_argument("--to", type=Path, default=Path("/to"), help="folder of the report")
    options = parser.parse_args(argv)
    asked = collection.read_asked(options.asked / traces.ASKED)
    root, to = options.submission.resolve(), options.to.resolve()
    run = collection.collect(Results(root), asked, options.table)
    write_json(to / RUN, record.to_json(run))
    page.write(run, to / PAGE)
    made = [to / RUN, to / PAGE, *network_cards.write(run, asked.get("rows", {}), to)]
    place = asked.get("place", crate_writing.place_of(to, root))
    crate_writing.write(run, root, to, made, place)
    return 0


if __name__ == "__main__":
    run_cli(main)
