"""python -m members.max2020 reproduce|infer-only: train and apply max2020's networks."""

from functools import partial

from leapkit.core.errors import run_cli
from leapkit.run.member import main
from members.max2020.experiments import EXPERIMENTS
from members.max2020.networks import build

if __name__ == "__main__":
    run_cli(partial(main, "max2020", EXPERIMENTS, build))
