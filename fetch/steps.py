"""ClimSim's step files: which ones a month has, and which of them exist and are whole."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY
from leapkit.core.step_files import parse_name, steps_of
from leapkit.data import netcdf_library, step_file
from leapkit.data.step_file import StepFileReader
from leapkit.data.step_ranges import require_pressure
from leapkit.data.step_time import require_stamp

PAIR_BYTES = 1_897_632 + 1_131_804  # of the published mli and mlo files, 384 columns
_REMEDY = "fetch this file again"
_PRESSURE = "state_pmid"
_OF_ITS_KIND = {"mli": "pbuf_SOLIN", "mlo": "cam_out_NETSW"}


def step_names(month: str) -> Iterator[str]:
    """Yield the names of all files of a month in order: mli, then mlo of each step."""
    for day in range(1, steps_of(month) // 72 + 1):
        for seconds in range(0, 86400, 1200):
            for kind in ("mli", "mlo"):
                yield f"E3SM-MMF.{kind}.{month}-{day:02d}-{seconds:05d}.nc"


def month_of_step(name: str) -> Optional[str]:
    """Return the month of a step file by its name, None if the name is not a step."""
    found = parse_name(name)
    return found.stamp[:7] if found else None


def require_step(path: Path, name: str) -> None:
    """Raise KitError unless the file is whole and holds the kind and instant of its name.

    Every number that training would read is looked at, and the pressure of the levels. Whether
    float32 is enough, a training asks.
    """
    parsed = parse_name(name)
    assert parsed is not None
    kind, stamp = parsed
    with step_file.opened(path) as (header, array_of):
        if not {_OF_ITS_KIND[kind], "ymd", "tod"} <= set(header.variables):
            raise KitError(f"is not an {kind} file of ClimSim", path, _REMEDY)
        require_stamp(header, array_of, path, stamp, "give it the name of the step that it holds")
        if _PRESSURE in header.variables:
            pressure = step_file.arranged(
                header.variables[_PRESSURE], array_of(_PRESSURE), ("lev", "ncol"), path
            )
            require_pressure(pressure, path)
    StepFileReader(kind, accept_float32=True).read(path, stamp)


@dataclass
class MonthSurvey:
    """The contents of a month's folder.

    whole       names of files that have the size of a whole one, by their own header or that of
                another file of their kind
    damaged     name -> what is wrong
    unexpected  names that are not steps of this month
    unfinished  number of files that are being fetched
    """

    name: str
    whole: Set[str] = field(default_factory=set)
    damaged: Dict[str, str] = field(default_factory=dict)
    unexpected: List[str] = field(default_factory=list)
    unfinished: int = 0

    @property
    def pairs(self) -> int:
        """The number of steps of which both files are whole."""
        return sum(
            name.replace(".mli.", ".mlo.") in self.whole for name in self.whole if ".mli." in name
        )

    @property
    def is_whole(self) -> bool:
        return len(self.whole) == 2 * steps_of(self.name)

    def missing(self) -> List[str]:
        """Return the names of the month that are neither whole nor damaged, in order."""
        return [
            name
            for name in step_names(self.name)
            if name not in self.whole and name not in self.damaged
        ]


class StepSurvey:
    """Surveys months.

    It reads one file per kind and size; of 400,000 files it only looks at the sizes. In netCDF-4,
    where each file may have a size of its own, it reads one per kind.
    """

    def __init__(self) -> None:
        # (kind, size of a whole file by its header; 0 for netCDF-4)
        self._whole_sizes: Set[Tuple[str, int]] = set()

    def month(self, root: Path, month: str) -> MonthSurvey:
        """Return what root/<month> holds; the folder need not exist."""
        survey = MonthSurvey(month)
        folder = root / month
        if not folder.is_dir():
            return survey
        with explain_os_errors(folder):
            entries = sorted(
                (entry.name, entry.stat().st_size) for entry in os.scandir(str(folder))
            )
        for name, size in entries:
            if name.startswith(TEMPORARY):
                survey.unfinished += 1
            elif month_of_step(name) != month:
                survey.unexpected.append(name)
            else:
                problem = self._problem(folder / name, size)
                if problem:
                    survey.damaged[name] = problem
                else:
                    survey.whole.add(name)
        return survey

    def _problem(self, path: Path, size: int) -> str:
        """Return what is wrong with a file, "" if it is whole."""
        kind = path.name[9:12]
        if (kind, size) in self._whole_sizes:
            return ""
        try:
            size = 0 if netcdf_library.is_its_form(path) else size
            if (kind, size) not in self._whole_sizes:
                require_step(path, path.name)
        except KitError as error:
            return error.what
        self._whole_sizes.add((kind, size))
        return ""
