"""One product to Kaggle, once: found there if an earlier run sent it, else uploaded."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from functools import partial
from typing import Iterator, Optional, Type

from fetch.competition import COMPETITION, PAGE
from fetch.outcome import log
from leapkit.core import amounts, receipts, score_receipts
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sha256
from leapkit.core.layout import Results
from leapkit.core.score_receipts import PENDING, REFUSED, SENDING, ScoreReceipt
from submitting.answers import NotTaken
from submitting.client import Listed, Submissions, versions
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
    is_maybe_sent = earlier is not None and earlier.state == SENDING
    found = _look_for(submissions, product, is_expected=is_maybe_sent)
    if found is None:
        submissions.require_allowance(product.name)
        pending = _send(submissions, product, message, earlier, results)
    else:
        log(f"{product.name}: Kaggle has it as submission {found.ref}, and it is not sent again")
        pending = _as_listed(earlier if is_maybe_sent else None, product, found)
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


def _as_listed(earlier: Optional[ScoreReceipt], product: Product, listed: Listed) -> ScoreReceipt:
    """Return the receipt of a submission that Kaggle lists.

    earlier  the receipt of its upload; None of one that was sent from elsewhere
    """
    digests = {product.name: product.sha256, product.file.name: product.file_sha256}
    begun = earlier or replace(_begun(product, ""), client="", began="")
    return replace(
        begun,
        state=PENDING,
        ref=listed.ref,
        file=listed.file,
        file_sha256=digests.get(listed.file, ""),
        description=listed.description,
    )


def _send(
    submissions: Submissions,
    product: Product,
    message: str,
    earlier: Optional[ScoreReceipt],
    results: Results,
) -> ScoreReceipt:
    """Upload and submit; return the receipt with the number that Kaggle gave it.

    earlier  the receipt of the same bytes, which stays if nothing is submitted
    """
    begun = _begun(product, message)
    undone_after = partial(_undone_after, begun, earlier, results)
    score_receipts.write(results, begun)
    size = amounts.size(product.file.stat().st_size)
    log(f"{product.name}: sending {product.file.name}, {size}, to {COMPETITION}")
    with undone_after(KitError):
        token = submissions.upload(product.file)
        _require_unchanged(product)
        listed = submissions.find(product.key)  # an upload is long: it may be sent from elsewhere
    if listed:
        log(f"{product.name}: was sent meanwhile, as submission {listed.ref}")
        return _as_listed(None, product, listed)
    with undone_after(NotTaken):
        ref = _create(submissions, product, token, begun.description)
    log(f"{product.name}: Kaggle has it as submission {ref}")
    return replace(begun, state=PENDING, ref=ref)


@contextlib.contextmanager
def _undone_after(
    begun: ScoreReceipt, earlier: Optional[ScoreReceipt], results: Results, kind: Type[KitError]
) -> Iterator[None]:
    """Let the earlier receipt stand, or none, after an error: nothing was submitted.

    begun  the receipt that says that the upload has begun
    kind   of the error
    """
    try:
        yield
    except kind:
        path = score_receipts.path_of(results, begun.product, begun.sha256)
        with explain_os_errors(path):
            path.unlink()
        if earlier:
            score_receipts.write(results, earlier)
        raise


def _require_unchanged(product: Product) -> None:
    """Raise KitError unless what was uploaded is what was checked, and what its receipt names."""
    if sha256(product.file) != product.file_sha256:
        raise KitError(
            "was changed since it was checked, so it was not submitted",
            product.file,
            "run the same command again",
        )


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
    return found.ref


def _look_for(submissions: Submissions, product: Product, is_expected: bool) -> Optional[Listed]:
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
