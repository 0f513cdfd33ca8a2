"""What SLURM, HOURS, GPUS and PACK say, and the arguments of sbatch that follow from it."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Sequence, Tuple

from launch.slurm.job_graph import WORLD, Job
from leapkit.core.errors import KitError

# Seconds before the time limit at which a job is told to save its state, and the least of them.
NOTICE = 600
LEAST_NOTICE = 60
# What the kit says itself: without it a job would not wait, not come again or not be found.
_LONG = (
    *("job-name", "dependency", "array", "output", "error", "parsable", "wrap", "chdir", "signal"),
    *("kill-on-invalid-dep", "open-mode", "no-requeue", "requeue", "export", "export-file"),
    *("test-only", "wait", "hold", "help", "usage", "version", "input", "ntasks"),
)
_SHORT = "JdaoeDWHhVin"
_OF_GPUS = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")


@dataclass(frozen=True)
class Allocation:
    """What each job asks Slurm for.

    options  SLURM: arguments of sbatch, a word each
    hours    HOURS: the time limit; 0 leaves it to the partition
    gpus     GPUS of one network
    pack     PACK: networks that share a node
    """

    options: Tuple[str, ...] = ()
    hours: float = 0.0
    gpus: int = 0
    pack: int = 1

    @property
    def minutes(self) -> int:
        """The time limit in whole minutes, as Slurm counts it."""
        return max(1, round(self.hours * 60))

    @property
    def notice(self) -> int:
        """Seconds before the limit at which the state is saved: a quarter of a short job."""
        if not self.hours:
            return NOTICE
        return max(LEAST_NOTICE, min(NOTICE, self.minutes * 60 // 4))

    @property
    def names_gpus(self) -> bool:
        """Whether SLURM itself says how many GPUs a job gets."""
        return any(name in _OF_GPUS or word.startswith("-G") for name, word in _named(self.options))

    def of(self, job: Job) -> List[str]:
        """Return the arguments that reserve cores, GPUs and hours for a job."""
        arguments = list(self.options) + ["--nodes=1", f"--ntasks={job.width}"]
        if job.width > 1:
            arguments.append("--exclusive")
        if job.tasks and self.gpus and not self.names_gpus:
            arguments.append(f"--gres=gpu:{self.gpus * job.width}")
        if self.hours:
            arguments.append(f"--time={self.minutes}")
        return arguments


def allocation(values: Mapping[str, str], device: str) -> Allocation:
    """Return what the variables of `make slurm` ask for. Raises KitError for a value that is none.

    device  DEVICE: on a CPU a network needs no GPU
    """
    pack = int(values.get("PACK", "1"))
    gpus = 0 if device == "cpu" else int(values.get("GPUS", "1"))
    if pack > 1 and gpus > 1:
        what = "puts several networks of one GPU each on a node"
        raise KitError(what, f"PACK={pack}", f"leave out PACK or GPUS={gpus}")
    return Allocation(_options(values.get("SLURM", "")), _hours(values), gpus, pack)


def _hours(values: Mapping[str, str]) -> float:
    text = values.get("HOURS", "")
    if not text:
        return 0.0
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if 0.05 <= hours <= 1000:
        return hours
    what = "is no number of hours from 0.05 to 1000"
    raise KitError(what, f"HOURS={text}", "write the time limit of a job, as HOURS=24")


def _options(text: str) -> Tuple[str, ...]:
    """Return the words of SLURM. Raises KitError for one that would not reach sbatch as meant."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise KitError(str(error).lower(), "SLURM", "close the quotes") from error
    for name, word in _named(words):
        if not name:
            remedy = "write each option as one word, as --account=NAME"
            raise KitError(f"{word!r} is no option of sbatch", "SLURM", remedy)
        if _is_reserved(name, word):
            raise KitError(f"{word!r} is set by the kit itself", "SLURM", "leave it out")
    if "time" in dict(_named(words)):
        raise KitError("a job's time limit has a variable of its own", "SLURM", "write HOURS=24")
    return tuple(words)


def _named(words: Sequence[str]) -> List[Tuple[str, str]]:
    """Return (name, word) of options: `account` of --account=x, `A` of -Ax, "" of what is none."""
    named = []
    for word in words:
        name = word[2:].partition("=")[0] if word.startswith("--") else word[1:2]
        named.append((name if word.startswith("-") else "", word))
    return named


def _is_reserved(name: str, word: str) -> bool:
    if not word.startswith("--"):
        return name in _SHORT or name == "t"
    # sbatch takes the beginning of a name for the name.
    return any(reserved.startswith(name) for reserved in _LONG)


def arguments(job: Job, asked: Allocation, results: Path, world: Path) -> List[str]:
    """Return the arguments of sbatch for a job but for what it depends on.

    results, world  the folders of the results and of the sample world, which name its queue
    """
    number = "%A_%a" if job.is_array else "%j"
    name = queue_name(world if job.name == WORLD else results, job.queue)
    given = ["--parsable", f"--job-name={name}", f"--output={job.file}-{number}.log"]
    given += ["--open-mode=append", "--requeue"]
    if job.tasks:
        given.append(f"--signal=B:USR1@{asked.notice}")
    if job.is_array:
        given.append("--array=" + ",".join(str(task.group) for task in job.tasks))
    return given + asked.of(job)


def queue_name(folder: Path, queue: str) -> str:
    """Return a job's name: jobs of one name, of which one runs at a time, share a folder."""
    digest = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return f"leap-{digest[:8]}-{queue}"


def dependency(after: Sequence[str], earlier: Sequence[str] = ()) -> List[str]:
    """Return what a job waits for: all of it, as Slurm reads the comma.

    after    jobs that must end well: if one fails, this one is cancelled
    earlier  jobs of other submissions, which must only have ended; those of its own name too
    """
    words = [":".join(["afterok", *after])] if after else []
    words += [":".join(["afterany", *earlier])] if earlier else []
    return ["--dependency=" + ",".join([*words, "singleton"]), "--kill-on-invalid-dep=yes"]
