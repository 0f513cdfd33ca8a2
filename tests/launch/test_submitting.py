"""`make submit`: which files are meant, and what is refused before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import pytest

from launch import settings, submitting
from leapkit.core import receipts, score_receipts
from leapkit.core.errors import KitError
from leapkit.core.files import sha256
from leapkit.core.layout import Results
from leapkit.core.score_receipts import PENDING, ScoreReceipt

ADAM = "adam_195_78569.oof"


def chosen(tmp_path: Path, **more: str) -> settings.Settings:
    raw = tmp_path / "raw"
    (raw / "kaggle-data").mkdir(parents=True, exist_ok=True)
    (raw / "kaggle-data" / "sample_submission.csv").touch()
    requested = {"RAW_DATA": str(raw), "SUBMISSION": str(tmp_path / "s")}
    return settings.choose("infer-only", {**requested, **more}, needs_runtime=False)


def product(results: Results, name: str) -> Path:
    path = results.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode())
    receipts.write(path, "blend", {}, receipts.now())
    return path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[str, ...]]:
    """Return the commands that would be started: the check, and what sends."""
    commands: List[Tuple[str, ...]] = []

    def check(_: settings.Settings, service: str, arguments: Sequence[str]) -> int:
        commands.append((service, *arguments))
        return 0

    def send(command: Sequence[str], env: Dict[str, str]) -> int:
        commands.append(tuple(command[1:]))
        return 0

    monkeypatch.setattr(submitting, "on_results", check)
    monkeypatch.setattr(submitting.process, "run", send)
    monkeypatch.setattr(submitting.environments, "fetch_python", lambda: Path("python"))
    return commands


def test_the_blend_of_the_table_is_checked_and_then_sent(
    tmp_path: Path, started: List[Tuple[str, ...]]
) -> None:
    made = chosen(tmp_path)
    product(made.results, "blend/final_blend_v10.parquet")
    assert submitting.run(made, {"MESSAGE": "a $note"}) == 0
    name = "blend/final_blend_v10.parquet"
    assert started == [
        ("verify", "submittable", f"--products={name}", "--form=parquet"),
        (
            *("-m", "submitting", f"--submission={made.results.root}", f"--products={name}"),
            *("--form=parquet", "--message=a $note"),
        ),
    ]


@pytest.mark.parametrize("name", ["195", "adam/195", ADAM, "adam_exp195"])
def test_a_network_is_named_as_everywhere(
    tmp_path: Path, name: str, started: List[Tuple[str, ...]]
) -> None:
    made = chosen(tmp_path)
    path = product(made.results, f"subs/{ADAM}.parquet")
    assert submitting.products(made, f"{name},{ADAM}") == [path]
    submitting.run(made, {"ARTIFACTS": name, "FORM": "csv", "SUBMIT": "0"})
    assert "--form=csv" in started[0] and started[1][-1] == "--show"


def test_what_kaggle_has_is_not_checked_again(
    tmp_path: Path, started: List[Tuple[str, ...]]
) -> None:
    made = chosen(tmp_path)
    path = product(made.results, f"subs/{ADAM}.parquet")
    other = product(made.results, "subs/adam_197_78551.oof.parquet")
    digest = sha256(path)
    receipt = ScoreReceipt(
        path.name, digest, "leap", path.name, digest, "", "kaggle", "", PENDING, 7
    )
    score_receipts.write(made.results, receipt)
    submitting.run(made, {"ARTIFACTS": "195,197"})
    check, send = started
    assert f"--products=subs/{other.name}" in check
    assert f"--products=subs/{path.name},subs/{other.name}" in send
    started.clear()
    submitting.run(made, {"ARTIFACTS": "195"})
    assert [command[0] for command in started] == ["-m"]


@pytest.mark.parametrize(
    "names, words",
    [
        ("", "final_blend_v10.parquet: is missing; run `make blend`"),
        ("195", "the parquet does not exist"),
        ("nobody", "the parquet does not exist"),
        ("../x", "is a path, neither a network nor"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_built(
    tmp_path: Path, names: str, words: str, started: List[Tuple[str, ...]]
) -> None:
    with pytest.raises(KitError, match=words):
        submitting.run(chosen(tmp_path), {"ARTIFACTS": names})
    assert not started


def test_without_kaggles_rows_the_command_that_gets_them_is_named(
    tmp_path: Path, started: List[Tuple[str, ...]]
) -> None:
    made = chosen(tmp_path)
    made.raw.sample_submission.unlink()
    with pytest.raises(KitError, match="says which rows Kaggle scores; run `make fetch WHAT=kag"):
        submitting.run(made, {})


def test_a_world_of_ones_own_is_refused(tmp_path: Path, started: List[Tuple[str, ...]]) -> None:
    made = chosen(tmp_path)
    made.raw.truth.parent.mkdir()
    made.raw.truth.write_bytes(b"")
    with pytest.raises(KitError, match="whose rows Kaggle does not know"):
        submitting.run(made, {})
    assert not started
