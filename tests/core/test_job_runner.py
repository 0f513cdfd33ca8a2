"""Commands side by side keep their order, report failures, share slots and end cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from leapkit.core.errors import EXIT_INTERRUPTED
from leapkit.core.file_lock import try_hold
from leapkit.core.job_runner import Job, JobSlots, run

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]


def job(name, script, after=()):
    return Job(name, ["sh", "-c", script], after)


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


# --- order and failure ----------------------------------------------------------------------------


def test_a_job_starts_when_those_it_comes_after_have_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = str(tmp_path / "log")
    jobs = [
        job("a/1", f"sleep 0.3; echo 1 >>{log}"),
        job("a/2", f"echo 2 >>{log}", ["a/1"]),
        job("a/3", f"echo 3 >>{log}", ["a/1", "a/2"]),
        job("a/4", f"echo 4 >>{log}"),
    ]
    assert run(jobs) == 0
    assert (tmp_path / "log").read_text().split() == ["4", "1", "2", "3"]


def test_bytes_that_are_no_text_are_shown_and_end_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([job("a", "printf 'x\\377y\\n'; echo z")]) == 0
    assert lines(capsys) == ["[a] x\\xffy", "[a] z"]


def test_a_failed_job_stops_its_descendants_only_and_its_code_is_returned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [
        job("a/ok", "exit 0"),
        job("a/parent", "echo words; exit 7"),
        job("a/child", f"touch {tmp_path}/c", ["a/parent"]),
        job("a/grandchild", f"touch {tmp_path}/g", ["a/child"]),
        job("a/other", f"touch {tmp_path}/o; exit 5"),
    ]
    assert run(jobs, JobSlots(tmp_path / "slots", 2)) == 7
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o", "slots"]
    output = lines(capsys)
    assert "[a/parent] words" in output
    assert (
        "a/child is not started: a/parent failed" in output
        and "a/grandchild is not started: a/child failed" in output
    )
    assert "a/other ended with code 5; what the others made is kept" in output


def test_a_job_after_one_that_is_not_there_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([job("a/child", "echo started", ["a/parent"])]) == 0
    assert lines(capsys) == ["[a/child] started"]


# --- slots ----------------------------------------------------------------------------------------


def other_process(script, *arguments):
    """Start Python in a separate process, which a test can kill."""
    env = dict(os.environ, PYTHONPATH=str(ROOT / "shared"))
    head = (
        "import sys, threading, time\nfrom pathlib import Path\n"
        "from leapkit.core.job_runner import Job, JobSlots, run\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + script] + [str(a) for a in arguments],
        env=env,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )


WITHOUT_LOCKS = """
import errno, fcntl
def refuse(*_): raise OSError(errno.ENOSYS, "Function not implemented")
fcntl.flock = refuse
"""


@pytest.mark.parametrize("file_system", ["", WITHOUT_LOCKS], ids=["with locks", "without locks"])
def test_two_processes_share_their_slots(tmp_path: Path, file_system: str) -> None:
    # Each command notes that it began and that it ended: O_APPEND keeps the order of all of them.
    script = (
        file_system
        + """
command = ["sh", "-c", "echo +1 >>$0; sleep 0.15; echo -1 >>$0", sys.argv[2]]
jobs = [Job(f"j{k}", command) for k in range(4)]
sys.exit(run(jobs, JobSlots(Path(sys.argv[1]), 2)))
"""
    )
    processes = [other_process(script, tmp_path / "slots", tmp_path / "log") for _ in range(2)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    busy, most_busy = 0, 0
    for change in (tmp_path / "log").read_text().split():
        busy += int(change)
        most_busy = max(most_busy, busy)
    assert busy == 0 and most_busy == 2


def test_free_slots_go_to_the_first_jobs_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # So the longest of a list can be its first; children come when their parents have ended.
    jobs = [Job(name, ["echo", name]) for name in "cbda"]
    jobs.insert(1, Job("child", ["echo", "child"], after=["c"]))
    assert run(jobs, JobSlots(tmp_path, 1)) == 0
    order = [line.split()[1] for line in lines(capsys)]
    assert [name for name in order if name != "child"] == list("cbda")
    assert order.index("child") < order.index("a")


def test_a_killed_holder_frees_its_slot(tmp_path: Path) -> None:
    holder = other_process(
        """
with JobSlots(Path(sys.argv[1]), 1).hold(threading.Event()):
    print("has it", flush=True)
    time.sleep(60)
