"""Scripts of jobs, run by a real shell."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import List

import pytest

from launch.slurm import job_script

HOSTILE = ["$(touch executed)", "'; touch executed; '", "`touch executed`", "a b", "$HOME", "*"]


@pytest.mark.process
def test_a_script_hands_on_what_it_is_given_and_runs_none_of_it(tmp_path: Path) -> None:
    words = job_script.shell_words(["printf", "%s\\n", *HOSTILE])
    script = job_script.alone(words, {"GIVEN": "$(touch executed)"})
    script = script.replace("cd --", f"cd -- {shlex.quote(str(tmp_path))} && : --")
    done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, cwd=str(tmp_path))
    assert done.returncode == 0 and done.stdout.decode().splitlines() == HOSTILE
    assert not list(tmp_path.iterdir())


@pytest.mark.process
@pytest.mark.parametrize(
    "commands, code",
    [(["exit 0", "exit 0"], 0), (["exit 2", "exit 0"], 2), (["exit 0", "exit 3", "exit 1"], 3)],
)
def test_a_pack_fails_if_one_of_its_commands_fails_and_waits_for_all(
    tmp_path: Path, commands: List[str], code: int
) -> None:
    (tmp_path / "srun").write_text('#!/bin/sh\nwhile [ "$1" != sh ]; do shift; done; exec "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    each = [
        job_script.shell_words(["sh", "-c", f"sleep 0.{3 - k}; echo {k} >>{tmp_path}/log; {one}"])
        for k, one in enumerate(commands)
    ]
    script = job_script.side_by_side(each, {}, gpus=1)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_CPUS_ON_NODE": "4"}
    assert subprocess.run(["bash", "-c", script], env=env).returncode == code
    assert len((tmp_path / "log").read_text().split()) == len(commands)
