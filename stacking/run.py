"""One stack from its blend to its parquet: networks, cross-fitted predictions, test rows, scores.

stacks/<table>/fold_<k>.pt        a network for each fold of time, trained without it
subs/stack_<table>.npy            cross-fitted predictions of the validation rows
subs/stack_<table>.parquet        the test rows, as every artifact of a blend
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import torch

from blend import validation
from blend.naming import BlendName
from blend.parquets import require_parquets
from blend.tables import WeightTable, canonical
from blend.target_weights import weights_of
from blend.validation import ValidationPredictions
from leapkit.core import receipts
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError
from leapkit.core.files import atomic, sha256, sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import RawData, Results
from leapkit.core.ownership import is_admitted, require_replaceable
from leapkit.core.receipts import Verdict
from leapkit.data import submission
from leapkit.data.inference_set import InferenceSet, prepare_once
from leapkit.data.score import Score
from leapkit.data.submission import OpenedParquet
from leapkit.data.validation_predictions import PredictionsWriter
from leapkit.run import devices, provenance
from stacking import applying
from stacking.checks import require_out_of_fold
from stacking.cross_fitting import CrossFit, cross_predict
from stacking.networks import StackConfig, StackNetwork
from stacking.rows import ValidationRows
from stacking.training import StackRecipe
from stacking.units import Unit

CONFIG = StackConfig()
RECIPE = StackRecipe()


@dataclass(frozen=True)
class Request:
    """What `make stack` is asked for.

    table      whose blend is corrected
    artifacts  further networks that the correction may see, which the blend does not weigh
    threads    of torch; 0 for all cores
    """

    table: str
    artifacts: Sequence[str] = ()
    device: str = "auto"
    threads: int = 0
    recipe: StackRecipe = RECIPE


def run(request: Request, raw: RawData, results: Results, index: HashIndex) -> Path:
    """Make the stack's parquet, unless its receipt proves it; return it.

    Raises KitError if a network has no predictions of the validation rows, or such of other rows,
    or of rows that it learned from; and Paused if a pause was asked for.
    """
    name = BlendName.parse(request.table)
    table = widened(name.read_table(results), request.artifacts)
    artifact = name.stack
    target = results.parquet(artifact)
    parquets = require_parquets(table, results, raw, index)
    members = validation.load_predictions(table.artifacts, results, raw, index)
    hashes = InputHashes(raw, index)
    _require_out_of_fold(table, results, hashes.validation())
    of_rows = _inputs_of_rows(table, members, raw, index, hashes, request.recipe)
    inputs = {**of_rows, **parquets, **hashes.test()}
    kept = results.validation_predictions(artifact)
    verdict = _judge(target, kept, inputs, index)
    if verdict.done:
        print(f"nothing to do: {target}: {verdict.reason}", flush=True)
        return target
    folder = results.stacks / name.table
    _require_replaceable(target, folder, hashes)
    print(f"{target}: is made, as {verdict.reason}", flush=True)
    started, clock = receipts.now(), time.monotonic()
    torch.set_num_threads(devices.threads(request.threads))
    device = devices.choose_device(request.device)
    unit = Unit(members[0].scaling)
    rows = ValidationRows(raw.validation_pairs(), members, weights_of(table), unit)
    fit = CrossFit(len(members), CONFIG, request.recipe, folder, of_rows, device)
    networks = fit.networks(rows, index)
    with PredictionsWriter(kept, len(rows), slice(0, len(TARGETS))) as out:
        scores = cross_predict(rows, networks, device, lambda _, block: out.add(block))
        out.keep()
    test_set = prepare_once(raw, unit.scaling, results, inputs)
    opened = [OpenedParquet(results.parquet(each)) for each in table.artifacts]
    digest = _write(target, table, opened, networks, test_set, unit, device)
    for parquet in opened:
        parquet.require(parquets[parquet.path.name], index)
    details: Dict[str, Any] = {
        "networks": list(table.artifacts),
        "rows": len(test_set.ids),
        "oof": {"sha256": sha256(kept), "family": unit.scaling.family.name},
        "seconds": round(time.monotonic() - clock, 1),
        "out of fold": {each: asdict(score) for each, score in scores.items()},
        "environments": [provenance.environment(device)],
        "peak memory": devices.peak_memory(),
        **devices.describe(device),
    }
    receipts.write(target, "submission", inputs, started, details, artifact=artifact, digest=digest)
    show(scores, "out of fold")
    return target


def _judge(target: Path, kept: Path, inputs: Mapping[str, str], index: HashIndex) -> Verdict:
    """Return whether the parquet and the validation predictions are what its receipt names."""
    verdict = receipts.judge(target, inputs, index)
    if verdict.done:
        recorded = receipts.read(target)["details"].get("oof") or {}
        if not kept.exists() or index.of(kept) != recorded.get("sha256"):
            return Verdict(False, "its validation predictions are not those of its receipt")
    return verdict


def _require_replaceable(target: Path, folder: Path, hashes: InputHashes) -> None:
    """Raise KitError rather than overwrite a parquet of the user's own."""
    if is_admitted(target, hashes):
        what = "is a file of your own, admitted by `make verify`"
        raise KitError(what, target, "move it away to make it here")
    require_replaceable(target, folder, "full")


def widened(table: WeightTable, artifacts: Sequence[str]) -> WeightTable:
    """Return a table with further artifacts of weight 0, which changes no blend."""
    more = [name for name in map(canonical, artifacts) if name not in table.artifacts]
    zeros = (0.0,) * len(table.fields)
    rows = (*table.rows, *((name, *zeros) for name in dict.fromkeys(more)))
    return WeightTable(table.name, rows, table.fields, table.source)


def show(scores: Dict[str, Score], rows: str) -> None:
    """Print what the stack changes."""
    blend, stack = scores["blend"], scores["stack"]
    print(
        f"{rows}: blend {blend.predicted:.5f}, stack {stack.predicted:.5f}"
        f" ({stack.predicted - blend.predicted:+.5f}) mean R2 over the 292 predicted",
        flush=True,
    )


def _require_out_of_fold(table: WeightTable, results: Results, split: Mapping[str, str]) -> None:
    for artifact in table.artifacts:
        receipt = receipts.read(results.parquet(artifact))
        require_out_of_fold(artifact, receipt, results, split)


def _inputs_of_rows(
    table: WeightTable,
    members: Sequence[ValidationPredictions],
    raw: RawData,
    index: HashIndex,
    hashes: InputHashes,
    recipe: StackRecipe,
) -> Dict[str, str]:
    """Return {role: sha256} of all that decides the networks."""
    families = sorted({member.scaling.family.name for member in members})
    of_scaling: Dict[str, str] = {
        f"{role} of {family}": digest
        for family in families
        for role, digest in hashes.scaling(family).items()
    }
    return {
        **validation.search_inputs(raw, members, index),
        **of_scaling,
        "weights": table.sha256,
        "stack": sha256_json([asdict(CONFIG), asdict(recipe)]),
    }


def _write(
    target: Path,
    table: WeightTable,
    opened: List[OpenedParquet],
    networks: Sequence[StackNetwork],
    test_set: InferenceSet,
    unit: Unit,
    device: torch.device,
) -> str:
    """Write, verify and rename the parquet; return the sha256 of what was verified."""
    sources = applying.sources_of(table, opened)
    blocks = applying.stacked(table, sources, networks, test_set, unit, device)
    with atomic(target) as temporary:
        submission.write(temporary, test_set.ids, blocks)
        submission.verify(temporary, test_set.ids, test_set.q0002, name=target)
        return sha256(temporary)
