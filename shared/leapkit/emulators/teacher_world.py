"""A world whose training steps hold what a teacher predicts: what a student learns from.

    <to>/ClimSim_low-res/train/   the source's columns; .mlo files of training steps are the
                                  teacher's, those of validation steps the source's, the truth
    <to>/kaggle-data, statistics, withheld   the source's
    <to>/split.json               the source's, and further months that only the teacher labels
    <to>/world.receipt.json       what decides the labels; when all are written, the sha256 of the
                                  world's files too

It is a world like any other: the kit's own loop trains on it, predicts its test.csv and is scored.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np

from leapkit.core import receipts
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import publish_copy, read_json, sha256_json, write_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, world_receipt
from leapkit.core.splits import Split, write_split
from leapkit.core.step_files import StepPair, list_months, list_pairs, parse_name
from leapkit.data.progress import progress
from leapkit.data.step_file import StepFileReader
from leapkit.emulators.labels import write_label

Predict = Callable[[np.ndarray], np.ndarray]
_COPIED = ("kaggle-data", "statistics", "withheld")  # folders of the source, whole
_KIND = "teacher's world"


def make(
    source: RawData, more: Optional[Path], to: Path, teacher: Mapping[str, str], predict: Predict
) -> None:
    """Make, or go on with, a teacher's world below `to`, unless its receipt proves it.

    source   the world whose training steps are labelled
    more     a folder of further months (YYYY-MM folders of .mli files), whose truth nobody knows
    teacher  {role: sha256} of all that decides the predictions
    predict  (C, 556) float64 raw inputs -> (C, 368) float64, Kaggle order
    Raises KitError if `to` holds something else, for months that test or validate, and for damage.
    """
    receipt = _receipt(to)
    labelled = _labelled(source, more)
    split = _split(source, more)
    index = HashIndex()
    inputs = {**teacher, **_source_inputs(source, labelled, split, index)}
    world = RawData(to)
    if receipt.get("inputs") == inputs and receipt.get("files") == _files(world, index):
        print(f"{to}: its receipt proves it", flush=True)
        return
    started = receipts.now()
    _begin(to, receipt, inputs)
    _place(source, labelled, world)
    write_split(to / "split.json", split)
    _label(list(labelled.values()), world, predict)
    _prove(world, inputs, started, len(labelled))
    print(f"{to}: {len(labelled)} steps hold the teacher's predictions", flush=True)


def _labelled(source: RawData, more: Optional[Path]) -> Dict[str, StepPair]:
    """Return {stamp: step} of the steps that the teacher labels, the source's first.

    Of a step of `more` the .mlo file need not exist, and is not read.
    """
    steps = {pair.stamp: pair for pair in source.training_pairs()}
    for month in list_months(more) if more else []:
        assert more
        parsed = [parse_name(path.name) for path in sorted((more / month).iterdir())]
        stamps = [name.stamp for name in parsed if name and name.kind == "mli"]
        if not stamps:
            raise KitError("holds no .mli files", more / month, "remove it, or put its steps there")
        for stamp in stamps:
            steps.setdefault(stamp, StepPair(more / month, stamp))
    return steps


def _split(source: RawData, more: Optional[Path]) -> Split:
    """Return the source's split with the months of `more` among its training months."""
    split = source.split()
    months = list_months(more) if more else []
    if more and not months:
        raise KitError("holds no month (YYYY-MM) of step files", more, "check INPUTS=")
    held_out = sorted(set(months) & set(split.validation + split.test))
    if held_out:
        raise KitError(
            f"{held_out[0]} validates or tests, so a student may not learn from its columns",
            more,
            "take that month away",
        )
    return replace(split, train=tuple(sorted(set(split.train) | set(months))))


