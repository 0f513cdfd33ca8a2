"""Checks parquets against the contract and admits those from elsewhere."""

from __future__ import annotations

from typing import List

import numpy as np

from blend import plan, tables
from leapkit.core import receipts
from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.ownership import ADMITTED
from leapkit.data import kaggle_csv, submission

# A file from elsewhere was made by a pandas that did not round test.csv's decimals correctly (up to 1e-13).
FOREIGN_RTOL = 1e-12


def verify(raw: RawData, results: Results, artifacts: List[str]) -> None:
    """Checks parquets against the contract and admits those from elsewhere by writing their receipts."""
    ids = kaggle_csv.read_ids(raw.sample_submission)
    index, linear = HashIndex(), [INPUTS.index(name) for name in LINEAR_INPUTS]
    q0002 = np.concatenate([x[:, linear] for _, x in kaggle_csv.read_test_csv(raw.test_csv)])
    refused = []
    for name in artifacts:
        artifact, started = tables.canonical(name), receipts.now()
        path, alias = results.parquet(artifact), results.parquet(name)
        own = receipts.receipt_path(path).exists()
        try:
            if alias != path and alias.exists():
                raise KitError(
                    f"is another name of {artifact}, which is the one that tables know",
                    alias,
                    f"rename it to {path.name}, or remove it where you have both",
                )
            if own:
                receipts.require_valid(path, index, plan.mend(artifact))
            submission.verify(path, ids, q0002, linear_rtol=0.0 if own else FOREIGN_RTOL)
        except KitError as error:
            refused.append(artifact)
            print(f"refused: {error}", flush=True)
            continue
        if not own:
            receipts.write(
                path,
                ADMITTED,
                {
                    "sample_submission.csv": index.of(raw.sample_submission),
                    "test.csv": index.of(raw.test_csv),
                },
                started,
                {"linear columns within": FOREIGN_RTOL},
            )
        print("verified: {}{}".format(path, "" if own else ", receipt written"), flush=True)
    if refused or not artifacts:
        raise KitError(
            "%d of %d parquets were refused" % (len(refused), len(artifacts))
            if artifacts
            else "there are no parquets to verify",
            results.subs,
            "see the lines above" if artifacts else "put the parquets there",
        )
