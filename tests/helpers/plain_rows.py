"""The rows of a small world, plainly: netCDF4, numpy and the facts, and nothing of leapkit.

Sources: docs/reference/data_pipeline.md, and docs/reference/pools.md for the order of an epoch. All
is in memory; a row is (556,) inputs and (368,) targets in network order.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

STATES = ["state_t", "state_q0001", "state_q0002", "state_q0003", "state_u", "state_v"]
ALBEDOS = [f"cam_in_{name}" for name in ("ALDIF", "ALDIR", "ASDIF", "ASDIR", "LWUP")]
FRACTIONS = [f"cam_in_{name}" for name in ("ICEFRAC", "LANDFRAC", "OCNFRAC", "SNOWHLAND")]
SUN_AND_FLUXES = [f"pbuf_{name}" for name in ("SOLIN", "LHFLX", "SHFLX", "TAUX", "TAUY", "COSZRS")]
SCALARS = ["state_ps", *SUN_AND_FLUXES, *ALBEDOS, *FRACTIONS]
GASES = ["pbuf_ozone", "pbuf_CH4", "pbuf_N2O"]
TENDENCIES = [state.replace("state", "ptend") for state in STATES]
OUT = ("NETSW", "FLWDS", "PRECSC", "PRECC", "SOLS", "SOLL", "SOLSD", "SOLLD")
FLUXES = [f"cam_out_{name}" for name in OUT]


def levels(names: Sequence[str]) -> List[str]:
    return [f"{name}_{level}" for name in names for level in range(60)]


# Network order: scalars first, in inputs and in targets.
INPUTS = SCALARS + levels(STATES) + levels(GASES)
TARGETS = FLUXES + levels(TENDENCIES)
ZERO = [f"{name}_{level}" for name in TENDENCIES[1:] for level in range(12)]
LINEAR = [f"ptend_q0002_{level}" for level in range(12, 28)]
GROUPS = [list(range(8))] + [list(range(8 + 60 * g, 68 + 60 * g)) for g in range(6)]

Rows = Tuple[np.ndarray, np.ndarray]  # inputs (n, 556), targets (n, 368), float32


class World:
    """A data set that has a split.json, with the statistics of one family."""

    def __init__(self, raw: Path, family: str) -> None:
        self._months = raw / "ClimSim_low-res" / "train"
        self._split = json.loads((raw / "split.json").read_text())
        folder = raw / "statistics" / family
        mean, std = (json.loads((folder / f"{name}.json").read_text()) for name in ("mean", "std"))
        with open(raw / "kaggle-data" / "sample_submission_old.csv") as file:
            weight: Dict[str, Any] = next(csv.DictReader(file))
        rounded = np.float32 if family == "fdzm" else np.float64
        self.input_mean, self.input_std = (
            np.array([table[name] for name in INPUTS]).astype(rounded).astype(np.float64)
            for table in (mean, std)
        )
        self.target_mean, self.target_std = (
            np.array([table[name] for name in TARGETS]) for table in (mean, std)
        )
        self.weight = np.array([float(weight[name]) for name in TARGETS])

    def training(self, first_month: str, fraction: float, seed: int) -> List[Rows]:
        """Return the selected rows of each step, in the order of time."""
        steps: List[Rows] = []
        for month in sorted(self._split["train"]):
            if month >= first_month:
                steps += self._selected(month, self._steps(month), fraction, seed)
        return steps

    def validation(self) -> Rows:
        months = sorted(self._split["validation"])
        steps = [step for month in months for step in self._steps(month)]
        return joined(steps[:: self._split["validation_stride"]])

    def _selected(self, month: str, steps: List[Rows], fraction: float, seed: int) -> List[Rows]:
        """Return a share of a month's rows, drawn from (seed, YYYYMM) without replacement."""
        columns = len(steps[0][0])
        total = columns * len(steps)
        order = np.random.RandomState([seed, int(month[:4] + month[5:])]).permutation(total)
        chosen = set(order[: int(fraction * total)].tolist())
        kept = [[c for c in range(columns) if k * columns + c in chosen] for k in range(len(steps))]
        return [(x[rows], y[rows]) for (x, y), rows in zip(steps, kept)]

    def _steps(self, month: str) -> List[Rows]:
        files = sorted((self._months / month).glob("*.mli.*.nc"))
        return [self._step(file, Path(str(file).replace(".mli.", ".mlo."))) for file in files]

    def _step(self, before_file: Path, after_file: Path) -> Rows:
        import netCDF4

        with netCDF4.Dataset(str(before_file)) as before, netCDF4.Dataset(str(after_file)) as after:
            x = np.concatenate([_values(before, name) for name in SCALARS + STATES + GASES], axis=1)
            tendencies = [(_values(after, s) - _values(before, s)) / 1200 for s in STATES]
            y = np.concatenate([_values(after, name) for name in FLUXES] + tendencies, axis=1)
        return (
            ((x - self.input_mean) / self.input_std).astype(np.float32),
            ((y * self.weight - self.target_mean) / self.target_std).astype(np.float32),
        )


def _values(file: Any, name: str) -> np.ndarray:
    """Return (n, 60) or (n, 1) float64 of a variable (60, n) or (n,)."""
    values = np.asarray(file[name][:], dtype=np.float64)
    return values.T if values.ndim == 2 else values[:, None]


def joined(parts: Sequence[Rows]) -> Rows:
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def shuffled(steps: Sequence[Rows], pool: int, seed: int, epoch: int) -> Rows:
    """Return all rows in the order of an epoch.

    Source: docs/reference/pools.md, "The order of an epoch".
    """
    pools: Dict[int, List[int]] = {}
    rows = 0
    for step in np.random.RandomState([seed, epoch]).permutation(len(steps)).tolist():
        rows += len(steps[step][0])
        pools.setdefault((rows - 1) // pool, []).append(step)
    mixed = []
    for k, members in enumerate(pools.values()):
        x, y = joined([steps[step] for step in sorted(members)])
        order = np.random.RandomState([seed, epoch, 0, k]).permutation(len(x))
        mixed.append((x[order], y[order]))
    return joined(mixed)


def r2(world: World, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return R2 per target (368,) of standardised values by the team's rules."""
    y = truth.astype(np.float64)
    p = prediction.astype(np.float64)
    about_mean = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    residual = ((y - p) ** 2).sum(axis=0)
    of_raw_zero = ((y + world.target_mean / world.target_std) ** 2).sum(axis=0)
    score = np.zeros(len(TARGETS))
    for k, name in enumerate(TARGETS):
        if name in ZERO or name in LINEAR:
            score[k] = 1.0
        elif about_mean[k] == 0:
            score[k] = float(residual[k] == 0)
        else:
            score[k] = 1 - residual[k] / about_mean[k]
            if score[k] <= 0:
                score[k] = max(score[k], 1 - of_raw_zero[k] / about_mean[k])
    return score
