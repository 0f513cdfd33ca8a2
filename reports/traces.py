"""What lies in a folder of results: receipts, and what has none. Standard library only.

The launcher looks here too, to ask `make plan` about the networks and blends of this very run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from leapkit.core import receipts
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.experiments import PROFILES
from leapkit.core.files import TEMPORARY
from leapkit.core.layout import Results

ASKED = "asked.json"  # what the launcher knows: the plan, the commit, the machine
MOST_RECEIPTS = 5000  # a run of all networks at full size leaves 150
_GROUP = re.compile(r"^(.+)_g([0-6])$")
# Where receipts lie below the results, and how deep.
_PLACES = ("outputs/*/*", "stacks/*", "subs", "blend", "evaluation")
# What counts as a product there though it has no receipt.
_SUFFIXES = {"outputs": (".pt",), "stacks": (".pt",), "subs": (".parquet",), "blend": (".parquet",)}
_PRODUCTS = (".pt", ".parquet", ".html")
# Beside a product: what goes on, and the head that a training with `confidence` leaves.
_BESIDE = (".state.pt", ".progress.json", ".confidence.pt")


@dataclass(frozen=True)
class Trace:
    """A product and its receipt.

    product  the file
    receipt  {} if it has none that can be read
    network  "adam/195", "stack_searched", "" where its folder does not say
    group    of targets, None for all
    """

    product: Path
    receipt: Dict[str, Any]
    network: str = ""
    group: Optional[int] = None

    @property
    def kind(self) -> str:
        """The kind of step that its receipt names, "" if it has none."""
        kind = self.receipt.get("kind", "")
        return kind if isinstance(kind, str) else ""

    @property
    def details(self) -> Dict[str, Any]:
        """What the receipt records beside its inputs."""
        details = self.receipt.get("details", {})
        return details if isinstance(details, dict) else {}

    @property
    def profile(self) -> str:
        """The profile that its receipt names: sample or full, else ""."""
        profile = self.details.get("profile", "")
        return profile if profile in PROFILES else ""


def of_results(results: Results) -> List[Trace]:
    """Return all products below a folder of results, those with receipts and those without.

    Raises KitError if there are too many, or if there is nothing of a run.
    """
    traces: List[Trace] = []
    for place in _PLACES:
        for folder in sorted(results.root.glob(place)):
            traces += _of_folder(folder, results)
            if len(traces) > MOST_RECEIPTS:
                what = f"holds more than {MOST_RECEIPTS} products, which is not one run"
                raise KitError(what, results.root, "name the folder of one run with SUBMISSION=")
    if not traces and not any(unfinished(results)):
        what = "holds nothing of a run: no parquet, no checkpoint, no receipt"
        remedy = "run `make reproduce`, or name the folder of a run with SUBMISSION="
        raise KitError(what, results.root, remedy)
    return traces


def _of_folder(folder: Path, results: Results) -> Iterator[Trace]:
    """Yield the products of one folder, in order of their names."""
    if not folder.is_dir():
        return
    place = folder.relative_to(results.root).parts[0]
    files: Dict[str, List[Path]] = {}
    with explain_os_errors(folder):
        paths = sorted(folder.iterdir())
    for path in paths:
        if not path.name.startswith(".") and not path.name.endswith(_BESIDE):
            stem = path.name[: -len(receipts.SUFFIX)] if _is_receipt(path) else path.stem
            files.setdefault(path.name if path.is_dir() else stem, []).append(path)
    for stem, paths in sorted(files.items()):
        proven = any(map(_is_receipt, paths))
        receipt = receipts.read(folder / (stem + ".none")) if proven else {}
        product = _product(
            folder / stem, [path for path in paths if not _is_receipt(path)], receipt
        )
        if proven or product.suffix in _SUFFIXES.get(place, ()):
            yield _trace(product, receipt, place)


def _is_receipt(path: Path) -> bool:
    return path.name.endswith(receipts.SUFFIX)


def _product(named: Path, paths: List[Path], receipt: Mapping[str, Any]) -> Path:
    """Return which of the files of one stem is the product that its receipt is about.

    named  what it is called if neither the receipt nor a file says so
    """
    product = str(receipt.get("product", ""))
    usual = [path for path in paths if path.suffix in _PRODUCTS]
    exact = [path for path in paths if path.name == product]
    if exact or usual or paths:
        return (exact or usual or paths)[0]
    return named.with_name(product) if product and "/" not in product else named


def _trace(path: Path, receipt: Dict[str, Any], place: str) -> Trace:
    if place == "stacks":
        return Trace(path, receipt, f"stack_{path.parent.name}")
    if place != "outputs":
        experiment = receipt.get("details", {}).get("experiment", "")
        return Trace(path, receipt, experiment if isinstance(experiment, str) else "")
    network, group = network_of(path)
    return Trace(path, receipt, network, group)


def network_of(path: Path) -> Tuple[str, Optional[int]]:
    """Return (network, group) of a file below outputs/<member>/<id>/."""
    match = _GROUP.match(path.name.split(".")[0])
    name = f"{path.parent.parent.name}/{path.parent.name}"
    return name, int(match[2]) if match else None


def unfinished(results: Results) -> Iterator[Path]:
    """Yield the state files of trainings that have begun, and the scratch of inferences."""
    for pattern in ("*.state.pt", "predictions-*.f32"):
        for path in sorted(results.root.glob(f"outputs/*/*/{pattern}")):
            if not path.name.startswith(TEMPORARY):
                yield path
