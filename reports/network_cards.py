"""The card of each network of a run that predicts: what its row says, and what it reached here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

from leapkit.core import model_cards
from leapkit.core.files import write_text
from leapkit.core.model_cards import Score
from reports.record import Network, Record

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
        )
        for network in record.networks
        if network.artifact and network.name in rows
    }


def _reached(network: Network) -> Iterator[Score]:
    """Yield what a network reached in the run."""
    if network.validation is not None:
        yield Score("validation R2", "the run's validation rows", network.validation)
    if network.test is not None:
        yield Score("test R2", "the run's withheld test rows", network.test)
    for rows, value in network.kaggle.items():
        yield Score(f"Kaggle's R2, {rows}", f"Kaggle's {rows} test rows", value)
