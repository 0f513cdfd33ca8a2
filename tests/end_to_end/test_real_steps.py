"""Real ClimSim months through the whole kit, where they lie beside the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.end_to_end.commands import RUNTIMES, make, scores

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_networks_learn_the_real_step_files(
    clone: Path, real_steps: Path, published: Path, tmp_path: Path, runtime: str
) -> None:
    """One short training on 0008-01 to 0008-06 is scored on the withheld 0008-07 and 0008-08."""
    if runtime == "docker" and not os.environ.get("LEAP_LONG_TESTS"):
        pytest.skip("the same run as in the venv runtime; LEAP_LONG_TESTS=1 runs it too")
    world = tmp_path / "real"
    make(
        clone,
        "split",
        RUNTIME=runtime,
        SPLIT=f"--steps {real_steps} --to {world} --train 0008-01:0008-06 "
        f"--validation 0008-01:0008-06 --test 0008-07:0008-08 --statistics {published}",
    )
    # Two of the three networks, side by side: what the third adds here is a minute of waiting.
    make(
        clone,
        "reproduce",
        RUNTIME=runtime,
        PROFILE="sample",
        RAW_DATA=str(world),
        SUBMISSION=str(tmp_path / "s"),
        EXPERIMENTS="197,200",
    )
    found = scores(tmp_path / "s")
    assert (
        min(v for k, v in found.items() if k != "ridge regression") > found["ridge regression"]
    ), found
