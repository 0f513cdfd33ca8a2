"""`make submit` at Kaggle's size: checked, sent, killed while it waits, gone on, told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterator

import numpy as np
import pytest

from blend.submittable import KAGGLE_ROWS
from leapkit.core import receipts, score_receipts
from leapkit.core.columns import SAMPLE_ID, TARGETS
from leapkit.core.files import sha256
from leapkit.core.layout import Results
from leapkit.core.score_receipts import COMPLETE, PENDING
from tests.conftest import REPOSITORY
from tests.end_to_end.commands import environment
from tests.fetch.conftest import certificate, internet  # noqa: F401
from tests.fetch.disks import enough_disk
from tests.fetch.fake_internet import KEY, USER, Internet
from tests.fetch.user import wait_until

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def kaggle_data(tmp_path: Path) -> Path:
    """Return RAW_DATA with a sample_submission.csv of Kaggle's size and form."""
    enough_disk(tmp_path, 2e9)
    folder = tmp_path / "raw_data" / "kaggle-data"
    folder.mkdir(parents=True)
    (folder / "test.csv").write_text("")  # it only has to exist: no step of `make submit` reads it
    rest = "," + ",".join(["1"] * len(TARGETS)) + "\n"
    with open(folder / "sample_submission.csv", "w") as handle:
        handle.write(",".join([SAMPLE_ID, *TARGETS]) + "\n")
        handle.writelines(f"test_{number}{rest}" for number in range(KAGGLE_ROWS))
    return folder.parent


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return results with a blend of Kaggle's size, all of whose numbers are 0."""
    pytest.importorskip("pyarrow")
    from leapkit.data import submission

    results = Results(tmp_path / "submission")
    results.blend.mkdir(parents=True)
    path = results.blend / "final_blend_v10.parquet"
    blocks = (
        np.zeros((min(16384, KAGGLE_ROWS - start), len(TARGETS)))
        for start in range(0, KAGGLE_ROWS, 16384)
    )
    submission.write(path, [f"test_{number}" for number in range(KAGGLE_ROWS)], blocks)
    receipts.write(path, "blend", {"weights": "0" * 64}, receipts.now())
    return results


@pytest.fixture
def make(
    internet: Internet,  # noqa: F811
    kaggle_data: Path,
    results: Results,
    tmp_path: Path,
) -> Iterator[Maker]:
    yield Maker(internet, kaggle_data, results, tmp_path)


class Maker:
    """A user who types `make submit`."""

    def __init__(self, internet: Internet, raw: Path, results: Results, home: Path) -> None:  # noqa: F811
        self._variables = [f"RAW_DATA={raw}", f"SUBMISSION={results.root}", "RUNTIME=venv"]
        proxy = f"http://127.0.0.1:{internet.port}"
        self._environment: Dict[str, str] = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "LEAP_VENVS": environment()["LEAP_VENVS"],
            "HOME": str(home),
            "HTTPS_PROXY": proxy,
            "SSL_CERT_FILE": internet.certificate + ".crt",
            "KAGGLE_USERNAME": USER,
            "KAGGLE_KEY": KEY,
        }

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["make", "submit", f"PYTHON={sys.executable}", *self._variables, *more],
            cwd=str(REPOSITORY),
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *more: str) -> str:
        process = self.start(*more)
        text = process.communicate(timeout=300)[0]
        print(text)
        assert process.returncode == 0 and KEY not in text, text
        return text


def test_make_submit_from_the_check_to_the_place(
    make: Maker,
    results: Results,
    internet: Internet,  # noqa: F811
) -> None:
    path = results.blend / "final_blend_v10.parquet"
    text = make("SUBMIT=0", "MESSAGE=the released weights")
    assert "checked: final_blend_v10.parquet, 625,000 rows, sha256 " in text
    assert "would send final_blend_v10.parquet" in text and "; the released weights'" in text
    assert not internet.requests

    internet.submissions.queue = 10_000
    process = make.start("MESSAGE=the released weights")
    wait_until(lambda: internet.submissions.queue < 10_000 or process.poll() is not None, 200)
    assert process.poll() is None, process.communicate()[0]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    asked = len(internet.requests)
    time.sleep(5)  # its children have noticed by then
    assert len(internet.requests) <= asked + 2, "nothing waits on that nobody sees"
    assert [one.state for one in score_receipts.read_all(results)] == [PENDING]

    internet.submissions.queue = 0
    text = make()
    assert "checked: " not in text, "Kaggle has it: its rows are not read again"
    assert "was sent as submission 4711, and is not sent again" in text
    assert "within the tolerance of the same solution" in text and "2nd of the final" in text
    assert internet.submissions.contents == {path.name: path.read_bytes()}
    (taken,) = internet.submissions.taken
    assert taken["description"] == f"sha256:{sha256(path)} final_blend_v10; the released weights"
    assert [one.state for one in score_receipts.read_all(results)] == [COMPLETE]

    requests = len(internet.requests)
    assert "is not sent again" in make() and len(internet.requests) == requests
