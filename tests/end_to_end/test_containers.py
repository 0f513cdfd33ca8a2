"""What a container may do, and what a killed one leaves."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Dict, List

import pytest

from tests.end_to_end.commands import make

pytestmark = [pytest.mark.end_to_end, pytest.mark.docker]
ARTIFACT_200 = "adam_200_78362.oof"


def results(submission: Path) -> Dict[str, bytes]:
    return {
        name: (submission / name).read_bytes()
        for name in (
            f"subs/{ARTIFACT_200}.parquet",
            f"subs/{ARTIFACT_200}.npy",
            "outputs/adam/200/200.pt",
            "outputs/adam/200/log.txt",
        )
    }


def test_a_container_killed_or_stopped_ends_in_the_same_bytes(
    clone: Path, small_world: Path, tmp_path: Path
) -> None:
    def arguments(name: str) -> Dict[str, str]:
        return {
            "RUNTIME": "docker",
            "PROFILE": "sample",
            "EXPERIMENTS": "200",
            "RAW_DATA": str(small_world),
            "SUBMISSION": str(tmp_path / name),
        }

    make(clone, "adam", **arguments("whole"))
    ways: List[List[str]] = [["kill", "-s", "KILL"], ["stop", "-t", "30"]]
    for way, seconds in zip(ways, (4.0, 8.0)):
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        process = subprocess.Popen(
            ["make", "adam"] + ["{}={}".format(*i) for i in arguments("broken").items()],
            cwd=str(clone),
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        container = wait_for_container(str(tmp_path / "broken"), process)
        time.sleep(seconds)
        subprocess.run(
            ["docker"] + way + [container],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        process.wait(timeout=120)
        assert not list((tmp_path / "broken" / "subs").glob("*.parquet")) or process.returncode == 0
    make(clone, "adam", **arguments("broken"))
    assert results(tmp_path / "broken") == results(tmp_path / "whole")


def wait_for_container(mounted: str, process: subprocess.Popen[bytes]) -> str:
    for _ in range(600):
        listed = (
            subprocess.run(
                ["docker", "ps", "-q", "--no-trunc", "--filter", f"volume={mounted}/outputs/adam"],
                stdout=subprocess.PIPE,
                check=True,
            )
            .stdout.decode()
            .split()
        )
        if listed:
            return listed[0]
        assert process.poll() is None, "make ended before its container was seen"
        time.sleep(0.1)
    raise AssertionError("no container was started")


class Hostile:
    def __reduce__(self) -> object:
        return os.system, ("touch /submission/subs/executed /tmp/leap-executed",)


def test_a_hostile_checkpoint_is_refused_in_its_container_and_nothing_runs(
    clone: Path, tiny_world: Path, tmp_path: Path
) -> None:
    import torch

    weights = clone / "members" / "adam" / "weights" / "200.pt"
    torch.save({"fc1.weight": Hostile()}, str(weights))
    try:
        text = make(
            clone,
            "infer-only",
            code=None,
            RUNTIME="docker",
            RAW_DATA=str(tiny_world),
            EXPERIMENTS="200",
            SUBMISSION=str(tmp_path),
        )
    finally:
        weights.unlink()
    assert "refused, nothing was executed" in text
    assert [path.name for path in (tmp_path / "subs").iterdir()] in ([], [".cache"])
    assert not Path("/tmp/leap-executed").exists()


def test_a_members_container_has_no_network_no_root_and_writes_as_the_caller(
    clone: Path, tmp_path: Path
) -> None:
    raw, submission = tmp_path / "raw", tmp_path / "submission"
    for path in (raw, submission / "subs", submission / "outputs" / "adam"):
        path.mkdir(parents=True)
        path.chmod(0o777)
    probe = (
        "import os, socket\n"
        "def refused(action):\n"
        "    try: action()\n"
        "    except OSError as error: return type(error).__name__\n"
        "    return 'allowed'\n"
        "print('uid', os.getuid())\n"
        "print('network', refused(lambda: socket.create_connection(('192.0.2.1', 80), 3)))\n"
        "print('interfaces', sorted(os.listdir('/sys/class/net')))\n"
        "print('root', refused(lambda: open('/opt/leap/x', 'w')))\n"
        "print('raw', refused(lambda: open('/raw_data/x', 'w')))\n"
        "print('chown', refused(lambda: os.chown('/tmp', 0, 0)))\n"
        "open('/submission/subs/mine', 'w').close()\n"
    )
    env = dict(
        os.environ,
        LEAP_UID="12345",
        LEAP_GID="54321",
        LEAP_RAW_DATA=str(raw),
        LEAP_SUBMISSION=str(submission),
    )
    command = [
        "docker",
        "compose",
        "-p",
        "leap-probe",
        "run",
        "--rm",
        "--no-deps",
        "-T",
        "--entrypoint",
        "python",
        "adam",
    ]
    done = subprocess.run(
        command + ["-c", probe], cwd=str(clone), env=env, stdout=subprocess.PIPE, check=True
    )
    said = dict(line.split(" ", 1) for line in done.stdout.decode().splitlines())
    assert (
        said["uid"] == "12345" and said["network"] == "OSError" and said["interfaces"] == "['lo']"
    )
    assert (
        said["root"] == "OSError"
        and said["raw"] == "OSError"
        and said["chown"] == "PermissionError"
    )
    status = (submission / "subs" / "mine").stat()
    assert (status.st_uid, status.st_gid) == (12345, 54321)
