"""python -m members.joseph reproduce|infer-only: train and apply joseph's networks."""

from functools import partial

from leapkit.core.errors import run_cli
from leapkit.run.member import main
from members.joseph.experiments import EXPERIMENTS
from members.joseph.networks import build

if __name__ == "__main__":
    run_cli(partial(main, "joseph", EXPERIMENTS, build))
