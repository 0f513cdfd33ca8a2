"""Whatever netCDF4 writes in a classic form is read with equal bytes; damage is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import List

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.data import classic_netcdf, step_file
from leapkit.data.classic_header import ClassicHeader, parse_header
from leapkit.data.classic_netcdf import REMEDY
from tests.helpers.refusals import refused

netCDF4 = pytest.importorskip("netCDF4")
FUZZ = dict(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
FORMS = {
    "NETCDF3_CLASSIC": ["i1", "i2", "i4", "f4", "f8", "S1"],
    "NETCDF3_64BIT_OFFSET": ["i1", "i2", "i4", "f4", "f8", "S1"],
    "NETCDF3_64BIT_DATA": ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "S1"],
}
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,12}", fullmatch=True)


def attribute(kinds: List[str]) -> st.SearchStrategy:
    return st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=0x17F), min_size=1, max_size=9),
        st.lists(st.floats(allow_nan=False), min_size=1, max_size=3).map(lambda v: np.array(v)),
        st.sampled_from([kind for kind in kinds if kind[0] in "iu"]).flatmap(
            lambda kind: st.lists(st.integers(0, 100), min_size=1, max_size=5).map(
                lambda v: np.array(v, kind)
            )
        ),
    )


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
@settings(max_examples=40, **FUZZ)
def test_whatever_netcdf4_writes_is_read_with_equal_values(
    tmp_path: Path, form: str, data: st.DataObject
) -> None:
    path = tmp_path / "any.nc"
    written = {}
    attributes = st.dictionaries(NAME, attribute(FORMS[form]), max_size=3)
    sizes = data.draw(
        st.dictionaries(NAME, st.integers(1, 5), min_size=1, max_size=4), "dimensions"
    )
    names = data.draw(st.lists(NAME, min_size=1, max_size=5, unique=True), "variables")
    record = data.draw(st.sampled_from([None, *sorted(sizes)]), "record dimension")
    with netCDF4.Dataset(str(path), "w", format=form) as file:
        for name, size in sizes.items():
            file.createDimension(name, None if name == record else size)
        file.setncatts(data.draw(attributes, "global attributes"))
        for name in names:
            kind = data.draw(st.sampled_from(FORMS[form]), name)
            axes = data.draw(st.lists(st.sampled_from(sorted(sizes)), max_size=3, unique=True))
            axes.sort(key=lambda axis: axis != record)  # first, as the classic forms demand
            variable = file.createVariable(name, kind, tuple(axes), fill_value=False)
            variable.set_auto_maskandscale(False)
            variable.set_auto_chartostring(False)
            chosen = data.draw(attributes, name)
            variable.setncatts({"a_" + key: value for key, value in chosen.items()})
            shape = tuple(sizes[axis] for axis in axes)
            length = int(np.prod(shape)) * np.dtype(kind).itemsize
            raw = data.draw(st.binary(min_size=length, max_size=length), name)
            written[name] = np.frombuffer(raw, "u1").view(kind).reshape(shape)
            variable[...] = written[name]
    has_records = any(record in file_axes for file_axes in _axes(path).values())
    with step_file.opened(path) as (header, array_of):
        assert isinstance(header, ClassicHeader)
        expected = {
            name: 0 if name == record and not has_records else s for name, s in sizes.items()
        }
        assert header.dimensions == expected
        assert sorted(header.variables) == sorted(names)
        assert 0 <= path.stat().st_size - header.file_size <= header.spare
        for name, values in written.items():
            assert array_of(name).shape == values.shape
            assert array_of(name).astype(values.dtype).tobytes() == values.tobytes(), name


def _axes(path: Path) -> dict:
    with netCDF4.Dataset(str(path)) as file:
        return {name: variable.dimensions for name, variable in file.variables.items()}


def small(path: Path, form: str = "NETCDF3_CLASSIC", records: int = 2) -> bytes:
    """Write a file with a fixed variable and two of the record dimension; return its bytes."""
    with netCDF4.Dataset(str(path), "w", format=form) as file:
        file.createDimension("time", None)
        file.createDimension("ncol", 3)
        for name, axes in (("fixed", ("ncol",)), ("a", ("time", "ncol")), ("b", ("time",))):
            file.createVariable(name, "f8", axes, fill_value=False)
        file["fixed"][:] = [1, 2, 3]
        file["a"][:] = np.arange(3 * records).reshape(records, 3)
        file["b"][:] = np.arange(records)
    return path.read_bytes()


@pytest.mark.parametrize("change", [(4, 3), (4, 1), (4, 0xFFFFFFFF), (4, 0x7FFFFFFF)])
def test_another_number_of_records_is_another_length(tmp_path: Path, change: tuple) -> None:
    path = tmp_path / "records.nc"
    content = bytearray(small(path))
    struct.pack_into(">I", content, *change)
    path.write_bytes(bytes(content))
    with refused(path, " bytes instead of ", REMEDY), step_file.opened(path):
        pass


@pytest.mark.parametrize(
    "old, new, words",
    [
        (b"\0\0\0\x04ncol", b"\0\0\0\x04time", "names a dimension twice"),
        (
            b"\0\0\0\x04ncol\0\0\0\x03",
            b"\0\0\0\x04ncol\0\0\0\0",
            "the record dimension in another place",
        ),
        (b"\0\0\0\x06", b"\0\0\0\x0c", "unknown type 12"),
        (b"\0\0\0\x0b", b"\0\0\0\x0d", "unexpected tag 13"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(
    tmp_path: Path, old: bytes, new: bytes, words: str
) -> None:
    path = tmp_path / "odd.nc"
    content = small(path)
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with refused(path, words, REMEDY), step_file.opened(path):
        pass


@pytest.mark.parametrize("form", FORMS)
def test_a_variable_that_starts_elsewhere_is_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / "moved.nc"
    content = small(path, form)
    header = parse_header(content)
    width = ">I" if form == "NETCDF3_CLASSIC" else ">Q"
    for name in ("fixed", "a", "b"):
        begin = struct.pack(width, header.variables[name].begin)
        position = content.rindex(begin, 0, header.length)
        for moved in (8, -8, 1 << 20):
            changed = bytearray(content)
            struct.pack_into(width, changed, position, header.variables[name].begin + moved)
            path.write_bytes(bytes(changed))
            with refused(path, REMEDY), step_file.opened(path):
                pass


def test_aligned_variables_are_refused_with_what_packs_them(tmp_path: Path) -> None:
    """PnetCDF can leave gaps; an offset that is damaged would look the same."""
    path = tmp_path / "aligned.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("ncol", 4)
        for name in ("first", "second"):
            file.createVariable(name, "f8", ("ncol",))[:] = np.arange(4.0)
    content = path.read_bytes()
    begin = parse_header(content).variables["second"].begin
    moved = content.replace(struct.pack(">Q", begin), struct.pack(">Q", begin + 512))
    path.write_bytes(moved[:begin] + bytes(512) + content[begin:])
    with refused(path, "do not lie one behind the other", "nccopy -k cdf5"), open(
        path, "rb", buffering=0
    ) as handle:
        classic_netcdf.read_header(handle, path)
