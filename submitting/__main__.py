"""Send blends or networks to Kaggle and wait for their scores (`make submit` runs this).

With --show, only say what would be sent.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import List, Tuple

from blend import standing
from fetch.competition import COMPETITION
from fetch.network import is_fatal_for_server, trust_the_users_certificates
from fetch.outcome import Outcome, end_at_once, log
from leapkit.core import amounts, file_lock, stops
from leapkit.core.errors import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    KitError,
    explain_os_errors,
)
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from leapkit.core.score_receipts import COMPLETE, FORMS, PARQUET, REFUSED, ScoreReceipt
from submitting import products, sending, waiting
from submitting.answers import NotTaken
from submitting.client import Submissions
from submitting.products import Product

LONGEST_MESSAGE = 200  # characters; Kaggle's own limit is not published


def _stop(*_: object) -> None:
    """End at once: what Kaggle has is found by the next run."""
    os.write(2, b"\nstopped: Kaggle keeps what it has; the same command waits on.\n")
    os._exit(EXIT_INTERRUPTED)


def main(argv: List[str]) -> int:
    """Submit the products and say how they stand, or with --show what would be sent."""
    stops.handle(_stop)
    options = _options(argv)
    message = " ".join(options.message.split())
    if len(message) > LONGEST_MESSAGE:
        what = f"has {len(message)} characters"
        raise KitError(what, "MESSAGE", f"write at most {LONGEST_MESSAGE}")
    results = Results(options.submission)
    index = HashIndex(results.hashes)
    chosen = [
        products.read(results.root / name, options.form, results, index)
        for name in options.products.split(",")
    ]
    if options.show:
        for product in chosen:
            _show(product, message, results)
        return 0
    with explain_os_errors(results.scores):
        results.scores.mkdir(parents=True, exist_ok=True)
    if os.path.expanduser("~") == "~":  # nobody's home: the client would make a folder `~` here
        os.environ["HOME"] = str(results.scores)
    busy = KitError("another `make submit` is running there", results.scores, "wait for it to end")
    with file_lock.hold(results.scores, busy):
        return _run(chosen, message, results)


def _options(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make submit", description=__doc__)
    parser.add_argument("--submission", type=Path, required=True)
    parser.add_argument("--products", required=True, help="paths below --submission, with commas")
    parser.add_argument("--form", choices=FORMS, default=PARQUET)
    parser.add_argument("--message", default="")
    parser.add_argument("--show", action="store_true")
    return parser.parse_args(argv)


def _show(product: Product, message: str, results: Results) -> None:
    receipt = products.receipt_of(product, results)
    if receipt and receipt.state == COMPLETE:
        _say(product, receipt)
        return
    state = f", which a receipt says is {receipt.state}" if receipt else ""
    size = amounts.size(product.file.stat().st_size)
    log(f"{product.name}: would send {product.file.name}, {size}, to {COMPETITION}{state}")
    log(f"  as {product.description(message)!r}")


def _run(chosen: List[Product], message: str, results: Results) -> int:
    """Send all that Kaggle takes today, then wait for each; return the exit code."""
    outcome = Outcome()
    unscored = []
    for product in chosen:
        receipt = products.receipt_of(product, results)
        if receipt and receipt.state == COMPLETE:
            log(f"{product.name}: has its score since {receipt.answered}, and is not sent again")
            _say(product, receipt)
        else:
            unscored.append(product)
    if not unscored:
        return 0
    trust_the_users_certificates()
    submissions = Submissions()
    sent = _send_all(submissions, unscored, message, results, outcome)
    for product, receipt in sent:
        with outcome.attempt():
            answered = waiting.wait(submissions, receipt, results)
            if answered.state == REFUSED:
                raise sending.refused(answered, results)
            _say(product, answered)
    return EXIT_REFUSED if outcome.refused else 0


def _send_all(
    submissions: Submissions,
    unscored: List[Product],
    message: str,
    results: Results,
    outcome: Outcome,
) -> List[Tuple[Product, ScoreReceipt]]:
    """Return what Kaggle has. After a submission that it does not take, none is tried."""
    sent = []
    for number, product in enumerate(unscored):
        try:
            sent.append((product, sending.submit(submissions, product, message, results)))
        except KitError as error:
            outcome.refuse(error)
            if isinstance(error, NotTaken) or is_fatal_for_server(error):
                left = [other.path.stem for other in unscored[number:]]
                log(f"not sent: {len(left)} of {len(unscored)}: {', '.join(left)}")
                break
    return sent


def _say(product: Product, receipt: ScoreReceipt) -> None:
    for line in standing.lines(receipt, product.is_trained_here):
        log(line)


if __name__ == "__main__":
    end_at_once(main)
