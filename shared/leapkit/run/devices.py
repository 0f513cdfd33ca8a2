"""The device, and the switches that make a run repeat itself."""

from __future__ import annotations

import os
import random
import resource
from typing import Any, Dict, List

import numpy as np
import torch

from leapkit.core.errors import KitError


def choose_device(wanted: str) -> torch.device:
    """`auto` takes the GPU where this torch has one that it was built for. Raises KitError when `cuda` cannot be had."""
    usable = torch.cuda.is_available()
    if usable:
        major, minor = torch.cuda.get_device_capability()
        # A wheel runs on its own architectures and on later minor versions of the same generation, no further.
        built = [
            a[3:] for a in torch.cuda.get_arch_list() if a.startswith("sm_") and a[3:].isdigit()
        ]
        usable = any(int(a[:-1]) == major and int(a[-1]) <= minor for a in built)
        if not usable:
            reason = "this torch %s knows no GPU of compute capability %d.%d" % (
                torch.__version__,
                major,
                minor,
            )
            if wanted == "cuda":
                raise KitError(reason, "DEVICE", "use STACK=modern, or DEVICE=cpu")
            print(f"device: cpu, because {reason} (STACK=modern may)", flush=True)
    if wanted == "cuda" and not usable:
        raise KitError(
            "torch sees no GPU",
            "DEVICE",
            "use DEVICE=cpu, or start the container with compose.gpu.yaml",
        )
    return torch.device("cuda" if wanted != "cpu" and usable else "cpu")


def tune_libraries() -> None:
    """Settings that libraries read when they are first used, here and in the processes started from here.

    The MKL of torch 1.10 and 1.12 takes its slowest kernels on an AMD processor unless it is told that AVX2 is there:
    2.4 times in matrix products, a third off a training step. glibc hands large blocks back to the kernel, and a training
    loop asks for them again at every step: up to a third off, in processes started from here. What the user has set stays.
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
    """Seeds every generator and turns off what trades repeatability or exactness for speed.

    TF32 is off, unlike in the team's runs (its effect on R2 is about 2e-6), and so is the inference fast path of
    torch's attention, which torch 1.10 does not have: both stacks then compute the same function.
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
    """Torch's generators: all that a training step draws from (dropout)."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: Dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def gpus() -> List[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named or [str(k) for k in range(torch.cuda.device_count())]


def peak_memory() -> Dict[str, float]:
    """The most memory that this process held so far, in GB."""
    peak = {"GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)}
    if torch.cuda.is_available():
        peak["GPU GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return peak


def describe(device: torch.device) -> Dict[str, Any]:
    """What computed, for a receipt."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return {"device": name, "threads": torch.get_num_threads(), "cores": os.cpu_count()}
