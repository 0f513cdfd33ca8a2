"""907's augmentation flips or rolls rows along levels, inputs with targets, and no scalar."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from leapkit.core.recipes import Augmentation  # noqa: E402
from leapkit.run.augmentation import augment  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)
PLAN = Augmentation(flip=0.08, roll=0.08, shift=5)
ROWS = 6000
SHIFTS = [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]


def generator(seed):
    return torch.Generator().manual_seed(seed)


def world(rows):
    """Return rows whose values name their places: a scalar < 0, level l of profile v 100 v + l."""
    levels = (100.0 * torch.arange(9)[:, None] + torch.arange(60)).flatten()
    return (
        torch.cat([-1.0 - torch.arange(16), levels]).expand(rows, 556).clone(),
        torch.cat([-1.0 - torch.arange(8), levels[:360]]).expand(rows, 368).clone(),
    )


def moves(values, scalars):
    """Return what became of each profile of each row: 0 (nothing), "flip", a roll's shift, None."""
    levels = torch.arange(60)
    names = {tuple(levels.flip(0).tolist()): "flip", tuple(levels.tolist()): 0}
    names.update((tuple(levels.roll(shift).tolist()), shift) for shift in SHIFTS)
    profiles = values[:, scalars:].reshape(len(values), -1, 60).numpy().astype(int)
    assert (profiles // 100 == np.arange(profiles.shape[1])[:, None]).all(), (
        "no profile takes another's values"
    )
    return [
        [names.get(tuple(p)) for p in profile_numbers]
        for profile_numbers in (profiles % 100).tolist()
    ]


@pytest.fixture(scope="module")
def augmented():
    x, y = augment(*world(ROWS), PLAN, generator(3))
    return x, y, moves(x, 16), moves(y, 8)


def test_all_nine_inputs_and_six_targets_of_a_row_move_together(augmented):
    _, _, inputs, targets = augmented
    assert {len(input_moves) for input_moves in inputs} == {9} and {
        len(input_moves) for input_moves in targets
    } == {6}
    for input_moves, target_moves in zip(inputs, targets):
        assert len(set(input_moves + target_moves)) == 1 and input_moves[0] is not None


def test_scalars_stay(augmented):
    x, y = world(ROWS)
    assert torch.equal(augmented[0][:, :16], x[:, :16]) and torch.equal(
        augmented[1][:, :8], y[:, :8]
    )


def test_eight_rows_in_a_hundred_are_flipped_and_as_many_rolled(augmented):
    moves_of_rows = [row_moves[0] for row_moves in augmented[2]]
    flipped, unmoved = moves_of_rows.count("flip"), moves_of_rows.count(0)
    rolled = ROWS - flipped - unmoved
    # Four standard deviations of 6000 draws at 8 %: 84.
    assert abs(flipped - 480) < 84 and abs(rolled - 480) < 84


def test_a_roll_is_by_one_to_five_levels_either_way_and_each_as_likely(augmented):
    shifts = [row_moves[0] for row_moves in augmented[2] if row_moves[0] not in (0, "flip")]
    assert sorted(set(shifts)) == SHIFTS
    assert all(abs(shifts.count(shift) - len(shifts) / 10) < 28 for shift in SHIFTS)


def test_the_draws_are_a_function_of_the_generator() -> None:
    drawn, same_seed, other_seed = (
        augment(*world(200), PLAN, generator(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(drawn[0], same_seed[0]) and torch.equal(drawn[1], same_seed[1])
    assert not torch.equal(drawn[0], other_seed[0])


def test_without_a_chance_nothing_moves_and_with_certainty_everything_does() -> None:
    x, y = world(50)
    for plan, expected in (
        (Augmentation(0.0, 0.0, 5), {0}),
        (Augmentation(1.0, 0.0, 5), {"flip"}),
        (Augmentation(0.0, 1.0, 1), {-1, 1}),
    ):
        moved = augment(x, y, plan, generator(5))
        assert {row_moves[0] for row_moves in moves(moved[0], 16)} == expected
    assert torch.equal(augment(x, y, Augmentation(0.0, 0.0, 5), generator(5))[1], y)


def test_the_given_rows_are_not_written_over() -> None:
    x, y = world(100)
    augment(x, y, Augmentation(0.5, 0.5, 5), generator(1))
    assert torch.equal(x, world(100)[0]) and torch.equal(y, world(100)[1])
