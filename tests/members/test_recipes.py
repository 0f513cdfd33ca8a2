"""All members' experiments equal the team's facts, and recipes make the team's learning rates.

The facts: docs/reference/models.md, "Training loop", "Schedules" and the members' sections.
"""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import replace
from importlib import import_module
from typing import Any, Dict, List

import pytest

torch = pytest.importorskip("torch")

from blend import tables  # noqa: E402
from launch.registry import members  # noqa: E402
from leapkit.core.layout import RunFiles  # noqa: E402
from leapkit.core.recipes import (  # noqa: E402
    TUNING_FRACTION,
    Augmentation,
    CosineRestarts,
    PlateauSchedule,
    RowSelection,
)
from leapkit.core.registry import choose_experiments  # noqa: E402
from leapkit.run import training  # noqa: E402
from leapkit.run.optimisation import Schedule, make_optimiser  # noqa: E402
from members.joseph.networks import build as build_joseph  # noqa: E402
from tests.helpers.kit_members import TEAM  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)
EXPERIMENTS = {
    experiment.name: experiment
    for experiments in members().values()
    for experiment in experiments
    if experiment.member in TEAM
}

# ---- who is who (sections 1, 8 and 9) ------------------------------------------------------------

Facts = namedtuple("Facts", "artifact batch parent groups")
ONE, SEVEN = 1, 7
IDENTITIES = {
    "adam/195": Facts("adam_195_78569.oof", 4096, "", ONE),
    "adam/197": Facts("adam_197_78551.oof", 4096, "", ONE),
    "adam/200": Facts("adam_200_78362.oof", 4096, "", ONE),
    "forcewithme/18": Facts("forcewithme_reslstm_cv0.7890_lb0.7863", 8192, "", ONE),
    "forcewithme/32": Facts("forcewithme_gf_reslstm_cv0.790_lb0.785", 2048, "18", SEVEN),
    "forcewithme/37-stage1": Facts("", None, "", ONE),
    "forcewithme/37": Facts(
        "forcewithme_gf037_1LSTM1mamba-5_state16_cv0.7896_LBunknown", 4032, "37-stage1", SEVEN
    ),
    "forcewithme/38-stage1": Facts("", None, "", ONE),
    "forcewithme/38": Facts(
        "forcewithme_gf038_2LSTM1mamba-3_state64_cv0.7897_LBunknown", 2560, "38-stage1", SEVEN
    ),
    "forcewithme/39-stage1": Facts("", None, "", ONE),
    "forcewithme/39": Facts("forcewithme_gf_cnnlstm_cv0.789_lb0.787", 2048, "39-stage1", SEVEN),
    "forcewithme/40-stage1": Facts("", None, "", ONE),
    "forcewithme/40-stage2": Facts("", None, "40-stage1", ONE),
    "forcewithme/40": Facts("forcewithme_gf_lstmmamba_cv0.7885_lb0.7853", 4096, "40-stage2", SEVEN),
    "forcewithme/mixed-stage1": Facts("", None, "", ONE),
    "forcewithme/mixed": Facts(
        "forcewithme_gf_LstmMambaMixed_cv0.7886_lb0.7858", 2048, "mixed-stage1", SEVEN
    ),
    "joseph/907": Facts("Jo_ex907_cv7855", 4096, "", ONE),
    "joseph/912": Facts("Jo_ex912_cv7885", 6144, "", ONE),
    "joseph/912sep": Facts("Jo_ex912sep2_cv78935", 6144, "912", SEVEN),
    "max2020/007": Facts("", None, "", ONE),
    "max2020/010": Facts("max_010_gf_cv7888_lb7861", 4096, "007", SEVEN),
    "max2020/014-stage1": Facts("", None, "", ONE),
    "max2020/014": Facts("max_014_gf_cv7905_lb7873", 4096, "014-stage1", SEVEN),
    "max2020/015-stage1": Facts("", None, "", ONE),
    "max2020/015": Facts("max_015_gf_cv7905_lb7878", 4096, "015-stage1", SEVEN),
    "max2020/021-stage1": Facts("", None, "", ONE),
    "max2020/021": Facts("max_021_moredim_gf_cv7904_lbUnknown", 4096, "021-stage1", SEVEN),
    "max2020/022-stage1": Facts("", None, "", ONE),
    "max2020/022": Facts("max_022_deeper_gf_cv7908_lbUnknown", 4096, "022-stage1", SEVEN),
    "zuiye/A": Facts("zuiye_A", None, "", ONE),
    "zuiye/B": Facts("zuiye_B", None, "", ONE),
}


