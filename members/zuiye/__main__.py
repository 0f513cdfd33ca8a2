"""python -m members.zuiye reproduce|infer-only: train and apply zuiye's networks."""

from functools import partial

from leapkit.core.errors import run_cli
from leapkit.run.member import main
from members.zuiye.experiments import EXPERIMENTS
from members.zuiye.networks import build

if __name__ == "__main__":
    run_cli(partial(main, "zuiye", EXPERIMENTS, build))
