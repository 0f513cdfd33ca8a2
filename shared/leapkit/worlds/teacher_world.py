"""Make a world whose training steps hold what a teacher predicts: what a student learns from.

    <to>/ClimSim_low-res/train/  the training steps as `make predict` wrote them: the .mlo holds the
                                 teacher's state after the step. The steps of the source that do not
                                 train are the source's: validation sees the truth
    <to>/kaggle-data, statistics, withheld  the source's, so that the student is scored as others
    <to>/split.json              the source's; further months that the teacher predicted train too
    <to>/world.receipt.json      the teacher's checkpoints, the source, and the files of this world

It is a world like any other: the kit's own loop trains on it, unchanged.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any, Dict, List, Sequence

from leapkit.core import receipts
from leapkit.core.errors import KitError, explain_os_errors, run_cli
from leapkit.core.files import TEMPORARY, publish_copy, read_json, sha256_json, write_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, world_receipt
from leapkit.core.splits import with_training_months, write_split
from leapkit.core.step_files import StepPair, list_pairs, parse_name
from leapkit.data.progress import progress
from leapkit.data.step_reader import StepReader
from leapkit.worlds.make_world import place_grid

KIND = "teacher's world"
_COPIED = ("kaggle-data", "statistics", "withheld")  # folders of the source, whole
_AGAIN = "run `make distil` again"


def make(source: RawData, labels: Sequence[Path], to: Path) -> None:
    """Make a teacher's world below `to`, unless its receipt proves it.

    source  the world whose training steps the teacher predicted
    labels  folders of step files that `make predict` wrote, with their receipts
    Raises KitError if `to` holds something else, if a prediction is not whole or is no state of an
    atmosphere, if a training step was not predicted, or a month that validates or tests was.
    """
    index = HashIndex(to.with_name(f".{to.name}.hashes.json"))
    before = _receipt(to)
    predicted = _predicted(source, labels)
    split = with_training_months(source.split(), {pair.month for pair in predicted})
    inputs = {
        **_teacher(labels, index),
        "source": _source(source, index),
        "split": sha256_json([split.train, split.validation, split.validation_stride]),
    }
    if before.get("inputs") == inputs and before.get("files") == _files(RawData(to), index):
        print(f"{to}: its receipt proves it", flush=True)
        index.save()
        return
    started = receipts.now()
    _require_plausible(predicted)
    partial = RawData(to.with_name(TEMPORARY + to.name))
    shutil.rmtree(str(partial.root), ignore_errors=True)
    try:
        _place(source, predicted, partial)
        write_split(partial.root / "split.json", split)
        record = {"kind": KIND, "inputs": inputs, "files": _files(partial, index)}
        _write_receipt(partial.root, record, started, {"predicted steps": len(predicted)})
        with explain_os_errors(to):
            shutil.rmtree(str(to), ignore_errors=True)
            partial.root.rename(to)
    finally:
        shutil.rmtree(str(partial.root), ignore_errors=True)
    index.save()
    print(f"{to}: {len(predicted)} training steps hold the teacher's predictions", flush=True)


def _receipt(to: Path) -> Dict[str, Any]:
    """Return the receipt of the teacher's world that lies there, {} for an empty place.

    Raises KitError if something else lies there.
    """
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return {}
    receipt = read_json(world_receipt(to)) if world_receipt(to).exists() else {}
    if not isinstance(receipt, dict) or receipt.get("kind") != KIND:
        what = "holds something that is not a teacher's world"
        raise KitError(what, to, "name another folder with TO=")
    return receipt


def _predicted(source: RawData, labels: Sequence[Path]) -> List[StepPair]:
    """Return the steps that the teacher predicted, without those that validate.

    Raises KitError if a training step is not among them.
    """
    held_out = {pair.stamp for pair in _others(source)}
    pairs = [pair for folder in labels for pair in list_pairs(folder)]
    predicted = [pair for pair in pairs if pair.stamp not in held_out]
    stamps = {pair.stamp for pair in predicted}
    for pair in source.training_pairs():
        if pair.stamp not in stamps:
            raise KitError("this training step was not predicted", pair.mli, _AGAIN)
    return predicted


def _others(source: RawData) -> List[StepPair]:
    """Return the steps of the source's months that do not train: a stride counts them all."""
    split = source.split()
    training = set(source.training_pairs())
    months = sorted(set(split.train + split.validation))
    return [pair for pair in list_pairs(source.steps, months) if pair not in training]


