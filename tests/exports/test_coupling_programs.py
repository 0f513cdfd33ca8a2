"""The programs of docs/coupling load an exported file and give Python's numbers, bit for bit.

Both use the same libraries on the same number of threads and the same batch, so not one bit may
differ: what does would be a column or a stride that is read wrong.
"""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.conftest import REPOSITORY  # noqa: E402
from tests.helpers import libtorch  # noqa: E402

# Three compilers of headers would take a minute: the newest LibTorch, and the oldest.
pytestmark = [pytest.mark.process, pytest.mark.oldest]

SOURCES = REPOSITORY / "docs" / "coupling"
BATCHES = (1, 16, 61)


class Programs(NamedTuple):
    cpp: Path
    library: Path  # the C interface


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Compile both C++ sources as one, because the headers of LibTorch take all of the seconds."""
    folder = tmp_path_factory.mktemp("programs")
    torch_wheel = libtorch.LibTorch()
    both = folder / "both.cpp"
    names = ("predict.cpp", "emulator.cpp")
    both.write_text("".join(f'#include "{SOURCES / name}"\n' for name in names))
    compiled = str(torch_wheel.object(both, folder / "both.o"))
    link = [libtorch.compiler("g++", "c++"), compiled, "-o"]
    libtorch.run([*link, "predict", *torch_wheel.libraries()], folder)
    libtorch.run([*link, "libemulator.so", "-shared", *torch_wheel.libraries()], folder)
    return Programs(folder / "predict", folder / "libemulator.so")


@pytest.fixture(scope="module")
def fortran(programs: Programs) -> Path:
    folder = programs.library.parent
    sources = [str(SOURCES / name) for name in ("emulator.f90", "predict.f90")]
    command = [libtorch.compiler("gfortran"), "-O0", "-Wall", "-std=f2008", *sources]
    found = [f"-L{folder}", f"-Wl,-rpath,{folder}", "-lemulator"]
    libtorch.run([*command, *found, "-o", "predict-fortran"], folder)
    return folder / "predict-fortran"


@pytest.fixture(scope="module")
def expected(scripted: Path, coupled: np.ndarray) -> Any:
    """Return what Python gives for the first rows, as a function of their number.

    Each is the first call of a file just loaded, as the programs' is: torch optimises what it runs
    again, and 1.10 then rounds otherwise.
    """
    torch.set_num_threads(1)

    @functools.lru_cache(maxsize=None)
    def predicted(rows: int) -> np.ndarray:
        with torch.no_grad():
            network = torch.jit.load(str(scripted))
            y: np.ndarray = network(torch.from_numpy(coupled[:rows])).numpy()
        assert y.shape == (rows, 368) and y.dtype == np.float32 and np.isfinite(y).all()
        return y

    return predicted


def predicted_by(program: Path, model: Path, x: np.ndarray, order: str, *more: str) -> np.ndarray:
    """Run a program on columns in C's or Fortran's order of numbers; return (B, 368)."""
    inputs, outputs = program.parent / "inputs.bin", program.parent / "outputs.bin"
    outputs.unlink(missing_ok=True)
    inputs.write_bytes(x.tobytes(order))
    rows, length = x.shape
    words = [str(program), str(model), str(rows), str(inputs), str(outputs), str(length), *more]
    done = subprocess.run(words, env=one_thread(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.fromfile(str(outputs), np.float32).reshape((rows, 368), order=order)


def one_thread() -> Any:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_the_cpp_program_gives_pythons_numbers_at_any_batch_and_stride(
    programs: Programs, scripted: Path, coupled: np.ndarray, expected: Any, layout: str
) -> None:
    order = {"rows": "C", "columns": "F"}[layout]
    for rows in BATCHES:
        y = predicted_by(programs.cpp, scripted, coupled[:rows], order, layout)
        assert y.tobytes() == expected(rows).tobytes()


def test_the_fortran_program_gives_pythons_numbers_with_its_own_arrays(
    fortran: Path, scripted: Path, coupled: np.ndarray, expected: Any
) -> None:
    for rows in BATCHES:
        y = predicted_by(fortran, scripted, coupled[:rows], "F")
        assert y.tobytes() == expected(rows).tobytes()


def test_rows_that_a_chunk_does_not_use_are_zeros_and_give_finite_numbers(
    fortran: Path, scripted: Path, coupled: np.ndarray, expected: Any
) -> None:
    x = coupled[:16].copy()
    x[10:] = 0.0
    y = predicted_by(fortran, scripted, x, "F")
    assert np.isfinite(y).all() and y[10:].tobytes() == y[10:11].tobytes() * 6
    assert y[:10].tobytes() == expected(16)[:10].tobytes()


def test_a_file_that_is_none_ends_the_fortran_program_with_its_reason(
    fortran: Path, tmp_path: Path
) -> None:
    """No exception passes through Fortran: the C interface says it and returns null."""
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not a file of torch")
    words = [str(fortran), str(broken), "1", __file__, str(tmp_path / "outputs"), "1"]
    done = subprocess.run(words, env=one_thread(), capture_output=True, text=True)
    assert done.returncode > 0, "neither a signal nor success"
    assert "emulator:" in done.stderr and "the file cannot be loaded" in done.stderr
    assert not (tmp_path / "outputs").exists()
