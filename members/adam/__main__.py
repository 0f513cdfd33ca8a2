"""python -m members.adam reproduce|infer-only: train and apply adam's networks."""

from functools import partial

from leapkit.core.errors import run_cli
from leapkit.run.member import main
from members.adam.experiments import EXPERIMENTS
from members.adam.networks import build

if __name__ == "__main__":
    run_cli(partial(main, "adam", EXPERIMENTS, build))
