"""A file that is whole by its size and wrong inside is refused: variable, level and value."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import numpy as np
import pytest

from fetch.steps import require_step
from leapkit.core.step_files import StepPair, list_pairs
from leapkit.data.classic_header import parse_header
from leapkit.data.step_ranges import RANGES, require_pressure
from leapkit.data.step_reader import StepReader
from leapkit.data.step_variables import STACKS
from tests.helpers.refusals import refused
from tests.helpers.step_forms import copied

pytest.importorskip("netCDF4")
FILL = np.array([9.969209968386869e36], ">f8").tobytes()  # netCDF's for float64
ZERO = bytes(8)


@pytest.fixture(scope="session")
def globe(tmp_path_factory: pytest.TempPathFactory) -> StepPair:
    """Return a sample step on all 384 columns."""
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps

    root = tmp_path_factory.mktemp("globe")
    write_steps(root, [StepTime(8, 7, 3, 43200)], seed=5)
    return list_pairs(root)[0]


def overwrite(path: Path, first: int, length: int, number: bytes) -> None:
    """Put one number over `length` bytes of a file, at multiples of eight bytes of its arrays."""
    with open(path, "r+b") as handle:
        begin = parse_header(handle.read(1 << 13)).begin
        handle.seek(first + (begin - first) % 8)
        handle.write(number * (length // 8))


def refuses(pair: StepPair, path: Path, *words: str) -> None:
    """Assert that training and fetching refuse the file."""
    with refused(path, *words, "download this file again"):
        StepReader().levels(pair)
    with refused(path, *words):
        require_step(path, path.name)


@pytest.mark.parametrize("kind", ["mli", "mlo"])
@pytest.mark.parametrize(
    "number, words", [(ZERO, " 0"), (FILL, "9.96921e+36")], ids=["zeros", "fill"]
)
@pytest.mark.parametrize("length", [1 << 12, 1 << 16, 1 << 19])
def test_zeros_and_fill_values_in_the_middle_are_refused(
    globe: StepPair, tmp_path: Path, kind: str, number: bytes, words: str, length: int
) -> None:
    pair = copied(globe, tmp_path)
    path = getattr(pair, kind)
    overwrite(path, (path.stat().st_size - length) // 2, length, number)
    refuses(pair, path, words)


@pytest.mark.parametrize("kind", ["mli", "mlo"])
@pytest.mark.parametrize("number", [ZERO, FILL], ids=["zeros", "fill"])
def test_a_real_step_with_64_kilobytes_lost_anywhere_is_refused(
    real_steps: Path, tmp_path: Path, kind: str, number: bytes
) -> None:
    real = list_pairs(real_steps)[3]
    pair = copied(real, tmp_path)
    path = getattr(pair, kind)
    content = path.read_bytes()
    header = parse_header(content)
    begin = header.variables["state_ps" if kind == "mli" else "cam_out_FLWDS"].begin
    for first in range(begin, len(content) - (1 << 16), 40_001):
        overwrite(path, first, 1 << 16, number)
        with refused(path):
            StepReader().levels(pair)
        path.write_bytes(content)


def put(path: Path, name: str, index: Tuple[int, ...], value: float) -> None:
    content = bytearray(path.read_bytes())
    variable = parse_header(bytes(content)).variables[name]
    values = np.ndarray(variable.shape, variable.dtype, content, variable.begin)
    values[index] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    "kind, name, index, value, words",
    [
        (
            "mli",
            "state_t",
            (17, 5),
            0.0,
            "state_t at level 17 is 0 K in column 5, outside 100 to 400",
        ),
        ("mlo", "state_t", (59, 0), 401.0, "state_t at level 59 is 401 K in column 0"),
        ("mli", "state_q0001", (3, 1), 0.0, "state_q0001 at level 3 is 0 kg/kg"),
        ("mlo", "state_q0002", (40, 9), -1e-6, "state_q0002 at level 40 is -1e-06 kg/kg"),
        ("mli", "state_q0003", (40, 9), 1.0, "state_q0003 at level 40 is 1 kg/kg"),
        ("mli", "state_u", (0, 0), -1e30, "state_u at level 0 is -1e+30 m/s"),
        ("mli", "state_ps", (4,), 0.0, "state_ps is 0 Pa in column 4, outside 30000 to 120000"),
        ("mli", "pbuf_ozone", (8, 2), 0.0, "pbuf_ozone at level 8 is 0 mol/mol"),
        ("mlo", "cam_out_PRECC", (7,), 1.0, "cam_out_PRECC is 1 m/s in column 7"),
        ("mli", "state_v", (12,), 0.0, "state_v at level 12 is exactly 0"),
        ("mli", "pbuf_TAUX", (...,), 0.0, "pbuf_TAUX is exactly 0"),
        ("mlo", "state_q0003", (45,), 0.0, "state_q0003 at level 45 is 0 in all columns"),
    ],
)
def test_the_variable_the_level_and_the_value_are_named(
    globe: StepPair,
    tmp_path: Path,
    kind: str,
    name: str,
    index: Tuple[int, ...],
    value: float,
    words: str,
) -> None:
    pair = copied(globe, tmp_path)
    put(getattr(pair, kind), name, index, value)
    refuses(pair, getattr(pair, kind), words)


def test_a_step_that_warms_by_a_hundred_degrees_is_refused(globe: StepPair, tmp_path: Path) -> None:
    pair = copied(globe, tmp_path)
    put(pair.mlo, "state_t", (30, 7), 355.0)
    with refused(pair.mlo, "ptend_t at level 30 is 0.", "K/s in column 7, outside -0.05 to 0.05"):
        StepReader().levels(pair)


def test_pressure_grows_with_the_level(globe: StepPair, tmp_path: Path) -> None:
    pair = copied(globe, tmp_path)
    put(pair.mli, "state_pmid", (20, 3), 1000.0)
    put(pair.mli, "state_pmid", (21, 3), 1000.0)
    with refused(pair.mli, "state_pmid does not grow from level "):
        require_step(pair.mli, pair.mli.name)
    put(pair.mli, "state_pmid", (20, 3), 0.0)
    with refused(pair.mli, "state_pmid at level 20 is 0 Pa in column 3, outside 1 to 120000"):
        require_step(pair.mli, pair.mli.name)


def test_every_real_and_every_sample_file_is_accepted(
    globe: StepPair, tiny_world: Path, real_steps: Path
) -> None:
    pairs = [*list_pairs(real_steps), *list_pairs(tiny_world / "ClimSim_low-res" / "train"), globe]
    for pair in pairs:
        for path in (pair.mli, pair.mlo):
            require_step(path, path.name)


def test_the_bounds_leave_room_around_what_real_files_hold(real_steps: Path) -> None:
    for pair in list_pairs(real_steps)[::5]:
        for kind, stacks in STACKS.items():
            content = getattr(pair, kind).read_bytes()
            variables = parse_header(content).variables
            for name in (name for stack in stacks for name in stack.names):
                of = variables[name]
                values = np.ndarray(of.shape, of.dtype, content, of.begin)
                lowest, highest = RANGES[name]
                assert values.max() <= highest * 0.98, name
                assert values.min() >= lowest + 0.01 * abs(lowest), name


def test_the_pressure_of_real_files_is_accepted_and_its_reverse_is_not(real_steps: Path) -> None:
    path = list_pairs(real_steps)[0].mli
    content = path.read_bytes()
    of = parse_header(content).variables["state_pmid"]
    pressure = np.ndarray(of.shape, of.dtype, content, of.begin)
    require_pressure(pressure, path)
    with refused(path, "state_pmid does not grow from level 0 to 1"):
        require_pressure(pressure[::-1], path)
