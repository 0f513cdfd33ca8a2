"""An interpreter that is too old is told so in one sentence, not in a SyntaxError."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

from tests.conftest import REPOSITORY

PYENV = Path(os.environ.get("PYENV_ROOT") or "/root/.pyenv") / "versions"
OLD = {version: sorted(PYENV.glob(f"{version}.*/bin/python")) for version in ("2.7", "3.6", "3.7")}


def refusal(version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not OLD[version]:
        pytest.skip(f"Python {version} is not installed")
    env: Dict[str, str] = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    command: List[str] = [str(OLD[version][-1]), *arguments]
    return subprocess.run(
        command,
        cwd=str(REPOSITORY),
        env=dict(env, PYTHONPATH="shared"),
        capture_output=True,
        text=True,
    )


@pytest.mark.process
@pytest.mark.parametrize("version", list(OLD))
@pytest.mark.parametrize("module", ["launch", "blend", "fetch", "members.adam"])
def test_a_python_that_is_too_old_is_told_so_in_one_sentence(module: str, version: str) -> None:
    done = refusal(version, "-m", module, "plan")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and "needs Python 3.8 or newer" in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_the_scripts_of_containers_say_it_too(version: str) -> None:
    done = refusal(version, "containers/generate", "--check")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.process
@pytest.mark.parametrize("version", list(OLD))
def test_make_with_such_a_python_names_the_variable_that_names_another(version: str) -> None:
    if not OLD[version]:
        pytest.skip(f"Python {version} is not installed")
    done = subprocess.run(
        ["make", "plan", f"PYTHON={OLD[version][-1]}"],
        cwd=str(REPOSITORY),
        capture_output=True,
        text=True,
    )
    assert "make PYTHON=python3.11 plan" in done.stderr and "Traceback" not in done.stderr
