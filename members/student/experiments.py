"""The kit's own small network, for use where the published ones are too slow (standard library).

It is none of the team's, and is trained on request only: by `make distil` on what a teacher
predicts (leapkit.worlds.teacher_world), by `make student` on the truth.
"""

from __future__ import annotations

from dataclasses import replace

from leapkit.core.architectures import ResidualStack
from leapkit.core.experiments import Experiment
from leapkit.core.recipes import CosineRestarts, Recipe, at_sample_size

# max2020/022 at half the depth and nine sixteenths of the width: two cores predict the 384 columns
# of a global step in less than a second (members/student/README.md).
NETWORK = ResidualStack(
    5, 144, gelu=(0,), residual=(1, 2, 3, 4), saved=(0,), keep=0.7, carry=0.3, named_init=True
)
SAMPLE_EPOCHS = 12  # more than the members have, whose first run takes minutes

RECIPE = Recipe(
    lr=1e-3,
    schedule=CosineRestarts(12, 1, 1e-6),
    epochs=12,
    batch=1024,
    validation_batch=4096,
    clip=9,
    seed=2026,
    evaluations_per_epoch=1,
)

EXPERIMENTS = (
    Experiment(
        "student",
        "stack",
        "student_stack",
        "fdzm",
        network={"full": NETWORK, "sample": NETWORK.narrower(layers=2, hidden=32)},
        recipe={
            "full": RECIPE,
            "sample": replace(
                at_sample_size(RECIPE, faster=5, epochs=SAMPLE_EPOCHS, fraction=1.0),
                schedule=CosineRestarts(SAMPLE_EPOCHS, 1, 1e-6),
            ),
        },
        batch=4096,
        on_request=True,
    ),
)
