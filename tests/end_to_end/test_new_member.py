"""The page on a new member, followed to the letter in a fresh copy, in both runtimes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

from tests.end_to_end import story
from tests.end_to_end.commands import environment, scores

pytestmark = pytest.mark.end_to_end

STORY = story.steps(Path(__file__).parents[2] / "docs" / "new_member.md")
# One network of the published blend takes the place of sixteen.
THREE = {"EXPERIMENTS": "joseph/907,alice/cnn,alice/placed", "TABLE": "searched"}
RESTRICTED = ("make reproduce", "make blend TABLE=searched,")
# The rest of the page has nothing to do with containers, or test_emulators.py runs it in them.
IN_CONTAINERS = ("make member", "make alice", "cp ", *RESTRICTED)
# Tests of what the kit ships, which hold beside a member of the user's own.
COUNTING = ("tests/core/test_registry.py", "tests/members/test_records.py") + tuple(
    f"tests/launch/test_{module}.py" for module in ("registry", "settings", "planning")
)


@pytest.fixture
def copy(clone: Path, tmp_path: Path) -> Path:
    """Return a copy of its own, as other tests count the members of `clone`."""
    root = tmp_path / "kit"
    shutil.copytree(str(clone), str(root))
    return root


def follow(step: story.Step, copy: Path, world: Dict[str, str]) -> str:
    """Do what a step says, in another world than the sample world; return what was printed."""
    typed = step.command.replace("raw_data/sample", world["RAW_DATA"])
    command = ["git", "apply", "-"] if step.change else ["sh", "-ec", typed]
    variables = {**world, **(THREE if typed.startswith(RESTRICTED) else {})}
    done = subprocess.run(
        command,
        cwd=str(copy),
        env={**environment(), **variables},
        input=step.change,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(step.command, done.stdout[-4000:])
    assert done.returncode == 0, (step, done.stdout[-3000:])
    return done.stdout


def test_the_story_is_true_without_containers(copy: Path, tiny_world: Path) -> None:
    world = {"RUNTIME": "venv", "STACK": "modern", "DEVICE": "cpu", "PROFILE": "sample"}
    world["RAW_DATA"] = str(tiny_world)
    said = {}
    for step in STORY:
        if step.command.startswith("make check"):  # all linters and tests: the kit's own loop
            tests = [sys.executable, "-m", "pytest", "-q", "-m", "unit"]
            subprocess.run([*tests, "tests/members", "-k", "alice"], cwd=str(copy), check=True)
            subprocess.run([*tests, *COUNTING], cwd=str(copy), check=True)
            continue
        said[step.command] = follow(step, copy, world)
    submission = copy / "submission"
    assert {"alice_cnn", "alice_placed"} <= set(scores(submission, "searched-alice"))
    joint = scores(submission, "searched-with-alice")
    assert {"alice_cnn", "alice_placed", "Jo_ex907_cv7855"} <= set(joint)
    assert (submission / "evaluation" / "alice_placed.html").exists()
    assert "alice/placed" in (submission / "report" / "index.html").read_text()
    assert (submission / "exports" / "alice_placed" / "alice-placed.safetensors").exists()
    parquet = Path("subs") / "alice_placed.parquet"
    again = submission / "published" / parquet
    assert again.read_bytes() == (submission / parquet).read_bytes()
    [jobs] = [text for typed, text in said.items() if typed.startswith("make slurm")]
    assert "alice/placed" in jobs and "SUBMIT=1" in jobs
    assert said["containers/generate"] == "", "what was made is up to date"


@pytest.mark.docker
def test_the_networks_of_the_story_train_and_blend_in_containers(
    copy: Path, tiny_world: Path
) -> None:
    world = {"RUNTIME": "docker", "STACK": "published", "PROFILE": "sample", "DEVICE": "cpu"}
    world["RAW_DATA"] = str(tiny_world)
    for step in STORY:
        if step.change or step.command.startswith(IN_CONTAINERS):
            follow(step, copy, world)
    joint = scores(copy / "submission", "searched-with-alice")
    assert {"alice_cnn", "alice_placed", "Jo_ex907_cv7855"} <= set(joint)