def test_the_tables_below_are_about_every_experiment() -> None:
    assert set(EXPERIMENTS) == set(IDENTITIES) == set(RECIPES) | {"zuiye/A", "zuiye/B"}


@pytest.mark.parametrize("name", sorted(IDENTITIES))
def test_an_experiment_is_that_of_the_team(name):
    experiment, facts = EXPERIMENTS[name], IDENTITIES[name]
    assert (experiment.artifact, experiment.parent, len(experiment.checkpoint_groups)) == (
        facts.artifact,
        facts.parent,
        facts.groups,
    )
    assert experiment.batch == facts.batch or facts.batch is None
    assert experiment.family == ("adam" if experiment.member == "adam" else "fdzm")
    is_tuned = experiment.groups is not None
    assert (experiment.recipe["full"].epochs == 1) == is_tuned, "fine-tuning is one epoch"
    sample = experiment.recipe["sample"]
    assert sample.epochs == (2 if experiment.member == "adam" else 1)
    assert (sample.rows.fraction == TUNING_FRACTION) == is_tuned, "and at sample size of few rows"
    if experiment.parent:  # the same network, but for the head of 40's second stage
        same_network = (
            EXPERIMENTS[f"{experiment.member}/{experiment.parent}"].network == experiment.network
        )
        assert same_network == (name != "forcewithme/40-stage2")


def test_the_exceptions_among_the_fine_tuned_are_the_teams() -> None:
    assert {name for name, experiment in EXPERIMENTS.items() if experiment.reinitialised} == {
        "forcewithme/40-stage2"
    }
    assert EXPERIMENTS["forcewithme/40-stage2"].reinitialised == ("fc.0.weight",)
    rules = {
        name: experiment.groups for name, experiment in EXPERIMENTS.items() if experiment.groups
    }
    assert {name: rule.parents for name, rule in rules.items() if rule.parents} == {
        "forcewithme/38": (0,)
    }
    assert [name for name, rule in rules.items() if rule.keep_if_better] == ["joseph/912sep"]
    assert {
        name: experiment.published.prefix
        for name, experiment in EXPERIMENTS.items()
        if experiment.published and experiment.published.prefix
    } == {
        name: "module."
        for name, experiment in EXPERIMENTS.items()
        if experiment.published and experiment.member in ("adam", "forcewithme")
    }


def test_the_published_blend_counts_sixteen_artifacts_in_82_checkpoint_files() -> None:
    default = [
        experiment
        for member_experiments in members().values()
        if any(experiment.blended for experiment in member_experiments)
        for experiment in choose_experiments(member_experiments, "", "infer-only", everything=False)
    ]
    assert sorted(experiment.artifact for experiment in default) == sorted(
        artifact for artifact, _ in tables.find("v10").rows
    )
    assert (
        len(default) == 16
        and sum(len(experiment.checkpoint_groups) for experiment in default) == 82
    )
    assert default == [experiment for experiment in EXPERIMENTS.values() if experiment.blended]


# ---- recipes (sections 4 to 8) -------------------------------------------------------------------

Training = namedtuple(
    "Training", "lr betas decay schedule epochs batch validation clip evaluations seed"
)
USUAL, FASTER = (0.9, 0.999), (0.9, 0.95)
C1, C9, C8 = CosineRestarts(1, 1, 1e-7), CosineRestarts(3, 2, 1e-5), CosineRestarts(4, 1, 1e-5)
MAX = CosineRestarts(3, 2, 1e-6)
FWM = 1999517
RATES_007 = {"lstml": 8e-4, "lstm2": 1e-3, "attention": 1e-3, "fc": 1.2e-3}
RATES_010 = {"lstml": 4e-5, "lstm2": 5e-5, "attention": 5e-5, "fc": 6e-5}
RATES_907 = {"lstm_0": 5e-4, "lstm_layers": 6e-4, "attention": 7e-4, "final_fc": 8e-4}
RATES_912 = {"lstm_layers": 6e-4, "attention": 4e-4, "final_fc": 8e-4}
RATES_912SEP = {"lstm_layers": 1.2e-4, "attention": 8e-5, "final_fc": 1.6e-4}
EVALUATIONS_907 = [2, 2, 2, 2, 2, 2, 5, 5, 2, 2, 5, 8, 2, 2, 5, 8]


