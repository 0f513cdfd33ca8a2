"""The numbers of whole trainings, copied from docs/reference/models.md by hand.

They are not those of members/*/experiments.py, which they are compared with.
"""

from __future__ import annotations

from typing import Dict

from tests.helpers.plain_training import Numbers

V3 = ("0001-02", 0.65, 1103)
V4 = ("0004-01", 1.0, 0)

_ADAM_195 = Numbers({"": 1e-3}, 47, [4] * 25, decay=0.0, clip=1000.0, early_stop=True, rows=V3)

_LSTM_18 = Numbers({"": 8e-4}, 1999517, [2] * 6 + [10] * 3, (3, 2, 1e-5))
_TUNED_BY_FORCEWITHME = Numbers(
    {"": 8e-5}, 1999517, [1], (1, 1, 1e-7), (0.9, 0.95), parent="forcewithme/18", groups=True
)
_LSTM_40 = Numbers({"": 4e-4}, 1999517, [2] * 8 + [6], (3, 2, 1e-5), (0.9, 0.95))

_RATES_907 = {"lstm_0": 5e-4, "lstm_layers": 6e-4, "attention": 7e-4, "final_fc": 8e-4}
_RATES_912 = {"lstm_layers": 6e-4, "attention": 4e-4, "final_fc": 8e-4}
_STAGE_912 = Numbers(
    _RATES_912, 315, [2] * 6 + [4, 4, 6], (3, 2, 1e-6), decay=1e-3, clip=4.0, min_gain=2e-5
)

_RATES_007 = {"lstml": 8e-4, "lstm2": 1e-3, "attention": 1e-3, "fc": 1.2e-3}
_RATES_010 = {"lstml": 4e-5, "lstm2": 5e-5, "attention": 5e-5, "fc": 6e-5}
_STACK_022 = Numbers({"": 8e-4}, 1998, [2] * 9, (3, 2, 1e-6), beta=0.5)
_TUNED_BY_MAX = Numbers(
    {"": 2.4e-4}, 1998, [2], (1, 1, 1e-7), clip=1e5, parent="max2020/022-stage1", groups=True
)

RECIPES: Dict[str, Numbers] = {
    "adam/195": _ADAM_195,
    "adam/200": _ADAM_195._replace(seed=9, rows=V4),
    "forcewithme/18": _LSTM_18,
    "forcewithme/32": _TUNED_BY_FORCEWITHME,
    "forcewithme/38-stage1": _LSTM_18._replace(betas=(0.9, 0.95), evaluations=[2] * 9),
    "forcewithme/38": _TUNED_BY_FORCEWITHME._replace(
        rates={"": 1e-4}, parent="forcewithme/38-stage1", kept=(0,)
    ),
    "forcewithme/40-stage1": _LSTM_40,
    "forcewithme/40-stage2": _LSTM_40._replace(
        cycles=(4, 1, 1e-5),
        evaluations=[2] * 7 + [4],
        parent="forcewithme/40-stage1",
        fresh=("fc.0.weight",),
    ),
    "joseph/907": _STAGE_912._replace(
        rates=_RATES_907,
        cycles=(4, 1, 1e-6),
        evaluations=[2, 2, 2, 2, 2, 2, 5, 5, 2, 2, 5, 8, 2, 2, 5, 8],
        clip=1e4,
        min_gain=3e-5,
        augmented=True,
    ),
    "joseph/912": _STAGE_912,
    "joseph/912sep": _STAGE_912._replace(
        rates={name: rate / 5 for name, rate in _RATES_912.items()},
        cycles=(1, 1, 2e-7),
        evaluations=[8],
        skipped=5,  # after 6/8, 7/8 and 8/8
        min_gain=0.0,
        parent="joseph/912",
        groups=True,
        falls_back=True,
    ),
    "max2020/007": _STACK_022._replace(rates=_RATES_007, seed=2024, evaluations=[2] * 12, clip=1e5),
    "max2020/010": _TUNED_BY_MAX._replace(rates=_RATES_010, seed=2024, parent="max2020/007"),
    "max2020/022-stage1": _STACK_022,
    "max2020/022": _TUNED_BY_MAX,
    "zuiye/A": Numbers({"": 8e-4}, 2024, [2] * 9, (3, 2, 1e-6)),
}
