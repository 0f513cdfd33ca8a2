"""make predict: from step files or a data set to NetCDF, Zarr or step files, with a receipt.

Predictions grow in a scratch file in a hidden folder beside the product, so that a killed run
continues where it was; the product is made from that file and appears whole.
"""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import torch

from leapkit.core import file_lock, prediction_inputs, receipts
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import require_free, sha256_json
from leapkit.core.layout import RawData
from leapkit.core.prediction_inputs import PredictionInputs
from leapkit.emulators import dataset_form, digests, products, sources, step_form, streaming
from leapkit.emulators.data_source import DataSource
from leapkit.emulators.emulator import Emulator
from leapkit.emulators.parts import EmulatorParts
from leapkit.emulators.sources import Source
from leapkit.emulators.step_source import StepSource
from leapkit.run import devices, provenance, unfinished_predictions
from leapkit.run.prediction import batch_rows

_DATA_SETS = (".nc", ".nc4", ".cdf", dataset_form.ZARR)
# Rows that are written at a time, about: a killed run loses no more. On a GPU: a fifth of a GB.
_CPU_CHUNK = 1 << 10
_GPU_CHUNK = 1 << 16


@dataclass(frozen=True)
class Request:
    """What `make predict` is asked for.

    inputs          folders, files or patterns; none: the steps that validate in the world raw_data
    to              file.nc, file.zarr, or a folder of step files
    accept_float32  whether step files in float32 are read
    """

    inputs: Sequence[str]
    to: Path
    raw_data: Path
    accept_float32: bool = False

    @property
    def writes_steps(self) -> bool:
        return self.to.suffix not in _DATA_SETS


def predict(request: Request, parts: EmulatorParts, emulator: Emulator) -> None:
    """Make the product, unless its receipt proves it.

    Raises KitError for what cannot be read or written, and Paused if a pause was asked for.
    """
    products.require_replaceable(request.to)
    inputs = _inputs(request)
    index = products.TreeIndex(products.index_path(request.to))
    roles = {**_of_inputs(inputs, index), **digests.of(emulator.attributes)}
    verdict = receipts.judge(request.to, roles, index)
    index.save()
    if verdict.done:
        print(f"nothing to do: {request.to}: {verdict.reason}", flush=True)
        return
    print(f"{request.to}: predicts, as {verdict.reason}", flush=True)
    work = products.work_folder(request.to)
    refusal = KitError("another command predicts it", request.to, "wait until that has ended")
    with file_lock.hold(products.lock_path(request.to), refusal), explain_os_errors(work):
        source = _source(inputs, request)
        work.mkdir(parents=True, exist_ok=True)
        _make(request, parts, emulator, source, roles, work)
        shutil.rmtree(str(work))


def _inputs(request: Request) -> PredictionInputs:
    if request.inputs:
        return prediction_inputs.find(request.inputs)
    raw = RawData(request.raw_data, request.accept_float32)
    return PredictionInputs(steps=tuple(raw.validation_pairs()))


def _of_inputs(inputs: PredictionInputs, index: products.TreeIndex) -> Dict[str, str]:
    """Return {name: sha256} of all files. Raises KitError for one that cannot be read."""
    if inputs.steps:  # several at a time, with their progress
        index.of_many(inputs.files.values(), Path("/"))
    return {name: index.of(path) for name, path in inputs.files.items()}


def _source(inputs: PredictionInputs, request: Request) -> Source:
    if inputs.steps:
        return StepSource(inputs.steps, request.accept_float32)
    if request.writes_steps:
        raise KitError(
            "step files are made of step files, and INPUTS is a data set",
            request.to,
            "name a file with TO=file.nc or TO=file.zarr",
        )
    return DataSource(inputs.dataset)


def _make(
    request: Request,
    parts: EmulatorParts,
    emulator: Emulator,
    source: Source,
    roles: Mapping[str, str],
    work: Path,
) -> None:
    started = receipts.now()
    clock = time.monotonic()
    device = torch.device(emulator.device)
    scratch = work / f"predictions-{sha256_json(dict(roles))[:16]}.f64"
    unfinished_predictions.remove_others(scratch)
    environments = unfinished_predictions.environments(
        scratch, provenance.environment(device, precision=emulator.precision)
    )
    count = len(source.rows)
    # Twice: the scratch file, and the product that is made of it.
    done = scratch.stat().st_size if scratch.exists() else 0
    require_free(work, 2 * count * streaming.ROW_BYTES - done, "the predictions")
    # As the members' command does: at sample size one, which any number of cores can repeat.
    is_small = all(part.profile == "sample" for part in parts.networks)
    torch.set_num_threads(1 if is_small else devices.threads(0))
    chunk = _chunk(parts, device)
    y = streaming.predictions(source.rows, emulator.predict, scratch, chunk)
    seconds = time.monotonic() - clock
    made = work / request.to.name
    _write(request, source, y, emulator.attributes, made)
    index = products.TreeIndex()
    digest = index.of(made)
    products.publish(made, request.to)
    details: Dict[str, Any] = {
        "rows": count,
        "seconds": round(seconds, 1),
        "environments": environments,
        "precision": emulator.precision,
        "peak memory": devices.peak_memory(),
        **emulator.attributes,
    }
    receipts.write(request.to, products.KIND, roles, started, details, digest=digest)
    computed = count - done // streaming.ROW_BYTES
    rate = f", {computed / seconds:.0f} rows/s" if computed else ""
    print(f"{request.to}: {count} rows{rate}, {_peak(details)}", flush=True)


def _chunk(parts: EmulatorParts, device: torch.device) -> int:
    """Return the rows that are read, predicted and written at a time.

    They are whole batches of every network: the batches are then those of one long pass.
    """
    batches = [batch_rows(part.experiment, device) for part in parts.networks]
    common = 1
    for batch in batches:
        common = common * batch // math.gcd(common, batch)
    rows = _CPU_CHUNK if device.type == "cpu" else _GPU_CHUNK
    return common * max(1, rows // common)


def _write(
    request: Request,
    source: Source,
    y: np.ndarray,
    attributes: Dict[str, str],
    made: Path,
) -> None:
    if made.is_dir():  # of a run that was stopped
        shutil.rmtree(str(made))
    if not request.writes_steps:
        blocks = sources.outputs(source, y, attributes)
        dataset_form.write(made, blocks, source.dimension, source.size)
        return
    assert isinstance(source, StepSource)
    columns = len(source.rows) // source.size
    for number, step in enumerate(source.steps):
        rows = slice(number * columns, (number + 1) * columns)
        step_form.write_step(made, step, source.rows.block(number), np.asarray(y[rows]), attributes)


def _peak(details: Mapping[str, Any]) -> str:
    memory: List[str] = [f"{value} {unit}" for unit, value in details["peak memory"].items()]
    return "at most " + " and ".join(memory) + " of memory"
