"""Receipts: what made a file, and whether that still holds.

A step is done if its receipt names exactly the inputs that it would use now, by sha256, and the
product's bytes are the ones that it names. What cannot change the result (stack, device, time,
code) is recorded and never decides.
"""

from __future__ import annotations

import datetime
import os
import platform
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


@dataclass(frozen=True)
class Verdict:
    """Whether a step is done, and why (or why not)."""

    done: bool
    reason: str


def receipt_path(product: Path) -> Path:
    """Return x.receipt.json for x.parquet, whatever dots x holds."""
    return product.with_name(product.stem + SUFFIX)


def now() -> str:
    """Return the time in UTC, ISO 8601, in whole seconds."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def judge(product: Path, inputs: Mapping[str, str], index: HashIndex) -> Verdict:
    """Compare the receipt of `product` with today's inputs and with the product's bytes.

    inputs  {role: sha256} that the step would use now
    Never raises KitError for a receipt that is missing or damaged: the step is then not done.
    """
    receipt_file = receipt_path(product)
    if not product.exists():
        return Verdict(False, "not made yet")
    if not receipt_file.exists():
        return Verdict(False, "it has no receipt")
    try:
        receipt = read_json(receipt_file)
        recorded = dict(receipt["inputs"])
        digest = receipt["sha256"]
    except (KitError, KeyError, TypeError, ValueError):
        return Verdict(False, "its receipt cannot be read")
    if receipt.get("numerics") != NUMERICS:
        return Verdict(False, "it was made by another version of the arithmetic")
    for role in sorted(set(inputs) | set(recorded)):
        if role not in recorded:
            return Verdict(False, f"{role} is new")
        if role not in inputs:
            return Verdict(False, f"{role} is no longer used")
        if recorded[role] != inputs[role]:
            return Verdict(False, f"{role} has changed")
    if index.of(product) != digest:
        return Verdict(False, "its bytes are not those of its receipt")
    return Verdict(True, "its receipt proves it")


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
        "platform": platform.platform(),
        "stack": os.environ.get("LEAP_STACK", ""),
        "image": os.environ.get("LEAP_IMAGE", ""),
        "code": os.environ.get("LEAP_CODE", ""),
    }


def write(
    product: Path,
    kind: str,
    inputs: Mapping[str, str],
    started: str,
    details: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """Write the receipt of a product that has its final name, and return it.

    The receipt is what makes the product count.

    kind     of step
    inputs   {role: sha256} of all that decides the product
    started  a time by `now`
    details  recorded, never decisive
    """
    receipt = {
        "kind": kind,
        "product": product.name,
        "sha256": sha256(product),
        "bytes": product.stat().st_size,
        "numerics": NUMERICS,
        "inputs": dict(inputs),
        "started": started,
        "finished": now(),
        "environment": environment(),
        "details": dict(details or {}),
    }
    write_json(receipt_path(product), receipt)
    return receipt


def read(product: Path) -> Dict[str, Any]:
    """Return the receipt of a product; {} if it has none, or one that is not a receipt."""
    try:
        receipt = read_json(receipt_path(product))
    except KitError:
        return {}
    if not isinstance(receipt, dict) or not all(
        isinstance(receipt.get(part, {}), dict) for part in ("details", "inputs")
    ):
        return {}
    return receipt


def require_valid(product: Path, index: HashIndex, remedy: str) -> Dict[str, Any]:
    """Return the receipt of a product that has not changed since.

    Raises KitError with `remedy` if the product or its receipt is missing, damaged or stale.
    """
    if not product.exists():
        raise KitError("is missing", product, remedy)
    receipt_file = receipt_path(product)
    if not receipt_file.exists():
        raise KitError("has no receipt, so nothing says what made it", product, remedy)
    receipt = read_json(receipt_file, remedy)
    if not isinstance(receipt, dict) or not isinstance(receipt.get("inputs"), dict):
        raise KitError("is not a receipt", receipt_file, remedy)
    if receipt.get("numerics") != NUMERICS:
        raise KitError("was made by another version of the arithmetic", product, remedy)
    if receipt.get("sha256") != index.of(product):
        raise KitError(
            "its bytes are not those of its receipt: it was changed or cut off", product, remedy
        )
    return receipt
