"""Each network of a run that predicts has a card, with what it reached there and nothing else."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict

from leapkit.core import model_cards
from members.adam.experiments import EXPERIMENTS
from members.max2020.experiments import EXPERIMENTS as OTHERS
from reports import network_cards
from reports.record import Kit, Network, PlanRecord, Record

PUBLISHED = {"cv": 0.78569, "public": 0.78334, "private": 0.77753}


def record(*networks: Network) -> Record:
    return Record("training", "", Kit("0.1.0"), (), networks, (), (), PlanRecord(), ())


def rows() -> Dict[str, Dict[str, Any]]:
    return {each.name: asdict(model_cards.row(each, "full")) for each in (*EXPERIMENTS, *OTHERS)}


def test_a_card_tells_what_the_network_reached_in_the_run(tmp_path: Path) -> None:
    network = Network(
        *("adam/195", "adam_195_78569.oof", "valid"),
        validation=0.4321,
        test=0.1234,
        published=PUBLISHED,
        kaggle={"private": 0.7654},
    )
    [path] = network_cards.write(record(network), rows(), tmp_path)
    assert path == tmp_path / "cards" / "adam-195.md"
    front, body = path.read_text().split("---\n")[1:]
    for value in ("0.4321", "0.1234", "0.7654"):
        assert f"value: {value}\n" in front and f"| {value} |" in body
    for value in map(str, PUBLISHED.values()):
        assert value not in front and f"| {value} |" in body


def test_what_predicts_nothing_and_what_no_row_is_known_of_have_no_card(tmp_path: Path) -> None:
    start = Network("max2020/007", "", "valid")
    stranger = Network("mine", "mine", "valid")
    assert network_cards.write(record(start, stranger), rows(), tmp_path) == []