def _adam(seed: int) -> Training:
    return Training(
        {"": 1e-3}, USUAL, 0.0, PlateauSchedule(0.1, 2, 1e-5), 25, 2048, 4096, 1000, [4] * 25, seed
    )


def _first(
    lr: float, batch: int, validation: int, betas: Any = FASTER, last: Any = (2,)
) -> Training:
    return Training(
        {"": lr}, betas, 0.01, C9, 9, batch, validation, 9, [2] * (9 - len(last)) + list(last), FWM
    )


def _tuned(lr: float, batch: int) -> Training:
    return Training({"": lr}, FASTER, 0.01, C1, 1, batch, None, 9, [1], FWM)


def _max(
    lr: Any, batch: int, clip: float, seed: int, epochs: int = 9, schedule: Any = MAX
) -> Training:
    rates = lr if isinstance(lr, dict) else {"": lr}
    return Training(
        rates,
        USUAL,
        0.01,
        schedule,
        epochs,
        batch,
        4096 if epochs > 1 else None,
        clip,
        [2] * epochs,
        seed,
    )


RECIPES = {
    "adam/195": _adam(47),
    "adam/197": _adam(1103),
    "adam/200": _adam(9),
    "forcewithme/18": _first(8e-4, 2048, 8192, USUAL, (10, 10, 10)),
    "forcewithme/39-stage1": _first(8e-4, 2048, 8192, USUAL, (10,)),
    "forcewithme/40-stage1": _first(4e-4, 1536, 3072, last=(6,)),
    "forcewithme/40-stage2": Training(
        {"": 4e-4}, FASTER, 0.01, C8, 8, 2048, 4096, 9, [2] * 7 + [4], FWM
    ),
    "forcewithme/mixed-stage1": _first(8e-4, 2048, 2048, last=(4,)),
    "forcewithme/38-stage1": _first(8e-4, 2048, 2048),
    "forcewithme/37-stage1": _first(8e-4, 2048, 2048),
    "forcewithme/32": _tuned(8e-5, 2048),
    "forcewithme/39": _tuned(8e-5, 2048),
    "forcewithme/mixed": _tuned(8e-5, 2048),
    "forcewithme/40": _tuned(1.6e-4, 4096),
    "forcewithme/37": _tuned(1.6e-4, 4032),
    "forcewithme/38": _tuned(1e-4, 2560),
    "joseph/907": Training(
        RATES_907,
        USUAL,
        1e-3,
        CosineRestarts(4, 1, 1e-6),
        16,
        2048,
        4096,
        1e4,
        EVALUATIONS_907,
        315,
    ),
    "joseph/912": Training(RATES_912, USUAL, 1e-3, MAX, 9, 3072, 6144, 4, [2] * 6 + [4, 4, 6], 315),
    "joseph/912sep": Training(
        RATES_912SEP, USUAL, 1e-3, CosineRestarts(1, 1, 2e-7), 1, 3072, None, 4, [8], 315
    ),
    "max2020/007": _max(RATES_007, 3072, 1e5, 2024, epochs=12),
    "max2020/014-stage1": _max(8e-4, 2048, 9, 1995),
    "max2020/015-stage1": _max(8e-4, 2048, 9, 1995),
    "max2020/021-stage1": _max(8e-4, 2048, 9, 1997),
    "max2020/022-stage1": _max(8e-4, 2048, 9, 1998),
    "max2020/010": _max(RATES_010, 3072, 1e5, 2024, 1, C1),
    "max2020/014": _max(1.6e-4, 2048, 1e5, 2024, 1, C1),
    "max2020/015": _max(2.4e-4, 2048, 1e5, 2024, 1, C1),
    "max2020/021": _max(2.4e-4, 2048, 1e5, 1997, 1, C1),
    "max2020/022": _max(2.4e-4, 2048, 1e5, 1998, 1, C1),
}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_is_the_teams(name):
    recipe, facts = EXPERIMENTS[name].recipe["full"], RECIPES[name]
    assert set(recipe.rates) == set(facts.lr)
    assert all(
        math.isclose(recipe.rates[prefix], rate, rel_tol=1e-12) for prefix, rate in facts.lr.items()
    )
    assert (recipe.optimiser, recipe.early_stop) == (
        ("adam", True) if name.startswith("adam/") else ("adamw", False)
    )
    assert (recipe.betas, recipe.weight_decay, recipe.clip, recipe.seed) == (
        facts.betas,
        facts.decay,
        facts.clip,
        facts.seed,
    )
    assert (recipe.schedule, recipe.epochs, recipe.batch) == (
        facts.schedule,
        facts.epochs,
        facts.batch,
    )
    assert recipe.validation_batch == facts.validation or facts.validation is None
    assert [recipe.evaluations_in(epoch) for epoch in range(recipe.epochs)] == facts.evaluations


