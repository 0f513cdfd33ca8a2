"""A user of `make submit`: a process of its own, the real client, and Kaggle on 127.0.0.1."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from typing import List, Optional

import pytest

from leapkit.core import receipts, score_receipts
from leapkit.core.layout import Results
from leapkit.core.score_receipts import ScoreReceipt
from tests.conftest import REPOSITORY
from tests.fetch.conftest import (  # noqa: F401
    certificate,
    fetch_python,
    internet,
    one_stack,
)
from tests.fetch.fake_internet import Internet
from tests.fetch.fake_submissions import FakeSubmissions
from tests.fetch.user import User

BLEND = "blend/final_blend_v10.parquet"


@dataclasses.dataclass
class Submitter(User):
    """A user with a blend that its receipt proves; its content is for Kaggle to judge.

    root     of the results
    prelude  Python that the command runs first: it shortens what waits for minutes
    """

    root: Optional[Path] = None
    prelude: str = ""

    @property
    def results(self) -> Results:
        return Results(self.root or self.home / "submission")

    @property
    def kaggle(self) -> FakeSubmissions:
        return self.internet.submissions

    def make(self, product: str = BLEND, content: bytes = b"PAR1 numbers PAR1") -> Path:
        """Write a product with its receipt."""
        path = self.results.root / product
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        receipts.write(path, "blend", {"weights": "0" * 64}, receipts.now())
        return path

    def start(
        self, *arguments: str, raw: Optional[Path] = None, **more: str
    ) -> subprocess.Popen[str]:
        products = [word for word in arguments if not word.startswith("--")] or [BLEND]
        flags = [word for word in arguments if word.startswith("--")]
        module = ["-m", "submitting"]
        if self.prelude:
            end = "import runpy; runpy.run_module('submitting', run_name='__main__')"
            module = ["-c", f"{self.prelude}; {end}"]
        command = [str(self.python), *module, f"--submission={self.results.root}"]
        return subprocess.Popen(
            [*command, "--products=" + ",".join(products), *flags],
            env=self.environment(**more),
            cwd=str(REPOSITORY),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def submit(self, *arguments: str, code: int = 0, **more: str) -> str:
        """Run to the end; see User.fetch for what is checked."""
        text = self.fetch(*arguments, code=code, **more)
        for receipt in self.results.scores.glob("*"):
            for secret in self.secrets():
                assert secret not in receipt.read_text()
        return text

    def goes_on(self, uploads: int) -> str:
        """Run again: one submission exists, after so many uploads, and has its score."""
        self.kaggle.queue = 0
        self.kaggle.released.set()
        text = self.submit()
        assert len(self.kaggle.taken) == 1 and self.uploads() == uploads
        assert [one.state for one in self.receipts()] == [score_receipts.COMPLETE]
        return text

    @staticmethod
    def secrets() -> List[str]:
        from tests.fetch.fake_internet import KEY, SIGNATURE, TOKEN

        return [KEY, TOKEN, SIGNATURE, "blob-token"]

    def receipts(self) -> List[ScoreReceipt]:
        return score_receipts.read_all(self.results)

    def uploads(self) -> int:
        """Return how many files were uploaded."""
        return len(self.kaggle.uploads)


@pytest.fixture
def user(fetch_python: Path, internet: Internet, tmp_path: Path) -> Submitter:  # noqa: F811
    (tmp_path / "home").mkdir()
    return Submitter(fetch_python, internet, tmp_path / "home")
