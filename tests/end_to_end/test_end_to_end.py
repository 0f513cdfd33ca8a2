"""Whole commands as a stranger types them, in a fresh copy of the repository, in both runtimes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from tests.conftest import REPOSITORY

PARQUET_200 = "adam_200_78362.oof"
pytestmark = pytest.mark.slow


def engine_problem() -> str:
    """Why the docker tests cannot run, or ""."""
    from launch.settings import runtime

    choice = runtime()
    return "" if choice.value == "docker" else choice.reason


needs_docker = [
    pytest.mark.docker,
    pytest.mark.skipif("engine_problem()", reason="no container engine with base images"),
]
RUNTIMES = ["venv", pytest.param("docker", marks=needs_docker)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks or would track: what a fresh clone holds."""
    root = tmp_path_factory.mktemp("clone") / "kit"
    names = (
        subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=str(REPOSITORY),
            check=True,
            stdout=subprocess.PIPE,
        )
        .stdout.decode()
        .split("\0")
    )
    for name in filter(None, names):
        if (REPOSITORY / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(REPOSITORY / name), str(root / name))
    return root


def make(clone: Path, target: str, code: Optional[int] = 0, **variables: str) -> str:
    """Runs make and returns what it printed; asserts the exit code (None: any but 0)."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")}
    env["LEAP_VENVS"] = os.environ.get("LEAP_VENVS", str(REPOSITORY / ".venvs"))
    done = subprocess.run(
        ["make", target] + ["{}={}".format(*item) for item in variables.items()],
        cwd=str(clone),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    text = done.stdout.decode("utf-8", "replace")
    print(text[-8000:])
    assert (done.returncode != 0) if code is None else (done.returncode == code), text[-3000:]
    return text


def scores(submission: Path, blend: str = "searched") -> Dict[str, float]:
    rows = json.loads((submission / "blend" / (f"scores_{blend}.json")).read_text())
    return {row["name"]: row["predicted"] for row in rows}


def everything(folder: Path) -> Dict[str, int]:
    return {
        str(p): p.stat().st_mtime_ns
        for p in folder.rglob("*")
        if p.is_file() and ".cache" not in p.parts
    }


# Everything in containers, on the stack that is quickest here; two members without containers, on the published stack.
WAYS = [
    pytest.param("docker", "modern", "", marks=needs_docker),
    ("venv", "published", "joseph/907,joseph/912sep,zuiye/A,zuiye/B"),
]


@pytest.mark.parametrize("runtime, stack, experiments", WAYS, ids=["docker", "venv"])
def test_reproduce_makes_the_sample_world_trains_blends_and_a_second_run_does_nothing(
    clone: Path, runtime: str, stack: str, experiments: str
) -> None:
    from launch import registry

    submission = clone / ("submission-" + runtime)
    chosen = {
        "RUNTIME": runtime,
        "STACK": stack,
        "SUBMISSION": str(submission),
        "EXPERIMENTS": experiments,
    }
    rows = [
        row for own in registry.chosen(experiments, "", "reproduce", True).values() for row in own
    ]
    make(clone, "reproduce", **chosen)
    for row in rows:
        folder = submission / "outputs" / row.member / row.id
        held = {p.name for p in folder.iterdir()}
        assert {
            row.stem(group) + suffix
            for group in row.checkpoint_groups
            for suffix in (".pt", ".receipt.json")
        } <= held
        assert not [name for name in held if "partial" in name or "state" in name]
        if row.artifact:
            assert (submission / "subs" / row.parquet).exists()
            assert (submission / "subs" / (row.artifact + ".receipt.json")).exists()
    found = scores(submission)
    ridge, blend = found.pop("ridge regression"), found.pop("blend searched")
    assert set(found) == {row.artifact for row in rows if row.blended}
    assert blend > max(found.values()) - 0.002, found
    # After a minute at a tenth of the width, the networks whose attention has no skip are still behind a ridge.
    assert experiments or blend > max(found.values()) > ridge, found
    own = scores(submission, "searched-zuiye")
    assert {"zuiye_A", "zuiye_B", "blend searched-zuiye", "ridge regression"} == set(own)

    page = json.loads((submission / "blend" / "report_searched.json").read_text())["validation"]
    forms = {form["name"]: form for form in page["forms"]}
    assert (
        forms["searched.sum-one"]["in fold"]["all"] >= forms["searched"]["in fold"]["all"] - 1e-11
    )
    for form in page[
        "forms"
    ]:  # months that weights have not seen are no easier than those that they were found on
        assert form["in fold"]["all"] >= form["out of fold"]["all"] - 1e-3 and form["test"], form[
            "name"
        ]
    assert abs(forms["searched"]["test"]["predicted"] - blend) < 1e-9

    before, started = everything(submission), time.monotonic()
    text = make(clone, "reproduce", **chosen)
    assert "nothing to do: every step is proven by its receipt" in text
    assert "report: %s" % (submission / "blend" / "report_searched.html") in text
    assert time.monotonic() - started < 10
    assert everything(submission) == before

    # Other weights and options on what is there: a table of one's own, and weights by target.
    own = clone / "mine.csv"
    own.write_text(
        "artifact,weight\n" + "".join(f"{name},{1 / len(found)!r}\n" for name in sorted(found))
    )
    blended = dict(chosen, TABLE=f"{own},searched.ridge.target", POSTPROCESS="positivity")
    text = make(clone, "blend", **blended)
    for title in ("mine+positivity", "searched.ridge.target+positivity"):
        assert (submission / "blend" / (f"final_blend_{title}.parquet")).exists()
        assert "positivity: test R2 over the 292 columns" in text
    assert (
        scores(submission, "searched.ridge.target+positivity")[
            "blend searched.ridge.target+positivity"
        ]
        > blend
    )


@pytest.mark.parametrize("runtime", RUNTIMES if os.environ.get("LEAP_LONG_TESTS") else RUNTIMES[1:])
def test_a_member_that_fails_leaves_the_others_running_and_the_blend_unstarted(
    clone: Path, small_world: Path, tmp_path: Path, runtime: str
) -> None:
    """zuiye's folder belongs to a run that is at work: A is refused, everything else is made."""
    import fcntl

    folder = tmp_path / "outputs" / "zuiye" / "A"
    folder.mkdir(parents=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        text = make(
            clone,
            "reproduce",
            code=None,
            RUNTIME=runtime,
            STACK="modern",
            PROFILE="sample",
            RAW_DATA=str(small_world),
            SUBMISSION=str(tmp_path),
            EXPERIMENTS="zuiye/A,joseph/907",
        )
    assert "another run is at work here" in text and "the blend was not started" in text
    assert (tmp_path / "subs" / "Jo_ex907_cv7855.receipt.json").exists()
    assert not list((tmp_path / "blend").glob("*.parquet"))


@pytest.fixture(scope="module")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """384 columns, enough training steps for about ten seconds of training."""
    from leapkit.core.splits import Split
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps
    from leapkit.worlds.make_world import make_world

    root = tmp_path_factory.mktemp("small") / "raw_data"
    steps = tmp_path_factory.mktemp("small-steps")
    plan = {"0008-01": 6, "0008-04": 6, "0008-07": 1, "0009-02": 1}
    times = [
        StepTime(int(m[:4]), int(m[5:]), 3 + 2 * k, (k * 17 % 72) * 1200)
        for m, n in plan.items()
        for k in range(n)
    ]
    write_steps(steps, times, seed=11)
    make_world(
        steps, steps, root, Split(("0008-01", "0008-04"), ("0008-07",), 1, ("0009-02",)), None, 3, 4
    )
    return root


def results(submission: Path) -> Dict[str, bytes]:
    return {
        name: (submission / name).read_bytes()
        for name in (
            f"subs/{PARQUET_200}.parquet",
            f"subs/{PARQUET_200}.npy",
            "outputs/adam/200/200.pt",
            "outputs/adam/200/log.txt",
        )
    }


@pytest.mark.docker
@pytest.mark.skipif("engine_problem()", reason="no container engine with base images")
def test_a_container_killed_or_stopped_at_several_moments_ends_in_the_same_bytes(
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
    ways: List[List[str]] = [["kill", "-s", "KILL"], ["stop", "-t", "30"], ["kill", "-s", "KILL"]]
    for way, seconds in zip(ways, (4.0, 7.0, 9.0)):
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


def filled_checkpoints(
    reference: Path, folder: Path, keys: List[str], prefixed: bool = True
) -> None:
    """Published networks at full size, filled by the reference's rule, laid out as the team's download is."""
    from collections import OrderedDict

    import torch

    from tests.helpers.parity import load_fill

    fill = load_fill(reference)
    entries = json.loads((reference / "checkpoints.json").read_text())
    for key in keys:
        for file in entries[key]["checkpoint_files"]:
            path = folder / re.sub(r"^.*(weights|saved_model)/", "", file)
            path.parent.mkdir(parents=True, exist_ok=True)
            group = re.search(r"_g(\d)\.pt$", file)
            prefix = entries[key]["saved_key_prefix"] if prefixed else ""
            tensors = fill.fill_entries(
                entries[key]["state_dict"], f"g{group.group(1)}:" if group else ""
            )
            torch.save(
                OrderedDict(
                    (prefix + fill.strip_prefix(name), torch.from_numpy(value))
                    for name, value in tensors.items()
                ),
                str(path),
            )


@pytest.mark.docker
@pytest.mark.skipif("engine_problem()", reason="no container engine with base images")
def test_full_width_checkpoints_go_through_infer_only_in_containers(
    clone: Path, tiny_world: Path, reference: Path, tmp_path: Path
) -> None:
    """One single checkpoint, with and without `module.`, and seven of one experiment."""
    hashes = []
    for prefixed in (True, False):
        weights, where = tmp_path / ("w%d" % prefixed), tmp_path / ("s%d" % prefixed)
        filled_checkpoints(reference, weights, ["adam_200"] + ["max_014_gf"] * prefixed, prefixed)
        text = make(
            clone,
            "infer-only",
            RUNTIME="docker",
            RAW_DATA=str(tiny_world),
            SUBMISSION=str(where),
            WEIGHTS=str(weights),
            EXPERIMENTS="adam_exp200" + ",014_group_finetune" * prefixed,
        )
        hashes.append(
            json.loads((where / "subs" / (PARQUET_200 + ".receipt.json")).read_text())["sha256"]
        )
        assert "the blend did not run" in text
    assert hashes[0] == hashes[1]
    make(
        clone, "verify", RUNTIME="docker", RAW_DATA=str(tiny_world), SUBMISSION=str(tmp_path / "s1")
    )


@pytest.mark.docker
@pytest.mark.skipif("engine_problem()", reason="no container engine with base images")
@pytest.mark.skipif(
    not os.environ.get("LEAP_LONG_TESTS"),
    reason="half an hour and 10 GB: LEAP_LONG_TESTS=1 runs it",
)
def test_82_published_checkpoints_become_the_published_blend(
    clone: Path, tiny_world: Path, reference: Path, tmp_path: Path
) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    from blend import tables

    entries = json.loads((reference / "checkpoints.json").read_text())
    keys = [key for key, entry in entries.items() if entry["blend_row"]]
    filled_checkpoints(reference, tmp_path / "w", keys)
    assert len(list((tmp_path / "w").rglob("*.pt"))) == 82
    make(
        clone,
        "infer-only",
        RUNTIME="docker",
        RAW_DATA=str(tiny_world),
        SUBMISSION=str(tmp_path / "s"),
        WEIGHTS=str(tmp_path / "w"),
    )
    total = 0.0

    def values(name: str) -> np.ndarray:
        return pq.read_table(str(tmp_path / "s" / name)).to_pandas().iloc[:, 1:].to_numpy()

    for artifact, weight in tables.find("v10").rows:
        total = total + weight * values(f"subs/{artifact}.parquet")
    assert np.array_equal(values("blend/final_blend_v10.parquet"), total)


class Hostile:
    def __reduce__(self) -> object:
        return os.system, ("touch /submission/subs/executed /tmp/leap-executed",)


@pytest.mark.docker
@pytest.mark.skipif("engine_problem()", reason="no container engine with base images")
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


@pytest.mark.docker
@pytest.mark.skipif("engine_problem()", reason="no container engine with base images")
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


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_networks_learn_the_real_step_files(
    clone: Path, real_steps: Path, published: Path, tmp_path: Path, runtime: str
) -> None:
    """One short training on real months 0008-01..06, scored on 0008-07..08 against the withheld truth."""
    if runtime == "docker" and not os.environ.get("LEAP_LONG_TESTS"):
        pytest.skip("the same run as in the venv runtime; LEAP_LONG_TESTS=1 runs it too")
    world = tmp_path / "real"
    make(
        clone,
        "split",
        RUNTIME=runtime,
        SPLIT=f"--steps {real_steps} --to {world} --train 0008-01:0008-06 --validation 0008-01:0008-06 "
        f"--test 0008-07:0008-08 --statistics {published}",
    )
    # Two of the three networks, side by side: what the third adds here is a minute of waiting.
    make(
        clone,
        "reproduce",
        RUNTIME=runtime,
        PROFILE="sample",
        RAW_DATA=str(world),
        SUBMISSION=str(tmp_path / "s"),
        EXPERIMENTS="197,200",
    )
    found = scores(tmp_path / "s")
    assert (
        min(v for k, v in found.items() if k != "ridge regression") > found["ridge regression"]
    ), found


def test_every_command_of_the_readme_is_a_target_of_the_makefile(clone: Path) -> None:
    text = (clone / "README.md").read_text()
    targets = set(re.findall(r"^\s*make ([a-z0-9-]+)", text, flags=re.M)) | set(
        re.findall(r"`make ([a-z0-9-]+)", text)
    )
    assert {"reproduce", "test", "infer-only", "plan"} <= targets
    for target in sorted(targets):
        subprocess.run(
            ["make", "-n", target], cwd=str(clone), check=True, stdout=subprocess.DEVNULL
        )
