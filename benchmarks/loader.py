"""Shuffled batches for training: the published way (arrays in memory, a sample at a time) against pools of step files.

The published way is given its arrays ready made, for few rows; `ours` reads the same rows from the step files. Two more
sides read all pairs of the case and a quarter of them: it is their memory that must not grow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, List, Mapping, Tuple

from benchmarks import source
from benchmarks.measure import Case, Side, Step, UnequalError

if TYPE_CHECKING:
    import numpy as np

    from leapkit.core.step_files import StepPair
    from leapkit.data.loader import Loader

NAME, BATCH, MOST = (
    "loader",
    2048,
    68,
)  # pairs that the published way is given: some thousand rows a second


def _pairs(case: Case, side: str) -> List[StepPair]:
    everything = source.pairs(case)
    return everything[
        : {"ours, all": len(everything), "ours, a quarter": 1 + len(everything) // 4}.get(
            side, MOST
        )
    ]


def _columns(case: Case) -> int:
    from leapkit.data.step_reader import grid_columns

    return grid_columns(source.pairs(case, 1)[0])


def _arrays(case: Case) -> Tuple[Path, Path]:
    return case.place(NAME) / "inputs.npy", case.place(NAME) / "targets.npy"


def make(case: Case) -> None:
    """Statistics, and the published way's arrays by the plain formula."""
    import numpy as np

    from leapkit.data.step_reader import StepReader

    scale, reader = source.keep_statistics(case, NAME, "fdzm"), StepReader()
    rows = [reader.read(pair) for pair in _pairs(case, "published")]
    for path, part in zip(
        _arrays(case),
        (
            np.concatenate([scale.scaled_inputs(x) for x, _ in rows]),
            np.concatenate([scale.scaled_targets(y) for _, y in rows]),
        ),
    ):
        np.save(path, part)


def published(case: Case) -> int:
    """reference/data_pipeline.md 8: both arrays in memory, __getitem__ makes one (60, 25) sample with tile, permute and
    concatenate, worker processes collate them."""
    import os

    import numpy as np
    import torch

    x, y = map(np.load, _arrays(case))

    class Samples(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(x)

        def __getitem__(self, k: int) -> Tuple[torch.Tensor, torch.Tensor]:
            row = torch.from_numpy(x[k])
            scalars, profiles = row[:16], row[16:].reshape(9, 60)
            return torch.cat(
                [scalars.unsqueeze(0).tile(60, 1), profiles.permute(1, 0)], dim=1
            ), torch.from_numpy(y[k])

    loader = torch.utils.data.DataLoader(
        Samples(), BATCH, shuffle=True, num_workers=len(os.sched_getaffinity(0))
    )
    return sum(len(batch) for batch, _ in loader)


def _loader(case: Case, side: str) -> Loader:
    from leapkit.core.recipes import RowSelection
    from leapkit.data.loader import Loader
    from leapkit.data.step_rows import StepRows

    return Loader(
        StepRows(_pairs(case, side), source.kept_statistics(case, NAME, "fdzm")),
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
    # Batches of a pair's size leave no row over.
    return _sum(_loader(case, side).shuffled(_columns(case), 1, 0)) if side == "ours" else []


def _sum(batches: Iterable[Tuple[np.ndarray, ...]]) -> List[int]:
    """[rows, checksum]: of every row's bits at their places, whatever the order of the rows."""
    import numpy as np

    random = np.random.RandomState(0)
    keys = [random.randint(1, 2**62, width).astype(np.uint64) for width in (556, 368)]
    rows, total = 0, np.uint64(0)
    with np.errstate(over="ignore"):
        for x, y in batches:
            both = [
                (part.view(np.uint32).astype(np.uint64) * key).sum(axis=1)
                for part, key in zip((x, y), keys)
            ]
            mixed = both[0] * both[1]  # ties a row's inputs to its targets
            rows, total = rows + len(x), total + mixed.sum(dtype=np.uint64)
    return [rows, int(total)]


def compare(case: Case, found: Mapping[str, Any]) -> str:
    if found["published"] != found["ours"]:
        raise UnequalError("the rows differ: {} and {}".format(found["published"], found["ours"]))
    return "the same %d rows, bit for bit" % found["ours"][0]


STEP = Step(
    title="shuffled batches",
    goal=">= 150,000 rows/s, <= 8000 MB",
    cores=0,
    sides={
        "published": Side(("numpy", "torch"), published),
        **{side: _ours(side) for side in ("ours", "ours, a quarter", "ours, all")},
    },
    size=lambda case: (
        "%d rows (published: %d)"
        % (
            len(source.pairs(case)) * _columns(case),
            len(_pairs(case, "published")) * _columns(case),
        )
    ),
    make=make,
    evidence=evidence,
    compare=compare,
    work=lambda case, side: float(len(_pairs(case, side)) * _columns(case)),
)
