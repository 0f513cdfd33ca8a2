"""Step files from LEAP/ClimSim_low-res on Hugging Face, by its own client.

A month is listed, its missing files are fetched (resumed if unfinished), compared with the sha256
that the hub states, and checked before they get their names.
"""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.file_download import http_get

from fetch.layout import FetchLayout
from fetch.network import explain_network_errors, is_fatal_for_server
from fetch.outcome import Outcome, log
from fetch.publishing import file_size, partial_file, publish
from fetch.retries import retry_while_progressing
from fetch.steps import PAIR_BYTES, MonthSurvey, StepSurvey, month_of_step, require_step
from leapkit.climate.grid_files import read_grid
from leapkit.core import amounts
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import require_free, sha256
from leapkit.core.step_files import steps_of
from leapkit.data.progress import progress

DATASET = "LEAP/ClimSim_low-res"
PAGE = "https://huggingface.co/datasets/" + DATASET
BY_HAND = f"download the month from {PAGE} into the drop folder"
ANSWERS = {
    401: (
        "the hub does not accept HF_TOKEN",
        "unset it or make a new one: this data set needs none",
    ),
    403: ("the hub refuses", f"see {PAGE}, and set HF_TOKEN where it asks for one"),
    404: ("the hub does not have it", f"see what {PAGE} lists under train"),
}
TRANSFERS = 8  # at the same time
# What a killed transfer loses. The client's default of 10 MB is more than a whole file.
CHUNK_BYTES = 1 << 17


@dataclass(frozen=True)
class RemoteFile:
    """What the hub states of a file.

    `digest` is its sha256, or git's sha1 if the file is stored in git itself.
    """

    path: str
    size: int
    digest: str


