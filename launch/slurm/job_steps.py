"""What each batch job runs: the commands of the members, of the blend and of the sample world."""

from __future__ import annotations

from typing import Dict, List, Tuple

from launch import blend_tools, step_arguments
from launch.registry import Registry
from launch.settings import Settings
from launch.slurm import job_script, member_command
from launch.slurm.job_graph import WORLD, Job, Task

Command = Tuple[List[str], Dict[str, str]]  # what runs, and what it adds to the environment


def script(job: Job, settings: Settings, experiments: Registry, gpus: int) -> str:
    """Return the script of a job, whose environment is made first.

    experiments  those of the run, which a search of weights may choose from
    gpus         of each command where several share a node
    """
    if not job.tasks:
        argv, variables = _world(settings) if job.name == WORLD else _blend(settings, experiments)
        return job_script.alone(job_script.shell_words(argv), variables)
    if job.width > 1:
        commands = [_network(settings, task) for task in job.tasks]
        words = [job_script.shell_words(argv) for argv, _ in commands]
        return job_script.side_by_side(words, commands[0][1], gpus)  # variables of any member
    task = Task(job.tasks[0].experiment) if job.is_array else job.tasks[0]
    argv, variables = _network(settings, task)
    return job_script.alone(job_script.shell_words(argv, job.is_array), variables)


def _network(settings: Settings, task: Task) -> Command:
    """Return a member's command for one network, or for one group of its targets."""
    experiment = task.experiment
    arguments = [*step_arguments.member_arguments(settings, [experiment]), "--alone"]
    if task.group >= 0:
        arguments.append(f"--groups={task.group}")
    return member_command.command(settings, experiment.member, arguments)


def _world(settings: Settings) -> Command:
    return member_command.command(settings, "world", blend_tools.world_arguments(settings))


def _blend(settings: Settings, experiments: Registry) -> Command:
    arguments = step_arguments.blend_arguments(settings, experiments, blend_tools.tables(settings))
    return member_command.command(settings, "blend", arguments)
