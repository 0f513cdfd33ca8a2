"""Rows of step files have the bits of plain arithmetic, for any share of a month and any thread."""

from __future__ import annotations

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core.columns import INPUTS_TO_NETWORK, TARGETS_TO_NETWORK
from leapkit.core.errors import KitError
from leapkit.core.recipes import RowSelection
from leapkit.core.splits import PUBLISHED, months_between
from leapkit.core.step_files import StepPair, list_pairs, steps_of
from leapkit.data import classic_netcdf, scaling, step_rows
from leapkit.data.loader import Loader
from leapkit.data.scaling import FAMILIES, Scaling
from leapkit.data.step_reader import StepReader
from leapkit.data.step_rows import StepRows, selected_rows
from tests.helpers.refusals import refused
from tests.helpers.step_forms import Form, rewritten

QUICK = dict(deadline=None, suppress_health_check=list(HealthCheck))
SHARE = RowSelection(fraction=0.65)


def bits(values: np.ndarray) -> np.ndarray:
    """Return the bits as integers: 0.0 and -0.0 differ, and a NaN equals itself."""
    values = np.ascontiguousarray(values)
    return values.view(np.int32 if values.dtype == np.float32 else np.int64)


def same_bits(rows: np.ndarray, expected: np.ndarray) -> bool:
    return (
        rows.shape == expected.shape
        and rows.dtype == expected.dtype
        and bool((bits(rows) == bits(expected)).all())
    )


