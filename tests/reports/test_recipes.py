"""What each network was trained with stands in one line, with all values in which groups differ."""

from __future__ import annotations

from leapkit.core.columns import GROUP_NAMES
from reports import recipes
from reports.record import FileRecord, Kit, Network, PlanRecord, Record, Standing, Step


def trained(group: int, **recipe: object) -> Step:
    rows = {} if group == 2 else {"training rows": 576}  # one keeps its parent's weights
    return Step(
        f"train a/1 group {GROUP_NAMES[group]}",
        "training",
        FileRecord(f"outputs/a/1/1_g{group}.pt"),
        Standing("valid", "", "plan"),
        network="a/1",
        details={"network": {"class": "LstmMamba"}, "recipe": recipe, **rows},
    )


def test_a_network_has_one_line_and_values_that_differ_are_all_told() -> None:
    rates = {"": 2.4e-4 * 10, "head": 1e-3}
    steps = (trained(0, lr=rates, seed=1), trained(1, lr=rates, seed=7), trained(2, lr=rates))
    networks = (Network("a/1", "", "valid"), Network("b/2", "", "valid"))
    record = Record("training", "", Kit("0"), steps, networks, (), (), PlanRecord(), ())
    told = recipes.of_record(record)
    assert list(told) == ["a/1"]  # nothing is known of how the other was trained
    assert told["a/1"]["architecture"] == "LstmMamba" and told["a/1"]["training rows"] == "576"
    assert "options" not in told["a/1"]  # none was on
    assert told["a/1"]["lr"] == "0.0024, head 0.001" and told["a/1"]["seed"] == "1, 7"
