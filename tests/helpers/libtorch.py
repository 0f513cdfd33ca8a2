"""Compile C++ and Fortran programs against the LibTorch of the installed torch wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import List

import pytest


def compiler(*names: str) -> str:
    """Return the first compiler that exists here; skip the test if none does."""
    found = [path for path in map(shutil.which, names) if path]
    if not found:
        pytest.skip(f"there is no {names[0]} here")
    return found[0]


class LibTorch:
    """The headers and libraries of the torch wheel, and the flags that it asks for.

    The flags are those of its TorchConfig.cmake, which `find_package(Torch)` gives to CMake: the
    C++ standard, and the form of std::string that its libraries were built with.
    """

    def __init__(self) -> None:
        torch = pytest.importorskip("torch")
        self.root = Path(torch.__file__).resolve().parent
        config = self.root / "share" / "cmake" / "Torch" / "TorchConfig.cmake"
        if not config.exists():
            pytest.skip("this torch is no wheel: it has no headers")
        text = config.read_text()
        self._standard = re.findall(r"CXX_STANDARD (\d+)", text)[-1]
        self._abi = re.findall(r"-D_GLIBCXX_USE_CXX11_ABI=\d", text)

    def object(self, source: Path, to: Path) -> Path:
        """Compile a C++ file without optimisation, as most seconds go into reading headers."""
        headers = [self.root / "include", self.root / "include/torch/csrc/api/include"]
        command = [compiler("g++", "c++"), f"-std=c++{self._standard}", *self._abi, "-O0", "-fPIC"]
        for folder in headers:
            command += ["-isystem", str(folder)]
        command += ["-Wall", "-c", str(source), "-o", str(to)]
        run(command, to.parent)
        return to

    def libraries(self) -> List[str]:
        """Return the words that link a program to LibTorch."""
        folder = str(self.root / "lib")
        return [f"-L{folder}", f"-Wl,-rpath,{folder}", "-ltorch", "-ltorch_cpu", "-lc10"]


def run(command: List[str], folder: Path) -> None:
    """Run a compiler or a program; fail with what it said."""
    done = subprocess.run(command, cwd=str(folder), capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    assert "warning" not in done.stderr, done.stderr
