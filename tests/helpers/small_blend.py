"""Sixteen artifacts of the published table on the tiny world, and the command that blends them.

The artifacts are made of the world's truth and noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

import numpy as np

from blend import tables
from blend.decide import judge_blend
from blend.naming import BlendName, parse_search
from leapkit.core import receipts
from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.receipts import Verdict
from leapkit.data import kaggle_csv, scaling, submission
from leapkit.data.loader import Loader
from leapkit.data.step_rows import StepRows

V10 = [artifact for artifact, _ in tables.find("v10").rows]
THREE = V10[:2] + ["adam_195_78569.oof"]
TRAINED = THREE + V10[4:6]
SEARCH = ("--table", "searched", "--artifacts", "searched=" + ",".join(THREE))


class Maker:
    """A writer of artifacts with receipts: the tiny world's truth plus noise."""

    def __init__(self, world: Path) -> None:
        self.raw = RawData(world)
        self.scaling = scaling.load_scaling(
            self.raw.statistics("adam"), "adam", self.raw.old_weights
        )
        ((self.ids, self.truth),) = submission.blocks(self.raw.truth)
        ((_, x),) = kaggle_csv.read_test_csv(self.raw.test_csv)
        self.q0002 = x[:, [INPUTS.index(name) for name in LINEAR_INPUTS]]
        validation = StepRows(self.raw.validation_pairs(), self.scaling)
        ((_, self.validation),) = Loader(validation, 1000).in_order(1000)

    @property
    def validation_raw(self) -> np.ndarray:
        """Return the truth of the validation rows (96, 368): y * weight, Kaggle order, float64."""
        from leapkit.data.step_reader import StepReader

        reader = StepReader()
        return (
            np.concatenate([reader.read(pair)[1] for pair in self.raw.validation_pairs()])
            * self.scaling.weight
        )

    def validation_predictions_raw(self, results: Results, artifact: str) -> np.ndarray:
        """Return an artifact's validation predictions (96, 368) in the same unit."""
        return self.scaling.weighted(np.load(str(results.validation_predictions(artifact))))

    def values(self, seed: int) -> np.ndarray:
        """Return (144, 368) float64 in Kaggle order, as a member of some skill would submit."""
        random = np.random.RandomState(seed)
        z = self.scaling.scaled_targets(self.truth) + (
            0.3 + 0.1 * (seed % 5)
        ) * random.standard_normal(self.truth.shape)
        return self.scaling.raw(z.astype(np.float32), self.q0002)

    def write(
        self,
        results: Results,
        artifact: str,
        values: np.ndarray,
        ids: Optional[Sequence[str]] = None,
        seed: Optional[int] = None,
        made_for: str = "",
    ) -> Path:
        path = results.parquet(artifact)
        details = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        submission.write(path, self.ids if ids is None else ids, [values])
        if seed is not None:  # trained here: with validation predictions
            random = np.random.RandomState(seed)
            noise = (0.3 + 0.1 * (seed % 5)) * random.standard_normal(self.validation.shape)
            predictions = results.validation_predictions(artifact)
            np.save(str(predictions), (self.validation + noise).astype(np.float32))
            details = {"oof": {"sha256": sha256(predictions), "family": "adam"}}
        inputs = {role: sha256(file) for role, file in self.raw.test_files().items()}
        inputs.update({"sample_submission.csv": made_for} if made_for else {})
        receipts.write(path, "submission", inputs, receipts.now(), details)
        return path

    def all(self, results: Results, artifacts: Sequence[str], trained: Sequence[str] = ()) -> None:
        """Write the k-th artifact with seed k, and validation predictions of those trained here."""
        for seed, artifact in enumerate(artifacts):
            self.write(
                results, artifact, self.values(seed), seed=seed if artifact in trained else None
            )


def blend(maker: Maker, results: Results, *more: str, verb: str = "run") -> int:
    from blend.__main__ import main

    return main(
        [verb, "--raw-data", str(maker.raw.root), "--submission", str(results.root)] + list(more)
    )


def files(title: str) -> BlendName:
    """Return the files of a blend by its title: a table or a search, joined to its options by +."""
    table, *options = title.split("+")
    return BlendName(table, table, parse_search(table), tuple(options))


def verdict_of(
    name: str,
    maker: Maker,
    results: Results,
    coming: Sequence[str] = (),
    makeable: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Verdict:
    """Return the plan's verdict on a blend."""
    blend_name = BlendName.parse(name, options)
    return judge_blend(blend_name, maker.raw, results, HashIndex(), coming, makeable)
