"""What a user gives to `make` is text, whatever is in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.process

VARIABLES = (
    *("RAW_DATA", "SUBMISSION", "EXPERIMENTS", "TABLE", "WEIGHTS"),
    *("SPLIT", "STORE", "ARGS", "SLURM"),
)
HOSTILE = [
    "a$b",
    "$(shell touch executed)",
    "$(touch executed)",
    "`touch executed`",
    "; touch executed; #",
    "a\ntouch executed",
    "&& touch executed ||",
    "'\" touch executed",
    "a:b,c",
    "../../x",
    "-dash",
    "$$ ${HOME} %n",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("target", ["plan", "split"])
def test_make_hands_on_what_it_is_given_and_runs_none_of_it(
    tmp_path: Path, target: str, value: str
) -> None:
    launcher = tmp_path / "python"
    launcher.write_text(
        f"#!{sys.executable}\nimport json, os\nprint(json.dumps(dict(os.environ)))\n"
    )
    launcher.chmod(0o755)
    (tmp_path / "members").mkdir()
    given = [f"{name}={value}" for name in VARIABLES]
    env = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-f", str(REPOSITORY / "Makefile"), target, f"PYTHON={launcher}", *given],
        cwd=str(tmp_path),
        env=env,
        stdout=subprocess.PIPE,
        check=True,
    )
    received = json.loads(done.stdout)
    assert {name: received[name] for name in VARIABLES} == dict.fromkeys(VARIABLES, value)
    assert not (tmp_path / "executed").exists()
