"""The bar of a run, and the file beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from leapkit.core import run_progress
from leapkit.data.progress import progress


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_progress, "WRITE_EVERY", 0.0)


def test_a_bar_leaves_its_file_if_the_run_stops_and_removes_it_if_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "195.progress.json"

    def run(steps: int) -> None:
        with progress(record=path, parts=7, total=10, initial=2, unit="step") as bar:
            for _ in range(steps):
                bar.update(1)
            assert bar.n == 2 + steps
            if steps < 8:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(5)
    reached = run_progress.read(path)
    assert reached and (reached.done, reached.total, reached.parts, reached.resumed) == (
        7,
        10,
        7,
        2,
    )
    run(8)
    assert not path.exists()


def test_of_several_processes_only_the_one_that_shows_its_bar_writes(tmp_path: Path) -> None:
    path = tmp_path / "195.progress.json"
    with progress(record=path, total=10, disable=True) as bar:
        bar.update(5)
    assert not path.exists()