def test_what_only_some_recipes_have() -> None:
    """Only Max has this loss, only Joseph thresholds and augmentation, only ADAM shares of rows."""

    def other_than(default: Any, attribute: str) -> Dict[str, Any]:
        values = {name: getattr(EXPERIMENTS[name].recipe["full"], attribute) for name in RECIPES}
        return {name: value for name, value in values.items() if value != default}

    assert other_than(1.0, "smooth_l1_beta") == dict.fromkeys(
        [
            "max2020/" + stage
            for stage in ("007", "014-stage1", "015-stage1", "021-stage1", "022-stage1")
        ],
        0.5,
    )
    assert other_than(0.0, "min_gain") == {"joseph/907": 3e-5, "joseph/912": 2e-5}
    assert other_than(0, "skipped_evaluations") == {"joseph/912sep": 5}
    assert other_than(None, "augmentation") == {
        "joseph/907": Augmentation(flip=0.08, roll=0.08, shift=5)
    }
    share = RowSelection("0001-02", 0.65, seed=1103, index="v3_index.pt")
    assert other_than(RowSelection(), "rows") == {
        "adam/195": share,
        "adam/197": share,
        "adam/200": RowSelection("0004-01"),
    }


def test_912sep_is_evaluated_after_six_seven_and_eight_eighths_of_its_epoch() -> None:
    recipe = EXPERIMENTS["joseph/912sep"].recipe["full"]
    for steps, expected in (
        (24345, [6 * 3043, 7 * 3043, 24345]),
        (16, [12, 14, 16]),
        (8, [6, 7, 8]),
        (4, [4]),
    ):
        assert (
            training.evaluation_steps(steps, recipe.evaluations_in(0), recipe.skipped_evaluations)
            == expected
        )


# ---- learning rates ------------------------------------------------------------------------------


def _armed(recipe: Any) -> Any:
    """Return optimiser and schedule of a tiny module with a parameter under every prefix."""
    network = torch.nn.ModuleDict(
        {prefix or "any": torch.nn.Linear(1, 1) for prefix in recipe.rates}
    )
    optimiser = make_optimiser(network, recipe)
    return optimiser, Schedule(recipe, optimiser)


def _rates(optimiser: Any) -> List[float]:
    return [group["lr"] for group in optimiser.param_groups]


def _closed_form(base: float, plan: CosineRestarts, time: float) -> float:
    start = 0
    length = plan.first
    while time >= start + length:
        start = start + length
        length = length * plan.factor
    return (
        plan.min_lr + (base - plan.min_lr) * (1 + math.cos(math.pi * (time - start) / length)) / 2
    )


# One experiment of each distinct schedule, and where it turns, in epochs.
RESTARTS = {
    "forcewithme/18": (3,),
    "forcewithme/40-stage2": (4,),
    "max2020/014-stage1": (3,),
    "max2020/007": (3, 9),
    "joseph/907": (4, 8, 12),
    "joseph/912": (3,),
    "max2020/010": (),
    "forcewithme/32": (),
    "joseph/912sep": (),
    "zuiye/A": (3,),
}
N = 24


def test_the_learning_rates_below_are_of_every_distinct_schedule() -> None:
    def kinds(rows: Any) -> Any:
        return {
            (experiment.recipe["full"].schedule, experiment.recipe["full"].epochs)
            for experiment in rows
        }

    assert kinds(EXPERIMENTS[name] for name in RESTARTS) == {
        kind for kind in kinds(EXPERIMENTS.values()) if isinstance(kind[0], CosineRestarts)
    }


