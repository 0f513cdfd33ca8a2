"""Fine-tuning: what an experiment takes over from its parent, the one that it starts from."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np
from torch import nn

from leapkit.core import receipts
from leapkit.core.columns import GROUP_NAMES, GROUPS
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.files import publish_copy, sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Layout, RunFiles
from leapkit.data import checkpoints, validation_predictions


class Parent:
    """The experiment that `child` starts from: its weights, its score, its validation predictions.

    Raises KitError if the parent's checkpoint has no valid receipt.
    """

    def __init__(self, child: Experiment, layout: Layout) -> None:
        self.child = child
        self.name = f"{child.member}/{child.parent}"
        folder = layout.results.experiment(child.member, child.parent)
        self.files = RunFiles(folder, child.parent)
        receipt = receipts.require_valid(
            self.files.checkpoint, HashIndex(), "run `make reproduce` again"
        )
        self.details: Mapping[str, Any] = receipt["details"]

    def _recorded(self, *keys: Any) -> Any:
        """Return what the receipt records. Raises KitError if it was changed and does not."""
        value: Any = self.details
        try:
            for key in keys:
                value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            receipt_file = receipts.receipt_path(self.files.checkpoint)
            remedy = "remove it and run `make reproduce` again"
            raise KitError(f"does not record {keys[0]}", receipt_file, remedy) from error
        return value

    def weights(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """Return the tensors, by name, that the child's training starts from.

        They are the parent's, apart from those that the child's experiment calls fresh: these are
        taken from `network`, the freshly initialised network of the child.
        """
        tensors = dict(checkpoints.read_tensors(self.files.checkpoint))
        initial = network.state_dict()
        tensors.update((name, initial[name].numpy()) for name in self.child.reinitialised)
        return tensors

    def score_against_parent(self, files: RunFiles, score: float) -> Dict[str, Any]:
        """Compare a fine-tuned group's R2 with the parent's and return both for the receipt.

        If the child's rule is `keep_if_better` and the parent was better, the group gets the
        parent's checkpoint.
        """
        assert files.group is not None and self.child.groups is not None
        parent_score = float(self._recorded("validation", "groups", files.group))
        comparison: Dict[str, Any] = {
            "group": GROUP_NAMES[files.group],
            "fine-tuned R2": score,
            "parent's R2": parent_score,
        }
        if self.child.groups.keep_if_better and score < parent_score:
            reason = f"its R2 {parent_score:.5f} is above the fine-tuned {score:.5f}"
            comparison.update(self.keep_parent_checkpoint(files, reason))
        return comparison

    def keep_parent_checkpoint(self, files: RunFiles, reason: str) -> Dict[str, Any]:
        """Give a group the parent's checkpoint and its columns of the parent's predictions.

        Returns what the receipt records. Raises KitError if the predictions are not those of the
        parent's receipt.
        """
        assert files.group is not None
        if sha256(self.files.validation_predictions) != self._recorded("oof"):
            raise KitError(
                "is not what its receipt names",
                self.files.validation_predictions,
                "remove it and run `make reproduce` again",
            )
        predictions = validation_predictions.read(self.files.validation_predictions)
        targets = GROUPS[files.group]
        validation_predictions.save(
            files.validation_predictions,
            len(predictions),
            targets.stop - targets.start,
            (
                predictions[rows, targets]
                for rows in validation_predictions.row_slices(len(predictions))
            ),
        )
        publish_copy(self.files.checkpoint, files.checkpoint)
        print(f"{files.stem}: keeps the weights of {self.name}: {reason}", flush=True)
        return {
            "weights": "of the parent " + self.name,
            "reason": reason,
            "group": GROUP_NAMES[files.group],
        }
