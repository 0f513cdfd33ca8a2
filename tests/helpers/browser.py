"""A page in a real browser, and what its tables and plots then hold."""

from __future__ import annotations

import html.parser
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest


class Tables(html.parser.HTMLParser):
    """Read a page: the rows of cells by the id of their table, and the kinds of marks drawn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: Dict[str, List[List[str]]] = {}
        self.classes: List[Tuple[str, str]] = []
        self.open: List[str] = []
        self.drawn: Dict[str, int] = {}
        self._cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        attributes_by_name = dict(attributes)
        if tag == "table":
            self.open.append(attributes_by_name.get("id", ""))
            self.tables[self.open[-1]] = []
        elif tag == "tr" and self.open:
            self.tables[self.open[-1]].append([])
        elif tag in ("td", "th") and self.open:
            self.tables[self.open[-1]][-1].append("")
            self._cell = True
        for name in (attributes_by_name.get("class") or "").split():
            self.drawn[name] = self.drawn.get(name, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.open.pop()
        elif tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell and self.open:
            self.tables[self.open[-1]][-1][-1] += data


def in_browser(page: Path, *more: str) -> Tuple[str, str]:
    """Return the document after its scripts have run, and the messages of the console."""
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if not browser:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--user-data-dir=" + profile,
                "--enable-logging=stderr",
                "--virtual-time-budget=30000",
                *more,
                "--dump-dom",
                page.resolve().as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
