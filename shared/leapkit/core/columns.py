"""Every input and target of an atmospheric column: names, orders, units and groups.

Kaggle order is the order on disk; network order puts the scalars first. Level 0 is the model top,
59 the lowest level. Facts: docs/reference/data_pipeline.md, "Columns" and "Submission values".
"""

from __future__ import annotations

from typing import Dict, List, Tuple

LEVELS = 60
STEP_SECONDS = 1200  # one model step: every tendency is (after - before) / 1200 s

# (variable, unit), in Kaggle order
STATE_PROFILES: Tuple[Tuple[str, str], ...] = (
    ("state_t", "K"),
    ("state_q0001", "kg/kg"),
    ("state_q0002", "kg/kg"),
    ("state_q0003", "kg/kg"),
    ("state_u", "m/s"),
    ("state_v", "m/s"),
)
INPUT_SCALARS: Tuple[Tuple[str, str], ...] = (
    ("state_ps", "Pa"),
    ("pbuf_SOLIN", "W/m2"),
    ("pbuf_LHFLX", "W/m2"),
    ("pbuf_SHFLX", "W/m2"),
    ("pbuf_TAUX", "N/m2"),
    ("pbuf_TAUY", "N/m2"),
    ("pbuf_COSZRS", "1"),
    ("cam_in_ALDIF", "1"),
    ("cam_in_ALDIR", "1"),
    ("cam_in_ASDIF", "1"),
    ("cam_in_ASDIR", "1"),
    ("cam_in_LWUP", "W/m2"),
    ("cam_in_ICEFRAC", "1"),
    ("cam_in_LANDFRAC", "1"),
    ("cam_in_OCNFRAC", "1"),
    ("cam_in_SNOWHLAND", "m"),
)
GAS_PROFILES: Tuple[Tuple[str, str], ...] = (
    ("pbuf_ozone", "mol/mol"),
    ("pbuf_CH4", "mol/mol"),
    ("pbuf_N2O", "mol/mol"),
)
TENDENCY_PROFILES: Tuple[Tuple[str, str], ...] = (
    ("ptend_t", "K/s"),
    ("ptend_q0001", "kg/kg/s"),
    ("ptend_q0002", "kg/kg/s"),
    ("ptend_q0003", "kg/kg/s"),
    ("ptend_u", "m/s2"),
    ("ptend_v", "m/s2"),
)
OUTPUT_SCALARS: Tuple[Tuple[str, str], ...] = (
    ("cam_out_NETSW", "W/m2"),
    ("cam_out_FLWDS", "W/m2"),
    ("cam_out_PRECSC", "m/s"),
    ("cam_out_PRECC", "m/s"),
    ("cam_out_SOLS", "W/m2"),
    ("cam_out_SOLL", "W/m2"),
    ("cam_out_SOLSD", "W/m2"),
    ("cam_out_SOLLD", "W/m2"),
)

UNITS: Dict[str, str] = dict(
    STATE_PROFILES + INPUT_SCALARS + GAS_PROFILES + TENDENCY_PROFILES + OUTPUT_SCALARS
)


def _names(variables: Tuple[Tuple[str, str], ...]) -> List[str]:
    return [name for name, _ in variables]


def _levels(variables: Tuple[Tuple[str, str], ...]) -> List[str]:
    return [f"{name}_{level}" for name, _ in variables for level in range(LEVELS)]


_STATES = _levels(STATE_PROFILES)
_SCALARS_IN = _names(INPUT_SCALARS)
_GASES = _levels(GAS_PROFILES)
_TENDENCIES = _levels(TENDENCY_PROFILES)
_SCALARS_OUT = _names(OUTPUT_SCALARS)

SAMPLE_ID = "sample_id"
INPUTS: Tuple[str, ...] = tuple(_STATES + _SCALARS_IN + _GASES)  # 556, Kaggle order
TARGETS: Tuple[str, ...] = tuple(_TENDENCIES + _SCALARS_OUT)  # 368, Kaggle order
NETWORK_INPUTS: Tuple[str, ...] = tuple(_SCALARS_IN + _STATES + _GASES)  # 556, scalars first
NETWORK_TARGETS: Tuple[str, ...] = tuple(_SCALARS_OUT + _TENDENCIES)  # 368, scalars first

# network position -> Kaggle position, and back: x_network = x_kaggle[:, INPUTS_TO_NETWORK]
INPUTS_TO_NETWORK: Tuple[int, ...] = tuple(INPUTS.index(name) for name in NETWORK_INPUTS)
TARGETS_TO_NETWORK: Tuple[int, ...] = tuple(TARGETS.index(name) for name in NETWORK_TARGETS)
TARGETS_TO_KAGGLE: Tuple[int, ...] = tuple(NETWORK_TARGETS.index(name) for name in TARGETS)

# The seven groups of fine-tuning, as slices of network order: the eight scalars, then the six
# profiles.
GROUP_NAMES: Tuple[str, ...] = ("scalars",) + tuple(name for name, _ in TENDENCY_PROFILES)
GROUPS: Tuple[slice, ...] = (slice(0, 8),) + tuple(slice(8 + 60 * g, 68 + 60 * g) for g in range(6))

# Written as 0 in every submission: the five water and wind tendencies at the twelve top levels.
ZERO: Tuple[str, ...] = tuple(
    f"{name}_{level}" for name, _ in TENDENCY_PROFILES if name != "ptend_t" for level in range(12)
)
# Written as -state_q0002_k/1200: cloud liquid that one step removes entirely.
LINEAR_LEVELS: Tuple[int, ...] = tuple(range(12, 28))
LINEAR: Tuple[str, ...] = tuple(f"ptend_q0002_{level}" for level in LINEAR_LEVELS)
LINEAR_INPUTS: Tuple[str, ...] = tuple(f"state_q0002_{level}" for level in LINEAR_LEVELS)
# The 292 targets that the networks' predictions decide.
PREDICTED: Tuple[str, ...] = tuple(name for name in TARGETS if name not in set(ZERO + LINEAR))


def kaggle_positions(names: Tuple[str, ...]) -> List[int]:
    """Return the positions of targets in Kaggle order."""
    return [TARGETS.index(name) for name in names]


def network_positions(names: Tuple[str, ...]) -> List[int]:
    """Return the positions of targets in network order."""
    return [NETWORK_TARGETS.index(name) for name in names]
