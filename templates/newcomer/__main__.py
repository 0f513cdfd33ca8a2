"""python -m templates.newcomer reproduce|infer-only: train and apply its networks."""

from functools import partial

from leapkit.core.errors import run_cli
from leapkit.run.member import main
from templates.newcomer.experiments import EXPERIMENTS
from templates.newcomer.networks import build

if __name__ == "__main__":
    run_cli(partial(main, "newcomer", EXPERIMENTS, build))
