"""Whether a prediction is made already, of what, and where it grows until it is whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from leapkit.core import receipts
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, rename_whole, sync_directory
from leapkit.core.hash_index import HashIndex

KIND = "prediction"
REMEDY = "name another one with TO=, or remove it"


class TreeIndex(HashIndex):
    """Hashes of files, and of folders: all files in one, by their names and contents."""

    def of(self, path: Path) -> str:
        """Return the sha256 of a file, or of what a folder holds."""
        if path.is_dir():
            return self.of_many((file for file in path.rglob("*") if file.is_file()), path)
        return super().of(path)


def index_path(product: Path) -> Path:
    """Return the file beside a product that remembers the hashes of its inputs."""
    return product.with_name(f".{product.name}.hashes.json")


def work_folder(product: Path) -> Path:
    """Return the folder beside a product in which it grows."""
    return product.with_name(TEMPORARY + product.name)


def lock_path(product: Path) -> Path:
    """Return the file beside a product that the command locks which makes it."""
    return product.with_name(f"{TEMPORARY}{product.name}.lock")


def require_replaceable(product: Path) -> None:
    """Raise KitError if something lies in the product's place that this kit did not predict."""
    if not os.path.lexists(str(product)):
        return
    receipt = receipts.read(product)
    other = receipts.other_name(product, receipt) if receipt else ""
    if other:
        raise KitError(f"the receipt beside it is that of {other}", product, REMEDY)
    if receipt.get("kind") != KIND:
        raise KitError("exists, and no receipt says that it is a prediction", product, REMEDY)


def publish(made: Path, product: Path) -> None:
    """Give what was made its final name; an earlier prediction gives way.

    A folder cannot take another's place at once: between the two there is none. Its files are not
    synced one by one, which takes longer than writing them; if a crash of the machine cuts one, the
    sum in the receipt says so.
    """
    with explain_os_errors(product):
        if not made.is_dir():
            rename_whole(made, product)
            return
        if product.exists():
            old = made.with_name("replaced")
            os.replace(str(product), str(old))
            shutil.rmtree(str(old))
        os.replace(str(made), str(product))
        sync_directory(product.parent)
