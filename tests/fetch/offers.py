"""What the fake internet offers and what users have: step files, CSVs, checkpoints."""

from __future__ import annotations

import io
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import pytest

from leapkit.climate import grid_files
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.layout import GRID_FILE
from tests.fetch.fake_internet import Internet
from tests.fetch.user import User, wait_until
from tests.helpers import crafted, plausible

MONTH = "0008-02"


def whole_month(month: str = MONTH) -> List[str]:
    return [
        f"E3SM-MMF.{kind}.{month}-{day:02d}-{seconds:05d}.nc"
        for day in range(1, 29)
        for seconds in range(0, 86400, 1200)
        for kind in ("mli", "mlo")
    ]


class StepMaker:
    """A maker of small real step files.

    The sample world writes one file of each kind. Other instants are put into its bytes.
    """

    def __init__(self, folder: Path, columns: int) -> None:
        pytest.importorskip("netCDF4")
        from leapkit.data.classic_header import parse_header
        from leapkit.sampleworld.steptime import StepTime
        from leapkit.sampleworld.write import write_steps

        self._templates = {}
        for path in write_steps(folder, [StepTime(8, 2, 1, 0)], seed=5, columns=columns):
            content = path.read_bytes()
            variables = parse_header(content[: 1 << 16]).variables
            self._templates[path.name[9:12]] = (
                content,
                variables["ymd"].begin,
                variables["tod"].begin,
            )

    def file(self, name: str) -> bytes:
        content, ymd, tod = self._templates[name[9:12]]
        changed = bytearray(content)
        year, month, day, seconds = map(int, name[13:-3].split("-"))
        struct.pack_into(">i", changed, ymd, year * 10000 + month * 100 + day)
        struct.pack_into(">i", changed, tod, seconds)
        return bytes(changed)


def offer_steps(internet: Internet, files: Dict[str, bytes]) -> None:
    internet.hub.update((f"train/{name[13:20]}/{name}", content) for name, content in files.items())


def offer_grid(internet: Internet, folder: Path) -> bytes:
    """Offer the file of a grid of 48 columns; return its content."""
    from tests.helpers.grid_file import contents_of, write_grid

    path = write_grid(folder / GRID_FILE, contents_of(grid_files.sample_grid(48)))
    internet.hub[GRID_FILE] = path.read_bytes()
    return internet.hub[GRID_FILE]


def put_on_disk(user: User, files: Dict[str, bytes], missing: int = 0) -> Dict[str, bytes]:
    """Put all files but the last few on the user's disk; return those few."""
    folder = user.steps / MONTH
    folder.mkdir(parents=True)
    names = sorted(files)
    for name in names[: len(names) - missing]:
        (folder / name).write_bytes(files[name])
    return {name: files[name] for name in names[len(names) - missing :]}


def one_large_file(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> Tuple[str, bytes]:
    """Offer a month, of which the user lacks one file of the published size; return that file."""
    name = "E3SM-MMF.mlo.0008-02-28-85200.nc"
    files = dict(tiny_steps, **{name: large_steps.file(name)})
    offer_steps(user.internet, files)
    put_on_disk(user, files, missing=1)
    return name, files[name]


def half_way(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> Tuple[str, bytes, Path, subprocess.Popen[str]]:
    """Start a run whose server falls silent in the middle of a file.

    Returns the file's name, content and unfinished path, and the process.
    """
    name, content = one_large_file(user, tiny_steps, large_steps)
    user.internet.hold[name] = 700_000
    process = user.start("--what", "steps", "--months", MONTH)
    unfinished = user.steps / MONTH / (".partial-" + name)
    wait_until(lambda: unfinished.exists() and unfinished.stat().st_size > 500_000)
    return name, content, unfinished, process


def csv(columns: Tuple[str, ...], rows: int = 3) -> bytes:
    numbers = np.random.RandomState(rows).rand(rows, len(columns))
    lines = ["sample_id," + ",".join(columns)]
    lines += [
        f"test_{k}," + ",".join(map(repr, values)) for k, values in enumerate(numbers.tolist())
    ]
    return ("\n".join(lines) + "\n").encode()


def zipped(**files: bytes) -> bytes:
    """Return a zip of `name=content`, stored without compression."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


TEST = csv(INPUTS)
SUBMISSION = csv(TARGETS, 4)


def old_weights(rows: int = 5) -> bytes:
    row = ",".join(map(repr, plausible.weights().tolist()))
    lines = ["sample_id," + ",".join(TARGETS)] + [f"test_{k},{row}" for k in range(rows)]
    return ("\n".join(lines) + "\n").encode()


OLD = old_weights()


def offer_competition(internet: Internet, test: bytes = b"") -> None:
    internet.kaggle = {
        "test.csv": test or zipped(**{"test.csv": TEST}),
        "sample_submission.csv": SUBMISSION,
        "sample_submission_old.csv": zipped(**{"sample_submission_old.csv": OLD}),
    }


def checkpoint(folder: Path, prefix: str, seed: int = 0) -> bytes:
    """Return a small whole state_dict as the team saved theirs."""
    path = crafted.write(
        folder / "some.pt",
        crafted.program({prefix + "weight": crafted.tensor()}),
        {"0": np.arange(seed, seed + 6, dtype="<f4").tobytes()},
    )
    content = path.read_bytes()
    path.unlink()
    return content


# The team's statistics on raw.githubusercontent.com.
BASE = "/ChunhanLi/2nd-kaggle-LEAP/df6df33/"
PATHS = {
    "adam/mean.json": "adam_part/data/middle_result/mean.json",
    "adam/std.json": "adam_part/data/middle_result/std.json",
    "adam/old_sample_weight.csv": "adam_part/data/middle_result/old_sample_weight.csv",
    "fdzm/mean.json": "fdzm_part/data/mean.json",
    "fdzm/std.json": "fdzm_part/data/std.json",
}


# Ids of folders on Google Drive.
ROOT = "1" * 33
INNER = "2" * 33


def offer_drive(user: User) -> Dict[str, bytes]:
    """Offer a folder with three checkpoints, two of them in folders of their own, and a text file.

    Returns {path below the weights: content} of the checkpoints.
    """
    files = {
        "195.pt": checkpoint(user.home, "module.", 1),
        "ex907/ex907.pt": checkpoint(user.home, "", 2),
        "022_fork14_deeper_gf/022_fork14_deeper_gf_g3.pt": checkpoint(user.home, "", 3),
    }
    user.internet.folders = {
        ROOT: [
            ("file", "a" * 33, "195.pt"),
            ("file", "d" * 33, "readme & more.txt"),
            ("folder", INNER, "ex907"),
            ("folder", "3" * 33, "022_fork14_deeper_gf"),
        ],
        INNER: [("file", "b" * 33, "ex907.pt")],
        "3" * 33: [("file", "c" * 33, "022_fork14_deeper_gf_g3.pt")],
    }
    for identity, (name, content) in zip("abc", files.items()):
        user.internet.drive[identity * 33] = (name.rsplit("/", 1)[-1], content)
    user.internet.drive["d" * 33] = ("readme & more.txt", b"hello")
    return {
        "195.pt": files["195.pt"],
        "ex907.pt": files["ex907/ex907.pt"],
        "022_fork14_deeper_gf/022_fork14_deeper_gf_g3.pt": files[
            "022_fork14_deeper_gf/022_fork14_deeper_gf_g3.pt"
        ],
    }
