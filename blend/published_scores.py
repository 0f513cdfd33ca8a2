"""What the team and other teams published of their scores on Kaggle.

Source: docs/reference/published.md, "Scores" and "Leaderboard"; a test compares both, and the
members' READMEs. Figures are text, as they were published: their digits say how exact they are.
Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Tuple

TABLE = "v10"  # the published weights, whose blend took the 2nd place


@dataclass(frozen=True)
class PublishedScore:
    """R2 that the team published.

    cv                on its validation rows
    public, private   on Kaggle's
    is_reissued       whether the released file is not the one that was scored
    """

    cv: str
    public: str
    private: str
    is_reissued: bool = False


@dataclass(frozen=True)
class Place:
    """A place of the final leaderboard, which the private score decides; "" is not known."""

    place: int
    public: str
    private: str


BLEND = PublishedScore("0.7955", "0.79211", "0.78856")
# The team's remark: the released checkpoints score about this much more than the submitted ones.
RELEASED_GAIN = "0.0002"

# {artifact: score}
NETWORKS: Mapping[str, PublishedScore] = {
    "max_022_deeper_gf_cv7908_lbUnknown": PublishedScore("0.7908", "0.78793", "0.78434"),
    "max_021_moredim_gf_cv7904_lbUnknown": PublishedScore("0.7904", "0.78752", "0.78425"),
    "forcewithme_gf_reslstm_cv0.790_lb0.785": PublishedScore("0.790", "0.7865", "0.78398"),
    "forcewithme_gf038_2LSTM1mamba-3_state64_cv0.7897_LBunknown": PublishedScore(
        "0.7897", "0.78719", "0.78362"
    ),
    "forcewithme_gf037_1LSTM1mamba-5_state16_cv0.7896_LBunknown": PublishedScore(
        "0.7896", "0.78618", "0.78293"
    ),
    "forcewithme_reslstm_cv0.7890_lb0.7863": PublishedScore("0.7890", "0.7863", "0.78272", True),
    "forcewithme_gf_lstmmamba_cv0.7885_lb0.7853": PublishedScore("0.7885", "0.7853", "0.78261"),
    "forcewithme_gf_cnnlstm_cv0.789_lb0.787": PublishedScore("0.789", "0.78699", "0.78257"),
    "max_015_gf_cv7905_lb7878": PublishedScore("0.7905", "0.78695", "0.78244"),
    "max_014_gf_cv7905_lb7873": PublishedScore("0.7905", "0.78641", "0.78214"),
    "max_010_gf_cv7888_lb7861": PublishedScore("0.7888", "0.78619", "0.78213"),
    "Jo_ex912sep2_cv78935": PublishedScore("0.78935", "0.78528", "0.78150"),
    "Jo_ex907_cv7855": PublishedScore("0.7855", "0.78289", "0.77873", True),
    "adam_195_78569.oof": PublishedScore("0.78569", "0.78334", "0.77753"),
    "adam_197_78551.oof": PublishedScore("0.7855", "0.78269", "0.777"),
    "adam_200_78362.oof": PublishedScore("0.7836", "0.78010", "0.77434"),
}

OWN_PLACE = 2
# Places whose private score is known. Others (5, 6, 8 to 10, 12 and most below) are not.
LEADERBOARD: Tuple[Place, ...] = (
    Place(1, "0.79410", "0.79123"),
    Place(OWN_PLACE, BLEND.public, BLEND.private),
    Place(3, "0.79048", "0.78792"),
    Place(4, "0.79193", "0.78774"),
    Place(7, "0.79080", "0.78560"),
    Place(11, "", "0.78491"),
    Place(31, "0.77646", "0.77090"),
    Place(55, "0.75933", "0.75461"),
)
