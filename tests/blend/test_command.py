"""The blend's command line: all that it needs comes as arguments."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from blend import __main__ as command
from tests.conftest import REPOSITORY


def test_folders_default_to_where_a_container_has_them_mounted() -> None:
    for verb in ("run", "verify"):
        options = command._parser().parse_args([verb])
        assert options.raw_data == Path("/raw_data") and options.submission == Path("/submission")


@pytest.mark.parametrize(
    "arguments", ["run --table=v10", "verify --artifacts=", "submittable --products=a"]
)
def test_the_entrypoint_of_the_image_takes_what_the_launcher_appends(arguments):
    dockerfile = (REPOSITORY / "blend" / "Dockerfile").read_text()
    match = re.search(r"^ENTRYPOINT (\[.*\])$", dockerfile, flags=re.M)
    assert match
    entrypoint = json.loads(match[1])
    assert entrypoint[:3] == ["python", "-m", "blend"]
    options = command._parser().parse_args([*entrypoint[3:], *arguments.split()])
    assert options.raw_data == Path("/raw_data") and options.submission == Path("/submission")


def test_a_run_reads_all_of_its_arguments_and_no_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TABLE", "ARTIFACTS", "POSTPROCESS", "RAW_DATA", "SUBMISSION"):
        monkeypatch.setenv("LEAP_" + name, "not read")
    arguments = "run --table v10,searched --artifacts searched=a,b --postprocess fluxes"
    options = command._parser().parse_args(
        [*arguments.split(), "--raw-data", "r", "--submission", "s"]
    )
    assert options.table == "v10,searched" and options.postprocess == "fluxes"
    assert (options.raw_data, options.submission) == (Path("r"), Path("s"))
    assert command.parse_choices(options.artifacts) == {"searched": ["a", "b"]}


def test_several_searches_have_artifacts_of_their_own() -> None:
    choices = command.parse_choices("searched=a,b;searched-zuiye=c")
    assert choices == {"searched": ["a", "b"], "searched-zuiye": ["c"]}