@pytest.mark.parametrize("name", sorted(RESTARTS))
def test_a_cosine_has_its_closed_form_at_every_update_and_lags_one_update(name):
    """Updates 0 and 1 have the base rate, update k that of the time (k - 1) / N.

    Each group of parameters has a base rate of its own.
    """
    recipe = EXPERIMENTS[name].recipe["full"]
    optimiser, schedule = _armed(recipe)
    bases = list(recipe.rates.values())
    used = []
    for k in range(recipe.epochs * N):
        used.append(_rates(optimiser))
        schedule.after_evaluation(0.5)  # a cosine does not look at scores
        schedule.after_update(k // N, k % N, N)
    assert used[0] == used[1] == bases
    for k in range(1, len(used)):
        expected = [_closed_form(base, recipe.schedule, (k - 1) / N) for base in bases]
        assert all(
            math.isclose(rate, right, rel_tol=1e-12) for rate, right in zip(used[k], expected)
        ), k
    for epoch in RESTARTS[name]:
        before, after = used[epoch * N], used[epoch * N + 1]
        assert after == bases, "one update after the epoch's first"
        assert all(old - recipe.schedule.min_lr < 0.005 * base for old, base in zip(before, bases))
    drops = [k for k in range(1, len(used)) if used[k][0] > used[k - 1][0]]
    assert drops == [epoch * N + 1 for epoch in RESTARTS[name]], (
        "and nowhere else does the rate rise"
    )


# (epoch, of how long a cycle's half, and what the rate is at its end), at the team's number of
# updates in an epoch.
@pytest.mark.parametrize(
    "name, time, expected",
    [
        ("forcewithme/18", 1.5, [4.05e-4]),
        ("forcewithme/18", 3 - 1 / 36517, [1e-5]),
        ("forcewithme/18", 3, [8e-4]),
        ("forcewithme/18", 6, [4.05e-4]),
        ("forcewithme/18", 9 - 1 / 36517, [1e-5]),
        ("forcewithme/40-stage2", 2, [2.05e-4]),
        ("forcewithme/40-stage2", 4 - 1 / 36517, [1e-5]),
        ("forcewithme/40-stage2", 4, [4e-4]),
        ("forcewithme/40-stage2", 6, [2.05e-4]),
        ("forcewithme/40-stage2", 8 - 1 / 36517, [1e-5]),
        ("max2020/014-stage1", 1, [6.0025e-4]),
        ("max2020/014-stage1", 6, [4.005e-4]),
        ("max2020/014-stage1", 9 - 1 / 36517, [1e-6]),
        ("zuiye/A", 2, [2.0075e-4]),
        ("max2020/007", 6, [4.005e-4, 5.005e-4, 5.005e-4, 6.005e-4]),
        ("max2020/007", 9, [8e-4, 1e-3, 1e-3, 1.2e-3]),
        ("max2020/007", 12, [6.82989e-4, 8.53700e-4, 8.53700e-4, 1.024410e-3]),
        ("joseph/907", 2, [2.505e-4, 3.005e-4, 3.505e-4, 4.005e-4]),
        ("joseph/907", 8 - 1 / 36517, [1e-6] * 4),
        ("joseph/907", 12, [5e-4, 6e-4, 7e-4, 8e-4]),
        ("joseph/907", 16 - 1 / 36517, [1e-6] * 4),
        ("joseph/912", 6, [3.005e-4, 2.005e-4, 4.005e-4]),
        ("joseph/912", 9 - 1 / 24345, [1e-6] * 3),
        ("max2020/010", 0.5, [2.005e-5, 2.505e-5, 2.505e-5, 3.005e-5]),
        ("max2020/010", 1 - 1 / 24345, [1e-7] * 4),
        ("max2020/014", 0.5, [8.005e-5]),
        ("max2020/022", 0.5, [1.2005e-4]),
        ("forcewithme/38", 0.5, [5.005e-5]),
        ("forcewithme/32", 0.25, [6.829892e-5]),
        ("forcewithme/32", 1 - 1 / 36517, [1e-7]),
        ("joseph/912sep", 0.5, [6.01e-5, 4.01e-5, 8.01e-5]),
        ("joseph/912sep", 1 - 1 / 24345, [2e-7] * 3),
    ],
)
def test_the_rates_at_a_schedules_turning_points(name, time, expected):
    optimiser, schedule = _armed(EXPERIMENTS[name].recipe["full"])
    steps = 36517 * 24345 * 4
    schedule.after_update(int(time), round((time - int(time)) * steps), steps)
    assert _rates(optimiser) == pytest.approx(expected, rel=1e-5)


def test_007_ends_at_85_percent_of_its_base_rates() -> None:
    recipe = EXPERIMENTS["max2020/007"].recipe["full"]
    optimiser, schedule = _armed(recipe)
    schedule.after_update(11, 24344, 24345)
    for rate, base in zip(_rates(optimiser), recipe.rates.values()):
        assert rate / base == pytest.approx(0.85, abs=0.005)


def test_a_plateau_is_stepped_at_evaluations_only() -> None:
    optimiser, schedule = _armed(EXPERIMENTS["adam/197"].recipe["full"])
    for step in range(100):
        schedule.after_update(0, step, 100)
    assert _rates(optimiser) == [1e-3]
    for score in (0.5, 0.4, 0.4, 0.4):
        schedule.after_evaluation(score)
    assert _rates(optimiser) == [pytest.approx(1e-4)]


@pytest.mark.parametrize("name", ["joseph/907", "max2020/007", "forcewithme/40-stage2", "adam/195"])
def test_a_schedule_goes_on_from_its_state_in_the_middle_of_a_cycle(name: str) -> None:
    recipe = EXPERIMENTS[name].recipe["full"]

    def advance(armed: Any, updates: range) -> List[List[float]]:
        optimiser, schedule = armed
        rates = []
        for k in updates:
            schedule.after_update(k // N, k % N, N)
            if k % N == N - 1:
                schedule.after_evaluation(0.5 - k / 1e4)
            rates.append(_rates(optimiser))
        return rates

    uninterrupted, first, second = _armed(recipe), _armed(recipe), _armed(recipe)
    middle = 5 * N + 7
    end = 10 * N
    expected = advance(uninterrupted, range(end))
    advance(first, range(middle))
    for new, old in zip(second, first):
        new.load_state_dict(old.state_dict())
    assert _rates(second[0]) == _rates(first[0])
    assert advance(second, range(middle, end)) == expected[middle:]
    assert len({tuple(rates) for rates in expected}) > 2, "something moved"


# ---- which parameters are trained ----------------------------------------------------------------


@pytest.mark.parametrize(
    "number, idle",
    [
        ("907", ["layer_norm.bias", "layer_norm.weight"]),  # named by no prefix
        (
            "912",
            [f"lstm_layers.{k}.resfc.module.{kind}" for k in (1, 2) for kind in ("bias", "weight")],
        ),
    ],
)  # unused
def test_tensors_that_the_team_saves_and_never_trains_stay_at_initialisation(
    number, idle, tmp_path
):
    experiment = EXPERIMENTS["joseph/" + number]
    network = build_joseph(experiment.network["sample"])
    recipe = experiment.recipe["sample"]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    task = training.Task(RunFiles(tmp_path, number), recipe, "key")
    run = training.Run(network, task, 2, torch.device("cpu"))
    random = torch.Generator().manual_seed(1)
    for _ in range(2):
        training._update(
            run, torch.randn(8, 556, generator=random), torch.randn(8, 368, generator=random)
        )
    assert (
        sorted(
            name
            for name, tensor in network.state_dict().items()
            if torch.equal(tensor, before[name])
        )
        == idle
    )
    trained_ids = {id(p) for group in run.optimiser.param_groups for p in group["params"]}
    missing = [name for name, p in network.named_parameters() if id(p) not in trained_ids]
    assert missing == (["layer_norm.weight", "layer_norm.bias"] if number == "907" else [])


@pytest.mark.parametrize(
    "name", [name for name in sorted(RECIPES) if "" not in EXPERIMENTS[name].recipe["full"].rates]
)
def test_every_prefix_names_parameters_of_the_network(name):
    experiment = EXPERIMENTS[name]
    network = import_module(f"members.{experiment.member}.networks").build(
        experiment.network["sample"]
    )
    optimiser = make_optimiser(network, experiment.recipe["full"])
    assert _rates(optimiser) == list(experiment.recipe["full"].rates.values())
    with pytest.raises(ValueError, match="begins with"):  # by the whole first part of a name
        make_optimiser(
            network,
            replace(
                experiment.recipe["full"], lr={next(iter(experiment.recipe["full"].rates))[:3]: 1.0}
            ),
        )
