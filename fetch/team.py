"""The team's statistics from their public repository at one commit, each compared with its known sha256."""

from __future__ import annotations

import requests

from fetch.checks import require_sha256
from fetch.network import ends_all, explained, patiently
from fetch.outcome import Outcome, say
from fetch.places import COMMIT, STATISTICS, Places
from fetch.publishing import length, part_of, publish
from leapkit.core.errors import KitError
from leapkit.core.files import require_free, sha256

REPOSITORY = "ChunhanLi/2nd-kaggle-LEAP"
BY_HAND = f"download it from https://github.com/{REPOSITORY}/tree/{COMMIT} into the drop folder"
ANSWERS = {
    404: (
        "the team's repository does not have it any more",
        "find a copy of it and put it into the drop folder",
    )
}


def fetch(places: Places, outcome: Outcome) -> None:
    """Fetches those that are not there; one that fails does not keep the others from coming."""
    for (family, name), (path, digest) in STATISTICS.items():
        target = places.statistics(family, name)
        try:
            if target.exists():
                published = sha256(target) == digest
                say(
                    "{} is there{}".format(
                        target,
                        "" if published else ", and is not the published one: it is left alone",
                    )
                )
            else:
                _one(places, family, name, path, digest)
        except KitError as error:
            outcome.refuse(error)
            if ends_all(error):
                return


def _one(places: Places, family: str, name: str, path: str, digest: str) -> None:
    target = places.statistics(family, name)
    require_free(target, 1 << 17, name)
    part = part_of(target)

    def transfer() -> None:
        with requests.get(
            f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/{path}", timeout=60
        ) as answer:
            answer.raise_for_status()
            part.write_bytes(answer.content)

    with explained(path, BY_HAND, ANSWERS):
        patiently(transfer, lambda: 0)
    require_sha256(part, digest)
    publish(part, target)
    say("%s: there, %d bytes" % (target, length(target)))
