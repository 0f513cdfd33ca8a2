"""The table of options: pairs by seed, the interval Student's, a file that may be cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest

from benchmarks.options import records, table
from benchmarks.options.__main__ import main
from benchmarks.options.variants import BASE, VARIANTS, experiment
from leapkit.core.files import write_json
from leapkit.core.layout import world_receipt
from leapkit.core.training_options import TrainingOptions, parse
from members.student.experiments import EXPERIMENTS
from tests.helpers.refusals import refused

OPTION = next(name for name in VARIANTS if name != BASE)


def record(variant: str, seed: int, score: float, world: str = "sample") -> Dict[str, Any]:
    scores = {kind: {"predicted": score} for kind in table.KINDS}
    return {
        "network": "narrow",
        "variant": variant,
        "seed": seed,
        "world": world,
        "scores": scores,
        "seconds a step": 0.02,
        "peak memory": {"GB": 0.5},
    }


def test_an_effect_is_the_mean_of_differences_by_seed_with_students_interval() -> None:
    # Bases differ by far more than effects: only pairs show these.
    base = [record(BASE, seed, 0.5 + 0.1 * seed) for seed in range(3)]
    changed = [record(OPTION, seed, 0.5 + 0.1 * seed + 0.001 * seed) for seed in range(3)]
    [line] = [line for line in table.lines([*base, *changed]) if line.startswith(f"| {OPTION}")]
    # std 0.001, t 4.303 of two degrees of freedom: 4.303 * 0.001 / sqrt(3)
    assert line.split(" | ")[1:3] == ["3", "+0.0010 ± 0.0025"]


@pytest.mark.parametrize("effect, mark", [(0.01, True), (0.0001, False)])
def test_an_effect_is_marked_if_its_interval_leaves_out_0(effect: float, mark: bool) -> None:
    base = [record(BASE, seed, 0.5) for seed in range(3)]
    changed = [record(OPTION, seed, 0.5 + effect + 0.001 * (seed - 1)) for seed in range(3)]
    [line] = [line for line in table.lines([*base, *changed]) if line.startswith(f"| {OPTION}")]
    assert ("*" in line) is mark


def test_a_seed_without_its_base_counts_for_no_effect() -> None:
    measured = [record(BASE, 0, 0.5), record(OPTION, 0, 0.6), record(OPTION, 1, 0.9)]
    [line] = [line for line in table.lines(measured) if line.startswith(f"| {OPTION}")]
    assert "| +0.1000 |" in line


def test_a_line_that_was_cut_off_is_no_measurement(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for seed in range(2):
        records.append(path, record(BASE, seed, 0.5))
    path.write_text(path.read_text()[:-20])
    assert [each["seed"] for each in records.read(path)] == [0]
    assert records.read(tmp_path / "absent") == []


def test_variants_of_a_seed_differ_in_their_change_alone() -> None:
    base = experiment("narrow", BASE, 1).recipe["sample"]
    assert base.options == TrainingOptions()
    for name, options in VARIANTS.items():
        recipe = experiment("narrow", name, 1).recipe["sample"]
        assert replace(recipe, options=base.options) == base
        assert recipe.options == parse(options)
    other = experiment("narrow", BASE, 2).recipe["sample"]
    assert other.seed != base.seed and other.rows.seed != base.rows.seed


def test_the_student_is_measured_as_it_is_distilled_but_for_its_seed() -> None:
    [student] = EXPERIMENTS
    measured = experiment("student", BASE, 0)
    distilled = student.recipe["sample"]
    recipe = measured.recipe["sample"]
    assert measured.network_record("sample") == student.network_record("sample")
    rows = replace(recipe.rows, seed=distilled.rows.seed)
    assert replace(recipe, seed=distilled.seed, rows=rows) == replace(
        distilled, options=TrainingOptions()
    )


def test_what_the_file_holds_is_not_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.options.__main__ import Cell

    world = tmp_path / "world"
    write_json(world / "split.json", {})
    write_json(world_receipt(world), {"files": {"steps": "1"}})
    results = tmp_path / "results.jsonl"
    cell = Cell("narrow", BASE, 0, "sample")
    records.append(results, {**record(BASE, 0, 0.5), "identity": cell.identity(world)})
    files = [f"--results={results}", f"--work={tmp_path}", f"--world=sample={world}"]
    assert main(["run", *files, f"--variants={BASE}", "--seeds=1"]) == 0
    assert capsys.readouterr().out == ""
    with refused("--variants", "is unknown"):
        main(["run", *files, "--variants=nothing"])
    with refused("--world", "no NAME=FOLDER"):
        main(["run", *files[:2], "--world=sample=/nowhere"])
