"""Container runs beside each other, of root, under hostile names; and how they are said to end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from tests.end_to_end.commands import environment
from tests.helpers import running

pytestmark = [pytest.mark.end_to_end, pytest.mark.docker]
HOSTILE = "a:ro,b $(touch executed)`touch executed`${HOME}\"' -x"


@pytest.fixture(scope="module")
def private_clone(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone as it is made under umask 077.

    But for the locks: the engine would take them for others, and install every package once more.
    """
    root = tmp_path_factory.mktemp("private") / "kit"
    shutil.copytree(str(clone), str(root))
    for path in (root, *root.rglob("*")):
        if root / "containers" not in path.parents:
            path.chmod(path.stat().st_mode & ~0o077)
    return root


@pytest.fixture(scope="module")
def hostile_world(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / HOSTILE
    shutil.copytree(str(tiny_world), str(root))
    return root


class Run:
    """`make MEMBER` in a container, with its log."""

    def __init__(self, clone: Path, raw: Path, submission: Path, member: str, **more: str) -> None:
        chosen = {"RUNTIME": "docker", "STACK": "modern", "PROFILE": "sample", **more}
        chosen.update(RAW_DATA=str(raw), SUBMISSION=str(submission))
        self.submission = submission
        self.member = member
        self.mark = running.mark()
        self.log = submission.parent / f"{member}.log"
        with open(self.log, "wb") as output:
            self.make = subprocess.Popen(
                ["make", member, *(f"{name}={value}" for name, value in chosen.items())],
                cwd=str(clone),
                env={**environment(), **self.mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_for(self, words: str) -> None:
        while words not in self.text():
            assert self.make.poll() is None, self.text()
            time.sleep(0.05)

    def text(self) -> str:
        return self.log.read_text()

    def containers(self) -> List[Dict[str, Any]]:
        """Return what the engine says of this run's containers."""
        command = [
            "docker",
            "ps",
            "-aq",
            f"--filter=label=com.docker.compose.service={self.member}",
        ]
        listed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()
        if not listed:
            return []
        shown = subprocess.run(["docker", "inspect", *listed], stdout=subprocess.PIPE).stdout
        outputs = str(self.submission / "outputs" / self.member)
        return [
            container
            for container in json.loads(shown)
            if any(mount["Source"] == outputs for mount in container["Mounts"])
        ]

    def nothing_is_left(self) -> bool:
        deadline = time.monotonic() + 20
        while self.containers() and time.monotonic() < deadline:
            time.sleep(0.1)
        return running.left(self.mark, 20) == [] and self.containers() == []


def test_the_stop_of_one_run_leaves_another_at_work_whatever_the_names_of_its_folders(
    private_clone: Path, hostile_world: Path, tmp_path: Path
) -> None:
    submission = tmp_path / HOSTILE
    stopped = Run(private_clone, hostile_world, submission, "zuiye")
    stopped.wait_for("building the images")
    other = Run(private_clone, hostile_world, submission, "joseph", EXPERIMENTS="907")
    stopped.wait_for("training rows of")
    [container] = stopped.containers()
    assert_confined(container)
    os.killpg(stopped.make.pid, signal.SIGHUP)
    assert stopped.make.wait(30) != 0 and stopped.nothing_is_left()
    assert other.make.wait(120) == 0, other.text()
    assert other.nothing_is_left()
    parquet = submission / "subs" / "Jo_ex907_cv7855.parquet"
    assert parquet.stat().st_uid != 0 and parquet.stat().st_mode & 0o444 == 0o444
    assert not list(private_clone.glob("executed")) and not Path("executed").exists()
    networks = ["docker", "network", "ls", "--format={{.Name}}"]
    names = subprocess.run(networks, stdout=subprocess.PIPE, check=True).stdout.split()
    assert not [name for name in names if name.startswith(b"leap-")]


def assert_confined(container: Dict[str, Any]) -> None:
    """It is not root, has no rights and no network, and bounds of memory and processes."""
    host = container["HostConfig"]
    assert container["Config"]["User"].split(":")[0] not in ("", "0")
    assert host["Memory"] > 1e9 and 0 < host["PidsLimit"] < 100_000
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"] and host["NetworkMode"] == "none"


def test_a_container_that_is_killed_or_short_of_memory_is_said_to_be(
    private_clone: Path, hostile_world: Path, tmp_path: Path
) -> None:
    run = Run(private_clone, hostile_world, tmp_path / "submission", "zuiye", EXPERIMENTS="A")
    run.wait_for("training rows of")
    subprocess.run(["docker", "kill", run.containers()[0]["Id"]], check=True)
    assert run.make.wait(30) != 0 and run.nothing_is_left()
    assert "the container was killed from outside" in run.text()

    short = {"EXPERIMENTS": "A", "LEAP_MEMORY": "40000000"}
    run = Run(private_clone, hostile_world, tmp_path / "submission", "zuiye", **short)
    assert run.make.wait(60) != 0 and run.nothing_is_left()
    assert "the container ran out of memory" in run.text()
    assert "at its limit of 40000000 bytes (LEAP_MEMORY)" in run.text()


def test_a_launcher_that_is_killed_leaves_no_container(
    private_clone: Path, hostile_world: Path, tmp_path: Path
) -> None:
    run = Run(private_clone, hostile_world, tmp_path / "submission", "zuiye", EXPERIMENTS="A")
    run.wait_for("training rows of")
    [launcher] = [pid for pid, words in running.of(run.mark).items() if "-m launch" in words]
    os.kill(launcher, signal.SIGKILL)
    assert run.make.wait(30) != 0 and run.nothing_is_left()
