"""Receipts: what made a file, and whether that still holds.

A step is done if its receipt names exactly the inputs that it would use now, by sha256, and the
product's bytes are the ones that it names. What cannot change the result (stack, device, time,
code) is recorded and never decides.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import platform
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from leapkit.core.errors import KitError
from leapkit.core.files import read_json, sha256, write_json
from leapkit.core.hash_index import HashIndex

# Raise it when a change of the code changes results: all older receipts are then stale.
NUMERICS = 1
SUFFIX = ".receipt.json"
_LOCK_OF_IMAGE = Path("/opt/leap/requirements.txt")


@dataclass(frozen=True)
class Verdict:
    """Whether a step is done, and why (or why not)."""

    done: bool
    reason: str


def receipt_path(product: Path) -> Path:
    """Return x.receipt.json for x.parquet, whatever dots x holds; of a folder the whole name."""
    return product.with_name((product.name if product.is_dir() else product.stem) + SUFFIX)


def now() -> str:
    """Return the time in UTC, ISO 8601, in whole seconds."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def judge(product: Path, inputs: Mapping[str, str], index: HashIndex) -> Verdict:
    """Compare the receipt of `product` with today's inputs and with the product's bytes.

    inputs  {role: sha256} that the step would use now
    Never raises KitError for a receipt that is missing or damaged: the step is then not done.
    """
    if not product.exists():
        return Verdict(False, "not made yet")
    if not receipt_path(product).exists():
        return Verdict(False, "it has no receipt")
    receipt = read(product)
    if "inputs" not in receipt:
        return Verdict(False, "its receipt cannot be read")
    if other_name(product, receipt):
        return Verdict(False, f"its receipt is that of {other_name(product, receipt)}")
    if receipt.get("numerics") != NUMERICS:
        return Verdict(False, "it was made by another version of the arithmetic")
    difference = _difference(receipt["inputs"], inputs)
    if difference:
        return Verdict(False, difference)
    if index.of(product) != receipt["sha256"]:
        return Verdict(False, "its bytes are not those of its receipt")
    return Verdict(True, "its receipt proves it")


def _difference(recorded: Mapping[str, str], inputs: Mapping[str, str]) -> str:
    """Say which input is the first to differ, "" if none does."""
    for role in sorted(set(inputs) | set(recorded)):
        if role not in recorded:
            return f"{role} is new"
        if role not in inputs:
            return f"{role} is no longer used"
        if recorded[role] != inputs[role]:
            return f"{role} has changed"
    return ""


def environment() -> Dict[str, Any]:
    """Return what the step ran on: recorded, never decisive."""
    versions = {
        name: str(getattr(sys.modules[name], "__version__", "?"))
        for name in ("torch", "numpy", "pyarrow", "pandas")
        if name in sys.modules
    }
    return {
        "python": platform.python_version(),
        "packages": versions,
        "lock": _lock(),
        "platform": platform.platform(),
        "stack": os.environ.get("LEAP_STACK", ""),
        "image": os.environ.get("LEAP_IMAGE", ""),
        "code": os.environ.get("LEAP_CODE", ""),
    }


def _lock() -> str:
    """Return the sha256 of the lock file that the packages were installed from, "" if unknown.

    An image holds the file, the marker of a virtual environment its sha256
    (launch/runtimes/venv.py).
    """
    with contextlib.suppress(OSError, ValueError):
        if _LOCK_OF_IMAGE.exists():
            return hashlib.sha256(_LOCK_OF_IMAGE.read_bytes()).hexdigest()
        _python, *locks = (Path(sys.prefix) / ".complete").read_text().split()
        return " ".join(locks)
    return ""


def peak_memory() -> Dict[str, float]:
    """Return the most memory that this process has held so far, in GB."""
    return {"GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)}


def write(
    product: Path,
    kind: str,
    inputs: Mapping[str, str],
    started: str,
    details: Optional[Mapping[str, Any]] = None,
    artifact: str = "",
    digest: str = "",
) -> Dict[str, Any]:
    """Write the receipt of a product that has its final name, and return it.

    The receipt is what makes the product count.

    kind      of step
    inputs    {role: sha256} of all that decides the product
    started   a time by `now`
    details   recorded, never decisive
    artifact  whose predictions the product holds, if it is a parquet that tables weigh
    digest    sha256 of the bytes that were checked; "" reads what the product's name stands for now
    """
    receipt = {
        "kind": kind,
        "product": product.name,
        **({"artifact": artifact} if artifact else {}),
        "sha256": digest or sha256(product),
        "bytes": product.stat().st_size,
        "numerics": NUMERICS,
        "inputs": dict(inputs),
        "started": started,
        "finished": now(),
        "environment": environment(),
        "details": {"peak memory": peak_memory(), **(details or {})},
    }
    write_json(receipt_path(product), receipt)
    return receipt


def read(product: Path) -> Dict[str, Any]:
    """Return the receipt of a product; {} if it has none, or one that is not a receipt."""
    try:
        receipt = read_json(receipt_path(product))
    except KitError:
        return {}
    return receipt if _is_receipt(receipt) else {}


def _is_receipt(content: Any) -> bool:
    """Return whether JSON has the parts of a receipt, of the types that their readers take.

    One without inputs proves nothing, but says whose product it was.
    """
    return (
        isinstance(content, dict)
        and isinstance(content.get("product"), str)
        and isinstance(content.get("artifact", ""), str)
        and isinstance(content.get("sha256"), str)
        and isinstance(content.get("inputs", {}), dict)
        and all(isinstance(digest, str) for digest in content.get("inputs", {}).values())
        and isinstance(content.get("details"), dict)
    )


def other_name(product: Path, receipt: Mapping[str, Any]) -> str:
    """Return the file or the artifact that a receipt is of if it is not of `product`, else "".

    The receipts of earlier versions name no artifact; the product's name says the same.
    """
    if receipt["product"] != product.name:
        return str(receipt["product"])
    artifact = receipt.get("artifact", product.stem)
    return "" if artifact == product.stem else f"the artifact {artifact}"


def require_own(product: Path, receipt: Mapping[str, Any], remedy: str) -> None:
    """Raise KitError if a receipt is that of another file: one was copied, or two exchanged."""
    other = other_name(product, receipt)
    if other:
        raise KitError(
            f"its receipt is that of {other}: files were copied, renamed or exchanged",
            product,
            f"give each file its own name and receipt again, or remove both and {remedy}",
        )


def require_valid(product: Path, index: HashIndex, remedy: str) -> Dict[str, Any]:
    """Return the receipt of a product that has not changed since.

    Raises KitError with `remedy` if the product or its receipt is missing, damaged, stale or that
    of another file.
    """
    if not product.exists():
        raise KitError("is missing", product, remedy)
    receipt_file = receipt_path(product)
    if not receipt_file.exists():
        raise KitError("has no receipt, so nothing says what made it", product, remedy)
    receipt: Dict[str, Any] = read_json(receipt_file, remedy)
    if not _is_receipt(receipt) or "inputs" not in receipt:
        raise KitError("is not a receipt", receipt_file, remedy)
    require_own(product, receipt, remedy)
    if receipt.get("numerics") != NUMERICS:
        raise KitError("was made by another version of the arithmetic", product, remedy)
    if receipt["sha256"] != index.of(product):
        raise KitError(
            "its bytes are not those of its receipt: it was changed or cut off", product, remedy
        )
    return receipt
