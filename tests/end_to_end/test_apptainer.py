"""A plain user on a machine without an engine, as on a cluster, runs SIF files that were copied."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

import pytest

from launch import settings
from launch.runtimes import apptainer, engine
from leapkit.core.files import sha256
from tests.end_to_end.commands import environment, make

pytestmark = [pytest.mark.end_to_end, pytest.mark.docker]
USER = pwd.getpwnam("games").pw_uid  # Apptainer wants one that is known; he may not use the engine
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
NETWORK = {"STACK": "modern", "PROFILE": "sample", "EXPERIMENTS": "joseph/907"}
SUBS = "subs/Jo_ex907_cv7855"
PYTHON = "/usr/bin/python3"  # one that every user may run


class Cluster:
    """What a user has there: a clone, data, and a folder of SIFs, which root owns."""

    def __init__(self, home: Path, clone: Path, world: Path) -> None:
        self.home = home
        self.clone = home / "kit"
        self.raw = home / "raw data: a, b"
        shutil.copytree(str(clone), str(self.clone))
        shutil.copytree(str(world), str(self.raw))
        subprocess.run(["chown", "-R", f"{USER}:{USER}", str(home)], check=True)
        self.sifs = home / "sifs"

    def arguments(self, submission: str, more: Mapping[str, str]) -> List[str]:
        chosen = {**more, "PYTHON": PYTHON, "LEAP_SIFS": str(self.sifs), "RAW_DATA": str(self.raw)}
        chosen.update(SUBMISSION=str(self.home / submission))
        return [f"{name}={value}" for name, value in chosen.items()]

    def start(
        self, target: str, submission: str, more: Mapping[str, str] = NETWORK
    ) -> subprocess.Popen[Any]:
        return subprocess.Popen(
            [*AS_USER, "make", target, *self.arguments(submission, more)],
            cwd=str(self.clone),
            env={**environment(), "HOME": str(self.home), "APPTAINER_BIND": "/root"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, target: str, submission: str, more: Mapping[str, str] = NETWORK) -> str:
        process = self.start(target, submission, more)
        text = process.communicate()[0].decode("utf-8", "replace")
        assert process.returncode == 0, text[-3000:]
        return text


@pytest.fixture(scope="module")
def cluster(clone: Path, tiny_world: Path) -> Iterator[Cluster]:
    if engine.apptainer_problem():
        pytest.skip("apptainer is not installed: containers/install-apptainer installs it")
    if os.getuid() or not Path(PYTHON).exists():
        pytest.skip(f"only root can become a plain user, who needs {PYTHON}")
    home = Path(tempfile.mkdtemp())
    try:
        there = Cluster(home, clone, tiny_world)
        names = {name: NETWORK[name] for name in ("STACK", "EXPERIMENTS")}
        text = make(clone, "sifs", DEVICE="cpu", LEAP_SIFS=str(there.sifs), **names)
        assert f"copy {there.sifs} to the cluster's clone as .sifs" in text
        yield there
    finally:
        shutil.rmtree(str(home))


def of_the_user() -> Dict[int, str]:
    """Return {process: command line} of all that the user runs, inside containers too."""
    processes = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            if f"\nUid:\t{USER}\t" in status and "\nState:\tZ" not in status:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                processes[int(folder.name)] = words.decode("utf-8", "replace")
        except OSError:  # it has ended
            continue
    return processes


@pytest.mark.parametrize("whom", ["-m launch", "apptainer_run.py"])
def test_a_launcher_or_a_runner_that_is_killed_leaves_nothing_at_work(
    cluster: Cluster, whom: str
) -> None:
    process = cluster.start("joseph", "one")
    line = b""
    while b"training rows of" not in line:
        line = process.stdout.readline()
        assert line, "it has ended before it trained"
    assert any("members.joseph" in words for words in of_the_user().values())
    os.kill(min(pid for pid, words in of_the_user().items() if whom in words), signal.SIGKILL)
    process.stdout.close()
    assert process.wait(60) != 0
    deadline = time.monotonic() + 20
    while of_the_user() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert of_the_user() == {}


def test_a_copied_sif_gives_a_user_without_an_engine_the_bytes_of_the_docker_runtime(
    cluster: Cluster, clone: Path, tmp_path: Path
) -> None:
    text = cluster.run("reproduce", "one")  # continues what the tests above have stopped
    assert f"and {cluster.sifs} holds SIF files" in text and "building the images" not in text
    raw, submission = str(cluster.raw), str(tmp_path)
    make(clone, "reproduce", RUNTIME="docker", RAW_DATA=raw, SUBMISSION=submission, **NETWORK)
    for name in (
        *(f"{SUBS}.parquet", f"{SUBS}.npy", "outputs/joseph/907/907.pt"),
        "blend/final_blend_searched.parquet",
    ):
        assert (cluster.home / "one" / name).read_bytes() == (tmp_path / name).read_bytes(), name
    receipt = json.loads((cluster.home / "one" / f"{SUBS}.receipt.json").read_text())
    [sif] = cluster.sifs.glob("leap-joseph-*.sif")
    image = f"leap-joseph:modern-cpu sif sha256:{sha256(sif)}"
    assert receipt["environment"]["image"] == image
    assert "nothing to do" in cluster.run("reproduce", "one")
    assert "Jo_ex907_cv7855" in cluster.run("verify", "one", {"PROFILE": "sample"})
    page = cluster.home / "one" / "report" / "index.html"
    assert f"report: {page}" in cluster.run("report", "one", {"PROFILE": "sample"})
    assert image in page.read_text()


PROBE = """
import os, socket
def refused(action):
    try: action()
    except OSError as error: return type(error).__name__
    return "allowed"
