"""A copy of the kit that needs next to nothing, to be bundled and unbundled without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from tests.conftest import REPOSITORY


def small_kit(root: Path, lock: str) -> Path:
    """Copy the kit, and let its modern stack, its blend and its fetch need one small package."""
    copied = (
        "Makefile",
        "launch",
        "shared",
        "members",
        "blend",
        "evaluation",
        "fetch",
        "reports",
        "submitting",
        "containers",
    )
    for name in (*copied, "compose.yaml", "compose.gpu.yaml", ".gitignore", ".dockerignore"):
        source = REPOSITORY / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pt", "*.egg-info")
            shutil.copytree(str(source), str(root / name), ignore=ignored)
        else:
            root.mkdir(exist_ok=True)
            shutil.copy2(str(source), str(root / name))
    for name in ("py311-torch2.13-cuda", "blend", "fetch"):
        (root / "containers" / "locks" / f"{name}.txt").write_text(lock)
    return root


def make(kit: Path, target: str, prefix: List[str], env: Dict[str, str], **given: str) -> str:
    """Run make; return its code and what it printed."""
    words = [f"{name}={value}" for name, value in given.items()]
    done = subprocess.run(
        [*prefix, "make", target, f"PYTHON={sys.executable}", *words],
        cwd=str(kit),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
    )
    print(done.stdout)
    return f"{done.returncode} {done.stdout}"


def offline() -> List[str]:
    """Return what starts a command without a network."""
    prefix = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no command can be started without a network here")
    return prefix


def plain() -> Dict[str, str]:
    """Return this environment without what make, pytest, pip's user and the launcher added."""
    added = ("PIP_", "MAKE", "LEAP_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(added)}
