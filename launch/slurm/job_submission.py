"""make slurm: shows the plan as lines of sbatch, and with SUBMIT=1 submits them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from types import MappingProxyType
from typing import Dict, List, Mapping, Sequence

from launch import machine, options, planning
from launch.plan_lines import line
from launch.registry import Registry
from launch.run import show
from launch.settings import Settings, sample_world
from launch.slurm import job_graph, job_steps, sbatch_arguments
from launch.slurm.costs import Costs
from launch.slurm.job_graph import PACK, Job
from launch.slurm.sbatch_arguments import Allocation
from leapkit.core import file_lock, stops
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import write_text
from leapkit.core.layout import Results

SBATCH_SECONDS = 120.0  # for an answer of the controller, which may be busy


def run(settings: Settings, requested: Mapping[str, str]) -> int:
    """Show the jobs of what `make plan` would run; submit them if SUBMIT=1. Return the exit code.

    Raises KitError if an experiment cannot run or if a job is refused.
    """
    asked = sbatch_arguments.allocation(requested, settings["DEVICE"])
    submits = requested.get("SUBMIT") == "1"
    if submits:
        require_slurm()
    show(settings.lines())
    experiments = settings.experiments()
    plan = planning.make(settings, experiments, with_blend=True)
    show(plan.lines())
    job_graph.require_possible(plan)
    jobs = job_graph.graph(plan, asked.pack)
    if not jobs:
        print("nothing to submit: every step is proven by its receipt", flush=True)
        return 0
    costs = Costs(plan, jobs, settings)
    in_words = {job.name: costs.of(job) for job in jobs}
    submission = Submission(settings, experiments, jobs, asked, in_words)
    show(["", *submission.lines(), "", *costs.lines(jobs)])
    if submits:
        show(submission.table(submission.submit()))
    else:
        print(f"nothing is submitted: {len(jobs)} jobs; SUBMIT=1 submits them", flush=True)
    return 0


class Submission:
    """The jobs of one plan, as Slurm takes them.

    settings     the choices of the run
    experiments  those of the run, which a search of weights may choose from
    jobs         in an order in which each comes after those that it waits for
    costs        {job: its hours and GPU hours in words}
    """

    def __init__(
        self,
        settings: Settings,
        experiments: Registry,
        jobs: Sequence[Job],
        asked: Allocation,
        costs: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._experiments = experiments
        self._jobs = jobs
        self._asked = asked
        self._costs = costs
        self.folder = folder(settings.results)

    def lines(self) -> List[str]:
        """Return what would be submitted, and why; a job that others wait for is named <so>."""
        shown = [f"cd {shlex.quote(str(self.folder))}"]
        for job in self._jobs:
            names = ", ".join(task.name for task in job.tasks) if job.width > 1 else ""
            words = [job.why, names, self._costs.get(job.name, "")]
            shown += [line("" if k else job.name, text) for k, text in enumerate(words) if text]
            after = [f"<{name}>" for name in job.after]
            command = self._sbatch(job, sbatch_arguments.dependency(after))
            shown.append("  " + " ".join(_shown(word) for word in command))
        return shown

    def submit(self) -> Dict[str, str]:
        """Submit all jobs and return {name: id}.

        The environments are made and every script is written before the first. Raises KitError if
        sbatch is missing or refuses one; it names those that are submitted.
        """
        require_slurm()
        scripts = {
            job.name: job_steps.script(job, self._settings, self._experiments, self._asked.gpus)
            for job in self._jobs
        }
        with file_lock.hold(self.folder / ".lock"), explain_os_errors(self.folder):
            for job in self._jobs:
                write_text(self.folder / f"{job.file}.sh", scripts[job.name])
            return self._submit_all(self._in_queue())

    def table(self, ids: Mapping[str, str]) -> List[str]:
        """Return what was submitted, where it writes, and how to look at it and to end it."""
        rows = [f"{'job':<28} {'id':<10} {'after':<22} log"]
        for job in self._jobs:
            after = ",".join(ids[name] for name in job.after)
            number = f"{ids[job.name]}_*" if job.is_array else ids[job.name]
            rows.append(f"{job.name:<28} {ids[job.name]:<10} {after:<22} {job.file}-{number}.log")
        together = ",".join(ids.values())
        return [
            *rows,
            f"logs: {self.folder}",
            f"look: squeue --jobs={together}; what remains to do: make plan",
            f"end:  scancel {together.replace(',', ' ')}",
        ]

    def _sbatch(self, job: Job, dependency: Sequence[str]) -> List[str]:
        results = self._settings.results.root
        given = sbatch_arguments.arguments(job, self._asked, results, sample_world())
        return ["sbatch", *given, *dependency, f"{job.file}.sh"]

    def _in_queue(self) -> Dict[str, str]:
        """Return {id: name} of this folder's jobs that earlier submissions left in the queue."""
        prefix = sbatch_arguments.queue_name(self._settings.results.root, "")
        answer = machine.ask(["squeue", "--me", "--noheader", "--format=%F %j"], SBATCH_SECONDS)
        rows = [row.split(None, 1) for row in answer.output.splitlines()]
        return {row[0]: row[1].strip() for row in rows if row[1:] and row[1].startswith(prefix)}

    def _submit_all(self, in_queue: Mapping[str, str]) -> Dict[str, str]:
        """Submit one job after the other. A stop takes effect between two: no id is lost."""
        submitted: Dict[str, str] = {}
        with stops.collected() as stopping:
            for job in self._jobs:
                try:
                    if stopping:
                        raise KitError("it was stopped", "the submission", "submit again")
                    submitted[job.name] = self._submit(job, submitted, in_queue)
                except KitError as error:
                    raise _unfinished(error, submitted) from error
        return submitted

    def _submit(self, job: Job, submitted: Mapping[str, str], in_queue: Mapping[str, str]) -> str:
        """Submit one job and return its id."""
        packs = sbatch_arguments.queue_name(self._settings.results.root, PACK)
        is_pack = job.queue.startswith(PACK)
        # Jobs of a network wait for each other by their name. A pack holds several networks.
        earlier = [number for number, name in in_queue.items() if is_pack or name.startswith(packs)]
        after = [submitted[name] for name in job.after]
        dependency = sbatch_arguments.dependency(after, [] if after else earlier)
        command = self._sbatch(job, dependency)
        done = subprocess.run(
            command,
            cwd=str(self.folder),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            start_new_session=True,  # a terminal's Ctrl-C does not reach it
            text=True,
            errors="backslashreplace",
        )
        number = done.stdout.strip().partition(";")[0]  # of several clusters: 17;name
        if done.returncode or not number.isdecimal():
            said = " ".join((done.stderr + done.stdout).split()) or f"code {done.returncode}"
            raise KitError(f"sbatch refuses it ({said})", job.name, "look at SLURM, HOURS and GPUS")
        return number