def read(source: StepRows, pair: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return a pair's rows, read into arrays that held NaNs before."""
    count = int(source.counts[pair])
    x, y = np.full((count, 556), np.nan, np.float32), np.full((count, 368), np.nan, np.float32)
    source.read(pair, x, y)
    return x, y


@pytest.fixture(scope="module", params=["adam", "fdzm"])
def world_scaling(request: pytest.FixtureRequest, tiny_world: Path) -> Scaling:
    """Return the tiny world's statistics of one family."""
    return scaling.load_scaling(
        tiny_world / "statistics" / request.param,
        request.param,
        tiny_world / "kaggle-data" / "sample_submission_old.csv",
    )


@pytest.fixture(scope="module")
def pairs(tiny_world: Path) -> List[StepPair]:
    """Return 12 steps of 0008-01 and 0008-04, 48 columns each."""
    return list_pairs(tiny_world / "ClimSim_low-res" / "train", ["0008-01", "0008-04"])


# --- the same bits --------------------------------------------------------------------------------


def test_every_row_of_the_sample_world_is_the_plain_arithmetics_bit_for_bit(
    pairs: List[StepPair], world_scaling: Scaling
) -> None:
    source = StepRows(pairs, world_scaling)
    reader = StepReader()
    assert source.counts.tolist() == [48] * 12
    for k, pair in enumerate(pairs):
        x, y = reader.read(pair)
        rows = read(source, k)
        assert same_bits(rows[0], world_scaling.scaled_inputs(x)) and same_bits(
            rows[1], world_scaling.scaled_targets(y)
        ), pair.stamp


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_real_rows_by_the_published_statistics_are_the_plain_arithmetics_bit_for_bit(
    real_steps: Path, published: Path, family: str
) -> None:
    published_scaling = scaling.load_scaling(
        published / family, family, published / "adam" / "old_sample_weight.csv"
    )
    chosen = list_pairs(real_steps)[::4]
    source = StepRows(chosen, published_scaling)
    reader = StepReader()
    assert source.counts.tolist() == [384] * len(chosen)
    for k, pair in enumerate(chosen):
        x, y = reader.read(pair)
        rows = read(source, k)
        assert same_bits(rows[0], published_scaling.scaled_inputs(x)) and same_bits(
            rows[1], published_scaling.scaled_targets(y)
        ), pair.stamp


def test_a_share_of_the_rows_is_those_rows_bit_for_bit(
    pairs: List[StepPair], world_scaling: Scaling
) -> None:
    source = StepRows(pairs, world_scaling, SHARE)
    reader = StepReader()
    mask = selected_rows(pairs, 48, SHARE, {})
    assert mask is not None and source.counts.tolist() == mask.sum(axis=1).tolist()
    for k, pair in enumerate(pairs):
        x, y = reader.read(pair)
        rows = read(source, k)
        assert same_bits(rows[0], world_scaling.scaled_inputs(x[mask[k]])) and same_bits(
            rows[1], world_scaling.scaled_targets(y[mask[k]])
        ), pair.stamp


def test_a_loader_hands_out_the_rows_of_all_pairs_in_order(
    pairs: List[StepPair], world_scaling: Scaling
) -> None:
    source = StepRows(pairs, world_scaling, SHARE)
    reader = StepReader()
    mask = selected_rows(pairs, 48, SHARE, {})
    expected = [
        world_scaling.scaled_inputs(reader.read(pair)[0][mask[k]]) for k, pair in enumerate(pairs)
    ]
    batches = [x for x, _ in Loader(source, 100).in_order(37)]
    assert same_bits(np.concatenate(batches), np.concatenate(expected))


# All magnitudes of float64, with cloud liquid's 1e-58 and denormals; zeros of both signs.
def magnitudes(
    random_state: np.random.RandomState, shape: Sequence[int], low: float, high: float
) -> np.ndarray:
    values = 10.0 ** random_state.uniform(low, high, tuple(shape)) * random_state.choice(
        [-1.0, 1.0], tuple(shape)
    )
    extremes = random_state.choice(
        [0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e-58, -1e-45, 1.5e-39], tuple(shape)
    )
    return np.where(random_state.uniform(size=tuple(shape)) < 0.1, extremes, values)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 50),
    family=st.sampled_from(sorted(FAMILIES)),
    range_=st.sampled_from([(-323.0, -300.0), (-60.0, -35.0), (-12.0, 6.0), (-323.0, 300.0)]),
    layout=st.sampled_from(["levels", "chosen", "fortran"]),
)
@settings(max_examples=60, **QUICK)
def test_levels_give_the_bits_of_rows_for_any_numbers(
    seed: int, count: int, family: str, range_: Tuple[float, float], layout: str
) -> None:
    draw = np.random.RandomState(seed)
    weight = np.where(draw.uniform(size=368) < 0.1, 0.0, np.abs(magnitudes(draw, (368,), -3, 15)))
    drawn_scaling = Scaling(
        FAMILIES[family],
        magnitudes(draw, (556,), *range_),
        10.0 ** draw.uniform(-10, 6, 556),
        magnitudes(draw, (368,), *range_),
        10.0 ** draw.uniform(-10, 6, 368),
        weight,
    )
    x, y = magnitudes(draw, (count, 556), *range_), magnitudes(draw, (count, 368), *range_)
    by_level = (
        [x.T, y.T]
        if layout == "fortran"
        else [np.ascontiguousarray(x.T), np.ascontiguousarray(y.T)]
    )
    if layout == "chosen":  # as step_rows.py hands them over
        mask = draw.uniform(size=count) < 0.65
        by_level = [values[:, mask] for values in by_level]
        x = x[mask]
        y = y[mask]
    copies = [values.copy() for values in by_level]
    inputs, targets = (
        np.full((len(x), 556), np.nan, np.float32),
        np.full((len(y), 368), np.nan, np.float32),
    )
    with np.errstate(all="ignore"):
        drawn_scaling.standardise_by_level(by_level[0], by_level[1], inputs, targets)
        assert same_bits(inputs, drawn_scaling.scaled_inputs(x)) and same_bits(
            targets, drawn_scaling.scaled_targets(y)
        )
        # And before the cast, which hides all but one in 10**9 of float64's last bits.
        inputs = inputs.astype(np.float64)
        targets = targets.astype(np.float64)
        drawn_scaling.standardise_by_level(by_level[0], by_level[1], inputs, targets)
        assert same_bits(
            inputs,
            ((x - drawn_scaling.input_mean) / drawn_scaling.input_std)[:, list(INPUTS_TO_NETWORK)],
        )
        assert same_bits(
            targets,
            ((y * drawn_scaling.weight - drawn_scaling.target_mean) / drawn_scaling.target_std)[
                :, list(TARGETS_TO_NETWORK)
            ],
        )
    assert all(
        same_bits(after, before) for after, before in zip(by_level, copies)
    )  # the reader's buffers stay as they were


# --- the share of each month ----------------------------------------------------------------------


