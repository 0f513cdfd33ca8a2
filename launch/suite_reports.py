"""What the pytests of a loop found, said once more at the end of its log.

A log of half an hour is read from its end, and where it is shortened its end is what is left.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple
from xml.etree import ElementTree

LONGEST = 240  # characters of a failure: its message, not its values


@dataclass(frozen=True)
class Report:
    """What one pytest found.

    failed   "path::test: message" of what failed, also of what could not be set up or imported
    skipped  "path: reason" of what was skipped
    """

    name: str
    passed: int
    failed: Tuple[str, ...]
    skipped: Tuple[str, ...]
    seconds: float


def read(name: str, path: Path) -> Report:
    """Read the JUnit file of a pytest. A pytest that wrote none has failed: it was killed."""
    try:
        suites = ElementTree.parse(str(path)).getroot()
    except (OSError, ElementTree.ParseError):
        return Report(name, 0, ("it ended before it wrote its report",), (), 0.0)
    cases = list(suites.iter("testcase"))
    failed, skipped = [], []
    for case in cases:
        for result in case:
            if result.tag in ("failure", "error"):
                failed.append(f"{_test(case)}: {_message(result)}")
            elif result.tag == "skipped":
                skipped.append(f"{_file(case)}: {_message(result)}")
    # A test that fails and whose fixture then fails too is one case.
    passed = sum(not list(case.iter("failure")) + list(case.iter("error")) for case in cases)
    seconds = sum(float(suite.get("time", 0)) for suite in suites.iter("testsuite"))
    return Report(name, passed - len(skipped), tuple(failed), tuple(skipped), seconds)


def skips(reports: Sequence[Report]) -> List[str]:
    """Return a line for every reason of a skip, whatever the number of tests and suites."""
    suites: Dict[str, List[str]] = collections.defaultdict(list)
    for report in reports:
        for skip in report.skipped:
            suites[skip].append(report.name)
    return [f"skipped: {skip} ({', '.join(_counted(of))})" for skip, of in sorted(suites.items())]


def results(reports: Sequence[Report]) -> List[str]:
    """Return a line for every failure, then the counts of every suite."""
    failures = [f"FAILED [{report.name}] {test}" for report in reports for test in report.failed]
    return failures + [
        f"{report.name}: {report.passed} passed, {len(report.skipped)} skipped,"
        f" {len(report.failed)} failed in {report.seconds:.0f} s"
        for report in reports
    ]


def _counted(suites: Sequence[str]) -> List[str]:
    return [f"{count} in {suite}" for suite, count in collections.Counter(suites).items()]


def _file(case: ElementTree.Element) -> str:
    # A module that is skipped or cannot be imported is a case without a class.
    return (case.get("classname") or case.get("name") or "").replace(".", "/") + ".py"


def _test(case: ElementTree.Element) -> str:
    return _file(case) + (f"::{case.get('name')}" if case.get("classname") else "")


def _message(result: ElementTree.Element) -> str:
    """Return the message of a skip or failure in one line; values are in the log above."""
    message = result.get("message") or ""
    if message.startswith("collection "):  # of a whole module: the text says why
        last = (result.text or "").strip().splitlines()[-1]
        message = last.rpartition("Skipped: ")[2].rstrip(")'\"") if "Skipped: " in last else last
    text = " ".join(message.split())
    return text if len(text) <= LONGEST else text[:LONGEST] + " .."
