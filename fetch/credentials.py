"""Sign in to Kaggle with the user's credentials, which its client finds; say what is wrong of them.

The client reads, in this order: KAGGLE_API_TOKEN, ~/.kaggle/access_token, KAGGLE_USERNAME and
KAGGLE_KEY, and ~/.kaggle/kaggle.json of an older account.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

from leapkit.core.errors import KitError, printable

_TOKEN = re.compile(r"\bKGAT_[\w-]+")
HOW = (
    "make a token on https://www.kaggle.com/settings/api (Generate New Token) and save it as the "
    "file ~/.kaggle/access_token, or set KAGGLE_API_TOKEN to it"
)


def refusals(by_hand: str, page: str) -> Dict[int, Tuple[str, str]]:
    """Return {HTTP status: (what is wrong, what to do)} of an account that Kaggle refuses.

    by_hand  how to do without the client
    page     of the competition
    """
    return {
        401: ("Kaggle does not accept these credentials", f"{HOW}, or {by_hand}"),
        403: (
            "Kaggle refuses, probably because this account has not accepted the competition's "
            "rules",
            f"accept them on {page}/rules and run the same command again",
        ),
    }


def sign_in(by_hand: str) -> Any:
    """Return Kaggle's client with the user's credentials.

    Raises KitError if there are none, or if Kaggle does not accept the token.
    """
    from kagglesdk import get_access_token_from_env

    remedy = f"{HOW}, or {by_hand}"
    token, source = get_access_token_from_env()
    if not token:
        token = _take_misplaced_token()
        source = "KAGGLE_KEY or kaggle.json"
    api = _authenticated()
    if token and not _uses_token(api):
        where = "~/.kaggle/access_token" if source == "access_token" else source
        raise KitError(
            f"the token of {where} is not accepted: it is cut off, was revoked or has expired",
            "Kaggle",
            remedy,
        )
    if not api:
        files = [path for path in _key_files() if path.exists()]
        what = f"{files[0]} holds no username and key" if files else "there are no credentials"
        raise KitError(what, "Kaggle", remedy)
    return api


def _authenticated() -> Optional[Any]:
    """Return Kaggle's client, None if it finds no credentials."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            # The import signs in, and prints pages of help if it cannot.
            from kaggle import api

            api.authenticate()
        except SystemExit:
            return None
    for line in printed.getvalue().splitlines():
        if line.startswith("Warning"):  # about a key file that other users can read
            print(printable(line), file=sys.stderr, flush=True)
    return api


def _uses_token(api: Optional[Any]) -> bool:
    return api is not None and "ACCESS_TOKEN" in str(
        api.config_values.get(api.CONFIG_NAME_AUTH_METHOD)
    )


def _take_misplaced_token() -> str:
    """Give the client a token that is where Kaggle's older keys were; return it, "" if none is."""
    texts = [os.environ.get("KAGGLE_KEY", "")]
    for path in _key_files():
        with contextlib.suppress(OSError, UnicodeDecodeError):
            texts.append(path.read_text(encoding="utf-8"))
    match = _TOKEN.search(" ".join(texts))
    if not match:
        return ""
    os.environ["KAGGLE_API_TOKEN"] = match[0]
    return match[0]


def _key_files() -> Iterator[Path]:
    """Yield the paths where the client looks for kaggle.json."""
    folders = [os.environ.get("KAGGLE_CONFIG_DIR"), "~/.kaggle", "~/.config/kaggle"]
    for folder in filter(None, folders):
        yield Path(os.path.expanduser(folder)) / "kaggle.json"
