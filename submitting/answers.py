"""Kaggle's refusals, each as one sentence, without the secrets that its own texts may hold."""

from __future__ import annotations

import datetime
import os
import re
from typing import Optional

from fetch.competition import COMPETITION, PAGE
from fetch.credentials import refusals
from fetch.network import http_status
from leapkit.core.errors import KitError, printable

BY_HAND = f"submit the file by hand on {PAGE}/submissions"
ANSWERS = {
    **refusals(BY_HAND, PAGE),
    404: (f"Kaggle does not know {COMPETITION} or this submission", f"look at {PAGE}/submissions"),
}
_LONGEST = 300  # characters of Kaggle's own words
_SECRETS = re.compile(r"\bKGAT_[\w-]+|\?\S+")  # tokens, and what follows the ? of an address
# As Kaggle words it: "Your team has used its daily Submission allowance (5) today, please try again
# tomorrow UTC (1.8 hours from now)."
_OUT = re.compile(
    r"allowance|try again tomorrow|(daily|per day|today)[^.]*submission|"
    r"submission[^.]*(daily|per day|today)",
    re.IGNORECASE,
)
_HOURS = re.compile(r"\((\d{1,3}(?:\.\d{1,9})?) hours? from now\)")


class NotTaken(KitError):
    """Kaggle says that it does not take the submission."""


class OutOfSubmissions(NotTaken):
    """Kaggle takes no more submissions of this team today."""


def words_of(error: BaseException) -> str:
    """Return Kaggle's own words of an HTTP error, "" if it has none."""
    response = getattr(error, "response", None)
    try:
        message = response.json()["message"] if response is not None else ""
    except (ValueError, LookupError, TypeError):
        return ""
    return without_secrets(message) if isinstance(message, str) else ""


def without_secrets(text: str) -> str:
    """Return a text of Kaggle as one line without tokens, keys and signed addresses."""
    for name in ("KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        if os.environ.get(name):
            text = text.replace(os.environ[name], "***")
    return printable(" ".join(_SECRETS.sub("***", text).split()), _LONGEST).rstrip(".")


def refusal(error: Exception, where: str) -> Optional[NotTaken]:
    """Return what a refused submission means; None if Kaggle may have taken it nevertheless."""
    status = http_status(error)
    words = words_of(error)
    if status in (400, 403, 429) and _OUT.search(words):
        return out_of_submissions(where, words)
    if status in (401, 403, 404):
        why = f"HTTP {status}: {words}" if words else f"HTTP {status}"
        return NotTaken(f"{ANSWERS[status][0]} ({why})", where, ANSWERS[status][1])
    if status == 400:
        what = f"Kaggle does not take the submission: {words or 'it does not say why'}"
        return NotTaken(what, where, f"see {PAGE}/submissions, then run the same command again")
    return None


def out_of_submissions(
    where: str, words: str, now: Optional[datetime.datetime] = None
) -> OutOfSubmissions:
    """Return the refusal of a team that has used its submissions of the day.

    words  Kaggle's own, or what its limits say
    now    the time, UTC; Kaggle's day ends at midnight UTC
    """
    now = now or datetime.datetime.now(datetime.timezone.utc)
    match = _HOURS.search(words)
    if match:
        again = now + datetime.timedelta(hours=float(match[1]))
    else:
        again = (now + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0)
    minutes = max(1, round((again - now).total_seconds() / 60))
    return OutOfSubmissions(
        f"Kaggle takes no more submissions today ({words})",
        where,
        f"run the same command again after {again:%Y-%m-%d %H:%M} UTC, in {minutes // 60} h "
        f"{minutes % 60} min; what Kaggle has keeps its receipt",
    )
