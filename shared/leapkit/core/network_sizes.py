"""How many numbers a checkpoint of each network learns, at sample size and at published size.

Standard library only, so that a card can say it without torch; a test counts them.
"""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

from leapkit.core.experiments import PROFILES

# {network: (at sample size, at published size)} of one checkpoint
PARAMETERS: Mapping[str, Tuple[int, int]] = {
    "adam/195": (79_696, 9_683_881),
    "adam/197": (116_240, 45_414_855),
    "adam/200": (72_560, 9_532_713),
    "forcewithme/18": (56_174, 12_117_006),
    "forcewithme/32": (56_174, 12_117_006),
    "forcewithme/37-stage1": (70_958, 15_675_406),
    "forcewithme/37": (70_958, 15_675_406),
    "forcewithme/38-stage1": (79_550, 19_095_054),
    "forcewithme/38": (79_550, 19_095_054),
    "forcewithme/39-stage1": (186_836, 13_158_876),
    "forcewithme/39": (186_836, 13_158_876),
    "forcewithme/40-stage1": (76_766, 16_965_134),
    "forcewithme/40-stage2": (76_094, 16_957_966),
    "forcewithme/40": (76_094, 16_957_966),
    "forcewithme/mixed-stage1": (76_094, 18_652_686),
    "forcewithme/mixed": (76_094, 18_652_686),
    "joseph/907": (62_606, 12_677_134),
    "joseph/912": (78_894, 12_533_774),
    "joseph/912sep": (78_894, 12_533_774),
    "max2020/007": (42_478, 15_437_710),
    "max2020/010": (42_478, 15_437_710),
    "max2020/014-stage1": (56_174, 12_117_006),
    "max2020/014": (56_174, 12_117_006),
    "max2020/015-stage1": (76_142, 12_117_006),
    "max2020/015": (76_142, 12_117_006),
    "max2020/021-stage1": (71_806, 16_522_814),
    "max2020/021": (71_806, 16_522_814),
    "max2020/022-stage1": (76_142, 15_393_806),
    "max2020/022": (76_142, 15_393_806),
    "student/stack": (56_462, 2_373_710),
    "zuiye/A": (34_094, 12_720_142),
    "zuiye/B": (45_542, 13_670_092),
}


def parameters(name: str, profile: str) -> Optional[int]:
    """Return the parameters of one checkpoint of a network; None for one that is not listed."""
    sizes = PARAMETERS.get(name)
    return sizes[PROFILES.index(profile)] if sizes else None
