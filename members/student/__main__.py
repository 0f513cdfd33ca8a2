"""python -m members.student reproduce: train and apply the kit's own small network."""

from functools import partial

from leapkit.core.errors import run_cli
from leapkit.run.member import main
from members.student.experiments import EXPERIMENTS
from members.student.networks import build

if __name__ == "__main__":
    run_cli(partial(main, "student", EXPERIMENTS, build))
