"""Each network of a run that predicts has a card, with what it reached there and nothing else."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict

from leapkit.core import model_cards
from members.adam.experiments import EXPERIMENTS
from members.max2020.experiments import EXPERIMENTS as OTHERS
from reports import network_cards
from reports.record import FileRecord, Kit, Network, PlanRecord, Record, Standing, Step

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


def test_a_card_tells_the_rows_that_its_trainings_took(tmp_path: Path) -> None:
    months = {"0007-07|<b>": "4 of 2232 steps", "0008-06": "all"}
    steps = tuple(
        Step(
            f"train adam/195 {number}",
            "training",
            FileRecord("x.pt"),
            Standing("valid", "", "plan"),
            details={"training rows": 18432, "training months": months},
        )
        for number in range(2)
    )
    names = tuple(step.name for step in steps)
    network = Network("adam/195", "adam_195_78569.oof", "valid", names)
    made = dataclasses.replace(record(network), steps=steps)
    [path] = network_cards.write(made, rows(), tmp_path)
    text = path.read_text()
    assert "| training rows | 18,432 of each group |" in text and "validation rows" not in text
    assert "| training months | 0007-07&#124;&lt;b> to 0008-06 (2) |" in text
