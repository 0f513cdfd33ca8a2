"""Sixteen artifacts of the published table on the tiny world, made of its truth and noise, and the command that blends."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

import numpy as np

from blend import tables
from leapkit.core import receipts
from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.files import sha256
from leapkit.core.layout import RawData, Results
from leapkit.data import kaggle_csv, scaling, submission
from leapkit.data.loader import Loader
from leapkit.data.step_rows import StepRows

V10 = [artifact for artifact, _ in tables.find("v10").rows]
THREE = V10[:2] + ["adam_195_78569.oof"]
TRAINED = THREE + V10[4:6]
SEARCH = ("--table", "searched", "--artifacts", "searched=" + ",".join(THREE))


class Maker:
    """Writes artifacts with receipts into a submission folder: the truth of the tiny world plus noise."""

    def __init__(self, world: Path) -> None:
        self.raw = RawData(world)
        self.scale = scaling.load_scaling(self.raw.statistics("adam"), "adam", self.raw.old_weights)
        ((self.ids, self.truth),) = submission.blocks(self.raw.truth)
        ((_, x),) = kaggle_csv.read_test_csv(self.raw.test_csv)
        self.q0002 = x[:, [INPUTS.index(name) for name in LINEAR_INPUTS]]
        validation = StepRows(self.raw.validation_pairs(), self.scale)
        ((_, self.validation),) = Loader(validation, 1000).in_order(1000)

    @property
    def validation_raw(self) -> np.ndarray:
        """(96, 368) the truth of the validation rows, y * weight, Kaggle order, to float64."""
        from leapkit.data.step_reader import StepReader

        reader = StepReader()
        return (
            np.concatenate([reader.read(pair)[1] for pair in self.raw.validation_pairs()])
            * self.scale.weight
        )

    def oof_raw(self, places: Results, artifact: str) -> np.ndarray:
        """(96, 368) an artifact's out-of-fold predictions in the same unit."""
        return self.scale.weighted(np.load(str(places.validation_predictions(artifact))))

    def values(self, seed: int) -> np.ndarray:
        """(144, 368) float64, Kaggle order: as a member of some skill would submit."""
        random = np.random.RandomState(seed)
        z = self.scale.scaled_targets(self.truth) + (
            0.3 + 0.1 * (seed % 5)
        ) * random.standard_normal(self.truth.shape)
        return self.scale.raw(z.astype(np.float32), self.q0002)

    def write(
        self,
        places: Results,
        artifact: str,
        values: np.ndarray,
        ids: Optional[Sequence[str]] = None,
        seed: Optional[int] = None,
        made_for: str = "",
    ) -> Path:
        path, details = places.parquet(artifact), {}
        path.parent.mkdir(parents=True, exist_ok=True)
        submission.write(path, self.ids if ids is None else ids, [values])
        if seed is not None:  # trained here: with out-of-fold predictions
            random = np.random.RandomState(seed)
            noise = (0.3 + 0.1 * (seed % 5)) * random.standard_normal(self.validation.shape)
            oof = places.subs / (artifact + ".npy")
            np.save(str(oof), (self.validation + noise).astype(np.float32))
            details = {"oof": {"sha256": sha256(oof), "family": "adam"}}
        inputs = {role: sha256(file) for role, file in self.raw.test_files().items()}
        inputs.update({"sample_submission.csv": made_for} if made_for else {})
        receipts.write(path, "submission", inputs, receipts.now(), details)
        return path

    def all(self, places: Results, artifacts: Sequence[str], trained: Sequence[str] = ()) -> None:
        """The k-th artifact by seed k; those that were trained here have out-of-fold predictions."""
        for seed, artifact in enumerate(artifacts):
            self.write(
                places, artifact, self.values(seed), seed=seed if artifact in trained else None
            )


def blend(maker: Maker, places: Results, *more: str, verb: str = "run") -> int:
    from blend.__main__ import main

    return main(
        [verb, "--raw-data", str(maker.raw.root), "--submission", str(places.root)] + list(more)
    )
