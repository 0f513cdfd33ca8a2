"""The instant of one model step in the NO_LEAP calendar."""

from __future__ import annotations

from dataclasses import dataclass

from leapkit.sampleworld.constants import DAY, DAYS_PER_YEAR, TIME_STEP

DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, order=True)
class StepTime:
    """year, month (1..12), day (1..31), seconds of the day (0..85200, a multiple of 1200)."""

    year: int
    month: int
    day: int
    seconds: int

    def __post_init__(self) -> None:
        if not 0 <= self.year <= 9999:
            raise ValueError(f"year {self.year} is outside 0..9999")
        if not 1 <= self.month <= 12:
            raise ValueError(f"month {self.month} is outside 1..12")
        if not 1 <= self.day <= DAYS_IN_MONTH[self.month - 1]:
            raise ValueError(
                f"day {self.day} does not exist in month {self.month} of the NO_LEAP calendar"
            )
        if not 0 <= self.seconds < DAY or self.seconds % TIME_STEP:
            raise ValueError(f"seconds {self.seconds} is not a multiple of 1200 within a day")

    @property
    def ymd(self) -> int:
        """The integer that the files hold, YYYYMMDD."""
        return self.year * 10000 + self.month * 100 + self.day

    @property
    def stamp(self) -> str:
        """YYYY-MM-DD-SSSSS, as in the file names."""
        return f"{self.folder}-{self.day:02d}-{self.seconds:05d}"

    @property
    def folder(self) -> str:
        """YYYY-MM, as in the folder names."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def day_of_year(self) -> float:
        """Days since 1 January 00 UTC, with fraction."""
        return sum(DAYS_IN_MONTH[: self.month - 1]) + self.day - 1 + self.seconds / DAY

    @property
    def hours(self) -> float:
        """Hours since the start of year 0."""
        return 24.0 * (self.year * DAYS_PER_YEAR + self.day_of_year)
