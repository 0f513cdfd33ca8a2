"""The wait for a score: Kaggle is asked again and again, and its answer goes into the receipt."""

from __future__ import annotations

import datetime
import itertools
import time
from dataclasses import replace
from typing import Any, Optional

from kagglesdk.competitions.types.submission_status import SubmissionStatus

from fetch.competition import PAGE
from fetch.network import Answers, explain_network_errors
from fetch.outcome import log
from fetch.retries import is_transient, pause_asked_for
from leapkit.core import receipts, score_receipts
from leapkit.core.errors import KitError
from leapkit.core.layout import Results
from leapkit.core.score_receipts import COMPLETE, REFUSED, ScoreReceipt
from submitting import answers
from submitting.client import Submissions

LONGEST_PAUSE = 30.0  # seconds between two questions
LONGEST_WAIT = 6 * 3600.0  # seconds, after which the user looks for himself
FAILURES = 6  # in a row, about half a minute without an answer
_SAID_AFTER = (0, 1, 2, 5)  # minutes; then every ten


def wait(submissions: Submissions, receipt: ScoreReceipt, results: Results) -> ScoreReceipt:
    """Return the receipt with Kaggle's score or refusal, and write it.

    Raises KitError if Kaggle cannot be asked, or has no score after LONGEST_WAIT.
    """
    started = time.monotonic()
    said = itertools.chain(_SAID_AFTER, itertools.count(10, 10))
    next_line = next(said)
    pauses = itertools.chain((1.0, 2.0, 4.0, 8.0, 16.0), itertools.repeat(LONGEST_PAUSE))
    failures = 0
    while True:
        minutes = (time.monotonic() - started) / 60
        if minutes >= next_line:
            log(_progress(receipt, minutes))
            next_line = next(said)
        pause = next(pauses)
        answered = None
        with explain_network_errors(
            receipt.product, f"look at {PAGE}/submissions", _refusals(receipt, results)
        ):
            try:
                answered = _answered(receipt, submissions.get(receipt.ref))
                failures = 0
            except Exception as error:
                failures += 1
                if not is_transient(error) or failures >= FAILURES:
                    raise
                pause = max(pause, pause_asked_for(error))
        if answered is not None:
            score_receipts.write(results, answered)
            return answered
        if minutes * 60 >= LONGEST_WAIT:
            raise KitError(
                f"Kaggle has not scored submission {receipt.ref} in {minutes / 60:.0f} h",
                receipt.product,
                "run the same command again to wait on; it is not sent twice",
            )
        time.sleep(pause)


def _refusals(receipt: ScoreReceipt, results: Results) -> Answers:
    """Return what Kaggle's refusals to show a submission mean."""
    path = score_receipts.path_of(results, receipt.product, receipt.sha256)
    another = (
        f"Kaggle does not show submission {receipt.ref} to this account",
        f"use the account that sent it, or remove {path} to send the file with this one",
    )
    return {**answers.ANSWERS, 403: another, 404: another}


def _progress(receipt: ScoreReceipt, minutes: float) -> str:
    since = f" for {minutes:.0f} min" if minutes >= 1 else ""
    return f"{receipt.product}: waiting{since} for the score of submission {receipt.ref}"


def _answered(receipt: ScoreReceipt, answer: Any) -> Optional[ScoreReceipt]:
    """Return the receipt with what Kaggle has decided, None while it has not.

    A complete submission has a public score; without one it is not complete yet.
    """
    is_scored = answer.status == SubmissionStatus.COMPLETE and answer.public_score
    if not is_scored and answer.status != SubmissionStatus.ERROR:
        return None
    submitted = answer.date.replace(tzinfo=datetime.timezone.utc) if answer.date else None
    known = replace(
        receipt,
        submitted=submitted.isoformat(timespec="seconds") if submitted else "",
        answered=receipts.now(),
    )
    if answer.status == SubmissionStatus.ERROR:
        reason = answers.without_secrets(answer.error_description or "it does not say why")
        return replace(known, state=REFUSED, refusal=reason)
    return replace(
        known,
        state=COMPLETE,
        public=answer.public_score,
        private=answer.private_score,
    )
