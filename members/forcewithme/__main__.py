"""python -m members.forcewithme reproduce|infer-only: train and apply forcewithme's networks."""

from functools import partial

from leapkit.core.errors import run_cli
from leapkit.run.member import main
from members.forcewithme.experiments import EXPERIMENTS
from members.forcewithme.networks import build

if __name__ == "__main__":
    run_cli(partial(main, "forcewithme", EXPERIMENTS, build))