def _source_inputs(
    source: RawData, labelled: Mapping[str, StepPair], split: Split, index: HashIndex
) -> Dict[str, str]:
    """Return {role: sha256} of the columns, of the truth that validates and of what is copied."""
    columns = {pair.mli.name: index.of(pair.mli) for pair in labelled.values()}
    truth = [path for pair in _unlabelled(source) for path in (pair.mli, pair.mlo)]
    files = {str(path.relative_to(source.root)): index.of(path) for path in _copied(source.root)}
    return {
        "columns": sha256_json(columns),
        "validation steps": index.of_many(truth, source.steps),
        "files of the source": sha256_json(files),
        "split": sha256_json([list(split.train), list(split.validation), split.validation_stride]),
    }


def _unlabelled(source: RawData) -> List[StepPair]:
    """Return the steps of the source's months that do not train: a stride counts them all."""
    split = source.split()
    training = set(source.training_pairs())
    months = sorted(set(split.train + split.validation))
    return [pair for pair in list_pairs(source.steps, months) if pair not in training]


def _copied(root: Path) -> List[Path]:
    return sorted(
        path for name in _COPIED for path in (root / name).rglob("*") if path.is_file()
    )


def _receipt(to: Path) -> Dict[str, Any]:
    """Return the receipt of a teacher's world, whole or begun; {} for a folder that holds nothing.

    Raises KitError if the folder holds something else.
    """
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return {}
    receipt = read_json(world_receipt(to)) if world_receipt(to).exists() else {}
    if not isinstance(receipt, dict) or receipt.get("kind") != _KIND:
        what = "holds something that is not a teacher's world"
        raise KitError(what, to, "name another folder with TO=")
    return receipt


def _begin(to: Path, receipt: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Note what decides the labels; remove those of another teacher, or of other columns."""
    if receipt and receipt.get("inputs") != dict(inputs):
        with explain_os_errors(to):
            for folder in ("ClimSim_low-res", *_COPIED):
                shutil.rmtree(str(to / folder), ignore_errors=True)
    write_json(world_receipt(to), {"kind": _KIND, "inputs": dict(inputs)})


def _place(source: RawData, labelled: Mapping[str, StepPair], world: RawData) -> None:
    """Give the source's columns, its truth for validation and its CSVs a name in the world."""
    for path in _copied(source.root):
        _publish(path, world.root / path.relative_to(source.root))
    for pair in labelled.values():
        _publish(pair.mli, world.steps / pair.month / pair.mli.name)
    for pair in _unlabelled(source):
        for path in (pair.mli, pair.mlo):
            _publish(path, world.steps / pair.month / path.name)


def _publish(path: Path, target: Path) -> None:
    if not target.exists():
        publish_copy(path, target)


def _label(pairs: List[StepPair], world: RawData, predict: Predict) -> None:
    """Write what the teacher predicts of each step that has no .mlo file yet."""
    mine = [StepPair(world.steps / pair.month, pair.stamp) for pair in pairs]
    waiting = [pair for pair in mine if not pair.mlo.exists()]
    reader = StepFileReader("mli", world.float32_steps)
    with progress(
        total=len(mine), initial=len(mine) - len(waiting), desc="teaching", unit="step"
    ) as bar:
        for pair in waiting:
            x = np.ascontiguousarray(reader.read(pair.mli, pair.stamp).T)  # (C, 556)
            y = predict(x)
            assert x.shape[1:] == (len(INPUTS),) and y.shape == (len(x), len(TARGETS))
            write_label(pair, x, y)
            bar.update(1)


def _prove(world: RawData, inputs: Mapping[str, str], started: str, steps: int) -> None:
    write_json(
        world_receipt(world.root),
        {
            "kind": _KIND,
            "inputs": dict(inputs),
            "files": _files(world, HashIndex()),
            "started": started,
            "finished": receipts.now(),
            "details": {"labelled steps": steps},
            "environment": receipts.environment(),
        },
    )


def _files(world: RawData, index: HashIndex) -> Dict[str, str]:
    """Return {name: sha256} of a world's files, its step files as one."""
    hashes = {str(path.relative_to(world.root)): index.of(path) for path in _copied(world.root)}
    hashes["split.json"] = index.of(world.root / "split.json")
    steps = [path for pair in list_pairs(world.steps) for path in (pair.mli, pair.mlo)]
    hashes["steps"] = index.of_many(steps, world.steps)
    return hashes
