"""`export`: an emulator to files for other programs, each verified, with what belongs beside them.

<name>.pt            TorchScript, the coupled model's 557 inputs   (formats: torchscript)
<name>.kaggle.pt     TorchScript, Kaggle's 556 inputs
<name>.nml           the namelist block of a coupled run
<name>.pt2           torch.export, 557 inputs                      (pt2)
<name>.onnx          ONNX, 557 inputs                              (onnx)
<name>.safetensors   weights and scaling, which leapkit.load reads (safetensors)
<name>.md            a card: what it is, how to load it, what it was made of
SHA256SUMS           of all of them, written last
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import torch
from torch import nn

from leapkit.core import model_cards
from leapkit.core.errors import KitError
from leapkit.core.files import sha256, write_text
from leapkit.emulators import attributes, packed
from leapkit.emulators.constraints import Constraints
from leapkit.emulators.parts import EmulatorParts
from leapkit.exports import card, namelist, onnx_files, programs, torchscript, verification
from leapkit.exports.contracts import COUPLED, KAGGLE, Contract
from leapkit.exports.physical import PhysicalNetwork, physical_network
from leapkit.nets.mamba import scan_by_level

FORMATS = ("torchscript", "pt2", "onnx", "safetensors")
SUMS = "SHA256SUMS"
_REQUIRED: Dict[str, Callable[[EmulatorParts], None]] = {
    "pt2": lambda parts: programs.require_exporter(),
    "onnx": lambda parts: onnx_files.require_possible(parts.file_bytes),
}


def export(
    parts: EmulatorParts,
    to: Path,
    formats: Sequence[str] = (),
    constraints: Sequence[str] = (),
    differences: Optional[Dict[str, float]] = None,
) -> List[Path]:
    """Write an emulator's files into the folder `to`, and return them.

    formats      of FORMATS; without any, all that can be written
    constraints  that the files hold (leapkit.emulators.constraints)
    differences  {file: difference} of files that are there, for the card; those made are added

    Each file appears whole, and is read again and compared with the network first to last: at
    another batch size than it was traced with. SHA256SUMS is written last.
    Raises KitError for an unknown format or constraint, for a format that this stack or so large a
    blend has not, and for a file that gives other numbers.
    """
    names = chosen(parts, formats)
    record = attributes.provenance(parts, "cpu", "float32", Constraints(constraints).names)
    known = {} if differences is None else differences
    return _Export(parts, to, record, Constraints(constraints).names, known).write(names)


def file_name(name: str) -> str:
    """Return what the files of an emulator are called: max2020-022 of max2020/022."""
    return model_cards.file_name(name)


def chosen(parts: EmulatorParts, formats: Sequence[str]) -> List[str]:
    """Return the formats that are asked for; without any, all that can be written.

    Raises KitError for an unknown one, and one that is asked for and cannot be written: this stack
    has it not, or the emulator is too large for it.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        where = f"FORMATS={','.join(formats)}"
        raise KitError(f"no such format: {unknown[0]}", where, f"choose among {', '.join(FORMATS)}")
    possible = []
    for name in [name for name in FORMATS if name in (formats or FORMATS)]:
        try:
            if name in _REQUIRED:
                _REQUIRED[name](parts)
        except KitError as obstacle:
            if formats:
                raise
            print(f"note: {name} is left out: {obstacle}", flush=True)
        else:
            possible.append(name)
    return possible


class _Export:
    """The files of one emulator, one after the other."""

    def __init__(
        self,
        parts: EmulatorParts,
        to: Path,
        record: Mapping[str, str],
        constraints: Sequence[str],
        differences: Dict[str, float],
    ) -> None:
        self._parts = parts
        self._to = to
        self._record = record
        self._constraints = constraints
        self._name = file_name(parts.name)
        self._differences = differences

    def write(self, formats: Sequence[str]) -> List[Path]:
        files = []
        if "torchscript" in formats:
            files += self._torchscript()
        if "pt2" in formats or "onnx" in formats:
            files += self._others(formats)
        if "safetensors" in formats:
            files.append(self._safetensors())
        described = card.text(self._parts, self._name, self._record, self._differences)
        files.append(self._text(".md", described))
        _write_sums(self._to, files)
        return [*files, self._to / SUMS]

    def _torchscript(self) -> List[Path]:
        scan = torchscript.scripted(scan_by_level)
        network = self._network(COUPLED, scan)
        files = []
        for contract, suffix in ((COUPLED, ".pt"), (KAGGLE, ".kaggle.pt")):
            path = self._path(suffix)
            network = network.taking(contract)
            torchscript.write(path, network, len(contract.inputs), self._about(contract))
            self._verify(path, torchscript.read(path), network, contract)
            files.append(path)
        block = namelist.block(files[0].name, self._constraints)
        return [*files, self._text(".nml", block)]

    def _others(self, formats: Sequence[str]) -> List[Path]:
        network = self._network(COUPLED, scan_by_level)
        files = []
        if "pt2" in formats:
            files.append(self._path(".pt2"))
            programs.write(files[-1], network, len(COUPLED.inputs), self._about(COUPLED))
            self._verify(files[-1], programs.read(files[-1]), network, COUPLED)
        if "onnx" in formats:
            files.append(self._path(".onnx"))
            onnx_files.write(files[-1], network, len(COUPLED.inputs), self._about(COUPLED))
            self._verify(files[-1], onnx_files.reader(files[-1]), network, COUPLED)
        return files

    def _safetensors(self) -> Path:
        path = self._path(".safetensors")
        packed.write(path, self._parts, self._record)
        read = physical_network(packed.read(path), KAGGLE, self._constraints)
        self._verify(path, read, self._network(KAGGLE, scan_by_level), KAGGLE)
        return path

    def _network(self, contract: Contract, scan: Callable[..., torch.Tensor]) -> PhysicalNetwork:
        return physical_network(self._parts, contract, self._constraints, scan)

    def _verify(
        self,
        path: Path,
        run: Callable[[torch.Tensor], torch.Tensor],
        network: nn.Module,
        contract: Contract,
    ) -> None:
        scaling = self._parts.networks[0].scaling
        x = verification.columns(contract, scaling)
        self._differences[path.name] = verification.difference(str(path), run, network, x, scaling)

    def _about(self, contract: Contract) -> Dict[str, str]:
        return {**self._record, "inputs": contract.name}

    def _path(self, suffix: str) -> Path:
        return self._to / f"{self._name}{suffix}"

    def _text(self, suffix: str, text: str) -> Path:
        path = self._path(suffix)
        write_text(path, text)
        return path


def _write_sums(folder: Path, files: Sequence[Path]) -> None:
    """Write SHA256SUMS as `sha256sum --check` reads it; lines of other exports' files stay."""
    sums: Dict[str, str] = {}
    before = folder / SUMS
    for line in before.read_text(encoding="utf-8").splitlines() if before.exists() else ():
        digest, _, name = line.partition("  ")
        if (folder / name).exists():
            sums[name] = digest
    sums.update((file.name, sha256(file)) for file in files)
    write_text(before, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
