"""The card of each network of a run that predicts: what its row says, and what it reached here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from leapkit.core import model_cards
from leapkit.core.errors import printable
from leapkit.core.files import write_text
from leapkit.core.model_cards import Score
from reports import values
from reports.record import Network, Record
from reports.values import mapping

FOLDER = "cards"


def write(record: Record, rows: Mapping[str, Mapping[str, Any]], to: Path) -> List[Path]:
    """Write <to>/cards/<network>.md for the networks whose rows are known; return the files.

    rows  {network: leapkit.core.model_cards.Row as plain data}
    """
    written = []
    for name, text in texts(record, rows).items():
        written.append(to / FOLDER / f"{model_cards.file_name(name)}.md")
        write_text(written[-1], text)
    return written


def texts(record: Record, rows: Mapping[str, Mapping[str, Any]]) -> Dict[str, str]:
    """Return {network: its card}."""
    return {
        network.name: model_cards.card(
            model_cards.Row(**rows[network.name]),
            list(_reached(network)),
            model_cards.published(network.published),
            list(_data(network, record)),
        )
        for network in record.networks
        if network.artifact and network.name in rows
    }


def _data(network: Network, record: Record) -> Iterator[Tuple[str, str]]:
    """Yield which rows the network's trainings took, as their receipts say."""
    trainings = [s for s in record.steps if s.name in network.steps and s.kind == "training"]
    for what in ("training", "validation"):
        rows = {values.number(step.details.get(f"{what} rows")) for step in trainings} - {None}
        months = {month for s in trainings for month in mapping(s.details.get(f"{what} months"))}
        if rows:
            each = " of each group" if len(trainings) > 1 else ""
            counts = " or ".join(f"{count:,.0f}" for count in sorted(filter(None, rows)))
            span = f"{min(months)} to {max(months)}" if months else "not recorded"
            yield f"{what} rows", f"{counts}{each}"
            yield f"{what} months", printable(f"{span} ({len(months)})")


def _reached(network: Network) -> Iterator[Score]:
    """Yield what a network reached in the run."""
    if network.validation is not None:
        yield Score("validation R2", "the run's validation rows", network.validation)
    if network.test is not None:
        yield Score("test R2", "the run's withheld test rows", network.test)
    for rows, value in network.kaggle.items():
        yield Score(f"Kaggle's R2, {rows}", f"Kaggle's {rows} test rows", value)
