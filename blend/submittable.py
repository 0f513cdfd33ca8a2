"""Checks what is about to be submitted, so that no submission of a day is wasted; makes its CSV.

A parquet goes to Kaggle as it is: its bytes are those of its receipt. A CSV holds the shortest
decimals that are read back as the same float64.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import List, Sequence

import pyarrow as pa
import pyarrow.csv

from blend.parquets import remedy
from blend.refusals import require_all
from leapkit.core import amounts, receipts
from leapkit.core.columns import SAMPLE_ID, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.files import atomic, require_free
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.score_receipts import CSV, file_of
from leapkit.data import kaggle_csv, submission
from leapkit.data.submission import OpenedParquet

KAGGLE_ROWS = 625_000  # docs/reference/data_pipeline.md, "Files"
_BYTES_A_NUMBER = 11  # of a zipped CSV, at most: 20 digits, sign, point and comma, deflated
_WHEN = (1980, 1, 1, 0, 0, 0)  # of the zip's member: the same numbers make the same bytes


def require_submittable(
    raw: RawData,
    results: Results,
    index: HashIndex,
    products: Sequence[Path],
    form: str,
    rows: int = KAGGLE_ROWS,
) -> None:
    """Check parquets as the blend does, and write those that go as CSV beside them.

    rows  of the competition's test set
    Raises KitError if one is not what Kaggle scores; all are checked first.
    """
    ids = kaggle_csv.read_ids(raw.sample_submission)
    if len(ids) != rows:
        raise KitError(
            f"has {len(ids):,} rows and Kaggle's test set {rows:,}: it is another world's, which "
            "Kaggle cannot score",
            raw.sample_submission,
            "name the folder of Kaggle's data with RAW_DATA=; `make evaluate` scores other worlds",
        )
    require_all(
        products,
        lambda product: _require_one(product, ids, index),
        "files cannot be submitted, so none is sent",
        results.root,
    )
    for product in products if form == CSV else ():
        _write_csv(product, index)


def _require_one(product: Path, ids: List[str], index: HashIndex) -> None:
    """Raise KitError unless a parquet is what its receipt says and has a number in each place."""
    receipt = receipts.require_valid(product, index, _remedy(product))
    opened = OpenedParquet(product)
    submission.verify(opened, ids, None)
    opened.require(receipt["sha256"], index)
    print(f"checked: {product.name}, {len(ids):,} rows, sha256 {receipt['sha256']}", flush=True)


def _remedy(product: Path) -> str:
    return (
        "make it again with `make blend`"
        if product.parent.name == "blend"
        else remedy(product.stem)
    )


def _write_csv(product: Path, index: HashIndex) -> None:
    """Write a parquet as zipped CSV beside it, with a receipt, unless that is done already."""
    target = file_of(product, CSV)
    inputs = {product.name: index.of(product)}
    if receipts.judge(target, inputs, index).done:
        print(f"{target.name}: its receipt proves it", flush=True)
        return
    started = receipts.now()
    opened = OpenedParquet(product)
    require_free(target, opened.rows * len(TARGETS) * _BYTES_A_NUMBER, target.name)
    member = zipfile.ZipInfo(product.stem + ".csv", _WHEN)
    member.compress_type = zipfile.ZIP_DEFLATED
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    with atomic(target) as temporary:
        with zipfile.ZipFile(str(temporary), "w", compresslevel=1) as archive:
            with archive.open(member, "w", force_zip64=True) as handle:
                handle.write((",".join([SAMPLE_ID, *TARGETS]) + "\n").encode())
                for ids, columns in opened.column_blocks(TARGETS):
                    table = pa.table([ids, *columns], names=[SAMPLE_ID, *TARGETS])
                    buffer = pa.BufferOutputStream()
                    pa.csv.write_csv(table, buffer, options)
                    handle.write(buffer.getvalue())
        opened.require(inputs[product.name], index)
    receipts.write(target, "CSV", inputs, started)
    print(f"{target.name}: written, {amounts.size(target.stat().st_size)}", flush=True)
