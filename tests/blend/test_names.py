"""Names of artifacts and tables become paths and words of commands: others are refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from blend import naming, tables
from blend.names import problem_of, shown
from leapkit.core.errors import KitError
from leapkit.core.layout import Results
from tests.conftest import REPOSITORY
from tests.helpers.refusals import refused
from tests.helpers.small_blend import Maker, blend

HOSTILE = {
    "a path": "../../etc/x",
    "an absolute path": "/etc/passwd",
    "a folder": "a/b",
    "parents": "..",
    "a hidden file": ".partial-a",
    "a shell": "$(touch owned)",
    "a command": "a; rm -rf ~",
    "backquotes": "`id`",
    "a pipe": "a|b",
    "a line": "a\nb",
    "an option": "-rf",
    "NUL": "a\0b",
    "an escape": "\x1b[2Jx",
    "a megabyte": "a" * (1 << 20),
    "a surrogate": "\udcff",
    "a backslash": "a\\b",
    "right to left": "a\N{RIGHT-TO-LEFT OVERRIDE}b",
    "a quote": "a'b",
    "a glob": "a*",
    "nothing": "",
}
hostile = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())


@pytest.mark.parametrize(
    "name",
    ["adam_195_78569.oof", "searched-zuiye.ridge.target", "v10", "mein Modell", "exp+2", "a=b@c"]
    + ["\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE}", "7", "_a"],
)
def test_ordinary_names_are_names(name: str) -> None:
    assert problem_of(name) == ""


@hostile
def test_hostile_names_are_none_and_are_shown_in_one_short_line(name: str) -> None:
    assert problem_of(name)
    assert len(shown(name)) < 700 and shown(name).isascii() and shown(name).isprintable()


@hostile
def test_a_table_that_names_such_an_artifact_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(KitError) as caught:
        tables.WeightTable("mine", ((name, 1.0),), source="mine.csv")
    assert "mine.csv: the name of the artifact" in str(caught.value)
    assert len(str(caught.value)) < 1000 and str(caught.value).isprintable()
    path = tmp_path / "mine.csv"
    path.write_bytes(f"artifact,weight\n{name},1\n".encode("utf-8", "surrogateescape"))
    with refused(path):
        tables.read(path)


@hostile
def test_such_a_name_among_artifacts_is_refused(name: str) -> None:
    command = pytest.importorskip("blend.__main__", reason="the blend runs on Python 3.11 alone")
    if not name or ";" in name:
        pytest.skip("separates entries")
    with refused("--artifacts", "the name of the artifact"):
        command.parse_choices(f"searched=a,{name}")


@hostile
def test_a_table_file_of_such_a_name_is_refused_before_anything_is_opened(name: str) -> None:
    with pytest.raises(KitError) as caught:
        naming.parse_blends(f"/tmp/{name}.csv" if name else "")
    assert len(caught.value.what) < 1000


def test_a_search_of_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(KitError, match="more than 200"):
        naming.parse_blends("searched-" + "a" * 300)


@pytest.mark.process
@pytest.mark.parametrize("name", ["../../etc/x", "/etc/passwd", "$(touch owned)", "-rf"])
def test_verify_opens_no_such_artifact(
    name: str, maker: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
    with refused("1 of 1 parquets were refused"):
        blend(maker, Results(tmp_path / "submission"), f"--artifacts={name}", verb="verify")
    assert "the name of the artifact" in capsys.readouterr().out


@pytest.mark.process
@pytest.mark.parametrize(
    "name",
    ["$(touch owned)", "`touch owned`", "a;touch owned", "|touch owned", "../owned;", "a\nb"],
)
def test_make_gives_such_a_table_to_no_shell(name: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        ["make", "-s", "-f", str(REPOSITORY / "Makefile"), "blend"],
        cwd=str(REPOSITORY),
        env={**os.environ, "TABLE": name, "SUBMISSION": str(tmp_path), "RUNTIME": "venv"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    reason = "a line end" if "\n" in name else "the name of the file"
    assert ended.returncode == 2 and len(errors) == 1 and reason in errors[0]
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir()) and not (REPOSITORY / "owned").exists()
