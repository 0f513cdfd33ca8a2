"""Whether this machine has an NVIDIA GPU. A probe that failed is no answer: others are asked then.

nvidia-smi of a driver older than 510 does not know `compute_cap`; a broken or hanging driver
answers nothing; a GPU without a driver is only on the PCI bus.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from launch import machine
from leapkit.core import nvidia

# The newest GPU generation that the published CUDA 11.3 wheels run on: sm_86 code runs on 8.x, not
# on 9.0 (H100).
PUBLISHED_NEWEST = 8

FOUND = "found"
NONE = "none"
HIDDEN = "hidden"  # by the user
UNCLEAR = "unclear"


@dataclass(frozen=True)
class Gpu:
    """What is known of the machine's GPUs.

    state       FOUND, NONE, HIDDEN or UNCLEAR
    how         who says so: a sentence without a full stop
    capability  (major, minor) of the newest one, None if nothing tells it
    """

    state: str
    how: str
    capability: Optional[Tuple[int, int]] = None


def probe(root: Path = Path("/"), seconds: float = 20.0) -> Gpu:
    """Ask the user's choice, then nvidia-smi in two ways, then the kernel.

    root     the folder that stands for /, with proc, dev and sys
    seconds  for each of nvidia-smi's answers
    """
    if nvidia.hidden_by():
        return Gpu(HIDDEN, f"{nvidia.hidden_by()} hides all GPUs")
    query = machine.ask(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"], seconds)
    numbers = re.findall(r"^\s*(\d+)\.(\d+)\s*$", query.output, flags=re.M)
    if query.code == 0 and numbers:
        capabilities = sorted({(int(major), int(minor)) for major, minor in numbers})
        shown = ", ".join(f"{major}.{minor}" for major, minor in capabilities)
        return Gpu(FOUND, f"nvidia-smi names a GPU of compute capability {shown}", capabilities[-1])
    listed = machine.ask(["nvidia-smi", "-L"], seconds) if query.code is not None else query
    names = re.findall(r"^GPU \d+: (.{1,80}?) \(UUID", listed.output, flags=re.M)
    if listed.code == 0 and names:
        # A driver that does not know `compute_cap` is older than 510 and knows no GPU after 8.x.
        return Gpu(FOUND, f"nvidia-smi -L names {names[0]}, of unknown compute capability")
    return _of_the_kernel(root, listed)


def _of_the_kernel(root: Path, listed: machine.Answer) -> Gpu:
    """Return what the kernel knows if nvidia-smi names no GPU."""
    is_installed = listed.code is not None or listed.complaint.startswith("does not answer")
    complaint = f"nvidia-smi: {listed.complaint or 'it names no GPU'}"
    if not is_installed:
        complaint = "nvidia-smi is not installed"
    if nvidia.driver(root):
        return Gpu(UNCLEAR, f"{nvidia.driver(root)} exists, but {complaint}")
    cards = nvidia.cards(root)
    if cards:
        return Gpu(UNCLEAR, f"an NVIDIA GPU is on the PCI bus ({cards[0]}), but {complaint}")
    if is_installed and cards is None:
        return Gpu(UNCLEAR, complaint)
    return Gpu(NONE, f"no NVIDIA GPU: {complaint}, and the kernel knows none")
