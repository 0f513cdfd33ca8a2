"""How a score stands: the tolerance, and the place."""

from __future__ import annotations

import dataclasses

import pytest

from blend import standing
from blend.published_scores import NETWORKS
from blend.standing import Tolerance
from leapkit.core.score_receipts import COMPLETE, ScoreReceipt

SCORED = ScoreReceipt(
    product="final_blend_v10.parquet",
    sha256="a" * 64,
    competition="leap",
    file="final_blend_v10.parquet",
    file_sha256="a" * 64,
    description="sha256:a",
    client="kaggle",
    began="2026-11-28T12:00:00+00:00",
    state=COMPLETE,
    ref=7,
    public="0.79211",
    private="0.78856",
)


def said(is_trained_here: bool = False, **fields: str) -> str:
    changed = dataclasses.replace(SCORED, **fields)  # type: ignore[arg-type]
    return "\n".join(standing.lines(changed, is_trained_here))


@pytest.mark.parametrize(
    "public, private, is_within",
    [
        ("0.79211", "0.78856", True),  # what was submitted
        ("0.79231", "0.78876", True),  # what was released
        ("0.79205", "0.78850", True),
        ("0.79204", "0.78856", False),
        ("0.79211", "0.78849", False),
        ("0.79242", "0.78887", True),
        ("0.79243", "0.78876", False),
    ],
)
def test_the_tolerance_of_the_blend_spans_what_was_submitted_and_what_was_released(
    public: str, private: str, is_within: bool
) -> None:
    text = said(public=public, private=private)
    assert ("within the tolerance of the same solution" in text) == is_within
    assert ("NOT the published score" in text) != is_within
    assert "-0.00006 to +0.00031" in text and "about 0.0002 more, the team says" in text


def test_the_digits_of_a_published_score_decide_its_tolerance() -> None:
    assert Tolerance.of("0.777").high == pytest.approx(5e-5 + 5e-6 + 5e-4)
    assert Tolerance.of("0.78434").low == pytest.approx(-(5e-5 + 5e-6 + 5e-6))
    assert not Tolerance.of("0.78434").holds(0.0002), "networks do not gain what the blend gains"


@pytest.mark.parametrize("artifact", NETWORKS)
def test_each_network_stands_beside_its_own_published_scores(artifact: str) -> None:
    score = NETWORKS[artifact]
    text = said(product=artifact + ".parquet", public=score.public, private=score.private)
    assert f"published: public {score.public}, private {score.private}" in text
    assert "+0.00000 and +0.00000" in text
    verdict = "no tolerance: the file" if score.is_reissued else "within the tolerance"
    assert verdict in text


def test_what_no_tolerance_can_be_argued_for_says_so() -> None:
    assert "these are not the published weights alone" in said(
        product="final_blend_v10+positivity.parquet"
    )
    text = said(is_trained_here=True, public="0.78000", private="0.77000")
    assert "networks were trained here" in text and "NOT" not in text
    assert "published" not in said(product="zuiye_A.parquet")
    assert "not shown" in said(private="") and "leaderboard" not in said(private="")


@pytest.mark.parametrize(
    "private, words",
    [
        (0.8, "1st of the final leaderboard, by 0.80000 (this) > 0.79123 (1st)"),
        (0.79123, "2nd of the final leaderboard, by 0.79123 (1st) >= 0.79123 (this) > 0.78792"),
        (0.78793, "2nd of the final leaderboard"),
        (0.78792, "3rd of the final leaderboard, by 0.78792 (3rd) >= 0.78792 (this)"),
        (0.78774, "4th to 6th of"),
        (0.7857, "4th to 6th of the final leaderboard, by 0.78774 (4th) >= 0.78570 (this) > "),
        (0.7855, "7th to 10th of"),
        (0.78, "11th to 30th of"),
        (0.5, "55th or lower of the final leaderboard, by 0.75461 (55th) >= 0.50000 (this)"),
    ],
)
def test_a_private_score_has_its_place_or_lies_between_known_ones(
    private: float, words: str
) -> None:
    text = standing.place(private)
    assert text.startswith("in the team's stead: ") and words in text
