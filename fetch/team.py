"""The team's statistics from one commit of their public repository, compared with known sha256."""

from __future__ import annotations

import requests

from fetch.checks import require_sha256
from fetch.layout import COMMIT, STATISTICS, FetchLayout
from fetch.network import explain_network_errors, is_fatal_for_server
from fetch.outcome import Outcome, log
from fetch.publishing import file_size, partial_file, publish
from fetch.recognise import statistics_check
from fetch.retries import retry_while_progressing
from leapkit.core.errors import KitError
from leapkit.core.files import require_free, sha256

REPOSITORY = "ChunhanLi/2nd-kaggle-LEAP"
BY_HAND = f"download it from https://github.com/{REPOSITORY}/tree/{COMMIT} into the drop folder"
ANSWERS = {
    404: (
        "the team's repository no longer has it",
        "find a copy and put it into the drop folder",
    )
}


def fetch(layout: FetchLayout, outcome: Outcome) -> None:
    """Fetch the missing files. One that fails does not stop the others."""
    for (family, name), (path, digest) in STATISTICS.items():
        target = layout.statistics(family, name)
        try:
            if target.exists():
                is_published = sha256(target) == digest
                note = "" if is_published else " and is not the published one: it stays unchanged"
                log(f"{target} exists{note}")
                statistics_check(family, name)(target)
            else:
                _fetch_file(layout, family, name, path, digest)
        except KitError as error:
            outcome.refuse(error)
            if is_fatal_for_server(error):
                return


def _fetch_file(layout: FetchLayout, family: str, name: str, path: str, digest: str) -> None:
    target = layout.statistics(family, name)
    require_free(target, 1 << 17, name)
    partial = partial_file(target)

    def transfer() -> None:
        with requests.get(
            f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/{path}", timeout=60
        ) as answer:
            answer.raise_for_status()
            partial.write_bytes(answer.content)

    with explain_network_errors(path, BY_HAND, ANSWERS):
        retry_while_progressing(transfer, lambda: 0)
    require_sha256(partial, digest)
    publish(partial, target)
    log(f"{target}: fetched, {file_size(target)} bytes")