def steps(month: str, count: int) -> List[StepPair]:
    """Return pairs without files, as choosing rows reads none."""
    return [
        StepPair(Path("train") / month, f"{month}-{k // 72 + 1:02d}-{1200 * (k % 72):05d}")
        for k in range(count)
    ]


MONTHS = st.dictionaries(
    st.sampled_from(["0001-02", "0003-11", "0008-01", "0008-06"]), st.integers(1, 12), min_size=1
)


@given(
    months=MONTHS,
    columns=st.integers(1, 50),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 9999),
)
@settings(max_examples=60, **QUICK)
def test_of_each_month_the_whole_number_below_its_share_is_chosen(
    months: Dict[str, int], columns: int, fraction: float, seed: int
) -> None:
    pairs = [pair for month in sorted(months) for pair in steps(month, months[month])]
    mask = selected_rows(pairs, columns, RowSelection(fraction=fraction, seed=seed), {})
    assert (
        mask is not None and mask.dtype == bool and mask.shape == (len(pairs), columns)
    )  # a mask repeats no row
    for month, count in months.items():
        month_mask = mask[[k for k, pair in enumerate(pairs) if pair.month == month]]
        assert month_mask.sum() == int(fraction * (count * columns))


@given(
    months=MONTHS,
    columns=st.integers(1, 50),
    seed=st.integers(0, 9999),
    shuffling=st.randoms(use_true_random=False),
)
@settings(max_examples=60, **QUICK)
def test_a_months_choice_depends_on_no_other_month_and_not_on_their_order(
    months: Dict[str, int], columns: int, seed: int, shuffling: random.Random
) -> None:
    chosen = RowSelection(fraction=0.65, seed=seed)
    waiting = {month: steps(month, count) for month, count in months.items()}
    mixed: List[StepPair] = []  # each month's steps in order, the months in any
    while waiting:
        month = shuffling.choice(sorted(waiting))
        mixed.append(waiting[month].pop(0))
        if not waiting[month]:
            del waiting[month]
    mask = selected_rows(mixed, columns, chosen, {})
    for month, count in months.items():
        month_mask = selected_rows(steps(month, count), columns, chosen, {})
        assert (
            mask[[k for k, pair in enumerate(mixed) if pair.month == month]] == month_mask
        ).all()


def test_the_share_of_whole_months_is_as_large_as_the_teams() -> None:
    """The team's log counts 48,612,081 rows of 89 months; months have three lengths."""
    months = months_between("0001-02", "0008-06")
    assert (
        len(months) == 89
        and sum(int(0.65 * 384 * steps_of(month)) for month in months) == 48_612_081
    )
    for month, expected in (("0001-02", 503_193), ("0001-03", 557_107), ("0001-04", 539_136)):
        mask = selected_rows(steps(month, steps_of(month)), 384, SHARE, {})
        assert mask.sum() == expected


def test_the_chosen_rows_are_spread_over_all_steps_and_columns() -> None:
    mask = selected_rows(steps("0001-03", 100), 384, SHARE, {})
    assert (abs(mask.mean(axis=1) - 0.65) < 0.15).all() and (
        abs(mask.mean(axis=0) - 0.65) < 0.3
    ).all()


def test_another_seed_and_another_month_choose_other_rows() -> None:
    chosen = [
        selected_rows(steps(month, 20), 48, RowSelection(fraction=0.5, seed=seed), {}).tobytes()
        for month, seed in (
            ("0001-02", 1103),
            ("0001-03", 1103),
            ("0002-01", 1103),
            ("0001-02", 1104),
        )
    ]
    assert len(set(chosen)) == 4


def test_the_choice_is_the_same_on_every_stack() -> None:
    """The rows are written down, as training on another numpy must learn from the same ones."""
    mask = selected_rows(steps("0008-01", 2), 12, RowSelection(fraction=0.5), {})
    assert mask.astype(int).tolist() == [
        [1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1],
        [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0],
    ]


def test_the_whole_share_needs_no_choice(pairs: List[StepPair]) -> None:
    assert selected_rows(pairs, 48, RowSelection(), {}) is None
    assert (
        selected_rows(pairs, 48, RowSelection(), {"0008-01": np.arange(3)}) is None
    )  # an index is one of a share


# --- the team's index -----------------------------------------------------------------------------


