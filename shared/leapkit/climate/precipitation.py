"""How often it rains how hard: the distribution of precipitation of truth and prediction."""

from __future__ import annotations

import numpy as np

from leapkit.climate.regions import CELLS, in_region
from leapkit.climate.results import PrecipitationPdf

# mm/day; ten bins a decade, from a drizzle that nobody measures to more than any grid column had.
EDGES: np.ndarray = np.logspace(-3, 3, 61)


class PrecipitationCounts:
    """Weighted counts of rows in bins of PRECC, per cell of regions.

    truth, prediction  (CELLS, 62): below the first edge (dry, negative), the bins, above the last
    """

    def __init__(self) -> None:
        self.truth = np.zeros((CELLS, len(EDGES) + 1))
        self.prediction = np.zeros((CELLS, len(EDGES) + 1))

    def add(
        self, cell: np.ndarray, truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray
    ) -> None:
        """Add rows: cell (n,) of 0..CELLS-1, truth and prediction (n,) in mm/day, weights (n,)."""
        for counts, values in ((self.truth, truth), (self.prediction, prediction)):
            bins = np.searchsorted(EDGES, values, side="right")
            flat = np.bincount(cell * counts.shape[1] + bins, weights, minlength=counts.size)
            counts += flat.reshape(counts.shape)

    def merge(self, other: PrecipitationCounts) -> None:
        self.truth += other.truth
        self.prediction += other.prediction

    def pdf(self, region: str) -> PrecipitationPdf:
        """Return the distribution of a region, one of regions.REGIONS; NaN if it has no rows.

        The density is the share of a bin by its width, as the organisers', who have equal bins.
        """
        cells = in_region(region)
        truth, prediction = (
            counts[cells].sum(axis=0) / (counts[cells].sum() or np.nan)
            for counts in (self.truth, self.prediction)
        )
        width = np.diff(EDGES)
        return PrecipitationPdf(
            region=region,
            edges=EDGES,
            truth=truth[1:-1] / width,
            prediction=prediction[1:-1] / width,
            truth_dry=float(truth[0]),
            prediction_dry=float(prediction[0]),
            truth_beyond=float(truth[-1]),
            prediction_beyond=float(prediction[-1]),
        )
