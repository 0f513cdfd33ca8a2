"""The device, settings of numerical libraries, and the switches that make a run repeat itself."""

from __future__ import annotations

import os
import random
import resource
from typing import Any, Dict, List

import numpy as np
import torch

from leapkit.core import allotment
from leapkit.core.errors import KitError


def choose_device(requested: str) -> torch.device:
    """Return the device for "auto", "cpu" or "cuda".

    "auto" takes the GPU if this torch was built for it. Raises KitError if "cuda" is requested and
    cannot be used.
    """
    if not torch.cuda.is_available():
        if requested == "cuda":
            raise KitError(
                "torch sees no GPU",
                "DEVICE",
                "use DEVICE=cpu, or start the container with compose.gpu.yaml",
            )
        return torch.device("cpu")
    obstacle = _obstacle_to_gpu()
    if obstacle and requested == "cuda":
        raise KitError(obstacle, "DEVICE", "use STACK=modern, or DEVICE=cpu")
    if obstacle:
        print(f"device: cpu, because {obstacle} (STACK=modern may)", flush=True)
    return torch.device("cpu" if obstacle or requested == "cpu" else "cuda")


def _obstacle_to_gpu() -> str:
    """Return why this torch cannot use the GPU that it sees, "" if it can."""
    major, minor = torch.cuda.get_device_capability()
    # A wheel runs on its own architectures and on later minor versions of the same generation, no
    # further.
    architectures = [
        name[3:]
        for name in torch.cuda.get_arch_list()
        if name.startswith("sm_") and name[3:].isdigit()
    ]
    if any(int(name[:-1]) == major and int(name[-1]) <= minor for name in architectures):
        return ""
    return f"this torch {torch.__version__} knows no GPU of compute capability {major}.{minor}"


def tune_libraries() -> None:
    """Set environment variables that MKL and glibc read at first use.

    Call before the first matrix product; processes started later inherit them. What the user has
    set stays.

    The MKL of torch 1.10 and 1.12 takes its slowest kernels on an AMD processor unless it is told
    that AVX2 exists. Telling it makes matrix products 2.4 times as fast and takes a third off a
    training step. glibc returns large blocks to the kernel, and a training loop asks for them again
    at every step: up to a third of the time, saved in processes started from here.
    """
    try:
        with open("/proc/cpuinfo") as handle:
            processor = handle.read(4096)
    except OSError:
        processor = ""
    if "AuthenticAMD" in processor and "avx2" in processor:
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")
    for name, value in (
        ("MALLOC_MMAP_THRESHOLD_", 1 << 30),
        ("MALLOC_TRIM_THRESHOLD_", 1 << 32),
        ("MALLOC_TOP_PAD_", 1 << 26),
    ):
        os.environ.setdefault(name, str(value))


def make_repeatable(seed: int) -> None:
    """Seed every generator, and turn off what trades repeatability or exactness for speed.

    TF32 is off, unlike in the team's runs (its effect on R2 is about 2e-6). So is the inference
    fast path of torch's attention, which torch 1.10 does not have: both stacks then compute the
    same function.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    attention = getattr(torch.backends, "mha", None)
    if attention is not None:
        attention.set_fastpath_enabled(False)


def random_state() -> Dict[str, torch.Tensor]:
    """Return the state of torch's generators: all that a training step draws from (dropout)."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: Dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def gpus() -> List[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = [name for name in visible if name.strip()]
    return names or [str(number) for number in range(torch.cuda.device_count())]


def peak_memory() -> Dict[str, float]:
    """Return the most memory that this process has held so far, in GB."""
    peak = {"GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)}
    if torch.cuda.is_available():
        peak["GPU GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return peak


def describe(device: torch.device) -> Dict[str, Any]:
    """Return what computed, for a receipt."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return {"device": name, "threads": torch.get_num_threads(), "cores": allotment.cores()}
