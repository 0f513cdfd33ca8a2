"""How a score on Kaggle stands to the published ones, and which place it would have taken.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

from blend.published_scores import BLEND, LEADERBOARD, NETWORKS, OWN_PLACE, RELEASED_GAIN, TABLE
from blend.published_scores import PublishedScore as Published
from leapkit.core.score_receipts import ScoreReceipt

# What another precision costs at most (bfloat16; TF32 moves R2 by 2e-6): docs/running.md.
ARITHMETIC = 5e-5
_KAGGLES_DIGIT = "0.00001"  # its scores have five
_ROUNDING = 1e-9  # of differences of float64


@dataclass(frozen=True)
class Tolerance:
    """Between which differences from a published score it is the same networks' and weights'.

    low   arithmetic, and half of the last digit of both scores
    high  the same, for the blend with what the released checkpoints gain
    """

    low: float
    high: float

    @classmethod
    def of(cls, published: str, gain: str = "") -> Tolerance:
        """Return the tolerance of a score as it was published, with a gain as it was published."""
        slack = ARITHMETIC + _half_digit(_KAGGLES_DIGIT) + _half_digit(published)
        return cls(-slack, slack + (float(gain) + _half_digit(gain) if gain else 0.0))

    def holds(self, difference: float) -> bool:
        return self.low - _ROUNDING <= difference <= self.high + _ROUNDING

    def __str__(self) -> str:
        return f"{self.low:+.5f} to {self.high:+.5f}"


def _half_digit(number: str) -> float:
    return 0.5 * 10.0 ** -len(number.partition(".")[2])


def lines(receipt: ScoreReceipt, is_trained_here: bool = False) -> Iterator[str]:
    """Yield what is to be said of a score.

    is_trained_here  whether a network of it was trained here, not taken from the team
    """
    yield (
        f"{receipt.product}: public {receipt.public or 'not shown'}, "
        f"private {receipt.private or 'not shown'} (Kaggle's submission {receipt.ref})"
    )
    published = published_of(receipt.stem)
    if published and receipt.public_r2 is not None and receipt.private_r2 is not None:
        differences = (
            receipt.public_r2 - float(published.public),
            receipt.private_r2 - float(published.private),
        )
        yield (
            f"  published: public {published.public}, private {published.private}; this differs by "
            f"{differences[0]:+.5f} and {differences[1]:+.5f}"
        )
        yield "  " + _verdict(receipt.stem, published, differences, is_trained_here)
    if receipt.private_r2 is not None:
        yield "  " + place(receipt.private_r2)


def published_of(stem: str) -> Optional[Published]:
    """Return the published score that a product is compared with; None if there is none."""
    return BLEND if stem.startswith("final_blend_") else NETWORKS.get(stem)


def _verdict(
    stem: str, published: Published, differences: Tuple[float, float], is_trained_here: bool
) -> str:
    """Say whether it is the published solution's score; if nothing can say so, why."""
    if published is BLEND and stem != f"final_blend_{TABLE}":
        return "no tolerance: these are not the published weights alone"
    if published.is_reissued:
        return "no tolerance: the file that the team released is not the one that it submitted"
    gain = RELEASED_GAIN if published is BLEND else ""
    tolerances = [Tolerance.of(score, gain) for score in (published.public, published.private)]
    allowed = " and ".join(dict.fromkeys(map(str, tolerances)))
    if gain:
        allowed += f" (the released checkpoints score about {gain} more, the team says)"
    if all(t.holds(difference) for t, difference in zip(tolerances, differences)):
        return f"within the tolerance of the same solution, {allowed}"
    if is_trained_here:
        return (
            f"outside {allowed}, which only the published checkpoints must keep: "
            "networks were trained here, and a training of one's own ends elsewhere"
        )
    return f"NOT the published score: outside the tolerance of {allowed}"


def place(private: float) -> str:
    """Say which place of the final leaderboard a private score would have taken.

    It takes the place of the team's own, and comes after an equal one, as a later submission does.
    """
    others = [known for known in LEADERBOARD if known.place != OWN_PLACE]
    above = [known for known in others if float(known.private) >= private]
    below = [known for known in others if float(known.private) < private]
    best = _without_own(above[-1].place) + 1 if above else 1
    score = f"{private:.5f}"
    between = f"{score} (this)"
    if above:
        between = f"{above[-1].private} ({_ordinal(above[-1].place)}) >= {between}"
    if below:
        between += f" > {below[0].private} ({_ordinal(below[0].place)})"
        worst = _without_own(below[0].place - 1) + 1 if above else 1
        last = "" if best == worst else f" to {_ordinal(worst)}"
    else:
        last = " or lower"
    return f"in the team's stead: {_ordinal(best)}{last} of the final leaderboard, by {between}"


def _without_own(count: int) -> int:
    """Return how many of the first `count` teams are others than the 2nd place's."""
    return count - (count >= OWN_PLACE)


def _ordinal(number: int) -> str:
    special = number % 100 in (11, 12, 13)
    ending = "th" if special else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
