"""Mamba's scan and gradients are the formulas in less memory; the layer is mamba_ssm's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from leapkit.nets import mamba  # noqa: E402
from leapkit.nets.mamba import Mamba, scan, scan_by_level, scan_reference  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)
PROBLEMS = st.tuples(
    st.integers(1, 6),
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(1, 64),
    st.integers(0, 2**31),
)


def problem(rows, levels, inner, states, seed, dtype=torch.float64):
    """Return (u, delta, A, B, C, D) with steps and decays as extreme as a trained layer's."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    delta = torch.nn.functional.softplus(2 * normal(rows, levels, inner) - 2)
    tensors = (
        normal(rows, levels, inner),
        delta,
        -torch.exp(normal(inner, states)),
        normal(rows, levels, states),
        normal(rows, levels, states),
        normal(inner),
    )
    return tuple(tensor.to(dtype).requires_grad_() for tensor in tensors)


def relative_difference(values, expected):
    """Return the largest difference, relative to the largest value."""
    with torch.no_grad():
        return float((values - expected).abs().max() / expected.abs().max().clamp(min=1.0))


# ---- the scan ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(PROBLEMS, st.sampled_from([1, 1 << 12, 1 << 20]))
def test_the_scan_and_its_gradients_are_the_formulas(sizes, cache):
    """Lengths are near the chunk's multiples, and batches have several blocks of rows."""
    tensors = problem(*sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mamba, "_CACHE", cache)
        scanned = scan(*tensors)
        expected = scan_reference(*tensors)
        weight = torch.randn(
            scanned.shape, generator=torch.Generator().manual_seed(sizes[-1]), dtype=torch.float64
        )
        gradients = torch.autograd.grad((scanned * weight).sum(), tensors)
    assert relative_difference(scanned, expected) < 1e-12
    for gradient, expected_gradient in zip(
        gradients, torch.autograd.grad((expected * weight).sum(), tensors)
    ):
        assert (
            gradient.shape == expected_gradient.shape
            and relative_difference(gradient, expected_gradient) < 1e-10
        )


@pytest.mark.parametrize("levels", [1, 8, 11])
def test_the_scans_gradients_are_those_of_finite_differences(
    levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mamba, "_CACHE", 1)
    assert torch.autograd.gradcheck(scan, problem(2, levels, 2, 3, 0))


@settings(max_examples=30, deadline=None)
@given(PROBLEMS)
def test_in_float32_the_scan_is_as_exact_as_the_formula(sizes):
    """The error is within four times the formula's own, or sixteen roundings."""
    exact = scan_reference(*problem(*sizes))
    rounded = problem(*sizes, dtype=torch.float32)
    scanned = scan(*rounded)
    formula = scan_reference(*rounded)
    assert scanned.dtype == torch.float32
    assert relative_difference(scanned.double(), exact) <= max(
        4 * relative_difference(formula.double(), exact), 16 * torch.finfo(torch.float32).eps
    )


@pytest.mark.parametrize("rows, inner, states", [(1, 16, 8), (7, 64, 16), (61, 32, 64)])
def test_the_plain_loop_is_the_scan_bit_for_bit(rows: int, inner: int, states: int, monkeypatch):
    """Whatever the scan's chunks of rows: here one row, or all."""
    tensors = [t.detach() for t in problem(rows, 60, inner, states, rows, torch.float32)]
    for cache in (1, 1 << 30):
        monkeypatch.setattr(mamba, "_CACHE", cache)
        assert torch.equal(scan_by_level(*tensors), scan(*tensors))


def test_inputs_may_need_gradients_or_not() -> None:
    u, delta, A, B, C, D = (tensor.detach() for tensor in problem(2, 9, 3, 4, 0))
    assert not scan(u, delta, A, B, C, D).requires_grad
    A.requires_grad_()
    (gradient,), (expected,) = (
        torch.autograd.grad(form(u, delta, A, B, C, D).sum(), [A])
        for form in (scan, scan_reference)
    )
    assert relative_difference(gradient, expected) < 1e-10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts a process's address space")