names = ["HOME", "LEAP_SECRET", "CUDA_VISIBLE_DEVICES"]
print("uid", os.getuid())
print("rights", open("/proc/self/status").read().split("CapBnd:")[1].split()[0].strip("0"))
print("environment", [os.environ.get(name) for name in names])
print("interfaces", [name for _, name in socket.if_nameindex()])
print("network", refused(lambda: socket.create_connection(("192.0.2.1", 80), 3)))
print("root", refused(lambda: open("/opt/leap/x", "w")))
print("steps", refused(lambda: open("/steps/x", "w")))
print("world", refused(lambda: open("/world/x", "w")), refused(lambda: open("/tmp/x", "w")))
"""


@pytest.fixture
def probe(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Return the command of a step that prints what it may do; it may write to a new folder."""
    monkeypatch.setenv("LEAP_SIFS", str(cluster.sifs))
    run = settings.choose("reproduce", {"RUNTIME": "apptainer", **NETWORK})
    world = cluster.home / "world"
    world.mkdir(exist_ok=True)
    os.chown(str(world), USER, USER)
    mounts = {"LEAP_RAW_DATA_PARENT": world, "LEAP_STEPS": cluster.raw}
    argv, _ = apptainer.command(run, "world", ["-c", PROBE], mounts)
    return [PYTHON, *argv[1:]]


def test_a_step_has_no_network_no_rights_and_a_root_that_is_read_only(
    cluster: Cluster, probe: List[str]
) -> None:
    env = {**environment(), "LEAP_SECRET": "x", "CUDA_VISIBLE_DEVICES": "0,1"}
    done = subprocess.run([*AS_USER, *probe], env=env, stdout=subprocess.PIPE, check=True)
    said = dict(line.partition(" ")[::2] for line in done.stdout.decode().splitlines())
    assert said["uid"] == str(USER) and said["rights"] == ""
    assert said["environment"] == "['/tmp', None, '0,1']"
    assert said["interfaces"] == "['lo']" and said["network"] == "OSError"
    assert said["root"] == said["steps"] == "OSError"
    assert said["world"] == "allowed allowed"
    assert [path.name for path in (cluster.home / "world").iterdir()] == ["x"]


def test_a_machine_that_gives_users_no_network_namespace_gets_no_step_with_a_network(
    probe: List[str],
) -> None:
    script = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    within = [*AS_USER, "unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    done = subprocess.run([*within, *probe], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode != 0 and "uid" not in text
    assert "Failed to create network namespace" in text and "max_net_namespaces" in text