@pytest.fixture
def six_steps_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a month be whole with six steps, as many as each month of the tiny world has."""
    monkeypatch.setattr(step_rows, "steps_of", lambda month: 6)


@pytest.mark.usefixtures("six_steps_are_whole")
def test_of_a_whole_month_the_index_is_taken_as_it_is(
    pairs: List[StepPair], world_scaling: Scaling
) -> None:
    """A number is columns * step + column, over the month's steps; rows come in file order."""
    numbers = np.array([287, 0, 48 * 2 + 7, 48 * 2 + 3, 47], dtype=np.int32)
    source = StepRows(pairs, world_scaling, SHARE, {"0008-04": numbers})
    reader = StepReader()
    assert source.counts[6:].tolist() == [2, 0, 2, 0, 0, 1]
    for pair, columns in ((6, [0, 47]), (7, []), (8, [3, 7]), (11, [47])):
        x, y = reader.read(pairs[pair])
        rows = read(source, pair)
        assert same_bits(rows[0], world_scaling.scaled_inputs(x[columns])) and same_bits(
            rows[1], world_scaling.scaled_targets(y[columns])
        )
    without_index = StepRows(
        pairs, world_scaling, SHARE
    )  # the other month is drawn as if there were no index
    assert source.counts[:6].tolist() == without_index.counts[:6].tolist() and source.counts[
        :6
    ].sum() == int(0.65 * 288)


def test_of_a_month_that_is_not_whole_the_index_is_not_taken() -> None:
    """The index numbers the rows of whole months, so it would name other rows of this one."""
    index = {"0008-01": np.arange(5), "0008-02": np.arange(7), "0003-01": np.arange(9)}
    pairs = steps("0008-01", steps_of("0008-01") - 1) + steps("0008-02", steps_of("0008-02"))
    mask, drawn = selected_rows(pairs, 3, SHARE, index), selected_rows(pairs, 3, SHARE, {})
    first = steps_of("0008-01") - 1
    assert (mask[:first] == drawn[:first]).all()
    assert mask[first:].sum() == 7 and mask[first:].ravel()[:7].all()


@pytest.mark.parametrize("numbers", [[288], [0, 5, 10**6], [-1], [-1, 3]])
@pytest.mark.usefixtures("six_steps_are_whole")
def test_a_row_beyond_the_month_is_refused(
    pairs: List[StepPair], world_scaling: Scaling, numbers: List[int]
) -> None:
    with refused("v3_index.pt", "288", "0008-01", "a seeded index"):
        StepRows(pairs, world_scaling, SHARE, {"0008-01": np.array(numbers)})


@pytest.mark.usefixtures("six_steps_are_whole")
def test_the_last_row_of_a_month_is_none_beyond_it_and_a_month_may_be_left_out(
    pairs: List[StepPair], world_scaling: Scaling
) -> None:
    source = StepRows(
        pairs,
        world_scaling,
        SHARE,
        {"0008-01": np.array([287]), "0008-04": np.array([], dtype=np.int32)},
    )
    assert source.counts.tolist() == [0] * 5 + [1] + [0] * 6
    assert read(source, 0)[0].shape == (0, 556)
    assert len(list(Loader(source, 100).in_order(10))) == 1


# --- what was used --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chosen, expected",
    [
        (None, ""),
        (RowSelection(), ""),
        (SHARE, ", 65 % of the rows by seed 1103"),
        (RowSelection(fraction=0.125, seed=7), ", 12.5 % of the rows by seed 7"),
    ],
)
def test_what_was_used_of_each_month_is_told(
    pairs: List[StepPair], world_scaling: Scaling, chosen: RowSelection, expected: str
) -> None:
    source = StepRows(pairs[::-1], world_scaling, chosen)
    assert source.used() == {
        "0008-01": "6 of 2232 steps" + expected,
        "0008-04": "6 of 2160 steps" + expected,
    }
    assert list(source.used()) == ["0008-01", "0008-04"]


@pytest.mark.usefixtures("six_steps_are_whole")
def test_it_is_told_where_the_teams_index_was_used_and_where_it_was_not(
    pairs: List[StepPair], world_scaling: Scaling
) -> None:
    index = {"0008-01": np.arange(100), "0008-04": np.arange(100), "0008-05": np.arange(100)}
    share = StepRows(pairs[:-1], world_scaling, SHARE, index)
    assert share.used() == {
        "0008-01": "6 of 6 steps, 65 % of the rows by the team's index",
        "0008-04": "5 of 6 steps, 65 % of the rows by seed 1103",
    }
    assert StepRows(pairs, world_scaling, RowSelection(), index).used() == {
        "0008-01": "6 of 6 steps",
        "0008-04": "6 of 6 steps",
    }