def test_training_never_holds_the_states_of_all_levels() -> None:
    """In half the memory of all states the formula fails, but scan and backward do not."""
    script = f"""
import resource, sys, torch
sys.path.insert(0, {str(Path(mamba.__file__).parents[2])!r})
from leapkit.nets.mamba import scan, scan_reference
torch.set_num_threads(1)
def run(function, rows, levels, inner, states):
    own, shared = (rows, levels, inner), (rows, levels, states)
    u, delta, A, B, C, D = (torch.full(shape, 0.5, requires_grad=True)
                            for shape in (own, own, (inner, states), shared, shared, (inner,)))
    function(u, delta, -A, B, C, D).sum().backward()
sizes = 32, 64, 1024, 64                     # 512 MiB of states, 8 MiB of inputs
run(scan, 2, 9, 3, 4), run(scan_reference, 2, 9, 3, 4)
size = [line for line in open("/proc/self/status") if line.startswith("VmSize")][0]
used = int(size.split()[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
run(scan, *sizes)
try:
    run(scan_reference, *sizes)
except RuntimeError as error:
    print("too large:", str(error)[-200:])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("too large"), done.stdout + done.stderr


# ---- the layer -----------------------------------------------------------------------------------


def layer(width, states, seed=0):
    torch.manual_seed(seed)
    return Mamba(width, states)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(2, 20), st.data())
def test_no_level_sees_those_below_it(width, states, levels, data):
    network = layer(width, states).double()
    x = torch.randn(2, levels, width, dtype=torch.float64)
    changed = x.clone()
    level = data.draw(st.integers(0, levels - 1))
    changed[:, level] += 1.0
    with torch.no_grad():
        moved = (network(changed) - network(x)).abs().amax(dim=(0, 2))
    assert bool((moved[:level] < 1e-12).all()) and float(moved[level]) > 1e-12


@pytest.mark.parametrize("width, states", [(8, 4), (24, 8), (512, 16)])
def test_it_starts_as_mamba_ssm_does(width: int, states: int) -> None:
    """Step sizes are log-uniform in [0.001, 0.1], decays 1 to S, skip 1, rank ceil(width / 16)."""
    network = layer(width, states)
    rank = -(-width // 16)
    with torch.no_grad():
        step = torch.nn.functional.softplus(network.dt_proj.bias)
        assert bool((step > 0.9999e-3).all()) and bool((step < 1.0001e-1).all())
        if width == 512:
            assert float(step.log().mean()) == pytest.approx(
                -4.605, abs=0.15
            )  # the middle of the two logarithms
        assert network.dt_proj.weight.shape == (2 * width, rank)
        assert float(network.dt_proj.weight.abs().max()) <= rank**-0.5
        assert torch.allclose(
            network.A_log.exp(), torch.arange(1.0, states + 1).expand(2 * width, states)
        )
        assert torch.equal(network.D, torch.ones(2 * width))


def test_it_is_mambapys_block() -> None:
    """mambapy is independent; it computes in float32, hence 1e-6 of the largest value."""
    mambapy = pytest.importorskip("mambapy.mamba", reason="mambapy is not installed")
    network = layer(32, 16).double()
    x = torch.randn(2, 60, 32, dtype=torch.float64)
    other = mambapy.MambaBlock(mambapy.MambaConfig(d_model=32, n_layers=1, d_state=16)).double()
    assert [(n, t.shape) for n, t in other.state_dict().items()] == [
        (n, t.shape) for n, t in network.state_dict().items()
    ]
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert relative_difference(network(x), other(x)) < 1e-6


# ---- mamba_ssm's kernel --------------------------------------------------------------------------


def install(tmp_path, monkeypatch, line):
    """Install a package mamba_ssm whose scan module consists of one line."""
    for name in [name for name in sys.modules if name.split(".")[0] == "mamba_ssm"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "mamba_ssm" / "ops").mkdir(parents=True)
    for module in ("__init__.py", "ops/__init__.py"):
        (tmp_path / "mamba_ssm" / module).write_text("")
    (tmp_path / "mamba_ssm" / "ops" / "selective_scan_interface.py").write_text(line)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture(autouse=True)
def _ask_again():
    """Forget the cached answer, as tests install or hide the package."""
    kernel_lookup = mamba._cuda_kernel
    kernel_lookup.cache_clear()
    yield
    kernel_lookup.cache_clear()


def test_without_the_package_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)
    assert mamba._cuda_kernel() is None


@pytest.mark.parametrize(
    "line",
    [
        "raise OSError('undefined symbol')",
        "raise RuntimeError('no CUDA')",
        "import nothing_like_it",
        "selective_scan = None",
    ],
)
def test_a_package_that_does_not_import_counts_as_absent(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, line)
    assert mamba._cuda_kernel() is None


def test_a_package_that_imports_gives_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "def selective_scan_fn(*tensors): return 'ran'")
    assert mamba._cuda_kernel()() == "ran"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_on_a_cpu_never_meet_the_kernel(dtype, monkeypatch):
    monkeypatch.setattr(mamba, "_cuda_kernel", lambda: pytest.fail("asked for the kernel"))
    scan(*problem(2, 9, 3, 4, 0, dtype))


class SaysCuda(torch.Tensor):
    """A tensor on the CPU that claims to be on a GPU: it shows what the kernel would be given."""

    is_cuda = property(lambda self: True)


def test_the_kernel_is_given_float32_with_the_levels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def kernel(u, delta, A, B, C, D):
        shapes.append([tuple(tensor.shape) for tensor in (u, delta, A, B, C, D)])
        assert all(tensor.is_contiguous() for tensor in (u, delta, B, C))
        by_row = [tensor.as_subclass(torch.Tensor).transpose(1, 2) for tensor in (u, delta, B, C)]
        return scan_reference(by_row[0], by_row[1], A, by_row[2], by_row[3], D).transpose(1, 2)

    monkeypatch.setattr(mamba, "_cuda_kernel", lambda: kernel)
    for dtype, calls in ((torch.float64, 0), (torch.float32, 1)):
        u, *other_tensors = problem(2, 9, 3, 4, 0, dtype)
        with torch.no_grad():
            scanned = scan(u.as_subclass(SaysCuda), *other_tensors)
        assert (
            len(shapes) == calls
            and relative_difference(
                scanned.as_subclass(torch.Tensor), scan_reference(u, *other_tensors)
            )
            < 1e-5
        )
    assert shapes == [[(2, 3, 9), (2, 3, 9), (3, 4), (2, 4, 9), (2, 4, 9), (3,)]]


@pytest.mark.skipif(
    not torch.cuda.is_available() or mamba._cuda_kernel() is None,
    reason="mamba_ssm on a GPU is not here",
)
def test_the_kernel_computes_the_scan() -> None:
    tensors = [
        tensor.detach().cuda().requires_grad_()
        for tensor in problem(3, 60, 64, 16, 0, torch.float32)
    ]
    exact = [tensor.detach().double().cpu().requires_grad_() for tensor in tensors]
    scanned = scan(*tensors)
    expected = scan_reference(*exact)
    assert relative_difference(scanned.double().cpu(), expected) < 1e-5
    for gradient, expected_gradient in zip(
        torch.autograd.grad(scanned.sum(), tensors), torch.autograd.grad(expected.sum(), exact)
    ):
        assert relative_difference(gradient.double().cpu(), expected_gradient) < 1e-4
