"""The input and output of a step: one array per variable of the mli and mlo files."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True)
class StepInput:
    """The mli variables. Profiles are (60, C) with level 0 at the top, the others (C,).

    Units: t K; q* kg/kg; u, v m/s; pmid, ps Pa; lwup, shflx, lhflx, solin W/m2; taux, tauy N/m2 (on
    the air); snow m; ozone, ch4, n2o mol/mol; albedos, fractions and coszrs 1.
    """

    aldif: np.ndarray
    aldir: np.ndarray
    asdif: np.ndarray
    asdir: np.ndarray
    icefrac: np.ndarray
    landfrac: np.ndarray
    lwup: np.ndarray
    ocnfrac: np.ndarray
    snowhice: np.ndarray
    snowhland: np.ndarray
    coszrs: np.ndarray
    lhflx: np.ndarray
    shflx: np.ndarray
    solin: np.ndarray
    taux: np.ndarray
    tauy: np.ndarray
    pmid: np.ndarray
    ps: np.ndarray
    q0001: np.ndarray
    q0002: np.ndarray
    q0003: np.ndarray
    t: np.ndarray
    u: np.ndarray
    v: np.ndarray
    ch4: np.ndarray
    n2o: np.ndarray
    ozone: np.ndarray

    def take(self, columns: np.ndarray) -> StepInput:
        """Return the same step for these columns, in this order."""
        picked = {
            f.name: np.ascontiguousarray(getattr(self, f.name)[..., columns]) for f in fields(self)
        }
        return replace(self, **picked)


@dataclass(frozen=True)
class StepOutput:
    """The mlo variables, shaped as StepInput.

    Units: precc, precsc m/s of liquid water; fluxes W/m2; the state as in StepInput.
    """

    flwds: np.ndarray
    netsw: np.ndarray
    precc: np.ndarray
    precsc: np.ndarray
    soll: np.ndarray
    solld: np.ndarray
    sols: np.ndarray
    solsd: np.ndarray
    q0001: np.ndarray
    q0002: np.ndarray
    q0003: np.ndarray
    t: np.ndarray
    u: np.ndarray
    v: np.ndarray
