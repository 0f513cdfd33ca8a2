"""What a bundle holds: the images of its networks, of the blend, and of the emulator's stacks."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from launch.bundles import scope
from tests.launch.bundles.test_manifests import manifest_of

OLD, MIDDLE, MODERN = "py38-torch1.10", "py310-torch1.12", "py311-torch2.13"


@pytest.mark.parametrize(
    ("stack", "experiments", "emulators"),
    [
        ("modern", "joseph/907", [MODERN]),
        ("modern", "", [MODERN]),
        ("published", "adam/195", [OLD, MODERN]),
        ("published", "joseph/907,joseph/912", [MIDDLE, MODERN]),
        ("published", "", [OLD, MIDDLE, MODERN]),
    ],
)
def test_the_emulator_is_there_on_every_stack_that_predictions_need(
    tmp_path: Path, stack: str, experiments: str, emulators: List[str]
) -> None:
    """A network predicts on its own stack; a blend and an export need the modern one."""
    manifest = manifest_of(tmp_path, stack=stack, experiments=experiments, files={})
    (_, services), *others = scope.images(scope.of_bundle(manifest))
    assert services[-1] == "blend" and "emulator" not in services
    assert all(wanted == ["emulator"] for _, wanted in others)
    assert sorted(chosen.emulator.name for chosen, _ in others) == sorted(emulators)
