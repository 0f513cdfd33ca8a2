"""What is submitted: a parquet that its receipt proves, and the file that goes to Kaggle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional

from leapkit.core import receipts, score_receipts
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from leapkit.core.score_receipts import PARQUET, ScoreReceipt


@dataclass(frozen=True)
class Product:
    """A parquet of the results.

    file              what is sent: the parquet, or the zipped CSV that was made from it
    is_trained_here   whether a network of it was trained here, not taken from the team
    """

    path: Path
    sha256: str
    file: Path
    file_sha256: str
    is_trained_here: bool

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def key(self) -> str:
        """What its description on Kaggle begins with, whoever sent it and from wherever."""
        return f"sha256:{self.sha256}"

    def description(self, message: str) -> str:
        """Return the description on Kaggle: the key comes first, should the end be cut off."""
        return f"{self.key} {self.path.stem}" + (f"; {message}" if message else "")


def read(path: Path, form: str, results: Results, index: HashIndex) -> Product:
    """Return the product of a parquet. Raises KitError if its receipt, or its CSV's, fails.

    What Kaggle has is not sent in any form, and needs no CSV.
    """
    again = "run the same command again"
    receipt = receipts.require_valid(path, index, again)
    digest = receipt["sha256"]
    is_sent = form == PARQUET or digest in score_receipts.on_kaggle(results)
    file = path if is_sent else score_receipts.file_of(path, form)
    if file != path:
        made = receipts.require_valid(file, index, again)
        if made["inputs"] != {path.name: digest}:
            raise KitError(f"was made from another {path.name}", file, again)
        digest = made["sha256"]
    return Product(path, receipt["sha256"], file, digest, _is_trained_here(receipt, results))


def _is_trained_here(receipt: Dict[str, Any], results: Results) -> bool:
    """Return whether a network, or one that a blend sums, left validation predictions here."""
    parts = [name for name in receipt["inputs"] if name.endswith(".parquet")]
    of_parts = [receipts.read(results.subs / name) for name in parts]
    return any("oof" in one.get("details", {}) for one in [receipt, *of_parts])


def receipt_of(product: Product, results: Results) -> Optional[ScoreReceipt]:
    """Return the receipt of the product's bytes, under whatever name they were sent."""
    of_bytes = [one for one in score_receipts.read_all(results) if one.sha256 == product.sha256]
    order = (score_receipts.REFUSED, score_receipts.SENDING, score_receipts.PENDING)
    return max(
        of_bytes, key=lambda one: (*order, score_receipts.COMPLETE).index(one.state), default=None
    )
