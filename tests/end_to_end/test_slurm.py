"""`make slurm` on a real Slurm of one node: whatever jobs meet, the bytes are the same."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from leapkit.core import file_lock
from tests.end_to_end import slurm_node
from tests.end_to_end.commands import environment, make

pytestmark = pytest.mark.end_to_end

NETWORKS = ("joseph/912sep", "zuiye/A", "zuiye/B")
TRAINS = "training rows of"


@pytest.fixture(scope="module")
def node() -> Iterator[None]:
    """Lead all commands of this module to the node."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in slurm_node.start().items():
            patch.setenv(name, value)
        yield


@pytest.mark.usefixtures("node")
def test_a_node_that_runs_is_left_as_it_is() -> None:
    home = Path(os.environ["SLURM_CONF"]).parent
    files = [home / "slurm.conf", *home.glob("*.pid"), home / "munge.key"]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    assert len(before) == 5
    slurm_node.start()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files} == before


@pytest.fixture
def chosen(group_world: Path, tmp_path: Path) -> Dict[str, str]:
    return {
        "RUNTIME": "venv",
        "STACK": "modern",
        "DEVICE": "cpu",
        "PROFILE": "sample",
        "RAW_DATA": str(group_world),
        "SUBMISSION": str(tmp_path / "submission"),
        "EXPERIMENTS": ",".join(NETWORKS),
    }


def submit(clone: Path, chosen: Dict[str, str], **more: str) -> Dict[str, str]:
    """Submit the plan and return {job: id}."""
    return slurm_node.ids_in(make(clone, "slurm", SUBMIT="1", **{**chosen, **more}))


def two_submissions_at_once(clone: Path, chosen: Dict[str, str]) -> List[Dict[str, str]]:
    variables = [f"{name}={value}" for name, value in {**chosen, "SUBMIT": "1"}.items()]
    both = [
        subprocess.Popen(
            ["make", "slurm", "SLURM=--gres=gpu:1", *variables],
            cwd=str(clone),
            env=environment(),
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    printed = [process.communicate()[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    return [slurm_node.ids_in(text) for text in printed]


def products(submission: Path) -> Dict[str, bytes]:
    """Return all that a run leaves but receipts, logs and pages, which hold times."""
    return {
        str(path.relative_to(submission)): path.read_bytes()
        for pattern in ("*.pt", "*.npy", "*.parquet")
        for path in submission.rglob(pattern)
        if not path.name.startswith(".") and ".cache" not in path.parts
    }


@pytest.mark.usefixtures("node")
def test_a_plan_through_slurm_ends_in_the_bytes_of_the_local_run_whatever_its_jobs_meet(
    clone: Path, tmp_path: Path, chosen: Dict[str, str]
) -> None:
    """A failing parent, a killed job, two submissions at once, a pause, a node that is lost."""
    submission = tmp_path / "submission"
    logs = submission / "outputs" / "slurm"
    local = tmp_path / "local"
    text = make(clone, "slurm", **chosen)
    assert "nothing is submitted: 6 jobs" in text and not logs.exists()

    # joseph/912 is refused, as somebody else is at work in its folder; zuiye/A is killed.
    with file_lock.hold(submission / "outputs" / "joseph" / "912" / ".lock"):
        ids = submit(clone, chosen)
        slurm_node.wait_for_line(logs / f"zuiye-A-{ids['zuiye/A']}.log", TRAINS)
        [process] = slurm_node.processes("members.zuiye", "--experiments=A", str(submission))
        os.kill(process, signal.SIGKILL)
        states = slurm_node.ended(list(ids.values()))
    cancelled = [f"{ids['joseph/912sep groups']}_{k}" for k in range(7)]
    cancelled += [ids["joseph/912sep"], ids["blend"]]
    assert states == {
        ids["joseph/912"]: "FAILED",
        ids["zuiye/A"]: "FAILED",
        ids["zuiye/B"]: "COMPLETED",
        **dict.fromkeys(cancelled, "CANCELLED"),
    }

    # What remains, twice at once. Beside it the local run.
    running = subprocess.Popen(
        ["make", "reproduce", *(f"{k}={v}" for k, v in {**chosen, "SUBMISSION": local}.items())],
        cwd=str(clone),
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    first, second = two_submissions_at_once(clone, chosen)
    assert "zuiye/B" not in first and len(first) == len(second) == 5
    earlier = min(first, second, key=lambda ids: int(ids["joseph/912"]))["joseph/912"]
    log = logs / f"joseph-912-{earlier}.log"
    slurm_node.wait_for_line(log, TRAINS)
    slurm_node.ask("scancel", "--signal=USR1", "--batch", earlier)
    # The site takes zuiye/A's node away.
    requeued = min(first["zuiye/A"], second["zuiye/A"], key=int)
    slurm_node.wait_for_line(logs / f"zuiye-A-{requeued}.log", TRAINS)
    slurm_node.ask("scontrol", "requeue", requeued)
    states = slurm_node.ended([*first.values(), *second.values()])
    assert set(states.values()) == {"COMPLETED"} and len(states) == 2 * (4 + 7)
    assert "paused: the job goes back" in log.read_text()
    assert "continues after epoch" in log.read_text()
    assert (logs / f"zuiye-A-{requeued}.log").read_text().count("  train ") == 2
    assert "nothing to submit" in make(clone, "slurm", **chosen)

    assert running.wait() == 0
    assert "nothing to do" in make(clone, "reproduce", **chosen)
    made = products(submission)
    assert len(made) > 20 and made == products(local)


@pytest.mark.usefixtures("node")
def test_networks_that_share_a_node_are_paused_together_and_go_on(
    clone: Path, tmp_path: Path, chosen: Dict[str, str]
) -> None:
    submission = tmp_path / "submission"
    chosen["EXPERIMENTS"] = "zuiye/A,zuiye/B"
    ids = submit(clone, chosen, PACK="2", SLURM="--gres=gpu:2")
    log = submission / "outputs" / "slurm" / f"pack-1-{ids['pack 1']}.log"
    for name in ("A", "B"):
        slurm_node.wait_for_line(log, f"training {name}:")
    slurm_node.ask("scancel", "--signal=USR1", "--batch", ids["pack 1"])
    assert set(slurm_node.ended(list(ids.values())).values()) == {"COMPLETED"}
    assert log.read_text().count("paused: the same command continues") == 2
    assert log.read_text().count("continues after epoch") == 2
    assert (submission / "subs" / "zuiye_A.parquet").exists()
