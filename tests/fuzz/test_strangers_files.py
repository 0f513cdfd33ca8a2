"""A thousand mutations of each file that strangers give: read right, harmless, or one sentence."""

from __future__ import annotations

import json
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.splits import PUBLISHED, write_split
from tests.blend.test_tables import ROWS, frame
from tests.fuzz.bounded import SECONDS, read_mutations

pytestmark = pytest.mark.process

torch = pytest.importorskip("torch")

COUNT = 1000


def state() -> Dict[str, Any]:
    torch.manual_seed(7)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    tensors = OrderedDict(("module." + k, v) for k, v in network.state_dict().items())
    tensors["module.half"] = torch.ones(3).half()
    tensors["module.brain"] = torch.ones(3).bfloat16()
    return tensors


def harmless(answer: Dict[str, Any]) -> Dict[str, Any]:
    """Fail unless all mutations were read or refused in one sentence, each in bounded time."""
    assert not answer["problems"], answer
    assert answer["slowest"] < SECONDS and answer["refused"] > COUNT // 20, answer
    return answer


def saved(path: Path, value: Any, **options: Any) -> Path:
    torch.save(value, str(path), **options)
    return path


def pickle_of(path: Path) -> Path:
    """Return a file of the archive's table of contents alone."""
    with zipfile.ZipFile(str(path)) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("data.pkl")]
        content = archive.read(name)
    path.with_suffix(".pkl").write_bytes(content)
    return path.with_suffix(".pkl")


def test_a_checkpoint_is_right_or_refused(tmp_path: Path) -> None:
    answer = harmless(read_mutations("checkpoint", saved(tmp_path / "n.pt", state()), COUNT))
    assert answer["other"] == 0, "checksums guard every byte that decides"


def test_a_checkpoints_table_of_contents_is_harmless(tmp_path: Path) -> None:
    base = torch.arange(6.0)  # one storage, which the archives of crafted files hold
    value = {"module.a": base.reshape(2, 3), "module.b": base[:3]}
    seed = pickle_of(saved(tmp_path / "n.pt", value))
    harmless(read_mutations("checkpoint", seed, COUNT, wrapped=True))


def test_a_checkpoint_of_the_old_format_is_harmless(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.pt", state(), _use_new_zipfile_serialization=False)
    harmless(read_mutations("checkpoint", path, COUNT))


def test_a_safetensors_file_is_harmless(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "module.a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "module.b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "n.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(range(32)))
    harmless(read_mutations("checkpoint", path, COUNT))


def index() -> Dict[str, Any]:
    return {"01_02": np.arange(40)[::-1].copy(), "01_03": np.array([7, 0, 3]), "08_06": [1, 5, 2]}


def test_an_index_of_rows_is_right_or_refused(tmp_path: Path) -> None:
    answer = harmless(read_mutations("index", saved(tmp_path / "i.pt", index()), COUNT))
    assert answer["other"] == 0


def test_an_indexs_table_of_contents_is_harmless(tmp_path: Path) -> None:
    seed = pickle_of(saved(tmp_path / "i.pt", index()))
    harmless(read_mutations("index", seed, COUNT, wrapped=True))


def test_a_weight_table_is_right_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.pt"
    with zipfile.ZipFile(str(path), "w") as archive:
        archive.writestr("t/data.pkl", frame(ROWS))
        archive.writestr("t/version", b"3\n")
    answer = harmless(read_mutations("table", path, COUNT))
    assert answer["other"] == 0


def test_a_weight_tables_frame_is_harmless(tmp_path: Path) -> None:
    (tmp_path / "t.pkl").write_bytes(frame(ROWS))
    harmless(read_mutations("table", tmp_path / "t.pkl", COUNT, wrapped=True))


def test_a_split_is_harmless(tmp_path: Path) -> None:
    write_split(tmp_path / "split.json", PUBLISHED)
    harmless(read_mutations("split", tmp_path / "split.json", COUNT))


def test_statistics_as_json_are_harmless(tmp_path: Path) -> None:
    values = {name: 1 / (k + 3) for k, name in enumerate((INPUTS + TARGETS)[::9])}
    (tmp_path / "mean.json").write_text(json.dumps(values))
    harmless(read_mutations("json", tmp_path / "mean.json", COUNT))
