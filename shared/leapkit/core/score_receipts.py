"""What Kaggle answered to a file that was sent to it: one receipt for each content, as JSON.

It is written before the upload, again when Kaggle has accepted the file, and again with the scores,
so a run that is killed at any moment finds its submission and waits for it. It holds no secret.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import List, Optional, Set

from leapkit.core.errors import KitError
from leapkit.core.files import TEMPORARY, read_json, write_json
from leapkit.core.layout import Results

SENDING = "sending"  # the upload has begun: Kaggle may or may not have the submission
PENDING = "pending"  # Kaggle has accepted it and has not scored it yet
COMPLETE = "complete"  # Kaggle has scored it
REFUSED = "refused"  # Kaggle could not score it
STATES = (SENDING, PENDING, COMPLETE, REFUSED)
PARQUET = "parquet"
CSV = "csv"
FORMS = (PARQUET, CSV)  # in which a product is sent
_SHOWN = 12  # digits of the sha256 that name the receipt


@dataclass(frozen=True)
class ScoreReceipt:
    """One submission.

    product      name of the parquet: final_blend_v10.parquet
    sha256       of the parquet
    competition  its name on Kaggle
    file         name that Kaggle knows: the parquet's, or that of a CSV made from it
    file_sha256  of what was sent: that of the parquet unless it was sent as CSV; "" is not known
    description  as it stands on Kaggle; it holds the sha256, by which the submission is found again
    client       names and versions of the packages that sent it, "" if that was elsewhere
    began        when the upload began, "" if that was elsewhere; this and all other times are UTC
                 in ISO 8601, "" if not yet
    state        one of STATES
    ref          Kaggle's number of the submission, 0 until it is known
    submitted    when Kaggle says that it received it
    answered     when Kaggle's score or refusal was read
    public, private
                 R2 as Kaggle writes it ("0.79211"), "" until it is known
    refusal      Kaggle's reason for scoring nothing
    """

    product: str
    sha256: str
    competition: str
    file: str
    file_sha256: str
    description: str
    client: str
    began: str
    state: str = SENDING
    ref: int = 0
    submitted: str = ""
    answered: str = ""
    public: str = ""
    private: str = ""
    refusal: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            kind = int if field.name == "ref" else str
            if type(getattr(self, field.name)) is not kind:
                raise ValueError(f"{field.name} is not of type {kind.__name__}")
        if self.state not in STATES:
            raise ValueError(f"unknown state {self.state!r}")

    @property
    def stem(self) -> str:
        """The name of the blend or the artifact: final_blend_v10, adam_195_78569.oof."""
        return Path(self.product).stem

    @property
    def public_r2(self) -> Optional[float]:
        """The public score as a number; None if there is none, or none that is finite."""
        return _number(self.public)

    @property
    def private_r2(self) -> Optional[float]:
        """The private score as a number; None if there is none, or none that is finite."""
        return _number(self.private)


def _number(text: str) -> Optional[float]:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def file_of(product: Path, form: str) -> Path:
    """Return the file that is sent: the parquet itself, or the zipped CSV beside it."""
    return product if form == PARQUET else product.with_name(product.stem + ".csv.zip")


def path_of(results: Results, product: str, sha256: str) -> Path:
    """Return scores/final_blend_v10.0123456789ab.json: a product of new bytes keeps the old one."""
    return results.scores / f"{Path(product).stem}.{sha256[:_SHOWN]}.json"


def read(path: Path) -> ScoreReceipt:
    """Return the receipt of a file. Raises KitError if it is missing or not a receipt."""
    remedy = "remove it; `make submit` looks on Kaggle for a submission of these bytes first"
    content = read_json(path, remedy)
    try:
        return ScoreReceipt(**content)
    except (TypeError, ValueError) as error:
        raise KitError(f"is not the receipt of a score ({error})", path, remedy) from error


def read_all(results: Results) -> List[ScoreReceipt]:
    """Return the receipts of all submissions, by name. Raises KitError if one is damaged."""
    paths = sorted(results.scores.glob("*.json"))
    return [read(path) for path in paths if not path.name.startswith(TEMPORARY)]


def on_kaggle(results: Results) -> Set[str]:
    """Return the sha256 of the products that Kaggle has, scored or to be scored.

    Raises KitError as read_all does.
    """
    return {one.sha256 for one in read_all(results) if one.state in (PENDING, COMPLETE)}


def write(results: Results, receipt: ScoreReceipt) -> Path:
    """Write a receipt in its place, whole or not at all, and return its path."""
    path = path_of(results, receipt.product, receipt.sha256)
    write_json(path, asdict(receipt))
    return path
