"""Whether a product still counts: as `make plan` says it, else as the receipts alone do."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from reports.record import NO_RECEIPT, STALE, UNCHECKED, VALID, PlannedStep, Standing
from reports.traces import Trace

READ_AGAIN = 1 << 29  # bytes of products that are read, where no index knows their hash
LARGEST = 1 << 26  # bytes of a product that is read: one checkpoint would take it all
_CHECKPOINT = "checkpoint "


class Products:
    """The products of a run, by name, and the hashes of their bytes.

    A file is read only if no earlier run has noted its hash, and READ_AGAIN bytes in all.
    """

    def __init__(self, results: Results, traces: List[Trace]) -> None:
        self._results = results
        self._indexes: Dict[Tuple[Path, bool], HashIndex] = {}
        self._by_name = {trace.product.name: trace for trace in traces}
        self._checkpoints = {
            (trace.network, trace.product.stem): trace
            for trace in traces
            if trace.kind == "training"
        }

    def digest(self, path: Path) -> str:
        """Return the sha256 of a file. Raises KitError if it is not known and may not be read."""
        place = self._results.root / path.relative_to(self._results.root).parts[0]
        home = place / ".cache" / "hashes.json"
        if not home.exists():
            home = self._results.hashes
        is_large = path.stat().st_size > LARGEST
        if (home, is_large) not in self._indexes:
            self._indexes[home, is_large] = HashIndex(home, 0 if is_large else READ_AGAIN)
        return self._indexes[home, is_large].of(path)

    def changed_input(self, trace: Trace) -> str:
        """Return the role of an input that is a product of this run with other bytes by now."""
        for role, digest in sorted(trace.receipt.get("inputs", {}).items()):
            stem = role[len(_CHECKPOINT) :] if role.startswith(_CHECKPOINT) else ""
            made = self._checkpoints.get((trace.network, stem)) or self._by_name.get(role)
            if made and made.receipt and made.receipt["sha256"] != digest:
                return str(role)
        return ""


def judge(trace: Trace, products: Products, planned: Optional[PlannedStep]) -> Standing:
    """Return the standing of a product.

    planned  what `make plan` says of its step; None if that says nothing, or cannot
    """
    if planned is not None:
        return Standing(STALE if planned.runs else VALID, planned.reason, "plan")
    if not trace.product.exists():
        return Standing(STALE, "the file is missing", "receipt")
    if not trace.receipt:
        has_one = receipts.receipt_path(trace.product).exists()
        reason = "its receipt cannot be read" if has_one else "it has no receipt"
        return Standing(NO_RECEIPT, reason, "receipt")
    if not trace.product.is_file():  # a pipe would be waited for
        return Standing(STALE, "it is no plain file", "receipt")
    difference = _difference(trace, trace.receipt, products)
    if difference:
        return Standing(STALE, difference, "receipt")
    try:
        digest = products.digest(trace.product)
    except KitError as error:
        return Standing(UNCHECKED, f"its bytes were not read again: {error.what}", "receipt")
    if digest != trace.receipt["sha256"]:
        return Standing(STALE, "its bytes are not those of its receipt", "receipt")
    return Standing(
        VALID, "its bytes and the products that it was made from are unchanged", "receipt"
    )


def _difference(trace: Trace, receipt: Mapping[str, object], products: Products) -> str:
    """Say what in a receipt no longer holds, "" if nothing does; no byte of a product is read."""
    if "inputs" not in receipt:
        return "its receipt names no inputs"
    other = receipts.other_name(trace.product, receipt)
    if other:
        return f"its receipt is that of {other}"
    if receipt.get("numerics") != receipts.NUMERICS:
        return "it was made by another version of the arithmetic"
    size = receipt.get("bytes")
    if isinstance(size, int) and trace.product.is_file() and trace.product.stat().st_size != size:
        return "its size is not that of its receipt"
    role = products.changed_input(trace)
    return f"{role} has changed" if role else ""
