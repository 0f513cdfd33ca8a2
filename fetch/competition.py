"""The competition's CSV files, by Kaggle's own client: resumed, unzipped, checked, then named."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, Sequence

from fetch import credentials
from fetch.checks import Damaged
from fetch.layout import KAGGLE_SIZES, FetchLayout
from fetch.network import explain_network_errors, is_fatal_for_server
from fetch.outcome import Outcome, log, progress_of
from fetch.publishing import Check, file_size, publish, unzip
from fetch.recognise import kaggle_check
from fetch.retries import retry_while_progressing, stall_timeout
from leapkit.core import amounts
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import require_free

COMPETITION = "leap-atmospheric-physics-ai-climsim"
PAGE = "https://www.kaggle.com/competitions/" + COMPETITION
BY_HAND = f"download it from {PAGE}/data into the drop folder"
STALL_SECONDS = 120.0  # without a byte, after which the request is repeated
ANSWERS = {
    **credentials.refusals(BY_HAND, PAGE),
    404: ("Kaggle does not have this file of " + COMPETITION, f"see what {PAGE}/data lists"),
}
_NO_OLD_WEIGHTS = (
    "Kaggle does not have this file of " + COMPETITION,
    "run `make fetch WHAT=statistics` and copy statistics/adam/old_sample_weight.csv to this name, "
    "which the kit reads too",
)


def fetch(layout: FetchLayout, names: Sequence[str], outcome: Outcome) -> None:
    """Fetch the missing files and check the existing ones.

    One that fails does not stop the others.
    """
    missing = []
    for name in names:
        target = layout.kaggle(name)
        if target.exists():
            with outcome.attempt():
                _discard_downloads(layout, name)  # of a run that ended after it named the file
                kaggle_check(name)(target)
                log(f"{target} exists")
        else:
            missing.append(name)
    if not missing:
        return
    with outcome.attempt():
        with explain_network_errors("Kaggle", BY_HAND, ANSWERS):
            api = credentials.sign_in(BY_HAND)
        for name in missing:
            try:
                _fetch_file(api, name, layout)
            except KitError as error:
                if is_fatal_for_server(error):
                    raise
                outcome.refuse(error)


def _fetch_file(api: Any, name: str, layout: FetchLayout) -> None:
    target = layout.kaggle(name)
    download = layout.staging / (name + ".download")
    require_free(target, KAGGLE_SIZES[name] - file_size(download), name)
    size = amounts.size(KAGGLE_SIZES[name])
    log(f"{name}: about {size}, and its zip beside it until it is unpacked")
    answers = {**ANSWERS, 404: _NO_OLD_WEIGHTS} if "old" in name else ANSWERS
    with explain_network_errors(name, BY_HAND, answers):
        download.parent.mkdir(parents=True, exist_ok=True)
        retry_while_progressing(
            partial(_download, api, name, download), lambda: file_size(download)
        )
    _publish(download, target, kaggle_check(name))
    _discard_downloads(layout, name)
    log(f"{target}: fetched, {amounts.size(target.stat().st_size)}")


def _download(api: Any, name: str, download: Path) -> None:
    """Make one attempt: get a link from Kaggle, then continue where `download` ends.

    If the content changed meanwhile, the download starts again.
    """
    from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFileRequest

    request = ApiDownloadDataFileRequest()
    request.competition_name = COMPETITION
    request.file_name = name
    with stall_timeout(
        lambda: file_size(download), STALL_SECONDS
    ), api.build_kaggle_client() as client:
        with client.competitions.competition_api_client.download_data_file(request) as response:
            announced = int(response.headers.get("Content-Length") or 0)
            zipped = response.url.split("?")[0].endswith(".zip")
            require_free(
                download,
                announced - file_size(download) + (KAGGLE_SIZES[name] if zipped else 0),
                name + (" with its zip" if zipped else ""),
            )
            try:
                if api.download_needed(response, str(download)):
                    # The client must not retry: it would write a server's error page over what was
                    # fetched.
                    with progress_of(name, announced or None, lambda: file_size(download)):
                        api.download_file(
                            response,
                            str(download),
                            client.http_client(),
                            quiet=True,
                            resume=True,
                            max_retries=0,
                        )
            except ValueError as error:
                download.unlink(missing_ok=True)
                raise KitError(
                    "it does not have the size that Kaggle announced, and was removed",
                    name,
                    "run the same command again",
                ) from error
    _require_md5(download, response.headers.get("x-goog-hash", ""))


def _require_md5(download: Path, stated: str) -> None:
    """Remove the file and raise KitError if it has another MD5 than Google's storage states.

    stated  the header x-goog-hash, which may state no MD5
    """
    match = re.search(r"md5=([A-Za-z0-9+/=]+)", stated)
    if not match:
        return
    digest = hashlib.md5()
    with explain_os_errors(download), open(download, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    if base64.b64encode(digest.digest()).decode("ascii") != match[1]:
        download.unlink()
        raise KitError(
            "had another MD5 than its server states, and was removed",
            download,
            "run the same command again",
        )


def _discard_downloads(layout: FetchLayout, name: str) -> None:
    """Remove what a file was made from: its zip, and what Kaggle's client keeps beside it."""
    for download in layout.staging.glob(name + ".download*"):
        with explain_os_errors(download):
            download.unlink()


def _publish(download: Path, target: Path, check: Check) -> None:
    """Unpack the CSV if it is zipped and give it its final name. A damaged download is removed."""
    with explain_os_errors(download), open(download, "rb") as handle:
        zipped = handle.read(2) == b"PK"
    try:
        if zipped:
            member = _member(download, target.name)
            require_free(target, member.file_size, target.name)
            log(f"{target.name}: unpacking {amounts.size(member.file_size)}")
            unzip(download, member, target, check)
        else:
            check(download)
            publish(download, target)
    except Damaged as error:
        with explain_os_errors(download):
            download.unlink()
        raise KitError(
            f"{error.what}; the download was removed", error.where, "run the same command again"
        ) from error


def _member(archive: Path, name: str) -> zipfile.ZipInfo:
    """Return the one member that is called so. Raises Damaged if there is none or more than one."""
    try:
        with explain_os_errors(archive), zipfile.ZipFile(str(archive)) as opened:
            members = [
                info
                for info in opened.infolist()
                if Path(info.filename).name == name and not info.is_dir()
            ]
    except zipfile.BadZipFile as error:
        raise Damaged(
            "is a truncated or damaged zip", archive, "run the same command again"
        ) from error
    if len(members) != 1:
        raise Damaged(f"holds no {name}", archive, "run the same command again")
    return members[0]
