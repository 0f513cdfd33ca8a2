"""`make infer-only` in containers with checkpoints of published size, filled by a rule."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import List

import pytest

from tests.end_to_end.commands import make

pytestmark = [pytest.mark.end_to_end, pytest.mark.docker]
ARTIFACT_200 = "adam_200_78362.oof"


def filled_checkpoints(
    reference: Path, folder: Path, keys: List[str], prefixed: bool = True
) -> None:
    """Write networks of published size, filled by a rule, laid out as the team's download is."""
    from collections import OrderedDict

    import torch

    from tests.helpers.parity import load_fill

    fill = load_fill(reference)
    entries = json.loads((reference / "checkpoints.json").read_text())
    for key in keys:
        for file in entries[key]["checkpoint_files"]:
            path = folder / re.sub(r"^.*(weights|saved_model)/", "", file)
            path.parent.mkdir(parents=True, exist_ok=True)
            group = re.search(r"_g(\d)\.pt$", file)
            prefix = entries[key]["saved_key_prefix"] if prefixed else ""
            tensors = fill.fill_entries(
                entries[key]["state_dict"], f"g{group.group(1)}:" if group else ""
            )
            torch.save(
                OrderedDict(
                    (prefix + fill.strip_prefix(name), torch.from_numpy(value))
                    for name, value in tensors.items()
                ),
                str(path),
            )


def test_full_width_checkpoints_go_through_infer_only_in_containers(
    clone: Path, tiny_world: Path, reference: Path, tmp_path: Path
) -> None:
    """One single checkpoint, with and without `module.`, and seven of one experiment."""
    hashes = []
    for prefixed in (True, False):
        weights = tmp_path / f"weights-{prefixed}"
        where = tmp_path / f"submission-{prefixed}"
        filled_checkpoints(reference, weights, ["adam_200"] + ["max_014_gf"] * prefixed, prefixed)
        text = make(
            clone,
            "infer-only",
            RUNTIME="docker",
            RAW_DATA=str(tiny_world),
            SUBMISSION=str(where),
            WEIGHTS=str(weights),
            EXPERIMENTS="adam_exp200" + ",014_group_finetune" * prefixed,
        )
        hashes.append(
            json.loads((where / "subs" / (ARTIFACT_200 + ".receipt.json")).read_text())["sha256"]
        )
        assert "the blend did not run" in text
    assert hashes[0] == hashes[1]
    make(
        clone,
        "verify",
        RUNTIME="docker",
        RAW_DATA=str(tiny_world),
        SUBMISSION=str(tmp_path / "submission-True"),
    )


@pytest.mark.skipif(
    not os.environ.get("LEAP_LONG_TESTS"),
    reason="half an hour and 10 GB: LEAP_LONG_TESTS=1 runs it",
)
def test_82_published_checkpoints_become_the_published_blend(
    clone: Path, tiny_world: Path, reference: Path, tmp_path: Path
) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    from blend import tables

    entries = json.loads((reference / "checkpoints.json").read_text())
    keys = [key for key, entry in entries.items() if entry["blend_row"]]
    filled_checkpoints(reference, tmp_path / "w", keys)
    assert len(list((tmp_path / "w").rglob("*.pt"))) == 82
    make(
        clone,
        "infer-only",
        RUNTIME="docker",
        RAW_DATA=str(tiny_world),
        SUBMISSION=str(tmp_path / "s"),
        WEIGHTS=str(tmp_path / "w"),
    )
    total = 0.0

    def values(name: str) -> np.ndarray:
        return pq.read_table(str(tmp_path / "s" / name)).to_pandas().iloc[:, 1:].to_numpy()

    for artifact, weight in tables.find("v10").rows:
        total = total + weight * values(f"subs/{artifact}.parquet")
    assert np.array_equal(values("blend/final_blend_v10.parquet"), total)
