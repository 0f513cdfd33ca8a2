"""The team's missing checkpoints from Google Drive, by gdown: resumed, checked, then named."""

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
from fetch.layout import CHECKPOINTS, CHECKPOINTS_SIZE, FetchLayout, checkpoints
from fetch.network import explain_network_errors, is_fatal_for_server
from fetch.outcome import Outcome, log, progress_of
from fetch.publishing import file_size
from fetch.recognise import Claim, Recogniser
from leapkit.core import amounts
from leapkit.core.errors import KitError, explain_os_errors, printable
from leapkit.core.files import require_free
from leapkit.core.hash_index import HashIndex

_README = "the README of https://github.com/ChunhanLi/2nd-kaggle-LEAP names it"
BY_HAND = "download it with a browser into the drop folder"
ANSWERS = {404: ("Google Drive does not have it", "check DRIVE: " + _README)}
TIMEOUT = 60.0  # seconds without a byte


def fetch(layout: FetchLayout, address: str, outcome: Outcome) -> None:
    """Fetch the missing checkpoints.

    address  of a folder or a file on Google Drive, a folder's id, or the URL of an archive
             elsewhere
    """
    missing = [c for c in checkpoints() if not c.existing(layout.weights[c.experiment.member])]
    if not missing and layout.row_index.exists():
        log("all checkpoints exist")
        return
    with outcome.attempt():
        if not address:
            raise KitError(
                "the address of the team's download is not given",
                "DRIVE",
                f"give it as DRIVE=<address or id>: {_README}; "
                "or put its files into the drop folder",
            )
        size = CHECKPOINTS_SIZE * len(missing) // CHECKPOINTS
        log(f"weights: {len(missing)} checkpoints are missing, about {amounts.size(size)}")
        require_free(layout.staging, size, f"{len(missing)} checkpoints")
        folder = layout.staging / "drive"
        if _is_folder(address):
            _fetch_folder(folder, address, layout, outcome)
        else:
            path = _download_address(address, folder / "file")
            drop.place_folder(path.parent, layout, outcome)
            _remove(path.parent)


def _is_folder(address: str) -> bool:
    return "/folders/" in address or re.match(r"^[-\w]{25,}$", address) is not None


def _fetch_folder(folder: Path, address: str, layout: FetchLayout, outcome: Outcome) -> None:
    """Fetch the missing files of known names; then archives, while a checkpoint is missing."""
    recogniser = Recogniser(layout)
    index = HashIndex()
    unknown = []
    archives = []
    for identity, name in _list_folder(address):
        path_parts = tuple(part for part in name.split("/") if part not in ("", ".", ".."))
        claim = recogniser.claim(path_parts, lambda: b"")
        download = folder / identity / path_parts[-1]
        if name.lower().endswith(".zip"):
            archives.append((identity, download))
        elif claim is None:
            unknown.append(name)
        elif not claim.existing:
            _fetch_file(download, identity, claim, index, outcome)
    for identity, download in archives:
        if any(not c.existing(layout.weights[c.experiment.member]) for c in checkpoints()):
            with outcome.attempt():
                _download(identity, download)
                drop.place_folder(download.parent, layout, outcome)
                _remove(download.parent)
    for name in unknown:
        log(f"not recognised on the drive: {printable(name)}")


def _list_folder(address: str) -> Iterator[Tuple[str, str]]:
    """Yield (id, path) of each file below the folder."""
    folder = {"url": address} if "://" in address else {"id": address}
    with explain_network_errors("Google Drive", BY_HAND, ANSWERS):
        for file in gdown.download_folder(
            **folder, quiet=True, skip_download=True, timeout=TIMEOUT
        ):
            yield file.id, file.path


def _fetch_file(
    download: Path, identity: str, claim: Claim, index: HashIndex, outcome: Outcome
) -> None:
    """Fetch one file and place it.

    Refuses what concerns this file, raises what concerns the server.
    """
    try:
        _download(identity, download)
        try:
            drop.place_file(drop.DroppedFile(download), claim, index)
        except Damaged:
            _remove(download.parent)
            raise
        _remove(download.parent)  # the file has a second name, or was copied to another disk
        log(f"{claim.target}: fetched, {amounts.size(claim.target.stat().st_size)}")
    except KitError as error:
        if is_fatal_for_server(error):
            raise
        outcome.refuse(error)


def _remove(folder: Path) -> None:
    """Remove the folder of one download."""
    with explain_os_errors(folder):
        shutil.rmtree(str(folder))


def _download(identity: str, download: Path) -> None:
    """Download a file of Google Drive by its id; continue an earlier download."""
    with explain_network_errors(download.name, BY_HAND, ANSWERS):
        download.parent.mkdir(parents=True, exist_ok=True)
        with progress_of(download.name, None, lambda: _folder_size(download.parent)):
            gdown.download(
                id=identity,
                output=str(download),
                quiet=True,
                resume=True,
                timeout=TIMEOUT,
                retries=5,
            )


def _download_address(address: str, folder: Path) -> Path:
    """Download a single file; return its path.

    On Google Drive the server's answer names the file, elsewhere its address does.
    """
    url = urllib.parse.urlsplit(address)
    is_on_drive = url.hostname in ("drive.google.com", "docs.google.com")
    name = "" if is_on_drive else os.path.basename(url.path)
    with explain_network_errors("DRIVE", BY_HAND, ANSWERS):
        folder.mkdir(parents=True, exist_ok=True)
        with progress_of(name or "a file", None, lambda: _folder_size(folder)):
            return Path(
                gdown.download(
                    url=address,
                    output=str(folder / name) + ("" if name else os.sep),
                    quiet=True,
                    resume=True,
                    timeout=TIMEOUT,
                    retries=5,
                )
            )


def _folder_size(folder: Path) -> int:
    return sum(file_size(path) for path in folder.iterdir())