# --- files that do not fit, and threads -----------------------------------------------------------


def test_a_pair_with_another_number_of_columns_is_refused(
    pairs: List[StepPair], world_scaling: Scaling, tmp_path: Path
) -> None:
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps

    write_steps(tmp_path, [StepTime(8, 1, 1, 0)], seed=1, columns=11)
    odd_pairs = list_pairs(tmp_path)
    for chosen in (RowSelection(), SHARE):
        source = StepRows(pairs[:1] + odd_pairs, world_scaling, chosen)
        with refused(
            odd_pairs[0].mli,
            "has 11 columns, the files before it have 48",
            "download this file again",
        ):
            read(source, 1)
        read(source, 0)  # the reader is none the worse for it


def test_a_damaged_file_among_the_rows_reaches_the_loaders_caller_as_its_sentence(
    pairs: List[StepPair], world_scaling: Scaling, tmp_path: Path
) -> None:
    folder = tmp_path / "0008-01"
    shutil.copytree(str(pairs[0].folder), str(folder))
    copied_pairs = list_pairs(tmp_path)
    copied_pairs[3].mlo.write_bytes(copied_pairs[3].mlo.read_bytes()[:-8])
    with refused(copied_pairs[3].mlo, "is truncated", classic_netcdf.REMEDY):
        list(Loader(StepRows(copied_pairs, world_scaling), 100).shuffled(10, 0, 0))


def test_rows_of_float32_files_say_so_and_need_the_users_word(
    pairs: List[StepPair], world_scaling: Scaling, tmp_path: Path
) -> None:
    lower = rewritten(pairs[0], tmp_path, Form("NETCDF4", kind="f4"))
    mixed = [pairs[1], lower]
    with refused(lower.mli, "is float32", "STEP_PRECISION=float32"):
        list(Loader(StepRows(mixed, world_scaling), 100).in_order(10))
    rows = StepRows(mixed, world_scaling, accept_float32=True)
    read(rows, 0)
    assert rows.precision == "float64"
    read(rows, 1)
    assert rows.precision == "float32"


def test_a_missing_first_file_is_refused(world_scaling: Scaling, tmp_path: Path) -> None:
    with pytest.raises(KitError, match="missing"):
        StepRows([StepPair(tmp_path, "0008-01-01-00000")], world_scaling)


def test_many_threads_read_the_same_bytes_as_one(
    pairs: List[StepPair], world_scaling: Scaling
) -> None:
    source = StepRows(pairs, world_scaling, SHARE)
    expected = [tuple(array.tobytes() for array in read(source, k)) for k in range(len(pairs))]
    order = np.random.RandomState(0).permutation(list(range(len(pairs))) * 8).tolist()
    with ThreadPoolExecutor(8) as threads:
        rows_of_threads = list(
            threads.map(lambda k: tuple(array.tobytes() for array in read(source, k)), order)
        )
    assert rows_of_threads == [expected[k] for k in order]


def test_the_published_splits_have_the_sizes_of_the_teams_logs(tmp_path: Path) -> None:
    """The logs count 74,787,840 rows of 89 months, 65 % of them, and every seventh step."""
    from members.adam.experiments import V3, V4

    def pairs(months: Sequence[str]) -> List[StepPair]:
        return [
            StepPair(tmp_path, f"{month}-{1 + step // 72:02d}-{1200 * (step % 72):05d}")
            for month in months
            for step in range(steps_of(month))
        ]

    everything = pairs(PUBLISHED.train)
    assert 384 * len(everything) == 74_787_840
    share = selected_rows(everything, 384, V3, {})
    assert share is not None and int(share.sum()) == 48_612_081
    assert 384 * len(pairs([m for m in PUBLISHED.train if m >= V4.first_month])) == 45_370_368
    assert selected_rows(everything[:9], 384, V4, {}) is None
    assert 384 * len(pairs(PUBLISHED.validation)[:: PUBLISHED.validation_stride]) == 849_408
