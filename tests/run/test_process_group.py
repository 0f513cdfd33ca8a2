"""Several processes train the network that one would train."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

torch = pytest.importorskip("torch")

from leapkit.core.errors import KitError  # noqa: E402
from leapkit.run import process_group  # noqa: E402
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


@pytest.mark.parametrize(
    "visible, on_this_machine, seen",
    [
        (None, "4", "2"),
        ("4,5,GPU-a,7", "4", "GPU-a"),
        ("0", "4", ""),  # three of four processes have none, which is refused
        ("3", "1", "3"),  # the scheduler gave this process its own
        ("3", None, "3"),
        ("-1", "4", "-1"),
        ("", "4", ""),
    ],
)
def test_each_process_sees_one_gpu(monkeypatch, visible, on_this_machine, seen) -> None:
    for name, value in (
        ("CUDA_VISIBLE_DEVICES", visible),
        ("LOCAL_WORLD_SIZE", on_this_machine),
    ):
        monkeypatch.setenv(name, value or "")
        if value is None:
            monkeypatch.delenv(name)
    process_group._see_one_gpu(2)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_only_several_processes_that_torchrun_started_join(monkeypatch) -> None:
    for name in process_group._SET_BY_TORCHRUN:
        monkeypatch.setenv(name, "1")
    assert not process_group.is_one_of_several()  # WORLD_SIZE is 1
    with process_group.joined() as processes:
        assert processes is ALONE
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert process_group.is_one_of_several()
    monkeypatch.delenv("MASTER_ADDR")
    assert not process_group.is_one_of_several()


@pytest.mark.parametrize(
    "environments, refused",
    [
        ([{"torch": "2.13", "device": "H100", "threads": 4}] * 2, ""),
        ([{"torch": "2.13", "device": "H100"}, {"torch": "2.13", "device": "cpu"}], "process 2"),
        ([{"torch": "1.12", "device": "cpu"}, {"torch": "2.13", "device": "cpu"}], "process 2"),
    ],
)
def test_processes_on_different_devices_or_stacks_are_refused(
    monkeypatch, environments, refused
) -> None:
    def gathered(everywhere, here):
        everywhere[:] = environments

    monkeypatch.setattr(process_group.dist, "all_gather_object", gathered)
    group = process_group.ProcessGroup(0, 2)
    if refused:
        with pytest.raises(KitError, match=refused):
            group._require_alike(torch.device("cpu"))
    else:
        group._require_alike(torch.device("cpu"))


def test_a_batch_of_fewer_rows_than_processes_is_refused() -> None:
    with pytest.raises(KitError, match="3 processes share no batch of 2; use at most 2 processes"):
        process_group.ProcessGroup(0, 3).joined(torch.nn.Linear(1, 1), 2)


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
    """Also not those of a group's fine-tuning, and of a run gone on with by other numbers.

    Two of the networks have layers that they never use: decay leaves these alone in one process,
    and so it does in several.
    """
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
