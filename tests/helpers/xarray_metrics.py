"""The field's metrics once more, from their definitions, in xarray: what leapkit.climate must give.

Nothing of the kit is used, not even its constants. A data set has the dimensions (time, ncol, lev)
and the variables of ClimSim's step files, its tendencies as ptend_*; see `open_steps`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence

import numpy as np

PROFILES = ("t", "q0001", "q0002", "q0003", "u", "v")
FLUXES = ("NETSW", "FLWDS", "PRECSC", "PRECC", "SOLS", "SOLL", "SOLSD", "SOLLD")


def open_steps(paths: Sequence[Path]) -> Any:
    """Return step files (their mli paths) as one data set: inputs, tendencies and fluxes."""
    import xarray as xr

    steps = []
    for path in paths:
        with xr.open_dataset(str(path)) as mli:
            before = mli.load()
        with xr.open_dataset(str(path).replace(".mli.", ".mlo.")) as mlo:
            after = mlo.load()
        step = before[[name for name in before if name.startswith(("cam_in", "pbuf"))]]
        for name in ("state_ps", "state_pmid"):
            step[name] = before[name]
        for name in PROFILES:
            step[f"ptend_{name}"] = (after[f"state_{name}"] - before[f"state_{name}"]) / 1200.0
        for name in FLUXES:
            step[f"cam_out_{name}"] = after[f"cam_out_{name}"]
        steps.append(step)
    return xr.concat(steps, "time").transpose("time", "ncol", "lev")


def targets_of(data: Any) -> np.ndarray:
    """Return the 368 targets as an array (time x ncol, 368) in Kaggle order."""
    profiles = [data[f"ptend_{name}"].values for name in PROFILES]
    fluxes = [data[f"cam_out_{name}"].values[..., None] for name in FLUXES]
    values = np.concatenate(profiles + fluxes, axis=-1)
    return values.reshape(-1, values.shape[-1])


def with_targets(data: Any, targets: np.ndarray) -> Any:
    """Return the data set with other targets (time x ncol, 368) in Kaggle order."""
    data = data.copy()
    shape = (data.sizes["time"], data.sizes["ncol"])
    for index, name in enumerate(PROFILES):
        part = targets[:, 60 * index : 60 * index + 60]
        data[f"ptend_{name}"] = (("time", "ncol", "lev"), part.reshape(*shape, 60))
    for index, name in enumerate(FLUXES):
        data[f"cam_out_{name}"] = (("time", "ncol"), targets[:, 360 + index].reshape(shape))
    return data


def layer_mass(data: Any, grid: Any) -> Any:
    """Return dp/g in kg/m2."""
    interfaces = grid["hyai"] * grid["P0"] + grid["hybi"] * data["state_ps"]
    thickness = interfaces.diff("ilev").rename(ilev="lev")
    return thickness.transpose("time", "ncol", "lev") / 9.80616


def energies(data: Any, grid: Any) -> Dict[str, Any]:
    """Return each variable in W/m2, weighted by dp/g and by area / mean area."""
    area = grid["area"] / grid["area"].mean("ncol")
    mass = layer_mass(data, grid)
    gust = (data["ptend_u"] ** 2 + data["ptend_v"] ** 2) ** 0.5
    factors = {"t": 1004.64, "q0001": 2.501e6, "q0002": 2.501e6, "q0003": 2.501e6}
    weighted = {
        f"ptend_{name}": data[f"ptend_{name}"] * mass * area * factors.get(name, gust)
        for name in PROFILES
    }
    for name in FLUXES:
        latent = 2.501e6 * 1000.0 if name.startswith("PREC") else 1.0
        weighted[f"cam_out_{name}"] = data[f"cam_out_{name}"] * area * latent
    return weighted


def r_squared(truth: Any, prediction: Any, over: Any) -> Any:
    """Return R2; of a constant truth 1 if it is met exactly, else 0."""
    residual = ((prediction - truth) ** 2).sum(over)
    spread = ((truth - truth.mean(over)) ** 2).sum(over)
    met = (residual == 0).astype(float)
    return (1 - residual / spread.where(spread != 0)).where(spread != 0, met)


def climsim_scores(truth: Any, prediction: Any, grid: Any) -> Dict[str, Dict[str, Any]]:
    """Return {variable: {metric: per level}} as ClimSim averages them: over time, then columns."""
    scores = {}
    predicted = energies(prediction, grid)
    for name, t in energies(truth, grid).items():
        p = predicted[name]
        r2 = r_squared(t, p, "time")
        scores[name] = {
            "mae": abs(p - t).mean("time").mean("ncol"),
            "rmse": (((p - t) ** 2).mean("time") ** 0.5).mean("ncol"),
            "bias": (p.mean("time") - t.mean("time")).mean("ncol"),
            "r2": r2.mean("ncol"),
            "r2_clipped": r2.clip(min=0).mean("ncol"),
            "kaggle_r2": r_squared(truth[name], prediction[name], ("time", "ncol")),
        }
    return scores


def diagnostics(data: Any, grid: Any) -> Any:
    """Return the water and the energy of the columns, and what they do not close."""
    import xarray as xr

    mass = layer_mass(data, grid)
    heat, vapour, liquid, ice = (
        (data[f"ptend_{name}"] * mass).sum("lev") for name in ("t", "q0001", "q0002", "q0003")
    )
    rain = (data["cam_out_PRECC"] - data["cam_out_PRECSC"]) * 1000.0
    water = vapour + liquid + ice
    energy = 1004.64 * heat + (2.501e6 + 3.337e5) * vapour + 3.337e5 * liquid
    radiation = (
        data["pbuf_SOLIN"] - data["cam_out_NETSW"] - data["cam_out_FLWDS"] + data["cam_in_LWUP"]
    )
    unclosed = energy + 3.337e5 * rain - radiation
    evaporation = data["pbuf_LHFLX"] / 2.501e6
    water_unclosed = water + data["cam_out_PRECC"] * 1000.0
    return xr.Dataset(
        {
            "precipitation": data["cam_out_PRECC"] * 1000.0 * 86400.0,
            "column_water": water * 86400.0,
            "water_residual": water_unclosed * 86400.0,
            "water_residual_with_evaporation": (water_unclosed - evaporation) * 86400.0,
            "column_energy": energy,
            "energy_residual": unclosed,
            "energy_residual_with_turbulence": unclosed
            - data["pbuf_SHFLX"]
            - evaporation * (2.501e6 + 3.337e5),
        }
    )


def by_latitude(values: Any, grid: Any, edges: np.ndarray) -> Any:
    """Return area-weighted means of columns in bins of latitude, NaN where there are none."""
    area = grid["area"]
    total = (values * area).groupby_bins(grid["lat"], edges).sum("ncol")
    return total / area.groupby_bins(grid["lat"], edges).sum("ncol")


def in_region(data: Any, grid: Any, region: str) -> Any:
    """Return whether each row (time, ncol) lies in a region."""
    surfaces = {"land": "LANDFRAC", "ocean": "OCNFRAC", "ice": "ICEFRAC"}
    if region in surfaces:
        fraction = data["cam_in_" + surfaces[region]]
        others = [data["cam_in_" + other] for name, other in surfaces.items() if name != region]
        return (fraction > others[0]) & (fraction > others[1])
    low, high = {
        "globe": (0, 91),
        "tropics": (0, 30),
        "mid-latitudes": (30, 60),
        "poles": (60, 91),
    }[region]
    inside = (abs(grid["lat"]) >= low) & (abs(grid["lat"]) < high)
    return inside.broadcast_like(data["state_ps"])
