"""Mamba (selective state space) layers in plain PyTorch, with mamba_ssm's names and shapes.

Four forms of the scan compute the same function: `scan_reference` is the formula; `scan` is what
runs, and never holds all states at once; mamba_ssm's CUDA kernel takes over if that package is
installed and the tensors are on a GPU; `scan_by_level` is a plain loop, which an exported file can
hold. tests/nets/test_mamba.py compares them, gradients included.
Source: docs/reference/models.md, "Mamba".
"""

from __future__ import annotations

import functools
import math
from typing import Any, Callable, Optional, Tuple

import torch
from torch import nn
from torch.nn import functional as F

_CHUNK = 8  # levels between two states that training keeps: a minimum of memory near the root of 60
_CACHE = 1 << 20  # bytes of state that a CPU works on at a time: about an L2 cache


def scan_reference(
    u: torch.Tensor,
    delta: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    D: torch.Tensor,
) -> torch.Tensor:
    """Return the selective scan, computed as its formula says.

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t
    y_t = h_t . C_t + D u_t

    u, delta  (batch, levels, inner)
    A         (inner, states), negative
    B, C      (batch, levels, states)
    D         (inner,)
    returns   (batch, levels, inner)
    """
    decay = torch.exp(torch.einsum("bli,in->blin", delta, A))
    drive = torch.einsum("bli,bln->blin", delta * u, B)
    h = torch.zeros_like(drive[:, 0])  # (batch, inner, states)
    states = []
    for level in range(u.shape[1]):
        h = decay[:, level] * h + drive[:, level]
        states.append(h)
    return torch.einsum("blin,bln->bli", torch.stack(states, dim=1), C) + D * u


class _Scan(torch.autograd.Function):
    """`scan_reference` without the (batch, levels, inner, states) tensors, forwards and backwards.

    States are stored as (batch, states, inner), so that every elementwise loop runs along memory.
    The forward pass holds one state. For training it saves the state before every _CHUNK-th level,
    and the backward pass computes the states of a chunk again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        u: torch.Tensor,
        delta: torch.Tensor,
        A: torch.Tensor,
        B: torch.Tensor,
        C: torch.Tensor,
    ) -> torch.Tensor:
        At = A.t().contiguous()
        du = delta * u
        y = torch.empty_like(u)
        trains = any(ctx.needs_input_grad)
        chunks = (u.shape[1] + _CHUNK - 1) // _CHUNK if trains else 0
        saved = u.new_empty((chunks, len(u)) + At.shape)
        block = _rows_at_a_time(u, At)
        for start in range(0, len(u), block):
            rows = slice(start, start + block)
            h = u.new_zeros((len(u[rows]),) + At.shape)  # (rows, states, inner)
            decay = torch.empty_like(h)
            for level in range(u.shape[1]):
                if trains and level % _CHUNK == 0:
                    saved[level // _CHUNK, rows] = h
                _step(h, decay, delta[rows, level], du[rows, level], At, B[rows, level])
                torch.bmm(C[rows, level, None], h, out=y[rows, level, None])
        ctx.save_for_backward(u, delta, A, B, C, saved)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # type: ignore[override, unused-ignore]
        ctx: Any, grad: torch.Tensor
    ) -> Tuple[Optional[torch.Tensor], ...]:
        u, delta, A, B, C, saved = ctx.saved_tensors
        At = A.t().contiguous()
        du = delta * u
        d_delta = torch.empty_like(u)
        d_du = torch.empty_like(u)
        d_A = torch.zeros_like(At)
        d_B = torch.empty_like(B)
        d_C = torch.empty_like(C)
        levels = u.shape[1]
        block = _rows_at_a_time(u, At, _CHUNK)
        for start in range(0, len(u), block):
            rows = slice(start, start + block)
            d_h = u.new_zeros((len(u[rows]),) + At.shape)  # of the state that follows
            for chunk in reversed(range(len(saved))):
                first = chunk * _CHUNK
                last = min(first + _CHUNK, levels)
                states = [saved[chunk, rows]]  # h_{first-1}, ..., h_{last-1}
                decays = []  # exp(delta A) of levels first, ..., last-1
                for level in range(first, last):
                    h = states[-1].clone()
                    decay = torch.empty_like(d_h)
                    _step(h, decay, delta[rows, level], du[rows, level], At, B[rows, level])
                    states.append(h)
                    decays.append(decay)
                for level in reversed(range(first, last)):
                    dy = grad[rows, level]  # (rows, inner)
                    d_C[rows, level] = torch.bmm(states[level - first + 1], dy[:, :, None])[:, :, 0]
                    d_h += C[rows, level, :, None] * dy[:, None]
                    d_B[rows, level] = torch.bmm(d_h, du[rows, level, :, None])[:, :, 0]
                    d_du[rows, level] = torch.bmm(B[rows, level, None], d_h)[:, 0]
                    d_h *= decays[level - first]
                    d_exponent = states[level - first] * d_h  # the exponent is delta A
                    d_delta[rows, level] = (d_exponent * At).sum(dim=1)
                    d_A += (d_exponent * delta[rows, level, None]).sum(dim=0)
        return d_du * delta, d_delta + d_du * u, d_A.t(), d_B, d_C


def _step(
    h: torch.Tensor,
    decay: torch.Tensor,
    delta: torch.Tensor,
    du: torch.Tensor,
    At: torch.Tensor,
    B: torch.Tensor,
) -> None:
    """Advance h (rows, states, inner) by one level, in place; write exp(delta A) into `decay`."""
    torch.mul(delta[:, None], At, out=decay).exp_()
    h.mul_(decay).addcmul_(B[:, :, None], du[:, None])


def _rows_at_a_time(u: torch.Tensor, At: torch.Tensor, states: int = 1) -> int:
    """Return all rows on a GPU; on a CPU as many as keep `states` states in its cache."""
    if u.is_cuda:
        return max(1, len(u))
    return max(1, _CACHE // (At.numel() * u.element_size() * states))


def scan(
    u: torch.Tensor,
    delta: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    D: torch.Tensor,
) -> torch.Tensor:
    """Return what `scan_reference` does, in the memory of one state (in training sixteen)."""
    kernel = _cuda_kernel() if u.is_cuda and u.dtype == torch.float32 else None
    if kernel is not None:
        by_level = [t.transpose(1, 2).contiguous() for t in (u, delta, B, C)]
        return kernel(by_level[0], by_level[1], A, by_level[2], by_level[3], D).transpose(1, 2)
    y: torch.Tensor = _Scan.apply(u, delta, A, B, C)  # type: ignore[no-untyped-call, unused-ignore]
    return y + D * u


def scan_by_level(
    u: torch.Tensor,
    delta: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    D: torch.Tensor,
) -> torch.Tensor:
    """Return what `scan` does on a CPU, as a loop that torch can trace, script and export.

    It has the same steps in the same order, for all rows at once: no chunks of rows that a trace
    would fix, no custom backward pass, nothing in place. It holds the outputs of all levels. All is
    taken apart by level at once: an export that unrolls the loop has five operations per level.
    """
    At = A.t().contiguous()
    deltas = delta.unsqueeze(2).unbind(1)  # (rows, 1, inner) each
    drives = (delta * u).unsqueeze(2).unbind(1)  # (rows, 1, inner)
    Bs = B.unsqueeze(3).unbind(1)  # (rows, states, 1)
    Cs = C.unsqueeze(2).unbind(1)  # (rows, 1, states)
    h = Bs[0] * drives[0]  # (rows, states, inner), after the top level
    levels = [torch.bmm(Cs[0], h)]
    for level in range(1, u.shape[1]):
        decay = torch.exp(deltas[level] * At)
        h = torch.addcmul(h * decay, Bs[level], drives[level])
        levels.append(torch.bmm(Cs[level], h))
    return torch.cat(levels, dim=1) + D * u


# Cached: a package that cannot be imported would be tried again at every step.
@functools.lru_cache(maxsize=None)
def _cuda_kernel() -> Optional[Callable[..., torch.Tensor]]:
    """Return mamba_ssm's fused scan, None if it cannot be used."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    # Not installed, or built for another torch: its extension may raise anything when it loads.
    except Exception:
        return None
    return selective_scan_fn  # type: ignore[no-any-return]


