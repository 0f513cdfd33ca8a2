"""Checks parquets against the contract and admits those from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from blend import names, tables
from blend.parquets import keeps_weights_of_parent, remedy
from blend.refusals import require_all
from leapkit.core import receipts
from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.errors import KitError
from leapkit.core.files import TEMPORARY
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.ownership import ADMITTED
from leapkit.data import kaggle_csv, submission
from leapkit.data.submission import OpenedParquet

# A file from elsewhere was made by a pandas that did not round test.csv's decimals correctly (up to
# 1e-13).
FOREIGN_RTOL = 1e-12


@dataclass(frozen=True)
class _Contract:
    """What every parquet must hold, and the hashes of the files that say so.

    q0002   (n, 16) raw levels 12..27 of state_q0002
    inputs  {role: sha256}
    """

    ids: List[str]
    q0002: np.ndarray
    inputs: Dict[str, str]


def verify(raw: RawData, results: Results, index: HashIndex, artifacts: Sequence[str] = ()) -> None:
    """Check parquets (default: all), and admit those without a receipt by writing one.

    Raises KitError if a parquet was refused or if there are none. All are checked first.
    """
    requested = list(artifacts) or _all_parquets(results)
    if not requested:
        raise KitError("there are no parquets to verify", results.subs, "copy yours there")
    ids = kaggle_csv.read_ids(raw.sample_submission)
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    q0002 = np.concatenate([x[:, linear] for _, x in kaggle_csv.read_test_csv(raw.test_csv)])
    inputs = {role: index.of(path) for role, path in raw.test_files().items()}
    contract = _Contract(ids, q0002, inputs)
    require_all(
        requested,
        lambda name: _verify_one(name, results, contract, index),
        "parquets were refused",
        results.subs,
    )


def _all_parquets(results: Results) -> List[str]:
    paths = sorted(results.subs.glob("*.parquet"))
    return [path.stem for path in paths if not path.name.startswith(TEMPORARY)]


def _verify_one(name: str, results: Results, contract: _Contract, index: HashIndex) -> None:
    """Check one parquet, and write its receipt if it has none. Raises KitError if it is refused."""
    started = receipts.now()
    artifact = tables.canonical(name)
    if names.problem_of(name):
        what = f"the name of the artifact {names.shown(name)} {names.problem_of(name)}"
        raise KitError(what, results.subs, "rename the file, or name one that is there")
    path = results.parquet(artifact)
    named_path = results.parquet(name)
    if named_path != path and named_path.exists():
        raise KitError(
            f"is another name of {artifact}, which is the one that tables know",
            named_path,
            f"rename it to {path.name}, or remove it if you have both",
        )
    receipt = {}
    if receipts.receipt_path(path).exists():
        receipt = receipts.require_valid(path, index, remedy(artifact))
    parquet = OpenedParquet(path)
    digest = parquet.digest(index)
    _refuse_copy(path, digest, receipt, results, index)
    rtol = 0.0 if receipt else FOREIGN_RTOL
    submission.verify(parquet, contract.ids, contract.q0002, linear_rtol=rtol)
    parquet.require(digest, index)
    if not receipt:
        details = {"linear columns within": FOREIGN_RTOL}
        receipts.write(path, ADMITTED, contract.inputs, started, details, artifact, digest)
    print(f"verified: {path}{'' if receipt else ', receipt written'}", flush=True)


def _refuse_copy(
    path: Path, digest: str, receipt: Mapping[str, Any], results: Results, index: HashIndex
) -> None:
    """Raise KitError if another parquet of the folder holds the same bytes."""
    for other in map(results.parquet, _all_parquets(results)):
        if other == path or other.stat().st_size != path.stat().st_size:
            continue
        if index.of(other) == digest and not any(
            map(keeps_weights_of_parent, (receipt, receipts.read(other)))
        ):
            raise KitError(
                f"has the same bytes as {other.name}: one of them is a copy",
                path,
                "remove the copy, and its receipt if it has one",
            )
