"""One product to Kaggle, once: found there if an earlier run sent it, else uploaded."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Optional

from fetch.competition import COMPETITION, PAGE
from fetch.outcome import log
from leapkit.core import amounts, receipts, score_receipts
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.layout import Results
from leapkit.core.score_receipts import PENDING, REFUSED, SENDING, ScoreReceipt
from submitting.answers import NotTaken
from submitting.client import Submissions, versions
from submitting.products import Product, receipt_of

# Seconds before Kaggle's list is looked at again for what a killed run may have submitted.
LOOKS = (0.0, 2.0, 6.0)


def submit(
    submissions: Submissions, product: Product, message: str, results: Results
) -> ScoreReceipt:
    """Return the receipt of a product's submission, which is made unless Kaggle has it.

    Raises KitError: OutOfSubmissions, what Kaggle says against it, or a network that fails.
    """
    earlier = receipt_of(product, results)
    if earlier and earlier.state == PENDING:
        log(f"{product.name}: was sent as submission {earlier.ref}, and is not sent again")
        return earlier
    if earlier and earlier.state == REFUSED and earlier.file == product.file.name:
        raise refused(earlier, results)
    begun = _begun(product, message)
    maybe_sent = earlier is not None and earlier.state == SENDING
    found = _look_for(submissions, product, is_expected=maybe_sent)
    if found is None:
        submissions.require_allowance(product.name)
        score_receipts.write(results, begun)
        pending = replace(begun, state=PENDING, ref=_send(submissions, product, begun, results))
    else:
        log(f"{product.name}: Kaggle has it as submission {found.ref}, and it is not sent again")
        file = found.file_name or product.file.name
        pending = replace(earlier or begun, state=PENDING, ref=found.ref, file=file)
    score_receipts.write(results, pending)
    return pending


def _begun(product: Product, message: str) -> ScoreReceipt:
    return ScoreReceipt(
        product=product.name,
        sha256=product.sha256,
        competition=COMPETITION,
        file=product.file.name,
        file_sha256=product.file_sha256,
        description=product.description(message),
        client=versions(),
        began=receipts.now(),
    )


def _send(submissions: Submissions, product: Product, begun: ScoreReceipt, results: Results) -> int:
    """Upload and submit; return the number that Kaggle gave it."""
    size = amounts.size(product.file.stat().st_size)
    log(f"{product.name}: sending {product.file.name}, {size}, to {COMPETITION}")
    try:
        token = submissions.upload(product.file)
        ref = _create(submissions, product, token, begun.description)
    except NotTaken:  # Kaggle has said that it has no submission of it
        path = score_receipts.path_of(results, product.name, product.sha256)
        with explain_os_errors(path):
            path.unlink()
        raise
    log(f"{product.name}: Kaggle has it as submission {ref}")
    return ref


def _create(submissions: Submissions, product: Product, token: str, description: str) -> int:
    """Submit an uploaded file; return the number that Kaggle gave it, or lists it by."""
    lost = KitError(
        "Kaggle took it and does not list it yet",
        product.name,
        "run the same command again in some minutes; it is not sent twice",
    )
    try:
        ref = submissions.create(token, description, product.name)
        if ref:
            return ref
    except NotTaken:
        raise
    except KitError as error:
        lost = error  # there was no answer, or it was lost: only Kaggle's list says which
    found = _look_for(submissions, product, is_expected=True)
    if found is None:
        raise lost
    return int(found.ref)


def _look_for(submissions: Submissions, product: Product, is_expected: bool) -> Optional[Any]:
    """Return Kaggle's submission of the product's bytes.

    is_expected  whether one may have been made just now: Kaggle is asked several times
    """
    for pause in LOOKS if is_expected else LOOKS[:1]:
        time.sleep(pause)
        found = submissions.find(product.key, product.file.name if is_expected else "")
        if found is not None:
            return found
    return None


def refused(receipt: ScoreReceipt, results: Results) -> KitError:
    """Return what is to be said of a submission that Kaggle could not score."""
    path = score_receipts.path_of(results, receipt.product, receipt.sha256)
    form = "" if receipt.file.endswith(".zip") else "send it with FORM=csv, or "
    return KitError(
        f"Kaggle could not score it ({receipt.refusal}), as submission {receipt.ref}",
        receipt.product,
        f"{form}remove {path} to send the same file again; details: {PAGE}/submissions",
    )
