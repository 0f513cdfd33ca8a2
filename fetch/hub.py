"""Step files from LEAP/ClimSim_low-res on Hugging Face, by its own client: listed, resumed, compared with their sha256."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.file_download import http_get

from fetch.network import ends_all, explained, patiently
from fetch.outcome import Outcome, say, size_text
from fetch.places import Places
from fetch.publishing import length, part_of, publish
from fetch.steps import PAIR_BYTES, Month, Survey, require_step
from leapkit.core.errors import KitError
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
AT_ONCE = 8  # transfers
# Bytes that a killed transfer loses: the client's own 10 MB are more than a whole file.
constants.DOWNLOAD_CHUNK_SIZE = 1 << 17
constants.HF_HUB_DISABLE_TELEMETRY = True  # nobody is told more than the transfer needs


@dataclass(frozen=True)
class Remote:
    """What the hub says of a file. `digest` is its sha256, or git's sha1 of a file that lies in git itself."""

    path: str
    size: int
    digest: str


def fetch(places: Places, months: Sequence[str], outcome: Outcome) -> None:
    """Fetches the files of the months that are not there; a month that fails does not keep the others from coming."""
    survey, found = Survey(), []
    for name in months:
        month = survey.of(places.raw.steps, name)
        for file, problem in sorted(month.damaged.items()):
            outcome.refuse(
                KitError(
                    problem,
                    places.raw.steps / name / file,
                    "remove it and run the same command again",
                )
            )
        if month.missing():
            found.append(month)
        elif not month.damaged:
            say("%s is there, %d steps" % (name, steps_of(name)))
    files = sum(len(month.missing()) for month in found)
    if not files:
        return
    say(
        "steps: %d files to fetch in %d months, about %s"
        % (files, len(found), size_text(files * PAIR_BYTES / 2))
    )
    with outcome.attempt():
        require_free(places.raw.steps, files * PAIR_BYTES // 2, "%d step files" % files)
        huggingface_hub.utils.disable_progress_bars()
        huggingface_hub.utils.logging.set_verbosity_error()
        for month in found:
            try:
                _month(places.raw.steps / month.name, month, outcome)
            except KitError as error:
                if ends_all(error):
                    raise
                outcome.refuse(error)


def listed(month: str) -> Dict[str, Remote]:
    """{file name: what the hub says} of a month."""
    found = {}
    with explained(f"train/{month} of {DATASET}", BY_HAND, ANSWERS):
        for entry in huggingface_hub.list_repo_tree(DATASET, "train/" + month, repo_type="dataset"):
            if isinstance(entry, huggingface_hub.RepoFile):
                digest = entry.lfs.sha256 if entry.lfs else entry.blob_id
                found[Path(entry.path).name] = Remote(entry.path, entry.size, digest)
    return found


def _month(folder: Path, month: Month, outcome: Outcome) -> None:
    there = listed(month.name)
    names = [name for name in month.missing() if name in there]
    absent = len(month.missing()) - len(names)
    if absent:
        example = next(name for name in month.missing() if name not in there)
        outcome.refuse(
            KitError(
                "the hub does not list %d of its files, such as %s" % (absent, example),
                month.name,
                BY_HAND,
            )
        )
    require_free(
        folder, sum(there[name].size - length(part_of(folder / name)) for name in names), month.name
    )
    failures = _transfers([(folder / name, there[name]) for name in names], month.name)
    say("%s: %d files fetched" % (month.name, len(names) - len(failures)))
    for error in failures[:3]:
        outcome.refuse(error)
    if failures[3:]:
        outcome.refuse(
            KitError(
                "%d more files failed" % len(failures[3:]), month.name, "run the same command again"
            )
        )


def _transfers(wanted: Sequence[Tuple[Path, Remote]], name: str) -> List[KitError]:
    """Several at a time -> what failed. Raises what would meet every file: a silent network, a full disk."""
    stop, failures = threading.Event(), []
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        futures = [pool.submit(_one, target, remote, stop) for target, remote in wanted]
        for future in progress(as_completed(futures), total=len(wanted), desc=name, unit="file"):
            try:
                future.result()
            except KitError as error:
                if ends_all(error):
                    raise
                failures.append(error)
    except BaseException as error:
        stop.set()
        pool.shutdown(
            wait=isinstance(error, KitError), cancel_futures=True
        )  # on Ctrl-C a silent server is not waited for
        raise
    pool.shutdown()
    return failures


class _Stopped(Exception):
    """Another file's failure ended this transfer."""


def _one(target: Path, remote: Remote, stop: threading.Event) -> None:
    part = part_of(target)

    def transfer() -> None:
        if stop.is_set():
            raise _Stopped
        if length(part) > remote.size:
            part.unlink()
        with open(part, "ab") as handle:
            http_get(
                huggingface_hub.hf_hub_url(DATASET, remote.path, repo_type="dataset"),
                handle,
                resume_size=length(part),
                headers=huggingface_hub.utils.build_hf_headers(),
                expected_size=remote.size,
            )

    with explained(target.name, BY_HAND, ANSWERS):
        resumed = length(part) > 0
        patiently(transfer, lambda: length(part))
        if _digest(part, remote) != remote.digest and resumed:
            part.unlink()  # its beginning was of another file
            patiently(transfer, lambda: length(part))
        if _digest(part, remote) != remote.digest:
            part.unlink()
            raise KitError(
                "had another sha256 than the hub states, and was removed",
                target.name,
                "run the same command again",
            )
    try:
        require_step(part, target.name)
    except KitError as error:
        part.unlink()
        raise KitError(
            "the hub's file is no such step: " + error.what, target.name, BY_HAND
        ) from error
    publish(part, target)


def _digest(part: Path, remote: Remote) -> str:
    if len(remote.digest) == 64:
        return sha256(part)
    content = part.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
