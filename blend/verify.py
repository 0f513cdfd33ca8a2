"""Checks parquets against the contract and admits those from elsewhere."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

from blend import tables
from blend.parquets import remedy
from leapkit.core import receipts
from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.errors import KitError
from leapkit.core.files import TEMPORARY
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.ownership import ADMITTED
from leapkit.data import kaggle_csv, submission

# A file from elsewhere was made by a pandas that did not round test.csv's decimals correctly (up to
# 1e-13).
FOREIGN_RTOL = 1e-12


def verify(raw: RawData, results: Results, artifacts: Sequence[str] = ()) -> None:
    """Check parquets (default: all), and admit those without a receipt by writing one.

    Raises KitError if a parquet was refused or if there are none. All are checked first.
    """
    names = list(artifacts) or _all_parquets(results)
    if not names:
        raise KitError("there are no parquets to verify", results.subs, "copy yours there")
    ids = kaggle_csv.read_ids(raw.sample_submission)
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    q0002 = np.concatenate([x[:, linear] for _, x in kaggle_csv.read_test_csv(raw.test_csv)])
    index = HashIndex()
    refused = 0
    for name in names:
        try:
            _verify_one(name, raw, results, ids, q0002, index)
        except KitError as error:
            refused += 1
            print(f"refused: {error}", flush=True)
    if refused:
        raise KitError(
            f"{refused} of {len(names)} parquets were refused", results.subs, "see the lines above"
        )


def _all_parquets(results: Results) -> List[str]:
    paths = sorted(results.subs.glob("*.parquet"))
    return [path.stem for path in paths if not path.name.startswith(TEMPORARY)]


def _verify_one(
    name: str,
    raw: RawData,
    results: Results,
    ids: List[str],
    q0002: np.ndarray,
    index: HashIndex,
) -> None:
    """Check one parquet, and write its receipt if it has none. Raises KitError if it is refused."""
    started = receipts.now()
    artifact = tables.canonical(name)
    path = results.parquet(artifact)
    named_path = results.parquet(name)
    if named_path != path and named_path.exists():
        raise KitError(
            f"is another name of {artifact}, which is the one that tables know",
            named_path,
            f"rename it to {path.name}, or remove it if you have both",
        )
    has_receipt = receipts.receipt_path(path).exists()
    if has_receipt:
        receipts.require_valid(path, index, remedy(artifact))
    submission.verify(path, ids, q0002, linear_rtol=0.0 if has_receipt else FOREIGN_RTOL)
    if not has_receipt:
        inputs = {
            "sample_submission.csv": index.of(raw.sample_submission),
            "test.csv": index.of(raw.test_csv),
        }
        details = {"linear columns within": FOREIGN_RTOL}
        receipts.write(path, ADMITTED, inputs, started, details)
    print(f"verified: {path}{'' if has_receipt else ', receipt written'}", flush=True)