class Mamba(nn.Module):
    """mamba_ssm 2.1.0's `Mamba` with d_conv 4 and expand 2, from level 0 downwards.

    (B, L, width) -> (B, L, width)

    scan  the form that runs: a copy that is exported is given scan_by_level
    """

    scan: Callable[..., torch.Tensor] = staticmethod(scan)

    def __init__(self, width: int, states: int) -> None:
        super().__init__()
        inner = 2 * width
        self.rank = math.ceil(width / 16)
        self.states = states
        self.A_log = nn.Parameter(
            torch.log(torch.arange(1, states + 1, dtype=torch.float32)).repeat(inner, 1)
        )
        self.D = nn.Parameter(torch.ones(inner))
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, 4, groups=inner, padding=3)
        self.x_proj = nn.Linear(inner, self.rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.out_proj = nn.Linear(inner, width, bias=False)
        self._initialise_steps()

    def _initialise_steps(
        self, smallest: float = 1e-3, largest: float = 1e-1, floor: float = 1e-4
    ) -> None:
        """Draw step sizes log-uniformly in [smallest, largest]; the bias is softplus^-1 of them."""
        nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        span = math.log(largest) - math.log(smallest)
        step = torch.exp(torch.rand(len(self.dt_proj.bias)) * span + math.log(smallest)).clamp(
            min=floor
        )
        with torch.no_grad():
            self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u, z = self.in_proj(x).chunk(2, dim=2)  # (B, L, inner) each
        # Causal: three zeros before level 0, and what the padding adds below the last level is cut
        # off.
        u = self.conv1d(u.transpose(1, 2))[:, :, : x.shape[1]].transpose(1, 2)
        u = F.silu(u).contiguous()
        low, B, C = self.x_proj(u).split([self.rank, self.states, self.states], dim=2)
        delta = F.softplus(self.dt_proj(low))  # (B, L, inner)
        y = self.scan(u, delta, -torch.exp(self.A_log), B.contiguous(), C.contiguous(), self.D)
        out: torch.Tensor = self.out_proj(y * F.silu(z))
        return out
