"""ClimSim's step files: which ones a month has, and which of them lie there whole."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY
from leapkit.core.step_files import parse_name, steps_of
from leapkit.data.cdf5 import read_header
from leapkit.data.step_time import require_stamp

PAIR_BYTES = 1_897_632 + 1_131_804  # of the published mli and mlo files, 384 columns
_REMEDY = "fetch this file again"
_OF_ITS_KIND = {"mli": "pbuf_SOLIN", "mlo": "cam_out_NETSW"}


def names_of(month: str) -> Iterator[str]:
    """The names of all files of a month, the two of a step one after the other."""
    for day in range(1, steps_of(month) // 72 + 1):
        for seconds in range(0, 86400, 1200):
            for kind in ("mli", "mlo"):
                yield "E3SM-MMF.%s.%s-%02d-%05d.nc" % (kind, month, day, seconds)


def month_of(name: str) -> Optional[str]:
    """The month that a step file belongs to by its name; None where the name is no step of the calendar."""
    found = parse_name(name)
    return found.stamp[:7] if found else None


def require_step(path: Path, name: str) -> None:
    """Raises KitError unless the file is whole and holds the kind and the instant that `name` says."""
    parsed = parse_name(name)
    assert parsed is not None
    kind, stamp = parsed
    header = read_header(path, _REMEDY)
    if not {_OF_ITS_KIND[kind], "ymd", "tod"} <= set(header.variables):
        raise KitError(f"is not an {kind} file of ClimSim", path, _REMEDY)
    with explain_os_errors(path), open(path, "rb") as handle:

        def read_at(begin: int) -> bytes:
            handle.seek(begin)
            return handle.read(4)

        require_stamp(header, read_at, path, stamp, "give it the name of the step that it holds")


@dataclass
class Month:
    """What lies in a month's folder.

    whole       names of files as long as a header says: their own, or that of another file of their kind
    damaged     name -> why not
    odd         names that are no step of this month
    unfinished  parts of files that are being fetched
    """

    name: str
    whole: Set[str] = field(default_factory=set)
    damaged: Dict[str, str] = field(default_factory=dict)
    odd: List[str] = field(default_factory=list)
    unfinished: int = 0

    @property
    def pairs(self) -> int:
        """Steps whose two files are whole."""
        return sum(
            name.replace(".mli.", ".mlo.") in self.whole for name in self.whole if ".mli." in name
        )

    @property
    def is_whole(self) -> bool:
        return len(self.whole) == 2 * steps_of(self.name)

    def missing(self) -> List[str]:
        return [
            name
            for name in names_of(self.name)
            if name not in self.whole and name not in self.damaged
        ]


class Survey:
    """Looks at months. Reads one header per kind and size: 400,000 files cost a look at each one's length."""

    def __init__(self) -> None:
        self._sizes: Set[Tuple[str, int]] = set()  # (kind, length of a whole file), as headers said

    def of(self, root: Path, month: str) -> Month:
        found = Month(month)
        folder = root / month
        if not folder.is_dir():
            return found
        with explain_os_errors(folder):
            entries = sorted(
                (entry.name, entry.stat().st_size) for entry in os.scandir(str(folder))
            )
        for name, size in entries:
            if name.startswith(TEMPORARY):
                found.unfinished += 1
            elif month_of(name) != month:
                found.odd.append(name)
            else:
                problem = self._problem(folder / name, size)
                if problem:
                    found.damaged[name] = problem
                else:
                    found.whole.add(name)
        return found

    def _problem(self, path: Path, size: int) -> str:
        kind = path.name[9:12]
        if (kind, size) not in self._sizes:
            try:
                require_step(path, path.name)
            except KitError as error:
                return error.what
            self._sizes.add((kind, size))
        return ""