def fetch(layout: FetchLayout, months: Sequence[str], outcome: Outcome) -> None:
    """Fetch the missing files of the months. A month that fails does not stop the others."""
    survey = StepSurvey()
    incomplete = []
    for name in months:
        month = survey.month(layout.raw.steps, name)
        for file, problem in sorted(month.damaged.items()):
            path = layout.raw.steps / name / file
            outcome.refuse(KitError(problem, path, "remove it and run the same command again"))
        if month.missing():
            incomplete.append(month)
        elif not month.damaged:
            log(f"{name} is complete, {steps_of(name)} steps")
    files = sum(len(month.missing()) for month in incomplete)
    if files:
        size = amounts.size(files * PAIR_BYTES / 2)
        log(f"steps: {files} files to fetch in {len(incomplete)} months, about {size}")
    with outcome.attempt():
        require_free(layout.raw.steps, files * PAIR_BYTES // 2, f"{files} step files")
        _configure_client()
        for month in incomplete:
            try:
                _fetch_month(layout.raw.steps / month.name, month, outcome)
            except KitError as error:
                if is_fatal_for_server(error):
                    raise
                outcome.refuse(error)
        if not layout.grid.exists():
            _fetch_grid(layout.grid)


def _fetch_grid(target: Path) -> None:
    """Fetch the file of the grid, which only `make evaluate` needs; say so if it cannot be had."""
    try:
        remote = list_folder("").get(target.name)
        if remote is None:
            raise KitError("the hub does not list it", target.name, f"see {PAGE}")
        _fetch_file(target, remote, threading.Event(), lambda path, _: read_grid(path))
    except KitError as error:
        log(f"the grid of the columns, which `make evaluate` needs, is not here: {error}")
    else:
        log(f"{target.name}: fetched")


def _configure_client() -> None:
    """Make the hub's client quiet, and let it write small chunks."""
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    constants.HF_HUB_DISABLE_TELEMETRY = True  # it sends no more than the transfer needs
    huggingface_hub.utils.disable_progress_bars()
    huggingface_hub.utils.logging.set_verbosity_error()


def list_folder(folder: str) -> Dict[str, RemoteFile]:
    """Return {file name: what the hub states} of the files in a folder of the data set."""
    files = {}
    with explain_network_errors(f"{folder or 'the files'} of {DATASET}", BY_HAND, ANSWERS):
        for entry in huggingface_hub.list_repo_tree(DATASET, folder or None, repo_type="dataset"):
            if isinstance(entry, huggingface_hub.RepoFile):
                digest = entry.lfs.sha256 if entry.lfs else entry.blob_id
                files[Path(entry.path).name] = RemoteFile(entry.path, entry.size, digest)
    return files


def _fetch_month(folder: Path, month: MonthSurvey, outcome: Outcome) -> None:
    remote_files = list_folder("train/" + month.name)
    names = [name for name in month.missing() if name in remote_files]
    unlisted = [name for name in month.missing() if name not in remote_files]
    if unlisted:
        what = f"the hub does not list {len(unlisted)} of its files, such as {unlisted[0]}"
        outcome.refuse(KitError(what, month.name, BY_HAND))
    size = sum(remote_files[name].size - file_size(partial_file(folder / name)) for name in names)
    require_free(folder, size, month.name)
    failures = _fetch_files([(folder / name, remote_files[name]) for name in names], month.name)
    log(f"{month.name}: {len(names) - len(failures)} files fetched")
    for error in failures[:3]:
        outcome.refuse(error)
    if failures[3:]:
        what = f"{len(failures[3:])} more files failed"
        outcome.refuse(KitError(what, month.name, "run the same command again"))


def _fetch_files(requested: Sequence[Tuple[Path, RemoteFile]], month: str) -> List[KitError]:
    """Fetch several files at a time; return the failures.

    Raises what would stop each of the other files too: a silent network, a full disk.
    """
    stop = threading.Event()
    failures = []
    pool = ThreadPoolExecutor(TRANSFERS)
    try:
        futures = [pool.submit(_fetch_file, target, remote, stop) for target, remote in requested]
        for future in progress(
            as_completed(futures), total=len(requested), desc=month, unit="file"
        ):
            try:
                future.result()
            except KitError as error:
                if is_fatal_for_server(error):
                    raise
                failures.append(error)
    except BaseException as error:
        stop.set()
        # After Ctrl-C nobody waits for a silent server.
        pool.shutdown(wait=isinstance(error, KitError), cancel_futures=True)
        raise
    pool.shutdown()
    return failures


class _Stopped(Exception):
    """The failure of another file ended this transfer."""


def _fetch_file(
    target: Path,
    remote: RemoteFile,
    stop: threading.Event,
    require: Callable[[Path, str], object] = require_step,
) -> None:
    """Fetch one file, resumed; check its digest and content; give it its name.

    require  raises KitError unless a file, (path, its name), is what it should be
    Raises KitError.
    """
    partial = partial_file(target)

    def transfer() -> None:
        if stop.is_set():
            raise _Stopped
        if file_size(partial) > remote.size:
            partial.unlink()
        with open(partial, "ab") as handle:
            http_get(
                huggingface_hub.hf_hub_url(DATASET, remote.path, repo_type="dataset"),
                handle,
                resume_size=file_size(partial),
                headers=huggingface_hub.utils.build_hf_headers(),
                expected_size=remote.size,
            )

    with explain_network_errors(target.name, BY_HAND, ANSWERS):
        resumed = file_size(partial) > 0
        retry_while_progressing(transfer, lambda: file_size(partial))
        if _digest(partial, remote) != remote.digest and resumed:
            partial.unlink()  # it began with another file's bytes
            retry_while_progressing(transfer, lambda: file_size(partial))
        if _digest(partial, remote) != remote.digest:
            partial.unlink()
            raise KitError(
                "had another sha256 than the hub states, and was removed",
                target.name,
                "run the same command again",
            )
    try:
        require(partial, target.name)
    except KitError as error:
        with explain_os_errors(partial):
            partial.unlink()
        raise KitError(
            f"the hub's file is not {_what(target.name)}: {error.what}", target.name, BY_HAND
        ) from error
    publish(partial, target)


def _what(name: str) -> str:
    return "this step" if month_of_step(name) else "this file"


def _digest(path: Path, remote: RemoteFile) -> str:
    """Return the digest of a file, of the kind that the hub states."""
    if len(remote.digest) == 64:
        return sha256(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
