"""The drop folder."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Dict, Tuple

import pytest

from leapkit.core.columns import INPUTS, TARGETS
from leapkit.data.checkpoints import read_tensors
from tests.fetch.disks import enough_disk
from tests.fetch.offers import SUBMISSION, TEST, checkpoint, csv, offer_competition, zipped
from tests.fetch.user import User, final_files
from tests.helpers import plausible

pytestmark = pytest.mark.process


def fill_drop(
    user: User, tiny_steps: Dict[str, bytes], published: Path
) -> Tuple[Path, Dict[str, bytes], Dict[str, bytes]]:
    """Fill a drop folder as users do.

    Returns it, and what belongs below raw_data and below the weights as {path: content}.
    """
    drop = user.home / "my downloads"
    (drop / "deep" / "er").mkdir(parents=True)
    first, second, third = sorted(tiny_steps)[:3]
    (drop / "deep" / "er" / "test.csv").write_bytes(TEST)
    (drop / "archive (1).zip").write_bytes(
        zipped(
            **{
                "kaggle/sample_submission.csv": SUBMISSION,
                "__MACOSX/kaggle/._x": b"x",
                f"low-res/{first}": tiny_steps[first],
                "fdzm_part/data/std.json": (published / "fdzm" / "std.json").read_bytes(),
                "why.txt": b"?",
            }
        )
    )
    (drop / second).write_bytes(tiny_steps[second])
    (drop / "deep" / third).write_bytes(tiny_steps[third])
    # Known by its numbers alone.
    (drop / "mean.json").write_bytes((published / "fdzm" / "mean.json").read_bytes())
    user_tables = {
        name: json.dumps(table).encode() for name, table in plausible.tables("adam").items()
    }
    (drop / "fdzm stats").mkdir()
    (drop / "fdzm stats" / "std.json").write_bytes(user_tables["std.json"])  # known by its floor
    (drop / "adam stats").mkdir()
    (drop / "adam stats" / "mean.json").write_bytes(user_tables["mean.json"])  # by its folder
    (drop / "v3_index.pt").write_bytes(
        zipped(**{"v3/data.pkl": pickle.dumps({"01_02": [1, 2]}, 2)})
    )
    (drop / "014_g0.pt").write_bytes(checkpoint(user.home, "", 4))
    (drop / "deep" / "forcewithme_reslstm_cv0.789_lb0.783.pt").write_bytes(
        checkpoint(user.home, "module.", 5)
    )
    (drop / "holiday.jpg").write_bytes(b"jpg")
    (drop / "test.csv.crdownload").write_bytes(TEST[:100])
    raw = {
        "kaggle-data/test.csv": TEST,
        "kaggle-data/sample_submission.csv": SUBMISSION,
        "statistics/fdzm/mean.json": (published / "fdzm" / "mean.json").read_bytes(),
        "statistics/fdzm/std.json": (published / "fdzm" / "std.json").read_bytes(),
        "statistics/adam/mean.json": user_tables["mean.json"],
        "statistics/adam/std.json": user_tables["std.json"],
        "v3_index.pt": (drop / "v3_index.pt").read_bytes(),
    }
    raw.update(
        ("ClimSim_low-res/train/0008-02/" + name, tiny_steps[name])
        for name in (first, second, third)
    )
    weights = {
        "014_group_finetune/014_group_finetune_g0.pt": (drop / "014_g0.pt").read_bytes(),
        "forcewithme_reslstm_cv0.7890_lb0.7863.pt": (
            drop / "deep" / "forcewithme_reslstm_cv0.789_lb0.783.pt"
        ).read_bytes(),
    }
    return drop, raw, weights


def test_what_came_by_hand_is_recognised_and_placed(
    user: User, tiny_steps: Dict[str, bytes], published: Path
) -> None:
    drop, raw, weights = fill_drop(user, tiny_steps, published)
    before = final_files(drop)
    text = user.fetch("--what", "drop", "--drop", str(drop))
    assert (
        final_files(user.raw) == raw
        and final_files(user.weights) == weights
        and final_files(drop) == before
    )
    assert "12 files placed, 0 already in place" in text
    unknown = [line for line in text.splitlines() if line.startswith("not recognised: ")]
    assert len(unknown) == 3 and all(
        any(word in line for line in unknown)
        for word in ("why.txt in ", "holiday.jpg", "test.csv.crdownload")
    ), unknown
    assert not user.internet.requests
    assert "0 files placed, 12 already in place" in user.fetch(
        "--what", "drop", "--drop", str(drop)
    )
    assert {name for name in final_files(user.raw) if not name.startswith(".")} == set(raw)


def test_real_step_files_find_their_place(user: User, real_steps: Path) -> None:
    real = {path.name: path for path in real_steps.glob("*/*.nc")}
    text = user.fetch("--what", "drop", "--drop", str(real_steps))
    assert f"{len(real)} files placed" in text and "not recognised" not in text
    placed = list(user.steps.glob("*/*.nc"))
    assert len(placed) == len(real) and all(
        path.read_bytes() == real[path.name].read_bytes() for path in placed
    )
    assert "train/0008-01 " in user.fetch() and "10 of 2232 steps" in user.fetch()


def test_what_lies_in_the_drop_folder_is_not_fetched(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    drop = user.raw / "drop"
    drop.mkdir(parents=True)
    (drop / "test.csv").write_bytes(TEST)
    user.fetch("--what", "kaggle")
    assert (
        not user.internet.contents_of("test.csv.zip")
        and (user.raw / "kaggle-data" / "test.csv").read_bytes() == TEST
    )


def test_another_file_in_place_is_never_written_over(
    user: User, tiny_steps: Dict[str, bytes], published: Path
) -> None:
    drop, raw, _ = fill_drop(user, tiny_steps, published)
    user_files = {
        user.raw / "kaggle-data" / "test.csv": csv(INPUTS, 7),
        user.weights / "014_g0.pt": b"another checkpoint",
        user.raw / "kaggle-data" / "sample_submission.csv": csv(TARGETS, 8),
    }
    for path, content in user_files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    text = user.refuses("--what", "drop", "--drop", str(drop))
    for path in user_files:
        assert f"is another file than {path}; move one of the two away: an existing" in text
    assert {path: path.read_bytes() for path in user_files} == user_files
    assert set(raw) <= set(final_files(user.raw)) and text.count("error: ") == 3, (
        "the others were placed"
    )


def test_damaged_files_of_the_drop_folder_are_refused_by_name(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    drop = user.raw / "drop"
    (drop / "a").mkdir(parents=True)
    first, second = sorted(tiny_steps)[:2]
    (drop / first).write_bytes(tiny_steps[first][:-1])
    (drop / second).write_bytes(tiny_steps[sorted(tiny_steps)[5]])  # of another instant
    (drop / "test.csv").write_bytes(TEST[:-2])
    (drop / "broken.zip").write_bytes(zipped(a=b"b")[:-10])
    flipped = bytearray(zipped(**{"sample_submission.csv": SUBMISSION}))
    flipped[3000] ^= 1
    (drop / "flipped.zip").write_bytes(bytes(flipped))
    (drop / "a" / "195.pt").write_bytes(b"PK no zip")
    (drop / "v3_index.pt").write_bytes(zipped(a=b"b" * 99)[:-3])
    (drop / "adam").mkdir()
    (drop / "adam" / "mean.json").write_text('{"state_t_0": 1}')
    (drop / "fdzm").mkdir()
    infinite = json.dumps({name: float("inf") for name in INPUTS + TARGETS})
    (drop / "fdzm" / "mean.json").write_text(infinite)
    (drop / "fdzm" / "std.json").write_text(json.dumps({name: 0.5 for name in INPUTS + TARGETS}))
    ones = "sample_id," + ",".join(TARGETS) + "\ntest_1" + ",1" * len(TARGETS) + "\n"
    (drop / "sample_submission_old.csv").write_text(ones)
    text = user.refuses("--what", "drop")
    assert text.count("error: ") == 11 and "0 files placed" in text
    for word in (
        "is truncated: ",
        "holds the step 0008",
        "is cut off in the middle",
        "broken.zip: is truncated",
        "sample_submission.csv is damaged",
        "195.pt: is truncated",
        "v3_index.pt: is truncated",
        "lacks state_t_1 (923 are missing)",
        "fdzm/mean.json: holds a NaN or an infinity",
        "fdzm/std.json: is not of the family fdzm",
        "sample_submission_old.csv: holds ones: it is Kaggle's current sample_submission.csv",
    ):
        assert word in text, (word, text)
    assert (
        not [name for name in final_files(user.raw) if not name.startswith("drop/")]
        and not user.weights.exists()
    )


def test_a_safetensors_file_gets_the_checkpoints_place_and_is_read_there(user: User) -> None:
    drop = user.raw / "drop"
    drop.mkdir(parents=True)
    header = b'{"module.a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    content = len(header).to_bytes(8, "little") + header + b"\0\0\x80?"
    (drop / "195.safetensors").write_bytes(content)
    (drop / "014_g0.safetensors").write_bytes(content)  # the team's has no prefix
    text = user.refuses("--what", "drop")
    assert final_files(user.weights) == {"195.pt": content}
    [error] = [line for line in text.splitlines() if line.startswith("error: ")]
    assert "014_g0.safetensors" in error and "begin with `module.`" in error
    (tensor,) = read_tensors(user.weights / "195.pt").values()
    assert tensor.tolist() == [1.0]


def test_names_of_archive_members_forge_no_line_and_reach_no_terminal_unescaped(
    user: User,
) -> None:
    drop = user.raw / "drop"
    drop.mkdir(parents=True)
    names = ("a\x1b[2Jb", "a\nerror: all is well", "\u202etxt.exe", "n" * 60_000, "donn\u00e9es")
    hostile_folder = "x\x1b]0;y\x07\n/test.csv"
    content = zipped(**{name: b"?" for name in names}, **{hostile_folder: TEST[:-2]})
    (drop / "a.zip").write_bytes(content)
    text = user.refuses("--what", "drop")
    lines = text.splitlines()
    assert all(line.isprintable() and len(line) < 1000 for line in lines), lines
    assert not any(line.startswith("error: all is well") for line in lines)
    assert len([line for line in lines if line.startswith("not recognised: ")]) == len(names)
    assert any("donn\u00e9es in " in line for line in lines)
    assert any(line.startswith(r"error: x\x1b]0;y\x07\n/test.csv in ") for line in lines), lines
