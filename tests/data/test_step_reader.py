"""Step files become the rows that netCDF4 and numpy make of them, bit for bit; damage is named."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from typing import Callable, Dict, Tuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core.columns import (
    GAS_PROFILES,
    INPUT_SCALARS,
    INPUTS,
    LINEAR,
    LINEAR_INPUTS,
    OUTPUT_SCALARS,
    STATE_PROFILES,
    TARGETS,
)
from leapkit.core.errors import KitError
from leapkit.core.step_files import (
    StepPair,
    list_pairs,
)
from leapkit.data import classic_netcdf
from leapkit.data.classic_header import parse_header
from leapkit.data.step_reader import StepReader, grid_columns
from tests.helpers.refusals import refused
from tests.helpers.step_names import make_names, mli_name

netCDF4 = pytest.importorskip("netCDF4")
FUZZ = dict(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def bits(values: np.ndarray) -> np.ndarray:
    """Return the bits as integers: 0.0 and -0.0 differ, and a NaN equals itself."""
    return np.ascontiguousarray(values).view(np.int64)


def oracle(pair: StepPair) -> Tuple[np.ndarray, np.ndarray]:
    """Return the rows of a pair as netCDF4 and plain numpy make them."""
    with netCDF4.Dataset(str(pair.mli)) as mli, netCDF4.Dataset(str(pair.mlo)) as mlo:
        mli.set_auto_mask(False)
        mlo.set_auto_mask(False)
        states = [n for n, _ in STATE_PROFILES]
        x = np.concatenate(
            [mli[n][:].T for n in states]
            + [mli[n][:][:, None] for n, _ in INPUT_SCALARS]
            + [mli[n][:].T for n, _ in GAS_PROFILES],
            axis=1,
        )
        y = np.concatenate(
            [((mlo[n][:] - mli[n][:]) / 1200).T for n in states]
            + [mlo[n][:][:, None] for n, _ in OUTPUT_SCALARS],
            axis=1,
        )
    return x, y


# --- the same numbers -----------------------------------------------------------------------------


def require_equal_to_the_oracle(root: Path) -> None:
    pairs = list_pairs(root)
    reader = StepReader()
    assert pairs
    for pair in pairs:
        x, y = reader.read(pair)
        expected_x, expected_y = oracle(pair)
        assert x.shape == (grid_columns(pair), 556) and y.shape == (len(x), 368)
        assert (bits(x) == bits(expected_x)).all() and (bits(y) == bits(expected_y)).all(), pair.mli


def test_every_real_pair_is_bit_identical_to_netcdf4_and_numpy(real_steps: Path) -> None:
    require_equal_to_the_oracle(real_steps)


def test_every_pair_of_the_sample_world_is_bit_identical_to_netcdf4_and_numpy(
    tiny_world: Path,
) -> None:
    require_equal_to_the_oracle(tiny_world / "ClimSim_low-res" / "train")


def test_cloud_liquid_of_levels_12_to_27_is_removed_in_one_step_on_real_data(
    real_steps: Path,
) -> None:
    inputs, targets = [INPUTS.index(n) for n in LINEAR_INPUTS], [TARGETS.index(n) for n in LINEAR]
    reader = StepReader()
    smallest = np.inf
    for pair in list_pairs(real_steps)[::4]:
        x, y = reader.read(pair)
        # + 0.0: where there is no cloud the formula gives -0.0 and the file 0.0
        assert (bits(y[:, targets] + 0.0) == bits(-x[:, inputs] / 1200 + 0.0)).all(), pair.mli
        magnitudes = np.abs(y[:, targets][y[:, targets] != 0])
        smallest = min(smallest, magnitudes.min()) if magnitudes.size else smallest
    assert 0 < smallest < 1e-45  # numbers that float32 cannot hold really occur


def test_rows_land_in_the_given_arrays(tiny_world: Path) -> None:
    pair = list_pairs(tiny_world / "ClimSim_low-res" / "train")[0]
    x, y = np.full((48, 556), np.nan), np.full((48, 368), np.nan)
    returned = StepReader().read(pair, x, y)
    assert returned[0] is x and returned[1] is y
    assert (bits(x) == bits(oracle(pair)[0])).all() and (bits(y) == bits(oracle(pair)[1])).all()


def test_rows_stay_as_they_were_when_the_reader_goes_on(tiny_world: Path) -> None:
    first, second = list_pairs(tiny_world / "ClimSim_low-res" / "train")[:2]
    reader = StepReader()
    x, y = reader.read(first)
    copies = x.copy(), y.copy()
    reader.read(second)  # reuses the buffer that the first pair was read into
    assert (bits(x) == bits(copies[0])).all() and (bits(y) == bits(copies[1])).all()


def test_one_reader_reads_grids_of_two_sizes(tiny_world: Path, tmp_path: Path) -> None:
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps

    write_steps(tmp_path, [StepTime(8, 1, 1, 0)], seed=1, columns=11)
    reader = StepReader()
    for root, columns in ((tiny_world / "ClimSim_low-res" / "train", 48), (tmp_path, 11)) * 2:
        pair = list_pairs(root)[0]
        assert grid_columns(pair) == columns
        assert (bits(reader.read(pair)[0]) == bits(oracle(pair)[0])).all()


def test_levels_are_the_rows_turned_round_bit_for_bit(tiny_world: Path) -> None:
    reader = StepReader()
    for pair in list_pairs(tiny_world / "ClimSim_low-res" / "train")[::3]:
        x, y = reader.levels(pair)
        expected_x, expected_y = oracle(pair)
        assert x.shape == (556, 48) and y.shape == (368, 48)
        assert x.dtype == y.dtype == np.float64 and x.flags.c_contiguous and y.flags.c_contiguous
        assert (bits(x.T) == bits(expected_x)).all() and (bits(y.T) == bits(expected_y)).all()


def test_levels_reuse_their_memory_and_rows_do_not(tiny_world: Path) -> None:
    first, second = list_pairs(tiny_world / "ClimSim_low-res" / "train")[:2]
    reader = StepReader()
    rows = reader.read(first)
    x, y = reader.levels(first)
    copies = x.copy(), y.copy()
    again = reader.levels(second)
    assert again[0] is x and again[1] is y  # valid until the next call, as it says
    assert (bits(x.T) == bits(oracle(second)[0])).all() and (
        bits(y.T) == bits(oracle(second)[1])
    ).all()
    assert (bits(rows[0].T) == bits(copies[0])).all() and (bits(rows[1].T) == bits(copies[1])).all()


def test_levels_of_grids_of_two_sizes_in_turn(tiny_world: Path, tmp_path: Path) -> None:
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps

    write_steps(tmp_path, [StepTime(8, 1, 1, 0)], seed=1, columns=11)
    reader = StepReader()
    for root, columns in ((tiny_world / "ClimSim_low-res" / "train", 48), (tmp_path, 11)) * 2:
        pair = list_pairs(root)[0]
        x, y = reader.levels(pair)
        assert x.shape == (556, columns) and y.shape == (368, columns)
        assert (bits(x.T) == bits(oracle(pair)[0])).all() and (
            bits(y.T) == bits(oracle(pair)[1])
        ).all()


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture
def pair(tiny_world: Path, tmp_path: Path) -> StepPair:
    """Return a pair of the tiny world that a test may damage."""
    complete_pair = list_pairs(tiny_world / "ClimSim_low-res" / "train")[0]
    folder = tmp_path / complete_pair.month
    folder.mkdir()
    for path in (complete_pair.mli, complete_pair.mlo):
        shutil.copyfile(str(path), str(folder / path.name))
    return StepPair(folder, complete_pair.stamp)


class UndamagedPair:
    """The bytes of an mli and an mlo file, and their rows. A class, as its repr is short."""

    def __init__(self, pair: StepPair) -> None:
        self.stamp = pair.stamp
        self.bytes = {"mli": pair.mli.read_bytes(), "mlo": pair.mlo.read_bytes()}
        self.x, self.y = oracle(pair)


@pytest.fixture(scope="module")
def undamaged(tiny_world: Path) -> UndamagedPair:
    return UndamagedPair(list_pairs(tiny_world / "ClimSim_low-res" / "train")[0])


@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_the_file_of_another_step_under_this_ones_name_is_refused(
    pair: StepPair, tiny_world: Path, kind: str
) -> None:
    other = list_pairs(tiny_world / "ClimSim_low-res" / "train")[1]
    shutil.copyfile(str(getattr(other, kind)), str(getattr(pair, kind)))
    with refused(getattr(pair, kind), f"holds the step {other.stamp}", classic_netcdf.REMEDY):
        StepReader().read(pair)


def test_an_input_file_where_the_output_file_belongs_is_refused(pair: StepPair) -> None:
    shutil.copyfile(str(pair.mli), str(pair.mlo))
    with refused(pair.mlo, "cam_out_NETSW is missing"):
        StepReader().read(pair)


def test_real_files_hold_the_step_that_their_names_say(real_steps: Path) -> None:
    reader = StepReader()
    for pair in list_pairs(real_steps):
        reader.levels(pair)


@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_a_file_cut_anywhere_is_refused(pair: StepPair, kind: str) -> None:
    path = getattr(pair, kind)
    data = path.read_bytes()
    header = parse_header(data).length
    offsets = set(range(0, header, 37)) | set(range(header - 2, header + 3))
    offsets |= set(np.linspace(header, len(data) - 1, 25).astype(int)) | set(
        range(len(data) - 9, len(data))
    )
    reader = StepReader()  # one that knows the header of the whole file, and must not trust it
    reader.read(list_pairs(pair.mli.parent.parent)[0])
    for offset in sorted(offsets):
        path.write_bytes(data[:offset])
        with refused(path, classic_netcdf.REMEDY):
            reader.read(pair)


def test_a_file_with_something_behind_its_end_is_refused(pair: StepPair) -> None:
    with open(pair.mlo, "ab") as handle:
        handle.write(b"\0" * 8)
    with refused(pair.mlo, "trailing bytes"):
        StepReader().read(pair)


@pytest.mark.parametrize("magic", [b"", b"CDF\x03", b"\x1f\x8b\x08\x00", b"<html>"])
def test_another_format_is_refused_by_its_first_bytes(pair: StepPair, magic: bytes) -> None:
    data = pair.mli.read_bytes()
    pair.mli.write_bytes(magic + data[len(magic) :] if magic else b"")
    with refused(pair.mli, "is not a netCDF file"):
        StepReader().read(pair)


@pytest.mark.parametrize("magic", [b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02"])
def test_the_first_bytes_of_another_form_are_no_header_of_it(pair: StepPair, magic: bytes) -> None:
    data = pair.mli.read_bytes()
    pair.mli.write_bytes(magic + data[len(magic) :])
    with refused(pair.mli, classic_netcdf.REMEDY):
        StepReader().read(pair)


def test_a_git_lfs_pointer_is_refused_with_what_fetches_the_file(pair: StepPair) -> None:
    pair.mlo.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "a" + "\nsize 1131804\n"
    )
    with refused(pair.mlo, "is a git-lfs pointer", "git lfs pull"):
        StepReader().read(pair)


def test_a_huge_file_under_a_steps_name_takes_no_memory(pair: StepPair) -> None:
    with open(pair.mli, "r+b") as handle:
        handle.truncate(1 << 40)  # a terabyte that the disk need not hold
    with refused(pair.mli, "trailing bytes"):
        StepReader().read(pair)


def test_little_endian_sizes_are_refused(pair: StepPair) -> None:
    data = bytearray(pair.mli.read_bytes())
    position = data.index((48).to_bytes(8, "big"))  # the size of ncol
    data[position : position + 8] = data[position : position + 8][::-1]
    pair.mli.write_bytes(bytes(data))
    with refused(pair.mli):
        StepReader().read(pair)


def rewrite(
    path: Path,
    change: Callable[[Dict[str, np.ndarray]], None],
    levels: str = "lev",
    columns: str = "ncol",
) -> None:
    """Write the step file again after `change` has altered {variable: values}."""
    with netCDF4.Dataset(str(path)) as file:
        file.set_auto_mask(False)
        variables = {name: file[name][...] for name in file.variables}
    change(variables)
    path.unlink()
    with netCDF4.Dataset(str(path), "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension(columns, variables["state_t"].shape[1])
        file.createDimension(levels, variables["state_t"].shape[0])
        for name, values in variables.items():
            variable = file.createVariable(
                name, values.dtype, (levels, columns)[2 - values.ndim :], fill_value=False
            )
            variable[...] = values


def fewer_levels(variables: Dict[str, np.ndarray]) -> None:
    for name, values in variables.items():
        if values.ndim == 2:
            variables[name] = values[:59]


def fewer_columns(variables: Dict[str, np.ndarray]) -> None:
    for name, values in variables.items():
        if values.ndim:
            variables[name] = values[..., :47]


def put(name: str, value: float, kind: str = "f8") -> Callable[[Dict[str, np.ndarray]], None]:
    def change(variables: Dict[str, np.ndarray]) -> None:
        variables[name] = variables[name].astype(kind)
        variables[name][-1] = value

    return change


def test_after_a_refused_file_the_same_reader_reads_the_next_one_right(
    pair: StepPair, tiny_world: Path
) -> None:
    good = list_pairs(tiny_world / "ClimSim_low-res" / "train")[1]
    reader = StepReader()
    rewrite(pair.mlo, put("state_t", np.nan))
    with refused(pair.mlo, "state_t at level 59 is nan K"):
        reader.levels(pair)
    x, y = reader.levels(good)
    assert (bits(x.T) == bits(oracle(good)[0])).all() and (bits(y.T) == bits(oracle(good)[1])).all()


@pytest.mark.parametrize(
    "kind, change, words",
    [
        ("mli", fewer_levels, "(59, 48)"),
        ("mlo", fewer_levels, "(59, 48)"),
        ("mlo", fewer_columns, "has 47 columns, its mli counterpart 48"),
        ("mli", fewer_columns, "columns"),
        ("mli", put("state_ps", 1.0, "f4"), "state_ps is float32"),
        ("mlo", put("state_v", 1.0, "f4"), "state_v is float32"),
        ("mli", put("state_q0002", np.nan), "state_q0002 at level 59 is nan kg/kg"),
        ("mli", put("cam_in_ASDIR", np.inf), "cam_in_ASDIR is inf 1 in column 47"),
        ("mlo", put("state_t", -np.inf), "state_t at level 59 is -inf K"),
        ("mlo", put("cam_out_SOLLD", np.nan), "cam_out_SOLLD is nan W/m2"),
        ("mli", lambda v: v.pop("pbuf_N2O"), "the variable pbuf_N2O is missing"),
        ("mlo", lambda v: v.pop("cam_out_NETSW"), "the variable cam_out_NETSW is missing"),
    ],
)
def test_odd_contents_are_refused_by_file_and_variable(
    pair: StepPair, kind: str, change: Callable[[Dict[str, np.ndarray]], None], words: str
) -> None:
    path = getattr(pair, kind)
    rewrite(path, change)
    named = (
        pair.mlo if change is fewer_columns else path
    )  # the mlo file is read second: the pair does not agree
    with refused(named, words, classic_netcdf.REMEDY):
        StepReader().read(pair)


@pytest.mark.parametrize("name", ["ymd", "tod"])
@pytest.mark.parametrize("value", [np.array(np.nan), np.array(np.inf), np.array(b"x", "S1")])
def test_a_clock_of_another_type_is_one_sentence(
    pair: StepPair, name: str, value: np.ndarray
) -> None:
    rewrite(pair.mlo, lambda variables: variables.update({name: value}))
    with refused(pair.mlo, classic_netcdf.REMEDY):
        StepReader().read(pair)


def test_a_file_without_ncol_is_refused(pair: StepPair) -> None:
    rewrite(pair.mli, lambda variables: None, columns="other")
    with refused(pair.mli, "ncol"):
        StepReader().read(pair)


def test_what_no_column_needs_may_be_missing_or_infinite(pair: StepPair) -> None:
    expected = oracle(pair)

    def change(variables: Dict[str, np.ndarray]) -> None:
        del variables["state_pmid"], variables["ymd"]
        variables["cam_in_SNOWHICE"][:] = np.inf  # 1e30 in most real columns

    rewrite(pair.mli, change)
    x, y = StepReader().read(pair)
    assert (bits(x) == bits(expected[0])).all() and (bits(y) == bits(expected[1])).all()


def test_an_mli_file_under_the_name_of_its_counterpart_is_refused(pair: StepPair) -> None:
    shutil.copyfile(str(pair.mli), str(pair.mlo))
    with refused(pair.mlo, "cam_out_NETSW is missing"):
        StepReader().read(pair)


def test_a_grid_of_another_size_among_the_files_is_refused(pair: StepPair) -> None:
    with refused(pair.mli, "has 48 columns, the files before it have 384"):
        StepReader().read(pair, np.empty((384, 556)), np.empty((384, 368)))


def test_a_missing_file_is_refused(pair: StepPair) -> None:
    pair.mlo.unlink()
    with refused(pair.mlo, "missing"):
        StepReader().read(pair)


@pytest.mark.parametrize("kind", ["mli", "mlo"])
@given(data=st.data())
@settings(max_examples=150, **FUZZ)
def test_a_header_with_flipped_or_cut_bytes_is_refused_or_harmless(
    tmp_path: Path, undamaged: UndamagedPair, kind: str, data: st.DataObject
) -> None:
    contents = undamaged.bytes
    pair = StepPair(tmp_path, undamaged.stamp)
    length = parse_header(contents[kind]).length
    damaged = bytearray(contents[kind])
    for _ in range(data.draw(st.integers(1, 3), "damages")):
        position = data.draw(st.integers(0, length - 1), "byte")
        damage = data.draw(st.sampled_from(["bit", "byte", "cut", "double"]), "damage")
        if damage == "bit":
            damaged[position] ^= 1 << data.draw(st.integers(0, 7), "bit")
        elif damage == "byte":
            damaged[position] = data.draw(st.integers(0, 255), "value")
        elif damage == "cut":
            del damaged[position : position + data.draw(st.integers(1, 16), "count")]
        else:
            damaged[position:position] = damaged[
                position : position + data.draw(st.integers(1, 16), "count")
            ]
    for name in ("mli", "mlo"):
        getattr(pair, name).write_bytes(bytes(damaged) if name == kind else contents[name])
    tracemalloc.start()
    try:
        x, y = StepReader().read(pair)
        assert (bits(x) == bits(undamaged.x)).all() and (bits(y) == bits(undamaged.y)).all()
    except KitError as error:
        assert str(getattr(pair, kind)) in str(error) or str(pair.mlo) in str(error)
        assert "\n" not in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_no_single_flipped_bit_of_an_offset_gives_other_rows(
    tmp_path: Path, undamaged: UndamagedPair, kind: str
) -> None:
    contents = undamaged.bytes
    pair = StepPair(tmp_path, undamaged.stamp)
    pair.mli.write_bytes(contents["mli"])
    pair.mlo.write_bytes(contents["mlo"])
    header = parse_header(contents[kind])
    for name in ("state_t", "state_q0002", "state_v"):
        position = contents[kind].index(header.variables[name].begin.to_bytes(8, "big"))
        for bit in range(20):
            damaged = bytearray(contents[kind])
            damaged[position + 7 - bit // 8] ^= 1 << bit % 8
            getattr(pair, kind).write_bytes(bytes(damaged))
            with refused(getattr(pair, kind), classic_netcdf.REMEDY):
                StepReader().read(pair)


def test_a_size_that_overflows_64_bits_is_refused(pair: StepPair) -> None:
    pair.mli.unlink()
    with netCDF4.Dataset(str(pair.mli), "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("lev", 60)
        file.createDimension("ncol", 48)
        file.createVariable("state_t", "f8", ("lev", "ncol"))[:] = 1
    data = bytearray(pair.mli.read_bytes())
    position = data.index((48).to_bytes(8, "big"))
    data[position] = 0x40  # 2**62 + 48 columns: 60 of them are 60 * 48 once more, modulo 2**64
    pair.mli.write_bytes(bytes(data))
    with refused(pair.mli, "truncated"):
        StepReader().read(pair)


def test_a_folder_under_a_steps_name_is_refused_when_it_is_read(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-01", ("01-00000",), ("mlo",))
    (tmp_path / "0008-01" / mli_name("0008-01-01-00000")).mkdir()
    pair = list_pairs(tmp_path)[0]
    with refused(pair.mli):
        StepReader().read(pair)


# --- the header alone -----------------------------------------------------------------------------


def test_the_grid_is_learned_without_reading_the_arrays(
    pair: StepPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grid_columns(pair) == 48
    # A header that is longer than what is read at first.
    monkeypatch.setattr(classic_netcdf, "_USUAL_HEADER", 100)
    assert grid_columns(pair) == 48
    assert (bits(StepReader().read(pair)[0]) == bits(oracle(pair)[0])).all()


def test_a_header_whose_arrays_are_cut_off_or_too_long_is_refused(pair: StepPair) -> None:
    content = pair.mli.read_bytes()
    for damaged, words in ((content[:-8], "is truncated"), (content + b"x", "trailing bytes")):
        pair.mli.write_bytes(damaged)
        with refused(pair.mli, words, classic_netcdf.REMEDY):
            grid_columns(pair)
    pair.mli.write_bytes(content[:60])
    with refused(pair.mli, "the header ends early", classic_netcdf.REMEDY):
        grid_columns(pair)
