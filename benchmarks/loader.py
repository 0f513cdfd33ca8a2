"""Shuffled batches for training: arrays in memory, a sample at a time, against pools of step files.

The published way gets finished arrays of few rows; `ours` reads the same rows from the step files.
Two more sides read a quarter and all of the case's pairs: their memory must not grow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, List, Mapping, Tuple

from benchmarks import source
from benchmarks.case import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    import numpy as np

    from leapkit.core.step_files import StepPair
    from leapkit.data.loader import Loader

NAME = "loader"
BATCH = 2048
MOST = 68  # pairs for the published way, which reads some thousand rows a second


def _pairs(case: Case, side: str) -> List[StepPair]:
    pairs = source.pairs(case)
    counts = {"ours, all": len(pairs), "ours, a quarter": 1 + len(pairs) // 4}
    return pairs[: counts.get(side, MOST)]


def _columns(case: Case) -> int:
    from leapkit.data.step_reader import grid_columns

    return grid_columns(source.pairs(case, 1)[0])


def _arrays(case: Case) -> Tuple[Path, Path]:
    return case.folder_of(NAME) / "inputs.npy", case.folder_of(NAME) / "targets.npy"


def make(case: Case) -> None:
    """Write the scaling, and the published way's arrays by the plain formula."""
    import numpy as np

    from leapkit.data.step_reader import StepReader

    scaling = source.save_statistics(case, NAME, "fdzm")
    reader = StepReader()
    rows = [reader.read(pair) for pair in _pairs(case, "published")]
    inputs, targets = _arrays(case)
    np.save(inputs, np.concatenate([scaling.scaled_inputs(x) for x, _ in rows]))
    np.save(targets, np.concatenate([scaling.scaled_targets(y) for _, y in rows]))


def published(case: Case) -> int:
    """Return the rows read with both arrays in memory and torch's DataLoader.

    __getitem__ makes one (60, 25) sample with tile, permute and concatenate; worker processes
    collate them (docs/reference/models.md, "Training loop").
    """
    import numpy as np
    import torch

    from leapkit.core import allotment

    x, y = (np.load(path) for path in _arrays(case))

    class Samples(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(x)

        def __getitem__(self, k: int) -> Tuple[torch.Tensor, torch.Tensor]:
            row = torch.from_numpy(x[k])
            scalars = row[:16]
            profiles = row[16:].reshape(9, 60)
            sample = torch.cat([scalars.unsqueeze(0).tile(60, 1), profiles.permute(1, 0)], dim=1)
            return sample, torch.from_numpy(y[k])

    loader = torch.utils.data.DataLoader(
        Samples(), BATCH, shuffle=True, num_workers=allotment.cores()
    )
    return sum(len(batch) for batch, _ in loader)


def _loader(case: Case, side: str) -> Loader:
    from leapkit.core.recipes import RowSelection
    from leapkit.data.loader import Loader
    from leapkit.data.step_rows import StepRows

    return Loader(
        StepRows(_pairs(case, side), source.load_statistics(case, NAME, "fdzm")),
        RowSelection().pool,
    )


def _ours(side: str) -> Side:
    return Side(
        ("numpy", "leapkit.data.step_rows", "leapkit.data.loader"),
        lambda case: sum(len(x) for x, _ in _loader(case, side).shuffled(BATCH, 1, 0)),
    )


def evidence(case: Case, side: str, result: Any) -> List[int]:
    import numpy as np

    if side == "published":
        return _sum([tuple(map(np.load, _arrays(case)))])
    # Batches of a pair's size drop no row at the end.
    return _sum(_loader(case, side).shuffled(_columns(case), 1, 0)) if side == "ours" else []


def _sum(batches: Iterable[Tuple[np.ndarray, ...]]) -> List[int]:
    """Return [rows, checksum of their bits]; the checksum does not depend on the rows' order."""
    import numpy as np

    random = np.random.RandomState(0)
    keys = [random.randint(1, 2**62, width).astype(np.uint64) for width in (556, 368)]
    rows = 0
    total = np.uint64(0)
    with np.errstate(over="ignore"):
        for x, y in batches:
            hashes = [
                (values.view(np.uint32).astype(np.uint64) * key).sum(axis=1)
                for values, key in zip((x, y), keys)
            ]
            mixed = hashes[0] * hashes[1]  # ties a row's inputs to its targets
            rows += len(x)
            total = total + mixed.sum(dtype=np.uint64)
    return [rows, int(total)]


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
    published = evidence["published"]
    ours = evidence["ours"]
    if published != ours:
        raise UnequalError(f"the rows differ: {published} and {ours}")
    return f"the same {ours[0]} rows, bit for bit"


STEP = Step(
    title="shuffled batches",
    goal=">= 150,000 rows/s, <= 8000 MB",
    cores=0,
    sides={
        "published": Side(("numpy", "torch"), published),
        **{side: _ours(side) for side in ("ours", "ours, a quarter", "ours, all")},
    },
    size=lambda case: (
        f"{len(source.pairs(case)) * _columns(case)} rows "
        f"(published: {len(_pairs(case, 'published')) * _columns(case)})"
    ),
    make=make,
    evidence=evidence,
    compare=compare,
    work=lambda case, side: float(len(_pairs(case, side)) * _columns(case)),
)
