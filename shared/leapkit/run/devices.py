"""The device, settings of numerical libraries, and the switches that make a run repeat itself."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from typing import Any, Dict, Iterator, List

import numpy as np
import torch
from torch import nn

from leapkit.core import allotment, nvidia, receipts
from leapkit.core.columns import GROUPS
from leapkit.core.errors import KitError
from leapkit.run.precision import FLOAT32, set_switches

_BYTES_PER_PARAMETER = 16  # of training in float32 by Adam: itself, gradient, two moments


def choose_device(requested: str, for_weeks: bool = False) -> torch.device:
    """Return the device for "auto", "cpu" or "cuda".

    "auto" takes the GPU if this torch can use it; if there is one that it cannot use, that is said.
    for_weeks  the work is not left to a CPU beside such a GPU: only DEVICE=cpu does that
    Raises KitError if "cuda" is requested, or needed for weeks, and cannot be used.
    """
    if requested == "cpu":
        return torch.device("cpu")
    obstacle = obstacle_to_gpu()
    if not obstacle:
        return torch.device("cuda")
    is_there = bool(nvidia.driver()) and not nvidia.hidden_by()
    if requested == "cuda" or (is_there and for_weeks):
        remedy = "use DEVICE=cpu, or repair that: STACK=modern, a newer driver, compose.gpu.yaml"
        raise KitError(obstacle, f"DEVICE={requested}", remedy)
    if is_there:
        print(f"device: cpu, because {obstacle}", flush=True)
    return torch.device("cpu")


def obstacle_to_gpu() -> str:
    """Return why this torch cannot use a GPU, "" if it can."""
    if nvidia.hidden_by():
        return f"{nvidia.hidden_by()} hides all GPUs"
    if torch.version.cuda is None:
        return f"this torch {torch.__version__} was built without CUDA"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reason is in the sentence
        if not torch.cuda.is_available():
            return _reason_of_cuda()
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


def _reason_of_cuda() -> str:
    """Return what CUDA says if it is asked to begin: an old driver, no driver, a broken GPU."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (AssertionError, RuntimeError) as error:
        return " ".join(str(error).split()).split(". ")[0].rstrip(".")[:200]
    return "torch sees no GPU"


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


def threads(requested: int) -> int:
    """Return the number of threads for torch; 0 takes its own choice, as far as is allotted.

    Its own choice, all processors that this process sees, knows no quota.
    """
    return requested or min(torch.get_num_threads(), allotment.cores())


def make_repeatable(seed: int, precision: str = FLOAT32) -> None:
    """Seed every generator, and turn off what trades repeatability or exactness for speed."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    _set_switches(precision)


def _set_switches(precision: str) -> None:
    """Turn off what trades repeatability or exactness for speed.

    TF32 is on only as the precision says. The inference fast path of torch's attention is off,
    which torch 1.10 does not have: both stacks then compute the same function.
    """
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    set_switches(precision)
    attention = getattr(torch.backends, "mha", None)
    if attention is not None:
        attention.set_fastpath_enabled(False)


@contextlib.contextmanager
def repeatable(precision: str) -> Iterator[None]:
    """Turn off the same for a while, in a program that has other uses of torch; seed nothing."""
    cudnn = torch.backends.cudnn
    matmul = torch.backends.cuda.matmul
    attention = getattr(torch.backends, "mha", None)
    before = (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32)
    fast_path = attention is not None and attention.get_fastpath_enabled()
    _set_switches(precision)
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
        if attention is not None:
            attention.set_fastpath_enabled(fast_path)


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


def networks_at_once(network: nn.Module, device: torch.device) -> int:
    """Return how many networks like this one may be trained in lockstep.

    On a GPU they, their gradients and Adam's two moments take half of its memory: activations,
    which one network has at a time, take the rest. A CPU has room for the seven of a fine-tuning:
    1.7 GB of the largest, less than one pool of rows.
    """
    if device.type != "cuda":
        return len(GROUPS)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return max(1, memory // 2 // (_BYTES_PER_PARAMETER * parameters))


def gpus() -> List[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = [name for name in visible if name.strip()]
    return names or [str(number) for number in range(torch.cuda.device_count())]


def peak_memory() -> Dict[str, float]:
    """Return the most memory that this process has held so far, in GB."""
    peak = receipts.peak_memory()
    if torch.cuda.is_available():
        peak["GPU GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return peak


def describe(device: torch.device) -> Dict[str, Any]:
    """Return what computed, for a receipt."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return {"device": name, "threads": torch.get_num_threads(), "cores": allotment.cores()}
