"""Cores and memory that a process may use, whoever limits them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from leapkit.core import allotment
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.oldest

MANY = 64
GB = 1 << 30
V1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 {top} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2 = "36 31 0:33 {top} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty /, of a machine with 64 processors and 512 GB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MANY)))
    sizes = {"SC_PHYS_PAGES": 512 * GB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    return tmp_path


def put(root: Path, files: Dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def version_1(root: Path, group: str, top: str = "/") -> None:
    own = f"4:memory:{group}\n1:cpu,cpuacct:{group}\n0::/"
    put(root, {"proc/self/cgroup": own, "proc/self/mountinfo": V1.format(top=top)})


def version_2(root: Path, group: str, top: str = "/") -> None:
    put(root, {"proc/self/cgroup": "0::" + group, "proc/self/mountinfo": V2.format(top=top)})


def cores(root: Path, **environment: str) -> int:
    return allotment.core_limit(root, environment).amount


def memory(root: Path, **environment: str) -> int:
    return allotment.memory_limit(root, environment).amount


def test_without_groups_or_a_scheduler_the_machine_is_the_limit(root: Path) -> None:
    assert allotment.core_limit(root, {}) == (MANY, "the processors of this process")
    assert allotment.memory_limit(root, {}) == (512 * GB, "the memory of this machine")


@pytest.mark.parametrize(
    "quota, expected",
    [
        ("200000", 2),
        ("150000", 2),  # half a core more is time that a second thread can use
        ("5000", 1),
        ("-1", MANY),
        ("0", MANY),
        ("nonsense", MANY),
        ("9" * 5000, MANY),
        ("", MANY),
    ],
)
def test_a_quota_of_version_1_counts_in_whole_cores(root: Path, quota: str, expected: int) -> None:
    version_1(root, "/slurm/job_7")
    folder = "sys/fs/cgroup/cpu,cpuacct/slurm/job_7/"
    put(root, {folder + "cpu.cfs_quota_us": quota, folder + "cpu.cfs_period_us": "100000"})
    assert cores(root) == expected


@pytest.mark.parametrize(
    "quota, expected",
    [("200000 100000", 2), ("max 100000", MANY), ("50000 100000", 1), ("", MANY), ("max", MANY)],
)
def test_a_quota_of_version_2_counts_in_whole_cores(root: Path, quota: str, expected: int) -> None:
    version_2(root, "/system.slice/slurm/job_7")
    put(root, {"sys/fs/cgroup/system.slice/slurm/job_7/cpu.max": quota})
    assert cores(root) == expected


@pytest.mark.parametrize("where", ["", "kubepods/", "kubepods/pod/", "kubepods/pod/me/"])
def test_the_limit_of_any_group_above_holds(root: Path, where: str) -> None:
    version_2(root, "/kubepods/pod/me")
    put(root, {f"sys/fs/cgroup/{name}cpu.max": "max 100000" for name in ("kubepods/", "")})
    put(
        root,
        {
            f"sys/fs/cgroup/{where}cpu.max": "300000 100000",
            f"sys/fs/cgroup/{where}memory.max": str(2 * GB),
        },
    )
    assert allotment.core_limit(root, {}) == (3, f"/sys/fs/cgroup/{where}cpu.max")
    assert allotment.memory_limit(root, {}) == (2 * GB, f"/sys/fs/cgroup/{where}memory.max")


@pytest.mark.parametrize(
    "group, top, below",
    [
        ("/docker/abc/inner", "/docker/abc", "inner/"),
        ("/docker/abc", "/docker/abc", ""),
        ("/docker/abc", "/docker/another", ""),
        ("/../../other", "/", ""),
        ("/", "/", ""),
    ],
)
@pytest.mark.parametrize("version", [version_1, version_2])
def test_in_a_container_the_mount_shows_a_part_of_the_groups(root, version, group, top, below):
    version(root, group, top)
    put(
        root,
        {
            f"sys/fs/cgroup/{below}cpu.max": "200000 100000",
            f"sys/fs/cgroup/cpu,cpuacct/{below}cpu.cfs_quota_us": "200000",
            f"sys/fs/cgroup/cpu,cpuacct/{below}cpu.cfs_period_us": "100000",
            f"sys/fs/cgroup/{below}memory.max": str(GB),
            f"sys/fs/cgroup/memory/{below}memory.limit_in_bytes": str(GB),
        },
    )
    assert (cores(root), memory(root)) == (2, GB)


@pytest.mark.parametrize("limit", ["9223372036854771712", "-1", "max", "", "x"])
def test_no_limit_of_memory_is_written_in_several_ways(root: Path, limit: str) -> None:
    version_1(root, "/a")
    put(root, {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": limit})
    assert memory(root) == 512 * GB


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"SLURM_CPUS_PER_TASK": "2", "SLURM_CPUS_ON_NODE": "8"}, 2),
        ({"SLURM_CPUS_ON_NODE": "8"}, 8),
        ({"SLURM_CPUS_PER_TASK": "128"}, MANY),
        ({"SLURM_CPUS_PER_TASK": "0"}, MANY),
        ({"SLURM_CPUS_PER_TASK": "two"}, MANY),
        ({"SLURM_CPUS_PER_TASK": ""}, MANY),
        ({"SLURM_CPUS_PER_TASK": "9" * 5000}, MANY),
    ],
)
def test_slurm_says_how_many_cores_a_task_has(
    root: Path, environment: Dict[str, str], expected: int
) -> None:
    assert cores(root, **environment) == expected


@pytest.mark.parametrize(
    "environment, gigabytes",
    [
        ({"SLURM_MEM_PER_NODE": "16384"}, 16),
        ({"SLURM_MEM_PER_NODE": "0"}, 512),  # all
        ({"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_PER_TASK": "3"}, 6),
        ({"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "6"}, 12),
    ],
)
def test_slurm_says_how_much_memory_a_job_has(
    root: Path, environment: Dict[str, str], gigabytes: int
) -> None:
    assert memory(root, **environment) == gigabytes * GB


def test_an_operating_system_without_affinity_or_sysconf_is_no_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    monkeypatch.setattr(os, "sysconf", lambda name: int(name))
    assert allotment.core_limit(root, {}) == (10, "the processors of this machine")
    assert allotment.memory_limit(root, {}) == (0, "unknown")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores(root) == 1


def test_libraries_of_numerics_are_told_what_they_cannot_know(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in (*allotment.THREAD_VARIABLES, "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(allotment, "ROOT", root)
    assert allotment.thread_variables() == {}
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")  # the user's own stays
    assert allotment.thread_variables() == {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}


# The true machine


def run(before: List[str]) -> int:
    """Return the cores that a fresh process is told of, started by the words `before`."""
    code = "from leapkit.core import allotment; print(allotment.cores())"
    words = [*before, sys.executable, "-c", code]
    env = dict(os.environ, PYTHONPATH=str(REPOSITORY / "shared"))
    return int(subprocess.run(words, env=env, stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_process_that_is_bound_to_one_core_has_one() -> None:
    assert run(["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]) == 1


@contextlib.contextmanager
def group_of_one_core() -> Iterator[Path]:
    """Make a control group with a quota of one core; it needs the right to."""
    for base, file, text in (
        ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "100000"),
        ("/sys/fs/cgroup", "cpu.max", "100000 100000"),
    ):
        folder = Path(base) / f"leap-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if (folder / file).exists():
                (folder / file).write_text(text)
                yield folder
                return
        finally:
            folder.rmdir()
    pytest.skip("no control group can be made here")


@pytest.mark.process
def test_a_process_in_a_group_with_the_quota_of_one_core_has_one() -> None:
    if allotment.cores() == 1:
        pytest.skip("this machine gives one core anyway")
    with group_of_one_core() as folder:
        enter = f'echo $$ > {folder}/cgroup.procs && exec "$@"'
        assert run(["sh", "-c", enter, "sh"]) == 1
