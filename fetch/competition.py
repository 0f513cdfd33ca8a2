"""The competition's CSV files, by Kaggle's own client: resumed, unzipped as a stream, checked, then named."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import re
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, Sequence

from fetch.checks import Damaged, require_csv
from fetch.network import ends_all, explained, impatient, patiently
from fetch.outcome import Outcome, say, size_text, watched
from fetch.places import KAGGLE_COLUMNS, KAGGLE_SIZES, Places
from fetch.publishing import length, publish, unzip
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import require_free

COMPETITION = "leap-atmospheric-physics-ai-climsim"
PAGE = "https://www.kaggle.com/competitions/" + COMPETITION
BY_HAND = f"download it from {PAGE}/data into the drop folder"
_CREDENTIALS = (
    "make a token on https://www.kaggle.com/settings (API) and save it as ~/.kaggle/kaggle.json, or set "
    "KAGGLE_USERNAME and KAGGLE_KEY, or " + BY_HAND
)
SILENCE = 120.0  # seconds without a byte, after which Kaggle is asked again
ANSWERS = {
    401: ("Kaggle does not accept these credentials", _CREDENTIALS),
    403: (
        "Kaggle refuses, most likely as this account has not accepted the competition's rules",
        f"accept them on {PAGE}/rules and run the same command again",
    ),
    404: ("Kaggle does not have this file of " + COMPETITION, f"see what {PAGE}/data lists"),
}
_OLD = (
    "Kaggle does not have this file of " + COMPETITION,
    "copy statistics/adam/old_sample_weight.csv there, which the kit reads as well (make fetch WHAT=statistics)",
)


def fetch(places: Places, names: Sequence[str], outcome: Outcome) -> None:
    """Fetches the files that are not there; one that fails does not keep the others from coming."""
    missing = []
    for name in names:
        target = places.kaggle(name)
        if target.exists():
            with outcome.attempt():
                require_csv(target, KAGGLE_COLUMNS[name])
                say(f"{target} is there")
        else:
            missing.append(name)
    if not missing:
        return
    with outcome.attempt():
        api = _client()
        for name in missing:
            try:
                _one(api, name, places)
            except KitError as error:
                if ends_all(error):
                    raise
                outcome.refuse(error)


def _client() -> Any:
    """Kaggle's client, with the user's credentials. Raises KitError where there are none."""
    printed = io.StringIO()
    with explained("Kaggle", BY_HAND, ANSWERS), contextlib.redirect_stdout(printed):
        try:
            from kaggle import (
                api,  # signs in when it is imported, prints pages of help where it cannot
            )

            api.authenticate()
        except SystemExit as error:
            raise KitError("there are no credentials", "Kaggle", _CREDENTIALS) from error
    for line in printed.getvalue().splitlines():
        if line.startswith("Warning"):  # of a key file that others can read
            print(line, file=sys.stderr, flush=True)
    return api


def _one(api: Any, name: str, places: Places) -> None:
    target, part = places.kaggle(name), places.staging / (name + ".download")
    require_free(target, KAGGLE_SIZES[name] - length(part), name)
    say(
        f"{name}: about {size_text(KAGGLE_SIZES[name])}, and its zip beside it until it is unpacked"
    )
    with explained(name, BY_HAND, {**ANSWERS, 404: _OLD} if "old" in name else ANSWERS):
        part.parent.mkdir(parents=True, exist_ok=True)
        patiently(partial(_download, api, name, part), lambda: length(part))
    _place(part, target, KAGGLE_COLUMNS[name])
    say(f"{target}: there, {size_text(target.stat().st_size)}")


def _download(api: Any, name: str, part: Path) -> None:
    """One attempt: asks Kaggle for a link, then goes on where `part` ends if the content is still the same."""
    from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFileRequest

    request = ApiDownloadDataFileRequest()
    request.competition_name, request.file_name = COMPETITION, name
    with impatient(lambda: length(part), SILENCE), api.build_kaggle_client() as client:
        with client.competitions.competition_api_client.download_data_file(request) as response:
            announced = int(response.headers.get("Content-Length") or 0)
            zipped = response.url.split("?")[0].endswith(".zip")
            require_free(
                part,
                announced - length(part) + (KAGGLE_SIZES[name] if zipped else 0),
                name + (" with its zip" if zipped else ""),
            )
            try:
                if api.download_needed(response, str(part)):
                    # No retries in there: they would write a server's error page over what was fetched.
                    with watched(name, announced or None, lambda: length(part)):
                        api.download_file(
                            response,
                            str(part),
                            client.http_client(),
                            quiet=True,
                            resume=True,
                            max_retries=0,
                        )
            except ValueError as error:
                part.unlink(missing_ok=True)
                raise KitError(
                    "what came is not as long as Kaggle announced, and was removed",
                    name,
                    "run the same command again",
                ) from error
    _require_md5(part, response.headers.get("x-goog-hash", ""))


def _require_md5(part: Path, stated: str) -> None:
    """Compares with the MD5 that Google's storage states of whole objects, where it does."""
    match = re.search(r"md5=([A-Za-z0-9+/=]+)", stated)
    if not match:
        return
    digest = hashlib.md5()
    with explain_os_errors(part), open(part, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    if base64.b64encode(digest.digest()).decode("ascii") != match[1]:
        part.unlink()
        raise KitError(
            "had another MD5 than its server states, and was removed",
            part,
            "run the same command again",
        )


def _place(part: Path, target: Path, columns: Sequence[str]) -> None:
    """The CSV, unpacked where it came zipped, under its final name. A damaged download is removed."""
    check = partial(require_csv, columns=columns)
    with explain_os_errors(part), open(part, "rb") as handle:
        zipped = handle.read(2) == b"PK"
    try:
        if zipped:
            member = _member(part, target.name)
            require_free(target, member.file_size, target.name)
            say(f"{target.name}: unpacking {size_text(member.file_size)}")
            unzip(part, member, target, check)
            part.unlink()
        else:
            check(part)
            publish(part, target)
    except Damaged as error:
        part.unlink()
        raise KitError(
            f"{error.what}; the download was removed", error.where, "run the same command again"
        ) from error


def _member(archive: Path, name: str) -> zipfile.ZipInfo:
    try:
        with explain_os_errors(archive), zipfile.ZipFile(str(archive)) as opened:
            found = [
                info
                for info in opened.infolist()
                if Path(info.filename).name == name and not info.is_dir()
            ]
    except zipfile.BadZipFile as error:
        raise Damaged(
            "is a truncated or damaged zip", archive, "run the same command again"
        ) from error
    if len(found) != 1:
        raise Damaged(f"holds no {name}", archive, "run the same command again")
    return found[0]