def folder(results: Results) -> Path:
    """Return where scripts and logs of batch jobs lie."""
    return results.root / "outputs" / "slurm"


def require_slurm() -> None:
    """Raise KitError if there is no sbatch on the PATH."""
    if not shutil.which("sbatch"):
        remedy = "run it on a login node of the cluster, or without SUBMIT=1 to see the lines"
        raise KitError("sbatch is not on the PATH", "SUBMIT=1", remedy)


def _unfinished(error: KitError, submitted: Mapping[str, str]) -> KitError:
    """Return the error with what was submitted before it, and how to take that back."""
    if not submitted:
        return error
    jobs = ", ".join(f"{name} ({number})" for name, number in submitted.items())
    what = f"{error.what}; {len(submitted)} jobs were submitted before it: {jobs}"
    remedy = f"end them with `scancel {' '.join(submitted.values())}`, or let them run"
    return KitError(what, error.where, f"{remedy}; then submit again")


def _environment() -> Dict[str, str]:
    """Return the environment that jobs inherit: without what make and the launcher add."""
    own = (*options.OPTIONS, *options.PASSED_ON.values(), "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    return {
        name: value
        for name, value in machine.plain_environment().items()
        if name not in own and name not in ("LEAP_PARENT", options.TYPED)
    }


def _shown(word: str) -> str:
    """Return a word as a shell takes it; <names> of jobs stay readable."""
    return word if word.startswith("--dependency=") else shlex.quote(word)
