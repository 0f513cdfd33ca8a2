"""What shows NVIDIA GPUs without asking a driver or torch: the user's choice, and the kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional

NVIDIA = "0x10de"  # vendor on the PCI bus
DISPLAY = "0x03"  # class of a graphics or compute card; a GPU's audio or USB part has another


def hidden_by() -> str:
    """Return how the user hides all GPUs, as CUDA_VISIBLE_DEVICES=-1; "" if that is not so."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or visible.split(",")[0].strip() not in ("", "-1", "NoDevFiles"):
        return ""
    return f"CUDA_VISIBLE_DEVICES={visible}"


def driver(root: Path = Path("/")) -> str:
    """Return the file that shows that a driver is loaded, "" if there is none.

    root  the folder that stands for /, with proc and dev
    """
    devices = sorted((root / "dev").glob("nvidia[0-9]*"))
    paths = [path for path in (root / "proc/driver/nvidia/version", *devices) if path.exists()]
    return "/" + str(paths[0].relative_to(root)) if paths else ""


def cards(root: Path = Path("/")) -> Optional[List[str]]:
    """Return the addresses of NVIDIA's cards on the PCI bus, None if the bus cannot be seen."""
    devices = sorted((root / "sys/bus/pci/devices").glob("*"))
    if not devices or (root / "dev/dxg").exists():  # WSL passes a GPU on in another way
        return None
    return [
        device.name
        for device in devices
        if _read(device / "vendor") == NVIDIA and _read(device / "class").startswith(DISPLAY)
    ]


def models(root: Path = Path("/")) -> List[str]:
    """Return the names of the GPUs that a loaded driver shows, as `NVIDIA A100-SXM4-40GB`."""
    files = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for file in files for line in _read(file).splitlines()]
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
