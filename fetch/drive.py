"""The team's checkpoints from Google Drive, by gdown: only what is missing, resumed, checked, given its place."""

from __future__ import annotations

import os
import re
import shutil
import urllib.parse
from pathlib import Path
from typing import Iterator, Tuple

import gdown

from fetch import drop
from fetch.checks import Damaged
from fetch.network import ends_all, explained
from fetch.outcome import Outcome, say, size_text, watched
from fetch.places import CHECKPOINTS, CHECKPOINTS_SIZE, Places, checkpoints
from fetch.publishing import length
from fetch.recognise import Claim, Recogniser
from leapkit.core.errors import KitError
from leapkit.core.files import require_free
from leapkit.core.hash_index import HashIndex

_README = "the README of https://github.com/ChunhanLi/2nd-kaggle-LEAP names it"
BY_HAND = "download it with a browser into the drop folder"
ANSWERS = {404: ("Google Drive does not have it", "check DRIVE: " + _README)}
TIMEOUT = 60.0  # seconds without a byte


def fetch(places: Places, address: str, outcome: Outcome) -> None:
    """Fetches the checkpoints that are missing. `address`: of a folder or a file on Google Drive, a folder's id, or the
    URL of an archive elsewhere."""
    missing = [c for c in checkpoints() if not c.found(places.weights[c.row.member])]
    if not missing and places.row_index.exists():
        say("all checkpoints are there")
        return
    with outcome.attempt():
        if not address:
            raise KitError(
                "nothing says where the team's download lies",
                "DRIVE",
                f"give it as DRIVE=<address or id>: {_README}; or put its files into the drop folder",
            )
        size = CHECKPOINTS_SIZE * len(missing) // CHECKPOINTS
        say("weights: %d checkpoints are missing, about %s" % (len(missing), size_text(size)))
        require_free(places.staging, size, "%d checkpoints" % len(missing))
        folder = places.staging / "drive"
        if _is_folder(address):
            _folder(folder, address, places, outcome)
        else:
            path = _download(address, folder)
            drop.take(path.parent, places, outcome)
            shutil.rmtree(str(path.parent))


def _is_folder(address: str) -> bool:
    return "/folders/" in address or re.match(r"^[-\w]{25,}$", address) is not None


def _folder(folder: Path, address: str, places: Places, outcome: Outcome) -> None:
    """What is recognised and missing; then, while something is missing still, archives."""
    recogniser, index = Recogniser(places), HashIndex()
    unknown, archives = [], []
    for identity, name in _listed(address):
        parts = tuple(part for part in name.split("/") if part not in ("", ".", ".."))
        claim = recogniser.claim(parts, lambda: "")
        if name.lower().endswith(".zip"):
            archives.append((identity, parts))
        elif claim is None:
            unknown.append(name)
        elif not claim.found:
            _one(folder / identity / parts[-1], identity, claim, index, outcome)
    for identity, parts in archives:
        if any(not c.found(places.weights[c.row.member]) for c in checkpoints()):
            with outcome.attempt():
                _get(identity, folder / identity / parts[-1])
                drop.take(folder / identity, places, outcome)
                shutil.rmtree(str(folder / identity))
    for name in unknown:
        say(f"not recognised on the drive: {name}")


def _listed(address: str) -> Iterator[Tuple[str, str]]:
    """(id, path) of every file below the folder."""
    known = {"url": address} if "://" in address else {"id": address}
    with explained("Google Drive", BY_HAND, ANSWERS):
        for file in gdown.download_folder(**known, quiet=True, skip_download=True, timeout=TIMEOUT):
            yield file.id, file.path


def _one(part: Path, identity: str, claim: Claim, index: HashIndex, outcome: Outcome) -> None:
    try:
        _get(identity, part)
        try:
            drop.place(drop.Found(part), claim, index)
        except Damaged:
            part.unlink()
            raise
        part.unlink()  # it has a second name, or was copied to another disk
        say(f"{claim.target}: there, {size_text(claim.target.stat().st_size)}")
    except KitError as error:
        if ends_all(error):
            raise
        outcome.refuse(error)


def _get(identity: str, part: Path) -> None:
    with explained(part.name, BY_HAND, ANSWERS):
        part.parent.mkdir(parents=True, exist_ok=True)
        with watched(part.name, None, lambda: sum(length(path) for path in part.parent.iterdir())):
            gdown.download(
                id=identity, output=str(part), quiet=True, resume=True, timeout=TIMEOUT, retries=5
            )


def _download(address: str, folder: Path) -> Path:
    """A single file: on Google Drive it is called as its answer says, elsewhere as its address does."""
    url = urllib.parse.urlsplit(address)
    own = folder / "file"
    name = (
        os.path.basename(url.path)
        if url.hostname not in ("drive.google.com", "docs.google.com")
        else ""
    )
    with explained("DRIVE", BY_HAND, ANSWERS):
        own.mkdir(parents=True, exist_ok=True)
        with watched(name or "a file", None, lambda: sum(length(path) for path in own.iterdir())):
            return Path(
                gdown.download(
                    url=address,
                    output=str(own / name) + ("" if name else os.sep),
                    quiet=True,
                    resume=True,
                    timeout=TIMEOUT,
                    retries=5,
                )
            )
