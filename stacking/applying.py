"""The blend of the test parquets and its correction, row group by row group.

Memory grows with the number of networks and not with the rows.
"""

from __future__ import annotations

from typing import Iterator, List, Sequence

import numpy as np
import torch

from blend import apply
from blend.apply import Source
from blend.tables import WeightTable
from leapkit.core.columns import LINEAR, TARGETS, kaggle_positions
from leapkit.data.inference_set import InferenceSet
from leapkit.data.submission import OpenedParquet
from stacking.networks import StackNetwork
from stacking.training import correction
from stacking.units import Unit

_LINEAR = kaggle_positions(LINEAR)


def stacked(
    table: WeightTable,
    sources: Sequence[Source],
    networks: Sequence[StackNetwork],
    test_set: InferenceSet,
    unit: Unit,
    device: torch.device,
) -> Iterator[np.ndarray]:
    """Yield (n, 368) float64 raw, Kaggle order: the blend plus the networks' mean correction.

    table    weighs all sources, in their order
    The linear targets are the formula that every parquet holds. Where the correction is 0 the
    result is the blend, bit for bit. Raises KitError as blend.apply.blended does.
    """
    streams = [source.opened.blocks() for source in sources]
    start = 0
    for blend in apply.blended(table, sources, test_set.ids):
        stop = start + len(blend)
        members = np.empty((stop - start, len(sources), len(TARGETS)), np.float32)
        y = np.array(blend)
        for k, stream in enumerate(streams):
            _, values = next(stream)
            members[:, k] = unit.of_raw(values)
            if k == 0:
                y[:, _LINEAR] = values[:, _LINEAR]
        inputs = test_set.inputs[start:stop]
        change = unit.raw_correction(
            correction(networks, members, unit.of_raw(blend), inputs, device)
        )
        np.add(y, change, out=y, where=change != 0)  # -0.0 stays what it is
        start = stop
        yield y


def sources_of(table: WeightTable, parquets: Sequence[OpenedParquet]) -> List[Source]:
    return [Source(artifact, opened) for artifact, opened in zip(table.artifacts, parquets)]
