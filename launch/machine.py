"""What this machine has: interpreters, a container engine, base images, a GPU. Every probe is bounded in time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import List, Optional, Tuple

# The newest GPU generation that the published CUDA 11.3 wheels run on: sm_86 code serves 8.x, not 9.0 (H100).
PUBLISHED_NEWEST_GPU = 8


def output_of(command: List[str], seconds: float = 20.0) -> Optional[str]:
    """What a command prints, or None when it fails, is missing or takes longer."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def interpreter(version: str) -> Optional[str]:
    """The path of a CPython of this version ("3.8"): PYTHON_3_8, the PATH, then pyenv's versions."""
    named = os.environ.get("PYTHON_" + version.replace(".", "_"))
    roots = [
        Path(os.environ[name]) if name in os.environ else Path.home() / ".pyenv"
        for name in ("PYENV_ROOT",)
    ]
    installed = sorted(
        (
            p
            for root in roots
            for p in (root / "versions").glob(version + ".*/bin/python" + version)
        ),
        key=lambda p: [int(n) for n in re.findall(r"\d+", p.parts[-3])],
    )
    for candidate in [named, shutil.which("python" + version)] + [
        str(p) for p in reversed(installed)
    ]:
        # pyenv's shims exist for versions that are not active: only one that answers counts.
        if candidate and (
            output_of([candidate, "-c", "import sys; print(sys.version)"]) or ""
        ).startswith(version):
            return candidate
    return None


def engine_problem() -> str:
    """Why no container engine with Compose v2 can be used, or "" when one can."""
    if not shutil.which("docker"):
        return "docker is not installed"
    if output_of(["docker", "info"]) is None:
        return "no container engine answers `docker info`"
    if output_of(["docker", "compose", "version"]) is None:
        return "`docker compose` (Compose v2) is not installed"
    return ""


def has_image(name: str) -> bool:
    return output_of(["docker", "image", "inspect", name]) is not None


def registry_answers(image: str) -> bool:
    return output_of(["docker", "manifest", "inspect", image], seconds=15) is not None


def gpu_capability() -> Optional[Tuple[int, int]]:
    """(major, minor) of the first GPU that nvidia-smi names, or None."""
    text = output_of(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"])
    match = re.search(r"(\d+)\.(\d+)", text or "")
    return (int(match.group(1)), int(match.group(2))) if match else None


def engine_has_gpu() -> bool:
    return "nvidia" in (output_of(["docker", "info", "--format", "{{json .Runtimes}}"]) or "")
