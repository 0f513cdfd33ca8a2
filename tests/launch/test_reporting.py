"""make report asks about the run as it was made, and starts the room in every runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch import reporting
from launch.runtimes import image_runtimes
from leapkit.core import receipts
from leapkit.core.layout import Results
from reports import crate_writing, traces
from tests.helpers.refusals import refused

ARTIFACT = "adam_200_78362.oof"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """Return what is started instead of a process or a container, with what it would read."""
    calls: List[Any] = []

    def asked(folder: Path) -> Dict[str, Any]:
        return dict(json.loads((folder / "asked.json").read_text()))

    def made(to: Path) -> None:
        to.mkdir(parents=True, exist_ok=True)
        (to / crate_writing.METADATA).write_text("{}")

    def in_environment(arguments: List[str]) -> int:
        folders = dict(word[2:].split("=", 1) for word in arguments if word.startswith("--"))
        calls.append((arguments, asked(Path(folders["asked"]))))
        made(Path(folders["to"]))
        return 0

    def on_folder(
        settings: Any, service: str, arguments: List[str], mounts: Dict[str, Path], folder: Path
    ) -> int:
        calls.append((service, arguments, mounts, folder, asked(mounts["LEAP_ASKED"])))
        made(folder)
        return 0

    monkeypatch.setattr(reporting, "in_environment", in_environment)
    monkeypatch.setattr(image_runtimes, "on_folder", on_folder)
    return calls


def product(path: Path, kind: str, **details: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bytes")
    receipts.write(path, kind, {"test.csv": "0" * 64}, receipts.now(), details)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return what a run of sample size leaves: a checkpoint, its parquet, and two blends."""
    results = Results(tmp_path / "out")
    product(results.experiment("adam", "200") / "200.pt", "training")
    product(results.parquet(ARTIFACT), "submission", profile="sample", experiment="adam/200")
    final = results.blend / "final_blend_searched.parquet"
    product(final, "blend", table="searched")
    product(final.with_name("final_blend_mine.parquet"), "blend", table="mine")
    return results


def asked_about(results: Results, **more: str) -> Dict[str, Any]:
    return {"SUBMISSION": str(results.root), "RUNTIME": "venv", **more}