""",
        tmp_path,
    )
    assert holder.stdout.readline() == "has it\n"
    slots = JobSlots(tmp_path, 1)

    def is_free() -> bool:
        with try_hold(slots.path(0)) as is_held:
            return is_held

    assert not is_free()
    holder.kill()
    holder.communicate()
    with slots.hold(threading.Event()):
        assert not is_free()
    assert is_free()


def test_each_slot_has_its_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Each waits until both have begun.
    script = (
        f"cd {tmp_path}; echo $CUDA_VISIBLE_DEVICES; touch $0; "
        "while [ ! -e a ] || [ ! -e b ]; do sleep 0.02; done"
    )
    jobs = [Job(name, ["sh", "-c", script, name]) for name in "ab"]
    assert run(jobs, JobSlots(tmp_path / "slots", 2, ["3", "GPU-7"])) == 0
    assert sorted(line.split()[1] for line in lines(capsys)) == ["3", "GPU-7"]


def test_slots_beyond_the_gpus_share_them_and_without_gpus_nothing_is_set(tmp_path: Path) -> None:
    slots = JobSlots(tmp_path, 3, ["0", "1"])
    with slots.hold(threading.Event()) as a, slots.hold(threading.Event()) as b, slots.hold(
        threading.Event()
    ) as c:
        assert [environment["CUDA_VISIBLE_DEVICES"] for environment in (a, b, c)] == ["0", "1", "0"]
    with JobSlots(tmp_path, 1).hold(threading.Event()) as environment:
        assert environment == {}


@pytest.mark.parametrize(
    "gpus, together, seen",
    [
        ("0,1,2,3", 2, ["0,1", "2,3", "0,1"]),
        ("0,1,GPU-2,3,4", 2, ["0,1", "GPU-2,3", "0,1"]),  # the fifth has no other
        ("0,1,2,3", 4, ["0,1,2,3"] * 3),
        ("0,1", 4, ["0,1"] * 3),  # too few, which the command refuses
    ],
)
def test_a_network_on_several_gpus_has_them_alone(
    tmp_path: Path, gpus: str, together: int, seen: list
) -> None:
    slots = JobSlots(tmp_path, 3, gpus.split(","), together)
    assert [slots._environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == seen


# --- the end --------------------------------------------------------------------------------------


def test_sigterm_ends_the_commands_and_starts_no_other(tmp_path: Path) -> None:
    process = other_process(
        """
command = "echo $$ >$0/pid{}; exec sleep 60"
jobs = [Job(f"j{k}", ["sh", "-c", command.format(k), sys.argv[1]]) for k in range(3)]
jobs.append(Job("after", ["touch", sys.argv[1] + "/after"], ["j0"]))
from leapkit.core.errors import run_cli
run_cli(lambda argv: run(jobs, JobSlots(Path(sys.argv[1]) / "slots", 2)), [])
""",
        tmp_path,
    )
    pids = [tmp_path / f"pid{k}" for k in range(3)]
    wait_for(lambda: sum(p.exists() and p.read_text().endswith("\n") for p in pids) == 2)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == EXIT_INTERRUPTED
    started = [int(p.read_text()) for p in pids if p.exists()]
    assert len(started) == 2 and not (tmp_path / "after").exists()
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_command_that_does_not_end_when_it_is_told_to_is_killed(tmp_path: Path) -> None:
    process = other_process(
        """
from leapkit.core import stops
from leapkit.core.errors import run_cli
stops.GRACE = 0.3
deaf = "trap '' TERM; echo $$ >$0/pid; while :; do sleep 0.1; done"
run_cli(lambda argv: run([Job("deaf", ["sh", "-c", deaf, sys.argv[1]])]), [])
""",
        tmp_path,
    )
    pid = tmp_path / "pid"
    wait_for(lambda: pid.exists() and pid.read_text().endswith("\n"))
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == EXIT_INTERRUPTED
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_commands_of_the_kit_end_with_the_run_that_started_them_however_it_ends(tmp_path) -> None:
    process = other_process(
        """
command = "import sys, time; from leapkit.core.errors import run_cli\\n"
command += "run_cli(lambda argv: print('up', flush=True) or time.sleep(60))"
run([Job(name, [sys.executable, "-c", command]) for name in "ab"])
""",
        tmp_path,
    )
    assert {process.stdout.readline() for _ in "ab"} == {"[a] up\n", "[b] up\n"}
    children = Path(f"/proc/{process.pid}/task")
    started = [int(p) for t in children.iterdir() for p in (t / "children").read_text().split()]
    assert len(started) == 2
    process.kill()
    process.communicate(timeout=20)
    for pid in started:
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def test_a_closed_terminal_loses_lines_and_no_job(tmp_path: Path) -> None:
    process = other_process(
        """
run([Job("a", ["sh", "-c", "echo one; sleep 0.3; echo two; echo three; touch $0", sys.argv[1]])])
""",
        tmp_path / "done",
    )
    assert process.stdout.readline() == "[a] one\n"
    process.stdout.close()
    process.wait(timeout=20)
    assert (tmp_path / "done").exists()


def test_a_command_that_was_killed_is_called_killed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([job("a/1", "kill -KILL $$"), job("a/2", "kill -SEGV $$")]) == 137
    killed, crashed = lines(capsys)
    assert killed == (
        "a/1 was killed (SIGKILL); if you did not do it, the memory ran out: end other programs,"
        " or run one member at a time; what the others made is kept"
    )
    assert crashed == "a/2 crashed (SIGSEGV); what the others made is kept"


def test_the_output_of_a_job_that_runs_jobs_keeps_their_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = json.dumps("[adam/195] line")
    assert run([job("adam", f"echo {words}; echo; echo own")]) == 0
    assert lines(capsys) == ["[adam/195] line", "[adam] own"]


def test_what_a_job_prints_does_not_move_the_cursor_or_fill_the_screen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = "printf 'a\\033[2Jb\\302\\233c\\n'"
    script += "; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo e\u00e9"
    assert run([job("a/1", script)]) == 0
    first, second, third = lines(capsys)
    assert first == r"[a/1] a\x1b[2Jb\x9bc" and third == "[a/1] e\u00e9"
    assert len(second) < 5000 and " 1000006 characters " in second
