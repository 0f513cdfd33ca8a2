"""Step files become the rows that netCDF4 and numpy make of them, bit for bit; damage is named."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from typing import Callable, Dict, Set, Tuple

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
from leapkit.core.splits import Split, training_pairs, validation_pairs
from leapkit.core.step_files import (
    MonthListing,
    StepPair,
    list_months,
    list_pairs,
    read_month,
    steps_of,
)
from leapkit.data import cdf5
from leapkit.data.cdf5 import Cdf5Reader, array, parse_header
from leapkit.data.step_reader import StepReader, grid_columns
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack

netCDF4 = pytest.importorskip("netCDF4")
FUZZ = dict(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def bits(values: np.ndarray) -> np.ndarray:
    """So that equality is of bits: 0.0 and -0.0 differ, a NaN equals itself."""
    return np.ascontiguousarray(values).view(np.int64)


def oracle(pair: StepPair) -> Tuple[np.ndarray, np.ndarray]:
    """The rows of a pair as netCDF4 and plain numpy make them."""
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
    pairs, reader = list_pairs(root), StepReader()
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
    reader, smallest = StepReader(), np.inf
    for pair in list_pairs(real_steps)[::4]:
        x, y = reader.read(pair)
        # + 0.0: where there is no cloud the formula gives -0.0 and the file 0.0
        assert (bits(y[:, targets] + 0.0) == bits(-x[:, inputs] / 1200 + 0.0)).all(), pair.mli
        found = np.abs(y[:, targets][y[:, targets] != 0])
        smallest = min(smallest, found.min()) if found.size else smallest
    assert 0 < smallest < 1e-45  # numbers that float32 cannot hold really occur


def test_rows_land_in_the_given_arrays(tiny_world: Path) -> None:
    pair = list_pairs(tiny_world / "ClimSim_low-res" / "train")[0]
    x, y = np.full((48, 556), np.nan), np.full((48, 368), np.nan)
    given_back = StepReader().read(pair, x, y)
    assert given_back[0] is x and given_back[1] is y
    assert (bits(x) == bits(oracle(pair)[0])).all() and (bits(y) == bits(oracle(pair)[1])).all()


def test_rows_stay_as_they_were_when_the_reader_goes_on(tiny_world: Path) -> None:
    first, second = list_pairs(tiny_world / "ClimSim_low-res" / "train")[:2]
    reader = StepReader()
    x, y = reader.read(first)
    kept = x.copy(), y.copy()
    reader.read(second)  # reuses the buffer that the first pair was read into
    assert (bits(x) == bits(kept[0])).all() and (bits(y) == bits(kept[1])).all()


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
    kept = x.copy(), y.copy()
    again = reader.levels(second)
    assert again[0] is x and again[1] is y  # valid until the next call, as it says
    assert (bits(x.T) == bits(oracle(second)[0])).all() and (
        bits(y.T) == bits(oracle(second)[1])
    ).all()
    assert (bits(rows[0].T) == bits(kept[0])).all() and (bits(rows[1].T) == bits(kept[1])).all()


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


# --- any CDF-5 file -------------------------------------------------------------------------------

NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,12}", fullmatch=True)
KINDS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "S1"]
ATTRIBUTE = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=0x17F), min_size=1, max_size=9),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=3).map(lambda v: np.array(v, "f8")),
    st.sampled_from(["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4"]).flatmap(
        lambda kind: st.lists(st.integers(0, 100), min_size=1, max_size=5).map(
            lambda v: np.array(v, kind)
        )
    ),
)


@given(data=st.data())
@settings(max_examples=60, **FUZZ)
def test_whatever_netcdf4_writes_as_cdf5_is_read_with_equal_values(
    tmp_path: Path, data: st.DataObject
) -> None:
    path, written = tmp_path / "any.nc", {}
    sizes = data.draw(
        st.dictionaries(NAME, st.integers(1, 5), min_size=1, max_size=4), "dimensions"
    )
    names = data.draw(st.lists(NAME, min_size=1, max_size=5, unique=True), "variables")
    with netCDF4.Dataset(str(path), "w", format="NETCDF3_64BIT_DATA") as file:
        for name, size in sizes.items():
            file.createDimension(name, size)
        file.setncatts(data.draw(st.dictionaries(NAME, ATTRIBUTE, max_size=3), "global attributes"))
        for name in names:
            kind = data.draw(st.sampled_from(KINDS), name)
            axes = tuple(
                data.draw(st.lists(st.sampled_from(sorted(sizes)), max_size=3, unique=True), name)
            )
            variable = file.createVariable(name, kind, axes, fill_value=False)
            variable.set_auto_maskandscale(False)
            variable.set_auto_chartostring(False)
            attributes = data.draw(st.dictionaries(NAME, ATTRIBUTE, max_size=2), name)
            variable.setncatts({"a_" + key: value for key, value in attributes.items()})
            shape = tuple(sizes[axis] for axis in axes)
            raw = data.draw(
                st.binary(min_size=8 * int(np.prod(shape)), max_size=8 * int(np.prod(shape))), name
            )
            values = (
                np.frombuffer(raw, "u1")[: int(np.prod(shape)) * np.dtype(kind).itemsize]
                .view(kind)
                .reshape(shape)
            )
            variable[...] = values
            written[name] = values
    header, view = Cdf5Reader().read(path)
    assert header.dimensions == sizes
    assert sorted(header.variables) == sorted(names)
    assert header.file_size == path.stat().st_size
    for name, values in written.items():
        found = array(header, view, name)
        assert found.shape == values.shape
        assert found.astype(values.dtype).tobytes() == values.tobytes(), name


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF4"])
def test_netcdf_of_another_kind_is_refused(pair: StepPair, kind: str) -> None:
    pair.mli.unlink()
    with netCDF4.Dataset(str(pair.mli), "w", format=kind) as file:
        file.createDimension("ncol", 3)
        file.createVariable("state_ps", "f8", ("ncol",))[:] = 1
    with refused(pair.mli, "is not a CDF-5 file"):
        StepReader().read(pair)


def test_a_record_dimension_is_refused(pair: StepPair) -> None:
    pair.mli.unlink()
    with netCDF4.Dataset(str(pair.mli), "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("time", None)
        file.createVariable("state_ps", "f8", ("time",))[:] = [1, 2]
    with refused(pair.mli, "record dimension"):
        StepReader().read(pair)


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture
def pair(tiny_world: Path, tmp_path: Path) -> StepPair:
    """A pair of the tiny world that a test may damage."""
    whole = list_pairs(tiny_world / "ClimSim_low-res" / "train")[0]
    folder = tmp_path / whole.month
    folder.mkdir()
    for path in (whole.mli, whole.mlo):
        shutil.copyfile(str(path), str(folder / path.name))
    return StepPair(folder, whole.stamp)


class Whole:
    """Bytes of an mli and an mlo file, and the rows that they hold (a class for its short repr)."""

    def __init__(self, pair: StepPair) -> None:
        self.stamp = pair.stamp
        self.bytes = {"mli": pair.mli.read_bytes(), "mlo": pair.mlo.read_bytes()}
        self.x, self.y = oracle(pair)


@pytest.fixture(scope="module")
def whole(tiny_world: Path) -> Whole:
    return Whole(list_pairs(tiny_world / "ClimSim_low-res" / "train")[0])


@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_the_file_of_another_step_under_this_ones_name_is_refused(
    pair: StepPair, tiny_world: Path, kind: str
) -> None:
    other = list_pairs(tiny_world / "ClimSim_low-res" / "train")[1]
    shutil.copyfile(str(getattr(other, kind)), str(getattr(pair, kind)))
    with refused(getattr(pair, kind), f"holds the step {other.stamp}", cdf5.REMEDY):
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
        with refused(path, cdf5.REMEDY):
            reader.read(pair)


def test_a_file_with_something_behind_its_end_is_refused(pair: StepPair) -> None:
    with open(pair.mlo, "ab") as handle:
        handle.write(b"\0" * 8)
    with refused(pair.mlo, "trailing bytes"):
        StepReader().read(pair)


@pytest.mark.parametrize(
    "magic", [b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"", b"\x1f\x8b\x08\x00", b"<html>"]
)
def test_another_format_is_refused_by_its_first_bytes(pair: StepPair, magic: bytes) -> None:
    data = pair.mli.read_bytes()
    pair.mli.write_bytes(magic + data[len(magic) :] if magic else b"")
    with refused(pair.mli, "is not a CDF-5 file"):
        StepReader().read(pair)


def test_little_endian_sizes_are_refused(pair: StepPair) -> None:
    data = bytearray(pair.mli.read_bytes())
    at = data.index((48).to_bytes(8, "big"))  # the size of ncol
    data[at : at + 8] = data[at : at + 8][::-1]
    pair.mli.write_bytes(bytes(data))
    with refused(pair.mli):
        StepReader().read(pair)


def rewrite(
    path: Path,
    change: Callable[[Dict[str, np.ndarray]], None],
    levels: str = "lev",
    columns: str = "ncol",
) -> None:
    """Writes the step file again after `change` has had its way with {variable: values}."""
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
    good, reader = list_pairs(tiny_world / "ClimSim_low-res" / "train")[1], StepReader()
    rewrite(pair.mlo, put("state_t", np.nan))
    with refused(pair.mlo, "ptend_t_59 holds a NaN"):
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
        ("mli", put("state_ps", 1.0, "f4"), "state_ps is >f4"),
        ("mlo", put("state_v", 1.0, "f4"), "state_v is >f4"),
        ("mli", put("state_q0002", np.nan), "state_q0002_59 holds a NaN"),
        ("mli", put("cam_in_ASDIR", np.inf), "cam_in_ASDIR holds a NaN or an infinity"),
        ("mlo", put("state_t", -np.inf), "ptend_t_59 holds a NaN"),
        ("mlo", put("cam_out_SOLLD", np.nan), "cam_out_SOLLD holds a NaN"),
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
    with refused(named, words, cdf5.REMEDY):
        StepReader().read(pair)


@pytest.mark.parametrize("name", ["ymd", "tod"])
@pytest.mark.parametrize("value", [np.array(np.nan), np.array(np.inf), np.array(b"x", "S1")])
def test_a_clock_of_another_type_is_one_sentence(
    pair: StepPair, name: str, value: np.ndarray
) -> None:
    rewrite(pair.mlo, lambda variables: variables.update({name: value}))
    with refused(pair.mlo, cdf5.REMEDY):
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


def test_an_mli_file_under_the_name_of_its_twin_is_refused(pair: StepPair) -> None:
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
    tmp_path: Path, whole: Whole, kind: str, data: st.DataObject
) -> None:
    good = whole.bytes
    pair = StepPair(tmp_path, whole.stamp)
    length = parse_header(good[kind]).length
    damaged = bytearray(good[kind])
    for _ in range(data.draw(st.integers(1, 3), "damages")):
        at = data.draw(st.integers(0, length - 1), "byte")
        what = data.draw(st.sampled_from(["bit", "byte", "cut", "double"]), "damage")
        if what == "bit":
            damaged[at] ^= 1 << data.draw(st.integers(0, 7), "bit")
        elif what == "byte":
            damaged[at] = data.draw(st.integers(0, 255), "value")
        elif what == "cut":
            del damaged[at : at + data.draw(st.integers(1, 16), "count")]
        else:
            damaged[at:at] = damaged[at : at + data.draw(st.integers(1, 16), "count")]
    for name in ("mli", "mlo"):
        getattr(pair, name).write_bytes(bytes(damaged) if name == kind else good[name])
    tracemalloc.start()
    try:
        x, y = StepReader().read(pair)
        assert (bits(x) == bits(whole.x)).all() and (bits(y) == bits(whole.y)).all()
    except KitError as error:
        assert str(getattr(pair, kind)) in str(error) or str(pair.mlo) in str(error)
        assert "\n" not in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_no_single_flipped_bit_of_an_offset_gives_other_rows(
    tmp_path: Path, whole: Whole, kind: str
) -> None:
    good = whole.bytes
    pair = StepPair(tmp_path, whole.stamp)
    pair.mli.write_bytes(good["mli"])
    pair.mlo.write_bytes(good["mlo"])
    header = parse_header(good[kind])
    for name in ("state_t", "state_q0002", "state_v"):
        at = good[kind].index(header.variables[name].begin.to_bytes(8, "big"))
        for bit in range(20):
            damaged = bytearray(good[kind])
            damaged[at + 7 - bit // 8] ^= 1 << bit % 8
            getattr(pair, kind).write_bytes(bytes(damaged))
            with refused(getattr(pair, kind), cdf5.REMEDY):
                StepReader().read(pair)


def test_a_size_that_overflows_64_bits_is_refused(pair: StepPair) -> None:
    pair.mli.unlink()
    with netCDF4.Dataset(str(pair.mli), "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("lev", 60)
        file.createDimension("ncol", 48)
        file.createVariable("state_t", "f8", ("lev", "ncol"))[:] = 1
    data = bytearray(pair.mli.read_bytes())
    at = data.index((48).to_bytes(8, "big"))
    data[at] = 0x40  # 2**62 + 48 columns: 60 of them are 60 * 48 once more, modulo 2**64
    pair.mli.write_bytes(bytes(data))
    with refused(pair.mli, "truncated"):
        Cdf5Reader().read(pair.mli)


# --- which files there are ------------------------------------------------------------------------


def make_names(
    root: Path, month: str, stamps: Tuple[str, ...], kinds: Tuple[str, ...] = ("mli", "mlo")
) -> None:
    (root / month).mkdir(exist_ok=True)
    for stamp in stamps:
        for kind in kinds:
            (root / month / (f"E3SM-MMF.{kind}.{month}-{stamp}.nc")).touch()


def test_pairs_come_sorted_by_path_over_months(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-02", ("01-00000",))
    make_names(tmp_path, "0008-01", ("02-01200", "01-85200", "01-02400"))
    (tmp_path / "0008-01" / "README.txt").touch()
    (tmp_path / "notes").mkdir()
    assert list_months(tmp_path) == ["0008-01", "0008-02"]
    pairs = list_pairs(tmp_path)
    assert [p.mli.name[-19:-3] for p in pairs] == [
        "0008-01-01-02400",
        "0008-01-01-85200",
        "0008-01-02-01200",
        "0008-02-01-00000",
    ]
    assert all(p.mlo.name == p.mli.name.replace("mli", "mlo") and p.mlo.exists() for p in pairs)


@pytest.mark.parametrize("kind, twin", [("mli", "mlo"), ("mlo", "mli")])
def test_a_missing_twin_is_refused(tmp_path: Path, kind: str, twin: str) -> None:
    make_names(tmp_path, "0008-01", ("01-00000",))
    make_names(tmp_path, "0008-01", ("01-01200",), (kind,))
    with refused(f"E3SM-MMF.{kind}.0008-01-01-01200.nc", twin, "download the missing file"):
        list_pairs(tmp_path)


def test_an_empty_a_missing_month_and_a_missing_root_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0008-01").mkdir()
    with refused(tmp_path / "0008-01", "holds no step files"):
        list_pairs(tmp_path)
    with refused(tmp_path / "0008-02", "the month is missing"):
        list_pairs(tmp_path, ["0008-02"])
    with refused(tmp_path / "nowhere", "missing", "RAW_DATA="):
        list_pairs(tmp_path / "nowhere")


def test_validation_takes_every_seventh_step_and_training_takes_none_of_them(
    tmp_path: Path,
) -> None:
    for month in ("0008-01", "0008-02"):
        make_names(tmp_path, month, tuple(f"01-{1200 * k:05d}" for k in range(10)))
    split = Split(("0008-01", "0008-02"), ("0008-02", "0008-01"), 7)
    validation, training = validation_pairs(tmp_path, split), training_pairs(tmp_path, split)
    assert len(validation) == 3 and len(training) == 17
    assert not {p.mli for p in validation} & {p.mli for p in training}
    assert {p.mli for p in validation + training} == {p.mli for p in list_pairs(tmp_path)}
    # the stride runs on over the end of a month, as over the team's seven months
    assert validation == list_pairs(tmp_path, split.validation)[0:20:7]


def test_a_first_month_leaves_the_earlier_ones_out(tmp_path: Path) -> None:
    for month in ("0008-01", "0008-02", "0008-03"):
        make_names(tmp_path, month, ("01-00000", "01-01200"))
    split = Split(("0008-01", "0008-02"), ("0008-03",), 1)
    assert {p.month for p in training_pairs(tmp_path, split, "0008-02")} == {"0008-02"}
    with refused(tmp_path, "0008-03"):
        training_pairs(tmp_path, split, "0008-03")


MLI, MLO = "E3SM-MMF.mli.%s.nc", "E3SM-MMF.mlo.%s.nc"
ODD = [
    MLI % "0008-03-01-00000",
    MLO % "0008-03-01-00000",  # of another month
    MLI % "0009-02-01-00000",
    MLI % "0008-02-29-00000",
    MLO % "0008-02-30-00000",
    MLI % "0008-02-00-00000",
    MLI % "0008-02-01-00001",
    MLI % "0008-02-01-01199",
    MLI % "0008-02-01-86400",
    MLI % "0008-02-01-99999",
    MLI % "0008-02-01-00000" + ".part",
    MLI % "0008-02-01-01200" + ".tmp",
    ".partial-" + MLI % "0008-02-01-00000",
    "." + MLI % "0008-02-01-00000" + ".swp",
    MLI % "0008-02-1-00000",
    MLI % "0008-02-01-0",
    MLI % "0008-2-01-00000",
    "E3SM-MMF.mlx.0008-02-01-00000.nc",
    "e3sm-mmf.mli.0008-02-01-00000.nc",
    "E3SM-MMF.mli.0008-02-01-00000.nc4",
    "E3SM-MMF_mli_0008-02-01-00000.nc",
    "copy of " + MLI % "0008-02-01-00000",
    "README",
    "wget-log",
    "a\u00e9.nc",
]


def test_odd_names_are_neither_steps_nor_errors_but_are_listed(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-02", ("28-85200", "01-00000"))
    for name in ODD:
        (tmp_path / "0008-02" / name).touch()
    (tmp_path / "0008-02" / "old").mkdir()
    (tmp_path / "0008-02" / "old" / (MLI % "0008-02-02-00000")).touch()  # nobody looks into it
    month = read_month(tmp_path / "0008-02")
    assert [pair.stamp for pair in month.pairs] == ["0008-02-01-00000", "0008-02-28-85200"]
    assert month.unpaired == () and month.unexpected == tuple(sorted(ODD + ["old"]))
    assert list_pairs(tmp_path) == list(month.pairs)


def test_a_name_that_ends_in_a_line_end_is_odd(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-02", ("01-00000",))
    for kind in (MLI, MLO):
        (tmp_path / "0008-02" / (kind % "0008-02-02-00000" + "\n")).touch()
    assert [pair.stamp for pair in read_month(tmp_path / "0008-02").pairs] == ["0008-02-01-00000"]


@pytest.mark.parametrize(
    "month, days",
    [
        ("0001-02", 28),
        ("0004-02", 28),
        ("0008-01", 31),
        ("0008-04", 30),
        ("0008-06", 30),
        ("0008-07", 31),
        ("0008-08", 31),
        ("0008-09", 30),
        ("0008-11", 30),
        ("0008-12", 31),
    ],
)
def test_a_month_is_whole_in_a_calendar_without_leap_years(
    tmp_path: Path, month: str, days: int
) -> None:
    assert steps_of(month) == 72 * days
    make_names(tmp_path, month, (f"{days:02d}-85200", f"{days + 1:02d}-00000"))
    found = read_month(tmp_path / month)
    assert [pair.stamp for pair in found.pairs] == [f"{month}-{days:02d}-85200"] and len(
        found.unexpected
    ) == 2
    assert found.line().startswith(f"{month}: 1 of {72 * days} steps; not step files: ")


STAMP = st.builds(
    lambda day, step: f"0008-04-{day:02d}-{1200 * step:05d}",
    st.integers(0, 32),
    st.integers(0, 73),
)


@given(
    mli=st.sets(STAMP, max_size=8),
    mlo=st.sets(STAMP, max_size=8),
    others=st.sets(st.sampled_from(ODD), max_size=3),
)
@settings(max_examples=40, **FUZZ)
def test_every_name_of_a_month_is_a_step_or_lone_or_odd(
    tmp_path: Path, mli: Set[str], mlo: Set[str], others: Set[str]
) -> None:
    folder = tmp_path / "0008-04"
    shutil.rmtree(str(folder), ignore_errors=True)
    folder.mkdir()
    names = {MLI % stamp for stamp in mli} | {MLO % stamp for stamp in mlo} | others
    for name in names:
        (folder / name).touch()
    month = read_month(folder)
    assert sorted(
        [path.name for pair in month.pairs for path in (pair.mli, pair.mlo)]
        + list(month.unpaired)
        + list(month.unexpected)
    ) == sorted(names)
    real = {stamp for stamp in mli | mlo if 1 <= int(stamp[8:10]) <= 30 and int(stamp[11:]) < 86400}
    assert [pair.stamp for pair in month.pairs] == sorted(real & mli & mlo)
    assert list(month.unpaired) == sorted(month.unpaired) and list(month.unexpected) == sorted(
        month.unexpected
    )
    assert set(month.unpaired) == {MLI % s for s in real & mli - mlo} | {
        MLO % s for s in real & mlo - mli
    }
    assert all(
        pair.month == "0008-04" and pair.mli.parent == pair.mlo.parent == folder
        for pair in month.pairs
    )


def pairs_of(month: str, count: int) -> Tuple[StepPair, ...]:
    return tuple(
        StepPair(Path(month), f"{month}-{k // 72 + 1:02d}-{k % 72 * 1200:05d}")
        for k in range(count)
    )


@pytest.mark.parametrize(
    "count, lone, odd, line",
    [
        (2016, 0, 0, "0008-02: whole, 2016 steps"),
        (2015, 0, 0, "0008-02: 2015 of 2016 steps"),
        (0, 0, 0, "0008-02: 0 of 2016 steps"),
        (1, 1, 0, "0008-02: 1 of 2016 steps; without their counterpart: l0"),
        (1, 3, 0, "0008-02: 1 of 2016 steps; without their counterpart: l0, l1, l2"),
        (
            1,
            4,
            1,
            "0008-02: 1 of 2016 steps; without their counterpart: l0, l1, l2 and 1 more; "
            "not step files: o0",
        ),
        (2016, 0, 5, "0008-02: whole, 2016 steps; not step files: o0, o1, o2 and 2 more"),
    ],
)
def test_a_month_says_in_a_line_what_it_holds(count: int, lone: int, odd: int, line: str) -> None:
    assert (
        MonthListing(
            "0008-02",
            pairs_of("0008-02", count),
            tuple(f"l{k}" for k in range(lone)),
            tuple(f"o{k}" for k in range(odd)),
        ).line()
        == line
    )


def test_a_month_that_is_there_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-01", ("01-00000", "31-85200"))
    make_names(tmp_path, "0008-01", ("02-00000",), ("mlo",))
    (tmp_path / "0008-01" / "wget-log").touch()
    assert read_month(tmp_path / "0008-01").line() == (
        "0008-01: 2 of 2232 steps; without their counterpart: E3SM-MMF.mlo.0008-01-02-00000.nc; "
        "not step files: wget-log"
    )


@pytest.mark.parametrize("kind, twin", [("mli", "mlo"), ("mlo", "mli")])
def test_of_many_missing_twins_the_first_is_named_and_the_others_are_counted(
    tmp_path: Path, kind: str, twin: str
) -> None:
    make_names(tmp_path, "0008-01", ("01-00000",))
    make_names(tmp_path, "0008-01", ("01-02400", "01-01200", "01-03600"), (kind,))
    lone = f"E3SM-MMF.{kind}.0008-01-01-01200.nc"
    with refused(
        tmp_path / "0008-01" / lone,
        f"its counterpart {lone.replace(kind, twin)} is missing (and 2 more are)",
    ):
        list_pairs(tmp_path)
    assert read_month(tmp_path / "0008-01").unpaired == tuple(
        f"E3SM-MMF.{kind}.0008-01-01-0{k}00.nc" for k in (12, 24, 36)
    )


def test_one_missing_twin_speaks_of_no_others(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-01", ("01-00000",), ("mlo",))
    with refused(
        "E3SM-MMF.mlo.0008-01-01-00000.nc",
        "its counterpart E3SM-MMF.mli.0008-01-01-00000.nc is missing;",
    ):
        list_pairs(tmp_path)


def test_a_month_of_odd_names_only_holds_no_steps(tmp_path: Path) -> None:
    (tmp_path / "0008-01").mkdir()
    (tmp_path / "0008-01" / (MLI % "0008-02-01-00000")).touch()
    with refused(tmp_path / "0008-01", "holds no step files"):
        list_pairs(tmp_path)


def test_a_month_that_is_missing_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0008-02").touch()
    for name in ("0008-01", "0008-02"):
        with refused(tmp_path / name, "the month is missing"):
            read_month(tmp_path / name)


def test_a_folder_under_a_steps_name_is_refused_when_it_is_read(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-01", ("01-00000",), ("mlo",))
    (tmp_path / "0008-01" / (MLI % "0008-01-01-00000")).mkdir()
    pair = list_pairs(tmp_path)[0]
    with refused(pair.mli):
        StepReader().read(pair)


# --- the header alone -----------------------------------------------------------------------------


def test_the_grid_is_learned_without_reading_the_arrays(
    pair: StepPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, _ = Cdf5Reader().read(pair.mli)
    assert cdf5.read_header(pair.mli) == header and grid_columns(pair) == 48
    # A header that is longer than what is read at first.
    monkeypatch.setattr(cdf5, "_USUAL_HEADER", 100)
    assert cdf5.read_header(pair.mli) == header


def test_a_header_whose_arrays_are_cut_off_or_too_long_is_refused(pair: StepPair) -> None:
    content = pair.mli.read_bytes()
    for damaged, words in ((content[:-8], "is truncated"), (content + b"x", "trailing bytes")):
        pair.mli.write_bytes(damaged)
        with refused(pair.mli, words, cdf5.REMEDY):
            grid_columns(pair)
    pair.mli.write_bytes(content[:60])
    with refused(pair.mli, "the header ends early", "fetch it again"):
        cdf5.read_header(pair.mli, "fetch it again")
