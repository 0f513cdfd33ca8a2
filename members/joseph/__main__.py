"""python -m members.joseph reproduce|infer-only: joseph's networks on their own, in a container or without one."""

from functools import partial

from leapkit.core.errors import run_cli
from leapkit.run.member import main
from members.joseph.experiments import EXPERIMENTS
from members.joseph.networks import build

if __name__ == "__main__":
    run_cli(partial(main, "joseph", EXPERIMENTS, build))