def _teacher(labels: Sequence[Path], index: HashIndex) -> Dict[str, str]:
    """Return {role: sha256} of what the teacher is made of, and of what it predicted.

    Raises KitError if a folder is not what its receipt says.
    """
    inputs = {}
    for folder in labels:
        receipt = receipts.read(folder)
        files = [file for file in folder.rglob("*") if file.is_file()]
        digest = index.of_many(files, folder)
        if "inputs" not in receipt or receipt["sha256"] != digest:
            raise KitError("is no whole prediction of `make predict`", folder, _AGAIN)
        made_of = receipt["inputs"].items()
        inputs.update({role: value for role, value in made_of if not parse_name(role)})
        inputs["predictions " + folder.name] = digest
    return inputs


def _source(source: RawData, index: HashIndex) -> str:
    """Return the hash of what the world has of its source: validation steps, CSVs, statistics."""
    steps = [path for pair in _others(source) for path in (pair.mli, pair.mlo)]
    return sha256_json([index.of_many(steps, source.steps), _hashes(source.root, index)])


def _hashes(root: Path, index: HashIndex) -> Dict[str, str]:
    return {str(path.relative_to(root)): index.of(path) for path in _copied(root)}


def _copied(root: Path) -> List[Path]:
    found = (path for name in _COPIED for path in (root / name).rglob("*"))
    return sorted(path for path in found if path.is_file() and TEMPORARY not in path.name)


def _files(world: RawData, index: HashIndex) -> Dict[str, str]:
    """Return {name: sha256} of a world's files, its step files as one."""
    steps = [path for pair in list_pairs(world.steps) for path in (pair.mli, pair.mlo)]
    split = index.of(world.root / "split.json")
    hashes = _hashes(world.root, index)
    return {**hashes, "split.json": split, "steps": index.of_many(steps, world.steps)}


def _place(source: RawData, predicted: Sequence[StepPair], world: RawData) -> None:
    """Give all that the world holds a name in it: no byte is copied where files can be linked."""
    for path in _copied(source.root):
        publish_copy(path, world.root / path.relative_to(source.root))
    for pair in progress([*predicted, *_others(source)], desc="placing", unit="step"):
        for path in (pair.mli, pair.mlo):
            publish_copy(path, world.steps / pair.month / path.name)
    place_grid(world, source.grid_files)


def _require_plausible(predicted: Sequence[StepPair]) -> None:
    """Raise KitError if the loop's own reader refuses a predicted step, and say whose fault it is.

    A teacher that learned too little can lead out of what a step file may hold.
    """
    reader = StepReader()
    for pair in progress(predicted, desc="checking", unit="step"):
        try:
            reader.levels(pair)
        except KitError as error:
            what = f"the teacher predicts no state of an atmosphere: {error.what}"
            raise KitError(what, error.where, "choose another TEACHER=") from error


def _write_receipt(
    root: Path, record: Dict[str, Any], started: str, details: Dict[str, Any]
) -> None:
    write_json(
        world_receipt(root),
        {
            **record,
            "started": started,
            "finished": receipts.now(),
            "details": details,
            "environment": receipts.environment(),
        },
    )


def main(argv: List[str]) -> int:
    """Make the teacher's world of the command line."""
    parser = argparse.ArgumentParser(
        prog="leapkit.worlds.teacher_world", description="Make a world of a teacher's predictions."
    )
    parser.add_argument("--raw-data", type=Path, required=True, help="the world that it predicted")
    parser.add_argument(
        "--labels", type=Path, required=True, action="append", help="a folder of `make predict`"
    )
    parser.add_argument("--to", type=Path, required=True, help="the new world")
    options = parser.parse_args(argv)
    make(RawData(options.raw_data), options.labels, options.to)
    return 0


if __name__ == "__main__":
    run_cli(main)
