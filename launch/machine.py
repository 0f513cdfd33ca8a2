"""What this machine has: interpreters, a container engine, images, a GPU.

No probe takes longer than its limit in seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import List, Optional, Tuple

# The newest GPU generation that the published CUDA 11.3 wheels run on: sm_86 code runs on 8.x, not
# on 9.0 (H100).
PUBLISHED_NEWEST_GPU = 8


def output_of(command: List[str], seconds: float = 20.0) -> Optional[str]:
    """Return what a command prints, or None if it fails, is missing or takes longer."""
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
    """Return the path of a CPython of this version ("3.8"), or None.

    PYTHON_3_8 comes first, then the PATH, then the newest of pyenv's versions.
    """
    candidates = [
        os.environ.get("PYTHON_" + version.replace(".", "_")),
        shutil.which("python" + version),
        *_pyenv_interpreters(version),
    ]
    for candidate in candidates:
        # pyenv's shims exist for versions that are not active: only one that answers counts.
        if candidate:
            answer = output_of([candidate, "-c", "import sys; print(sys.version)"])
            if (answer or "").startswith(version):
                return candidate
    return None


def _pyenv_interpreters(version: str) -> List[str]:
    """Return the interpreters of a version that pyenv installed, the newest first."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted(
        (root / "versions").glob(f"{version}.*/bin/python{version}"),
        key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.parts[-3])],
        reverse=True,
    )
    return [str(path) for path in installed]


def has_image(name: str) -> bool:
    """Return whether the engine has an image."""
    return output_of(["docker", "image", "inspect", name]) is not None


def registry_answers(image: str) -> bool:
    """Return whether an image registry has an image and can be reached."""
    return output_of(["docker", "manifest", "inspect", image], seconds=15) is not None


def gpu_capability() -> Optional[Tuple[int, int]]:
    """Return (major, minor) of the first GPU that nvidia-smi names, or None."""
    text = output_of(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"])
    match = re.search(r"(\d+)\.(\d+)", text or "")
    return (int(match.group(1)), int(match.group(2))) if match else None


def engine_has_gpu() -> bool:
    """Return whether the container engine can pass a GPU on."""
    return "nvidia" in (output_of(["docker", "info", "--format", "{{json .Runtimes}}"]) or "")
