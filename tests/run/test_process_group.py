"""Several processes train the network that one would train."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

torch = pytest.importorskip("torch")

from leapkit.run.processes import ALONE, Processes  # noqa: E402
from tests.conftest import REPOSITORY  # noqa: E402

TOLERANCE = 1e-11  # of float64 parameters, relative to the largest of their tensor


class OneOf(Processes):
    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size


@pytest.mark.parametrize("rows", [1, 7, 8, 2048])
def test_slices_of_all_processes_are_the_batch_and_as_even_as_they_can_be(rows: int) -> None:
    for size in range(1, min(rows, 9) + 1):
        slices = [OneOf(rank, size).slice(rows) for rank in range(size)]
        assert [row for part in slices for row in range(rows)[part]] == list(range(rows))
        assert {part.stop - part.start for part in slices} <= {rows // size, -(-rows // size)}
    assert ALONE.slice(rows) == slice(0, rows)


@pytest.fixture(scope="module")
def table(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """Return what four steps in float64 by one, two and four processes gave, by network.

    Of the old stacks one network is enough: that of which masks are drawn in another order.
    """
    names = [] if sys.version_info >= (3, 11) else ["attention"]
    folder = tmp_path_factory.mktemp("together")
    helper = REPOSITORY / "tests" / "helpers" / "together.py"
    done = subprocess.run(
        [sys.executable, str(helper), str(tiny_world), str(folder), "71", *names],
        env={"PYTHONPATH": f"{REPOSITORY / 'shared'}:{REPOSITORY}", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    print(done.stdout)
    loaded: Dict[str, Any] = json.loads((folder / "table.json").read_text())
    return loaded


@pytest.mark.process
@pytest.mark.stack
def test_parameters_do_not_depend_on_the_number_of_processes(table: Dict[str, Any]) -> None:
    """Also not those of a group's fine-tuning, and of a run gone on with by other numbers."""
    for name, network in table.items():
        assert network["float64"], name
        assert network["differences"] and max(network["differences"].values()) < TOLERANCE, name
        assert network["smallest norm"] > 0.01, f"{name}: every gradient is clipped"


@pytest.mark.process
@pytest.mark.stack
def test_scores_rates_and_the_best_network_do_not_depend_on_it_either(
    table: Dict[str, Any],
) -> None:
    for name, network in table.items():
        alone = network["logs"][0]
        assert len(alone) == 3 and all(log == alone for log in network["logs"]), name


@pytest.mark.process
def test_a_state_records_all_numbers_of_processes(table: Dict[str, Any]) -> None:
    assert {str(network["environments"]) for network in table.values()} == {"[2]", "[1, 4, 2]"}
