"""One accumulator for everything that a page about an emulator shows."""

from __future__ import annotations

from typing import Dict, Sequence, Union

import numpy as np

from leapkit.climate import by_region, scores, sections
from leapkit.climate.diagnostics import DIAGNOSTICS, diagnose, needed_inputs
from leapkit.climate.energy_units import energy_fluxes
from leapkit.climate.errors import GroupedErrors
from leapkit.climate.grid import Grid, layer_mass
from leapkit.climate.precipitation import PrecipitationCounts
from leapkit.climate.regions import CELLS, REGIONS, cells_of
from leapkit.climate.results import EvaluationResult
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError

QUANTITIES = len(TARGETS) + len(DIAGNOSTICS)
_CHUNK_ROWS = 4096  # of a block at a time: bounds the work space, whatever is added at once
_PRECIPITATION = len(TARGETS) + [name for name, _ in DIAGNOSTICS].index("precipitation")


class Evaluation:
    """The sums of all metrics of one network's or blend's predictions on a grid.

    Their memory is bounded by the grid and the number of months, not by the rows: 16 MB for 384
    columns, 0.2 MB a month and some 80 MB to work in. Two objects of the same grid merge, so that
    several processes may add parts; any split of the rows gives the same numbers to rounding
    (tests/climate/test_evaluation.py).
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._raw = GroupedErrors(grid.columns, QUANTITIES)  # per column, raw units
        self._energy = GroupedErrors(grid.columns, len(TARGETS))  # per column, W/m2
        self._months: Dict[str, GroupedErrors] = {}  # per cell, raw units, weighted by area
        self._rain = PrecipitationCounts()
        self._ps = GroupedErrors(grid.columns, 1)  # surface pressure, as its truth

    def add(
        self,
        inputs: np.ndarray,
        truth: np.ndarray,
        prediction: np.ndarray,
        columns: np.ndarray,
        months: Union[str, Sequence[str]],
    ) -> None:
        """Add rows.

        inputs             (n, 556) in raw units, Kaggle order; float64, or float32 of a CSV
        truth, prediction  (n, 368) in raw units, Kaggle order: K/s, kg/kg/s, m/s2, W/m2, m/s
        columns            (n,) int, the grid column of each row: in step files row % C
        months             YYYY-MM of all rows, or of each, (n,)

        Raises KitError for numbers that are not finite, and for columns outside the grid.
        """
        columns = np.asarray(columns)
        outside = columns[(columns < 0) | (columns >= self.grid.columns)]
        if len(outside):
            raise KitError(
                f"a row is of column {outside[0]} of a grid of {self.grid.columns}",
                self.grid.source,
                "give the grid that belongs to the step files",
            )
        labels = np.broadcast_to(np.asarray(months), columns.shape)
        # Whole steps at a time, so that each column has as many rows.
        size = max(1, _CHUNK_ROWS // self.grid.columns) * self.grid.columns
        for start in range(0, len(columns), size):
            part = slice(start, start + size)
            self._add(inputs[part], truth[part], prediction[part], columns[part], labels[part])

    def _add(
        self,
        inputs: np.ndarray,
        truth: np.ndarray,
        prediction: np.ndarray,
        columns: np.ndarray,
        months: np.ndarray,
    ) -> None:
        truth = _finite(truth, "truth")
        prediction = _finite(prediction, "prediction")
        known = needed_inputs(inputs)
        mass = layer_mass(self.grid, known["state_ps"])  # (n, 60)
        y = np.concatenate([truth, diagnose(known, truth, mass)], axis=1)
        p = np.concatenate([prediction, diagnose(known, prediction, mass)], axis=1)
        self._raw.add(columns, y, p)
        self._energy.add(columns, energy_fluxes(truth, mass), energy_fluxes(prediction, mass))
        self._ps.add(columns, known["state_ps"][:, None], known["state_ps"][:, None])
        weights = self.grid.area_weights[columns]
        cells = cells_of(self.grid.lat[columns], known)
        self._rain.add(cells, y[:, _PRECIPITATION], p[:, _PRECIPITATION], weights)
        for month in np.unique(months):
            rows = months == month
            cell_errors = self._of_month(str(month))
            cell_errors.add(cells[rows], y[rows], p[rows], weights[rows])

    def _of_month(self, month: str) -> GroupedErrors:
        return self._months.setdefault(month, GroupedErrors(CELLS, QUANTITIES))

    def merge(self, other: Evaluation) -> None:
        """Add the rows of another evaluation. Raises ValueError unless it has the same grid."""
        if not np.array_equal(self.grid.lat, other.grid.lat):
            raise ValueError("the evaluations are of different grids")
        self._raw.merge(other._raw)
        self._energy.merge(other._energy)
        self._ps.merge(other._ps)
        self._rain.merge(other._rain)
        for month, cell_errors in other._months.items():
            self._of_month(month).merge(cell_errors)

    def result(self) -> EvaluationResult:
        """Return all numbers of the rows so far. Raises KitError if there are none."""
        if not self._months:
            raise KitError(
                "holds no rows to evaluate",
                self.grid.source,
                "give predictions of rows with a truth",
            )
        targets = scores.target_scores(self._energy, self._raw, self.grid)
        kaggle, predicted = scores.kaggle_means(targets.kaggle_r2)
        return EvaluationResult(
            rows=int(self._raw.rows.sum()),
            columns=int((self._raw.rows > 0).sum()),
            months=tuple(sorted(self._months)),
            grid_source=self.grid.source,
            latitude=self.grid.lat,
            longitude=self.grid.lon,
            kaggle=kaggle,
            kaggle_predicted=predicted,
            targets=targets,
            variables=scores.variable_scores(targets),
            sections=sections.zonal_sections(self._raw, self._ps, self.grid),
            maps=sections.column_maps(self._raw),
            precipitation={region: self._rain.pdf(region) for region in REGIONS},
            regions=by_region.region_scores(self._months),
            budgets=by_region.budgets(self._months),
        )


def _finite(targets: np.ndarray, what: str) -> np.ndarray:
    """Return targets (n, 368) as float64. Raises KitError that names the first one not finite."""
    finite = np.isfinite(targets).all(axis=0)
    if not finite.all():
        name = TARGETS[int(np.argmin(finite))]
        raise KitError(
            f"the {what} of {name} is not finite", "", "make these rows again, or leave them out"
        )
    return np.asarray(targets, dtype=np.float64)
