"""Whole runs on file systems that lack something, on disks that fill up, and by a bad clock."""

from __future__ import annotations

import errno
import subprocess
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from leapkit.core.errors import EXIT_REFUSED
from tests.faults import tiny
from tests.faults.forked_runs import Ended, Run, Runner
from tests.faults.scenarios import Scenario
from tests.faults.test_failing_calls import refusal

pytestmark = [pytest.mark.process, pytest.mark.fault]

LACKING = [
    ("training", "flock", "ENOSYS"),  # Lustre without -o flock
    ("training", "flock", "ENOLCK"),  # NFS without its lock service
    ("blend", "flock", "ENOLCK"),
    ("training", "fsync", "EINVAL"),  # CIFS, some FUSE
    ("blend", "fsync", "EINVAL"),
    ("training", "link", "EPERM"),  # FAT, and most network drives
    ("training", "statvfs", "ENOSYS"),
]


@pytest.mark.parametrize("name, kind, answer", LACKING)
def test_a_file_system_that_lacks_a_call_gets_the_same_bytes(
    name: str,
    kind: str,
    answer: str,
    scenarios: Dict[str, Scenario],
    runner: Runner,
    tmp_path: Path,
) -> None:
    scenario = scenarios[name]
    submission = tmp_path / "submission"
    fault = (kind, 0, getattr(errno, answer))
    ended = runner(Run(scenario.program, scenario.begin(submission), str(submission), fault))
    assert ended.code == 0, ended.output
    assert tiny.results(submission) == scenario.results
    notes = [line for line in ended.output.splitlines() if line.startswith("note: ")]
    assert len(notes) == (kind == "flock" and scenario.clean.counts["flock"] > 0), ended.output
    scenario.require_same_end(runner, submission, "")


@pytest.mark.parametrize("locks", [True, False], ids=["with locks", "without locks"])
def test_of_two_runs_in_one_folder_the_second_is_refused_and_the_first_undisturbed(
    locks: bool, scenarios: Dict[str, Scenario], runner: Runner, shim: Path, tmp_path: Path
) -> None:
    scenario = scenarios["tuning"]
    submission = tmp_path / "submission"
    fault = None if locks else ("flock", 0, errno.ENOSYS)
    run = Run("member", scenario.begin(submission), str(submission), fault)
    ended: List[Ended] = []
    first = threading.Thread(target=lambda: ended.append(runner(run)))
    other = Runner(shim)
    other(Run("member", ["--help"]))  # has imported all
    first.start()
    log = submission / "outputs" / "adam" / "200gf"
    while not list(log.glob("200gf_g1*")):
        assert first.is_alive(), ended
    second = other(run)
    first.join()
    other.end()
    assert second.code == EXIT_REFUSED and "another run is at work here" in refusal(second)
    assert ended[0].code == 0 and tiny.results(submission) == scenario.results


@pytest.mark.parametrize("name", ["training", "search"])
def test_a_clock_that_goes_back_changes_nothing(
    name: str, scenarios: Dict[str, Scenario], runner: Runner, tmp_path: Path
) -> None:
    scenario = scenarios[name]
    submission = tmp_path / "submission"
    arguments = scenario.begin(submission)
    ended = runner(Run(scenario.program, arguments, str(submission), clock=10 * 10**9))
    assert ended.code == 0 and "Traceback" not in ended.output, ended.output
    assert tiny.results(submission) == scenario.results
    again = runner(Run(scenario.program, arguments, str(submission)))
    assert again.code == 0 and " runs: " not in again.output, again.output


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a small file system of memory, which `resize` changes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    try:
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a small file system cannot be mounted here")
    except OSError:
        pytest.skip("there is no mount command here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


@pytest.mark.parametrize("name", ["training", "search"])
def test_a_disk_that_fills_up_again_and_again_is_one_sentence_each_time(
    name: str,
    scenarios: Dict[str, Scenario],
    runner: Runner,
    disk: Path,
    state: Callable[[str], None],
) -> None:
    scenario = scenarios[name]
    submission = disk / "submission"
    size = 16 + sum(
        path.stat().st_size // 1024 + 4 for path in scenario.start.rglob("*") if path.is_file()
    )
    resize(disk, size)
    arguments = scenario.begin(submission)
    full = 0
    while True:
        ended = runner(Run(scenario.program, arguments))
        if ended.code == 0:
            break
        assert ended.code == EXIT_REFUSED, ended.output
        assert "free some space and run the same command again" in refusal(ended)
        full += 1
        size += max(400, size // 3)
        resize(disk, size)
    state(f"{name}: {full} times on a disk that was full, then the same bytes")
    assert full >= 3
    assert tiny.results(submission) == scenario.results and tiny.leftovers(submission) == []
