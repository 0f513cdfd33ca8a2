"""The plan as lines of sbatch: what waits for what, and nothing that a user writes breaks out."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

from launch import planning, registry
from launch.costs import row_counts
from launch.settings import Settings, choose_for_jobs
from launch.slurm import job_graph, job_script, job_submission, member_command, sbatch_arguments
from launch.slurm.costs import Costs
from launch.slurm.job_graph import Job, Task
from launch.slurm.job_submission import Submission
from leapkit.core.errors import KitError
from leapkit.core.plan import CheckpointPlan, ExperimentPlan
from leapkit.core.receipts import Verdict

NAMES = "joseph/907,joseph/912sep,zuiye/A"
EXPERIMENTS = {one.name: one for one in registry.flat(registry.members())}


@pytest.fixture
def settings(tmp_path: Path, tiny_world: Path) -> Settings:
    values = {"RAW_DATA": str(tiny_world), "PROFILE": "sample", "SUBMISSION": str(tmp_path)}
    return choose_for_jobs("reproduce", {**values, "EXPERIMENTS": NAMES})


def jobs_of(settings: Settings, pack: int = 1) -> Dict[str, Job]:
    plan = planning.make(settings, settings.experiments(), with_blend=True)
    return {job.name: job for job in job_graph.graph(plan, pack)}


def after(jobs: Dict[str, Job]) -> Dict[str, List[str]]:
    return {name: list(job.after) for name, job in jobs.items()}


def planned(name: str, trains: List[int], infers: bool = True) -> ExperimentPlan:
    """Return the plan of a network, of whose groups some are to be trained."""
    experiment = EXPERIMENTS[name]
    checkpoints = [
        CheckpointPlan(group, Path(), group in trains) for group in experiment.checkpoint_groups
    ]
    return ExperimentPlan(experiment, checkpoints, infers, {"infer": "because"})


def plan_of(*plans: ExperimentPlan) -> planning.Plan:
    members: Dict[str, List[ExperimentPlan]] = {}
    for plan in plans:
        members.setdefault(plan.experiment.member, []).append(plan)
    return planning.Plan(None, [], row_counts.of_sample_world(), members, {}, "")


# --- what waits for what --------------------------------------------------------------------------


def test_parts_wait_for_the_parent_the_prediction_for_the_parts_and_the_blend_for_all(
    settings: Settings,
) -> None:
    jobs = jobs_of(settings)
    assert after(jobs) == {
        "joseph/907": [],
        "joseph/912": [],
        "joseph/912sep groups": ["joseph/912"],
        "joseph/912sep": ["joseph/912sep groups"],
        "zuiye/A": [],
        "blend": ["joseph/907", "joseph/912sep", "zuiye/A"],
    }
    assert [task.group for task in jobs["joseph/912sep groups"].tasks] == [0, 1, 2, 3, 4, 5, 6]
    assert "not made yet" in jobs["joseph/907"].why


def test_a_world_that_must_be_made_is_made_first(settings: Settings) -> None:
    plan = planning.Plan(
        Verdict(False, "not made yet"),
        [],
        row_counts.of_sample_world(),
        {
            "joseph": [
                planning._before_the_world(EXPERIMENTS["joseph/" + n]) for n in ("912", "912sep")
            ]
        },
        {"searched": Verdict(False, "later")},
        "",
    )
    jobs = {job.name: job for job in job_graph.graph(plan)}
    assert after(jobs) == {
        "sample world": [],
        "joseph/912": ["sample world"],
        "joseph/912sep groups": ["joseph/912"],
        "joseph/912sep": ["joseph/912sep groups"],
        "blend": ["joseph/912sep"],
    }
    assert len(jobs["joseph/912sep groups"].tasks) == 7


def test_only_groups_that_have_to_be_trained_are_in_the_array() -> None:
    parent = planned("joseph/912", [], infers=False)
    [parts, infers] = job_graph.graph(plan_of(parent, planned("joseph/912sep", [2, 5])))
    assert [task.group for task in parts.tasks] == [2, 5] and parts.after == ()
    given = sbatch_arguments.arguments(parts, sbatch_arguments.Allocation(), Path("/s"), Path("/w"))
    assert "--array=2,5" in given
    assert infers.after == (parts.name,)
    # Where all are trained, and where nothing is trained by design, one job predicts.
    [infers] = job_graph.graph(plan_of(parent, planned("joseph/912sep", [])))
    assert infers.name == "joseph/912sep" and not infers.is_array and not infers.after


def test_what_is_proven_by_receipts_is_no_job() -> None:
    assert job_graph.graph(plan_of(planned("joseph/912", [], infers=False))) == []


def test_packs_hold_what_waits_for_the_same_and_their_followers_wait_for_whole_packs(
    settings: Settings,
) -> None:
    jobs = jobs_of(settings, pack=4)
    names = {name: [task.name for task in job.tasks] for name, job in jobs.items()}
    assert names == {
        "pack 1": ["joseph/907", "joseph/912", "zuiye/A"],
        "pack 2": [f"joseph/912sep group {k}" for k in range(4)],
        "pack 3": [f"joseph/912sep group {k}" for k in range(4, 7)],
        "pack 4": ["joseph/912sep"],
        "blend": [],
    }
    assert after(jobs) == {
        "pack 1": [],
        "pack 2": ["pack 1"],
        "pack 3": ["pack 1"],
        "pack 4": ["pack 2", "pack 3"],
        "blend": ["pack 4"],
    }
    asked = sbatch_arguments.allocation({"PACK": "4"}, "auto")
    assert {"--exclusive", "--ntasks=3", "--gres=gpu:3"} <= set(asked.of(jobs["pack 1"]))
    assert "--exclusive" not in asked.of(jobs["pack 4"])


# --- the lines of sbatch --------------------------------------------------------------------------


def test_every_line_names_its_dependencies_and_comes_back_before_its_limit(
    settings: Settings,
) -> None:
    asked = sbatch_arguments.allocation({"HOURS": "24", "SLURM": "--account=a"}, "auto")
    submission = Submission(
        settings, settings.experiments(), list(jobs_of(settings).values()), asked
    )
    lines = submission.lines()
    commands = [shlex.split(line) for line in lines if line.strip().startswith("sbatch")]
    assert len(commands) == 6
    parts = next(words for words in commands if words[-1] == "joseph-912sep-groups.sh")
    assert {
        *("--parsable", "--requeue", "--open-mode=append", "--kill-on-invalid-dep=yes"),
        *("--signal=B:USR1@600", "--array=0,1,2,3,4,5,6", "--gres=gpu:1", "--time=1440"),
        *("--account=a", "--output=joseph-912sep-groups-%A_%a.log"),
        "--dependency=afterok:<joseph/912>,singleton",
    } <= set(parts)
    blend = commands[-1]
    assert not [word for word in blend if word.startswith(("--gres", "--signal"))]
    assert not submission.folder.exists()  # nothing is written either


def test_each_job_says_its_share_of_the_hours_of_its_network(settings: Settings) -> None:
    plan = planning.make(settings, settings.experiments(), with_blend=True)
    jobs = job_graph.graph(plan)
    costs = Costs(plan, jobs, settings)
    words = {job.name: costs.of(job) for job in jobs}
    assert words["joseph/912sep groups"].startswith("7 tasks of about ")
    assert words["joseph/907"].startswith("about ")
    assert words["blend"] == ""
    [total] = costs.lines(jobs)
    assert costs.estimator.hardware.name in total


def test_jobs_of_one_network_and_folder_share_a_name_and_no_others(tmp_path: Path) -> None:
    network = Job("adam/195", "adam-195", "")
    others = [Job("adam/197", "adam-197", ""), Job("joseph/195", "joseph-195", "")]

    def name(job: Job, results: Path) -> str:
        given = sbatch_arguments.arguments(job, sbatch_arguments.Allocation(), results, tmp_path)
        return next(word for word in given if word.startswith("--job-name="))

    (tmp_path / "same").symlink_to(tmp_path)
    assert name(network, tmp_path) == name(network, tmp_path / "same")
    names = {name(job, folder) for job in [network, *others] for folder in (tmp_path, Path("/s"))}
    assert len(names) == 6


@pytest.mark.parametrize(
    "hours, minutes, notice", [("24", 1440, 600), ("0.5", 30, 450), ("0.1", 6, 90), ("0.05", 3, 60)]
)
def test_a_short_job_is_told_later_to_save_its_state(hours: str, minutes: int, notice: int) -> None:
    asked = sbatch_arguments.allocation({"HOURS": hours}, "auto")
    assert (asked.minutes, asked.notice) == (minutes, notice)


def test_gpus_are_asked_for_once_and_a_cpu_needs_none() -> None:
    job = Job("adam/195", "adam-195", "", tasks=(Task(EXPERIMENTS["adam/195"]),))

    def gpus(device: str = "auto", **values: str) -> List[str]:
        words = sbatch_arguments.allocation(values, device).of(job)
        return [word for word in words if "gpu" in word]

    assert gpus() == ["--gres=gpu:1"]
    assert gpus(GPUS="4") == ["--gres=gpu:4"]
    assert gpus(device="cpu") == []
    assert gpus(SLURM="--gpus-per-node=a100:1") == ["--gpus-per-node=a100:1"]


@pytest.mark.parametrize(
    "value",
    [
        "--account=x ; touch executed",
        "--account x",
        "other.sh",
        "--wrap=reboot",
        "--dependency=afterany:1",
        "--dep=afterany:1",
        "-dafterany:1",
        "--array=0-9",
        "-o/dev/null",
        "--time=5",
        "-- x",
        "'open",
    ],
)
def test_what_would_change_the_graph_or_is_no_option_is_one_sentence(value: str) -> None:
    with pytest.raises(KitError) as error:
        sbatch_arguments.allocation({"SLURM": value}, "auto")
    assert error.value.where == "SLURM" and error.value.remedy


@pytest.mark.parametrize(
    "values, where",
    [
        ({"HOURS": "soon"}, "HOURS=soon"),
        ({"HOURS": "nan"}, "HOURS=nan"),
        ({"HOURS": "-1"}, "HOURS=-1"),
        ({"PACK": "4", "GPUS": "2"}, "PACK=4"),
    ],
)
def test_hours_and_packs_that_cannot_be_are_one_sentence(
    values: Dict[str, str], where: str
) -> None:
    with pytest.raises(KitError) as error:
        sbatch_arguments.allocation(values, "auto")
    assert error.value.where == where


# --- scripts --------------------------------------------------------------------------------------

HOSTILE = ["$(touch executed)", "'; touch executed; '", "`touch executed`", "a b", "$HOME", "*"]


@pytest.mark.process
def test_a_script_hands_on_what_it_is_given_and_runs_none_of_it(tmp_path: Path) -> None:
    words = job_script.shell_words(["printf", "%s\\n", *HOSTILE])
    script = job_script.alone(words, {"GIVEN": "$(touch executed)"})
    script = script.replace("cd --", f"cd -- {shlex.quote(str(tmp_path))} && : --")
    done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, cwd=str(tmp_path))
    assert done.returncode == 0 and done.stdout.decode().splitlines() == HOSTILE
    assert not list(tmp_path.iterdir())


@pytest.mark.process
@pytest.mark.parametrize(
    "commands, code",
    [(["exit 0", "exit 0"], 0), (["exit 2", "exit 0"], 2), (["exit 0", "exit 3", "exit 1"], 3)],
)
def test_a_pack_fails_if_one_of_its_commands_fails_and_waits_for_all(
    tmp_path: Path, commands: List[str], code: int
) -> None:
    (tmp_path / "srun").write_text('#!/bin/sh\nwhile [ "$1" != sh ]; do shift; done; exec "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    each = [
        job_script.shell_words(["sh", "-c", f"sleep 0.{3 - k}; echo {k} >>{tmp_path}/log; {one}"])
        for k, one in enumerate(commands)
    ]
    script = job_script.side_by_side(each, {}, gpus=1)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_CPUS_ON_NODE": "4"}
    assert subprocess.run(["bash", "-c", script], env=env).returncode == code
    assert len((tmp_path / "log").read_text().split()) == len(commands)


# --- submission -----------------------------------------------------------------------------------

# Answers like sbatch, and refuses the job whose script REFUSED names.
SBATCH = """#!/bin/sh
for script; do :; done
[ "$script" != "$REFUSED" ] || { echo "sbatch: error: Invalid account" >&2; exit 1; }
echo "$*" >>"$0.log"
echo "$(wc -l <"$0.log");cluster"
"""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the log of an sbatch on the PATH that writes down what it is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "squeue": '#!/bin/sh\ncat "$0.txt"\n'}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "squeue.txt").write_text("")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(member_command, "command", lambda *_: (["python"], {"LEAP_CODE": ""}))
    return folder / "sbatch.log"


def submission(settings: Settings, pack: int = 1) -> Submission:
    jobs = list(jobs_of(settings, pack).values())
    asked = sbatch_arguments.allocation({"PACK": str(pack)}, "auto")
    return Submission(settings, settings.experiments(), jobs, asked)


@pytest.mark.process
def test_jobs_are_submitted_with_the_ids_of_those_that_they_wait_for(
    settings: Settings, sbatch: Path
) -> None:
    submitting = submission(settings)
    ids = submitting.submit()
    lines = sbatch.read_text().splitlines()
    assert len(lines) == len(ids) == 6
    assert f"--dependency=afterok:{ids['joseph/912']},singleton" in lines[2]
    table = "\n".join(submitting.table(ids))
    assert f"joseph-912sep-groups-{ids['joseph/912sep groups']}_*.log" in table
    assert "scancel 1 2 3 4 5 6" in table and "make plan" in table
    assert (
        '--groups="$SLURM_ARRAY_TASK_ID"'
        in (submitting.folder / "joseph-912sep-groups.sh").read_text()
    )


@pytest.mark.process
def test_a_refused_job_ends_the_submission_and_the_submitted_ones_are_named(
    settings: Settings, sbatch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSED", "joseph-912sep-groups.sh")
    with pytest.raises(KitError) as error:
        submission(settings).submit()
    assert "Invalid account" in str(error.value) and "scancel 1 2" in error.value.remedy
    assert "joseph/907 (1), joseph/912 (2)" in error.value.what


@pytest.mark.process
def test_a_stopped_submission_names_what_is_submitted_and_submits_no_more(
    settings: Settings, sbatch: Path
) -> None:
    """The stop comes while the second job is being submitted."""
    stop = f'case "$*" in *joseph-912.sh) kill -TERM {os.getpid()}; sleep 0.1;; esac\n'
    program = sbatch.with_suffix("")
    program.write_text(SBATCH.replace("#!/bin/sh\n", f"#!/bin/sh\n{stop}"))
    with pytest.raises(KitError) as error:
        submission(settings).submit()
    assert "it was stopped" in error.value.what and "scancel 1 2`" in error.value.remedy
    assert len(sbatch.read_text().splitlines()) == 2


@pytest.mark.process
def test_packs_wait_for_all_that_an_earlier_submission_left_and_networks_for_packs(
    settings: Settings, sbatch: Path
) -> None:
    prefix = sbatch_arguments.queue_name(settings.results.root, "")
    queue = f"71 {prefix}zuiye-B\n72 {prefix}pack-1\n73 another\n"
    sbatch.with_name("squeue.txt").write_text(queue)
    submission(settings).submit()
    submission(settings, pack=4).submit()
    lines = sbatch.read_text().splitlines()
    assert "--dependency=afterany:72,singleton" in lines[0]
    assert "--dependency=afterok:2,singleton" in lines[2]
    assert "--dependency=afterany:71:72,singleton" in lines[6]
    assert "--dependency=afterok:7,singleton" in lines[7]


def test_without_sbatch_nothing_is_made_and_docker_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KitError, match="sbatch is not on the PATH"):
        job_submission.run(settings, {"SUBMIT": "1"})
    assert not (tmp_path / "outputs").exists()
    with pytest.raises(KitError, match="cannot start Docker's containers"):
        choose_for_jobs("reproduce", {"RUNTIME": "docker"})
