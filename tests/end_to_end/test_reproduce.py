"""`make reproduce` in both runtimes: everything is made, scored, and made once only."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from launch import registry
from leapkit.core.experiments import Experiment
from tests.end_to_end.commands import RUNTIMES, make, modification_times, scores

pytestmark = pytest.mark.end_to_end

# In containers one network of every class that no other whole run trains there, and every way of
# fine-tuning, on the stack that is quickest here; two members without containers, on the published
# stack. test_container_runs has joseph's, test_real_steps adam/197. The other experiments differ in
# sizes and in where their Mamba layers stand; LEAP_LONG_TESTS=1 trains them too.
EVERY_KIND = (
    "adam/200,forcewithme/18,forcewithme/32,forcewithme/39,forcewithme/40,max2020/010,zuiye/B"
)
IN_CONTAINERS = "" if os.environ.get("LEAP_LONG_TESTS") else EVERY_KIND
WAYS = [
    pytest.param("docker", "modern", IN_CONTAINERS, marks=pytest.mark.docker),
    ("venv", "published", "joseph/907,joseph/912sep,zuiye/A,zuiye/B"),
]


@pytest.mark.parametrize("runtime, stack, names", WAYS, ids=["docker", "venv"])
def test_reproduce_makes_the_sample_world_trains_blends_and_a_second_run_does_nothing(
    clone: Path, runtime: str, stack: str, names: str
) -> None:
    submission = clone / f"submission-{runtime}"
    chosen = {
        "RUNTIME": runtime,
        "STACK": stack,
        "SUBMISSION": str(submission),
        "EXPERIMENTS": names,
    }
    by_member = registry.chosen(names, "", "reproduce", True)
    experiments = [experiment for group in by_member.values() for experiment in group]
    make(clone, "reproduce", **chosen)
    for experiment in experiments:
        assert_complete(submission, experiment)
    networks = scores(submission)
    ridge = networks.pop("ridge regression")
    blend = networks.pop("blend searched")
    assert set(networks) == {e.artifact for e in experiments if e.blended}
    # With two weak networks alone, weights climbed on validation may lose a little on the test.
    is_weak = runtime == "venv"
    assert blend > max(networks.values()) - (0.002 if is_weak else 0), networks
    # Those two score below the ridge so early.
    assert is_weak or max(networks.values()) > ridge, networks
    zuiye = scores(submission, "searched-zuiye")
    artifacts = {e.artifact for e in experiments if e.artifact and e.member == "zuiye"}
    assert set(zuiye) == {*artifacts, "blend searched-zuiye", "ridge regression"}
    assert_report_agrees(submission, blend)

    before = modification_times(submission)
    start = time.monotonic()
    text = make(clone, "reproduce", **chosen)
    assert "nothing to do: every step is proven by its receipt" in text
    assert f"report: {submission / 'blend' / 'report_searched.html'}" in text
    assert time.monotonic() - start < 10
    assert modification_times(submission) == before

    # Other weights and options on the same parquets: a table of one's own, and weights by target.
    table = clone / "mine.csv"
    equal = [f"{name},{1 / len(networks)!r}\n" for name in sorted(networks)]
    table.write_text("artifact,weight\n" + "".join(equal))
    options = {"TABLE": f"{table},searched.ridge.target", "POSTPROCESS": "positivity"}
    text = make(clone, "blend", **{**chosen, **options})
    for title in ("mine+positivity", "searched.ridge.target+positivity"):
        assert (submission / "blend" / f"final_blend_{title}.parquet").exists()
    assert "positivity: test R2 over the 292 targets" in text
    title = "searched.ridge.target+positivity"
    assert scores(submission, title)[f"blend {title}"] > blend


def assert_complete(submission: Path, experiment: Experiment) -> None:
    folder = submission / "outputs" / experiment.member / experiment.id
    files = {path.name for path in folder.iterdir()}
    for group in experiment.checkpoint_groups:
        stem = experiment.stem(group)
        assert {f"{stem}.pt", f"{stem}.receipt.json"} <= files
    assert not [name for name in files if "partial" in name or "state" in name]
    if experiment.artifact:
        subs = submission / "subs"
        assert (subs / experiment.parquet).exists()
        assert (subs / f"{experiment.artifact}.receipt.json").exists()


def assert_report_agrees(submission: Path, blend: float) -> None:
    """The page's figures fit each other and the score table's R2 of the blend."""
    page = json.loads((submission / "blend" / "report_searched.json").read_text())
    forms = {form["name"]: form for form in page["validation"]["forms"]}
    climb = forms["searched"]
    assert forms["searched.sum-one"]["in fold"]["all"] >= climb["in fold"]["all"] - 1e-11
    for name, form in forms.items():
        # Months that weights have not seen are no easier than those that weights were fitted on.
        assert form["in fold"]["all"] >= form["out of fold"]["all"] - 1e-3, name
        assert form["test"], name
    assert abs(climb["test"]["predicted"] - blend) < 1e-9


@pytest.mark.parametrize("runtime", RUNTIMES if os.environ.get("LEAP_LONG_TESTS") else RUNTIMES[1:])
def test_a_member_that_fails_leaves_the_others_running_and_the_blend_unstarted(
    clone: Path, small_world: Path, tmp_path: Path, runtime: str
) -> None:
    """zuiye's folder belongs to a run that is at work: A is refused, everything else is made."""
    folder = tmp_path / "outputs" / "zuiye" / "A"
    folder.mkdir(parents=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        text = make(
            clone,
            "reproduce",
            code=None,
            RUNTIME=runtime,
            STACK="modern",
            PROFILE="sample",
            RAW_DATA=str(small_world),
            SUBMISSION=str(tmp_path),
            EXPERIMENTS="zuiye/A,joseph/907",
        )
    assert "another run is at work here" in text and "the blend was not started" in text
    assert (tmp_path / "subs" / "Jo_ex907_cv7855.receipt.json").exists()
    assert not list((tmp_path / "blend").glob("*.parquet"))
