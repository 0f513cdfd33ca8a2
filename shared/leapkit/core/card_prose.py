"""What every card says in the same words: its use, its limits, its licence, what to cite."""

INTENDED = """\
An emulator of the physics of an atmospheric column in E3SM-MMF (ClimSim, low resolution, 60 levels,
a step of 1,200 s): a column's state goes in, its tendencies and surface fluxes come out, in raw
units. It is a reproduction of the 2nd place of Kaggle's LEAP competition, or stands beside it.

## Use

Intended: research on emulators, offline skill on ClimSim's columns, a member of a blend, a starting
point for fine-tuning. Not intended: forecasts, or a coupled model without a test of its stability.
The kit loads it (`leapkit.load`, `make predict`) and makes files of it for other programs
(`make export`).

"""
LIMITS = """\
## Limits

It is made for columns of E3SM-MMF at low resolution, in today's climate. Offline skill does not
say that a coupled run is stable: that was not tried. Columns of another model, of other levels, or
of a climate that the training set does not hold, are beyond what it knows.

R2 is Kaggle's: of all rows in one, in raw units, over all 368 targets, of which 76 are no network's
own: 60 are 0 and 16 are a formula of the inputs. It hides what a map shows: `make evaluate` judges
by variable, level, latitude and region.

"""
REDUCED = """\
This one has sample size and was trained on a small world: its scores say nothing of the team's.

"""
LICENCE = """\
## Licence

The kit is MIT. ClimSim is CC-BY-4.0, and Kaggle's files are under the competition's rules. The
team's own checkpoints have no licence. Whoever trained a checkpoint says what others may do with
it; this card does not.

"""
CITATION = """\
## Citation

The data: Yu and others, ClimSim: A large multi-scale dataset for hybrid physics-ML climate
emulation, NeurIPS 2023, Datasets and Benchmarks ([arXiv 2306.08754](https://arxiv.org/abs/2306.08754)).
The solution: [2nd-kaggle-LEAP](https://github.com/ChunhanLi/2nd-kaggle-LEAP), commit df6df33.
The kit's CITATION.cff has both.
"""
