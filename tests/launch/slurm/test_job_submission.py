"""The lines of sbatch, shown and submitted."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from launch.settings import Settings, choose_for_jobs
from launch.slurm import job_submission, member_command, sbatch_arguments
from launch.slurm.job_submission import Submission
from leapkit.core.errors import KitError
from tests.launch.slurm.conftest import jobs_of

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
