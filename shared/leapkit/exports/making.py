"""make export: the files of an emulator, format by format, with a receipt beside the card.

<name>.receipt.json names what all files were made of, and each file's sum, difference and seconds.
A format whose files are as it says is not written again, so a stopped export goes on.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

from leapkit.core import file_lock, receipts
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.emulators import attributes, digests
from leapkit.emulators.constraints import Constraints
from leapkit.emulators.parts import EmulatorParts
from leapkit.exports import exporting

KIND = "export"
Entries = Dict[str, Dict[str, Any]]


def make(
    parts: EmulatorParts, to: Path, formats: Sequence[str], constraints: Sequence[str]
) -> None:
    """Write the files of an emulator into a folder, unless the receipt proves them.

    formats  of exporting.FORMATS; without any, all that can be written
    Raises KitError as exporting.export does, or if another command writes there.
    """
    chosen = exporting.chosen(parts, formats)
    names = Constraints(constraints).names
    inputs = digests.of(attributes.provenance(parts, "cpu", "float32", names))
    card = to / f"{exporting.file_name(parts.name)}.md"
    refusal = KitError("another command writes it", card, "wait until that has ended")
    with file_lock.hold(card.with_name(f".{card.stem}.lock"), refusal):
        entries = _proven(card, inputs)
        missing = [name for name in chosen if name not in {e["format"] for e in entries.values()}]
        if not missing:
            print(f"nothing to do: {card}: its receipt proves all files", flush=True)
        for name in missing:
            entries.update(_made(parts, to, name, names, entries))
            details = {"files": entries, "networks": [n.experiment.name for n in parts.networks]}
            receipts.write(card, KIND, inputs, receipts.now(), details)


def _proven(card: Path, inputs: Dict[str, str]) -> Entries:
    """Return {file: entry} of the formats whose files are all as the receipt says."""
    index = HashIndex()
    if not receipts.judge(card, inputs, index).done:
        return {}
    entries: Entries = receipts.read(card)["details"].get("files", {})
    changed = {
        entry["format"]
        for name, entry in entries.items()
        if not (card.parent / name).exists() or index.of(card.parent / name) != entry["sha256"]
    }
    return {name: entry for name, entry in entries.items() if entry["format"] not in changed}


def _made(
    parts: EmulatorParts, to: Path, name: str, constraints: Sequence[str], entries: Entries
) -> Entries:
    """Write the files of one format; say and return what they are."""
    clock = time.monotonic()
    differences: Dict[str, float] = {
        file: entry["difference"] for file, entry in entries.items() if "difference" in entry
    }
    files: List[Path] = exporting.export(parts, to, [name], constraints, differences)
    seconds = round(time.monotonic() - clock, 1)
    index = HashIndex()
    made: Entries = {}
    for file in files:
        if file.name == exporting.SUMS or file.suffix == ".md":
            continue
        size = file.stat().st_size
        entry = {"format": name, "sha256": index.of(file), "bytes": size, "seconds": seconds}
        text = f"{file.name}: {size / 1e3:,.0f} kB"
        if file.name in differences:
            entry["difference"] = differences[file.name]
            text += f", differs by at most {differences[file.name]:.1e} standard deviations"
        made[file.name] = entry
        print(text, flush=True)
    print(f"{name}: written in {seconds} s", flush=True)
    return made