def test_an_environment_gets_the_folders_and_what_make_plan_says(
    results: Results, started: List[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    raw = tmp_path / "no data"
    raw.mkdir()
    assert reporting.run(asked_about(results, RAW_DATA=str(raw))) == 0
    [(arguments, asked)] = started
    assert arguments[:3] == ["-m", "reports", "--table="]
    assert f"--submission={results.root}" in arguments
    assert f"--to={results.report}" in arguments
    assert f"report: {results.report}/index.html\n" in capsys.readouterr().out
    assert asked["plan"]["mode"] == "reproduce" and asked["plan"]["profile"] == "sample"
    assert "networks cannot be planned" in asked["plan"]["problem"]
    assert asked["kit"]["locks"]["blend"] and asked["kit"]["user"]
    chosen = {variable: value for variable, value, _ in asked["plan"]["choices"]}
    assert chosen["TABLE"] == "searched"  # nobody knows where the file mine.csv lies
    reasons = {variable: reason for variable, _, reason in asked["plan"]["choices"]}
    assert reasons["PROFILE"] == reasons["TABLE"] == reporting.AS_THE_RUN


@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_a_container_sees_the_results_and_writes_to_a_folder_of_its_own(
    results: Results, started: List[Any], tmp_path: Path, runtime: str, monkeypatch: Any
) -> None:
    from launch import settings

    chosen = settings.choose

    def without_a_probe(mode: str, values: Any, needs_runtime: bool = True) -> Any:
        from dataclasses import replace

        from launch.choices import Choice

        made = chosen(mode, values, needs_runtime=False)
        return replace(made, choices={**made.choices, "RUNTIME": Choice(runtime, "")})

    monkeypatch.setattr(reporting, "choose", without_a_probe)
    to = tmp_path / "elsewhere"
    assert reporting.run(asked_about(results, TO=str(to), TABLE="searched")) == 0
    [(service, arguments, mounts, made, asked)] = started
    assert service == "report" and arguments == ["--table=searched"] and made == to
    assert mounts["LEAP_TO"] == to and set(mounts) == {"LEAP_TO", "LEAP_ASKED"} and asked
    assert not mounts["LEAP_ASKED"].exists()  # it was there while the container ran


def test_an_empty_folder_starts_nothing_and_is_one_clear_sentence(
    tmp_path: Path, started: List[Any]
) -> None:
    with refused(tmp_path, "holds nothing of a run", "SUBMISSION="):
        reporting.run(asked_about(Results(tmp_path)))
    assert not started and not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_folder_is_refused(
    results: Results, tmp_path: Path, started: List[Any]
) -> None:
    (tmp_path / "file").touch()
    with refused("TO=", "is a file"):
        reporting.run(asked_about(results, TO=str(tmp_path / "file")))
    assert not started


def mode_of(results: Results, **requested: str) -> str:
    mode, _ = reporting._like_the_run(traces.of_results(results), requested)
    return str(mode)


def test_the_mode_is_that_of_the_run(results: Results, tmp_path: Path) -> None:
    assert mode_of(results) == "reproduce"
    assert mode_of(results, MODE="infer-only") == "infer-only"
    inferred = Results(tmp_path / "inferred")
    product(inferred.parquet(ARTIFACT), "submission", profile="full")
    assert mode_of(inferred) == "infer-only"


def test_each_network_is_asked_about_with_the_options_that_it_was_trained_with(
    results: Results,
) -> None:
    of_200, of_197 = (results.experiment("adam", name) / f"{name}.pt" for name in ("200", "197"))
    product(of_200, "training", recipe={"options": {"ema": 0.9, "positivity": True}})
    product(of_197, "training", recipe={"options": {"ema": "x", "other": 1}})
    found = traces.of_results(results)
    settings = reporting.choose("reproduce", asked_about(results), needs_runtime=False)
    run = reporting._experiments(settings, found, {"EXPERIMENTS": "adam/200,adam/197"})
    on = {each.id: each.recipe["sample"].options.on() for each in run["adam"]}
    assert on == {"200": {"ema": 0.9, "positivity": True}, "197": {}}
    card = reporting._rows(found)["adam/200"]  # tells the recipe that it was trained with
    assert card["recipe"]["options"] == on["200"]


def test_the_room_learns_where_the_report_lies_and_what_cards_say(
    results: Results, started: List[Any], tmp_path: Path
) -> None:
    assert reporting.run(asked_about(results, RAW_DATA=str(tmp_path))) == 0
    elsewhere = {"RAW_DATA": str(tmp_path), "TO": str(tmp_path / "elsewhere")}
    assert reporting.run(asked_about(results, **elsewhere)) == 0
    (_, beside), (_, apart) = started
    assert beside["place"] == "report" and apart["place"] == ""
    assert set(beside["rows"]) == {"adam/200"}
    assert beside["rows"]["adam/200"]["profile"] == "sample"
    assert beside["rows"]["adam/200"]["parameters"] == 72_560


@pytest.mark.parametrize("can_be_written", [True, False], ids=["written", "refused"])
def test_the_crate_gets_its_place_in_the_results_or_stays_in_the_report(
    results: Results, tmp_path: Path, can_be_written: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata, place = tmp_path / "crate.json", results.root / "ro-crate-metadata.json"
    metadata.write_text("{}")
    if not can_be_written:
        place.mkdir()
    reporting._place_crate(metadata, place)
    said = capsys.readouterr().out
    assert said.endswith(f"crate: {place if can_be_written else metadata}\n")
    assert ("note: the crate's metadata stays in the report" in said) != can_be_written
    assert metadata.exists() != can_be_written and place.is_file() == can_be_written
