"""The sub-commands, their help and their options; names are checked before anything is built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

from launch import command_line, machine, names, options, process, registry, settings
from launch.__main__ import main
from launch.commands import commands
from launch.runtimes import containers, engine, venv
from leapkit.core.errors import KitError
from tests.conftest import REPOSITORY


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m launch` as a user does: nothing is installed."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-m", "launch", *arguments],
        cwd=str(REPOSITORY),
        env=env,
        capture_output=True,
        text=True,
    )


@pytest.mark.process
def test_help_lists_every_command_with_what_it_does() -> None:
    done = launch("--help")
    assert done.returncode == 0
    for name, command in commands().items():
        assert re.search(rf"^\s+{name}\s+{re.escape(command.help)}$", done.stdout, flags=re.M), name


@pytest.mark.parametrize("name", list(commands()))
def test_every_command_has_help_with_its_options(capsys, name):
    with pytest.raises(SystemExit) as ended:
        command_line.parse([name, "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for variable in commands()[name].options:
        option = options.OPTIONS[variable]
        assert f"{option.flag} {option.form} {option.help}" in text


@pytest.mark.process
def test_an_unknown_command_ends_in_one_sentence() -> None:
    done = launch("fly")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "choose from" in done.stderr


@pytest.mark.process
def test_a_reader_that_has_read_enough_sees_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "launch", "variables"],
        cwd=str(REPOSITORY),
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    "arguments", [["plan", "--nonsense"], ["doctor", "more"], ["plan", "--run", "venv"], []]
)
def test_what_a_command_does_not_take_ends_in_one_sentence(arguments):
    with pytest.raises(KitError, match="--help"):
        command_line.parse(arguments)


def test_an_option_is_the_variable_of_make_and_wins_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert command_line.parse(["blend"])[1].values == {}
    monkeypatch.setenv("TABLE", "v10")
    monkeypatch.setenv("RAW_DATA", " data ")
    monkeypatch.setenv("MONTHS", "0008-01")  # of another command
    values = command_line.parse(["blend"])[1].values
    assert values == {"TABLE": "v10", "RAW_DATA": "data"}
    values = command_line.parse(["blend", "--table", "searched", "--raw-data=mine"])[1].values
    assert values == {"TABLE": "searched", "RAW_DATA": "mine"}


@pytest.mark.parametrize("name", ["RUNTIME", "STACK", "PROFILE", "DEVICE"])
def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "nonsense")
    with pytest.raises(KitError, match="choose "):
        command_line.parse(["reproduce"])
    monkeypatch.delenv(name)
    with pytest.raises(KitError, match="choose "):
        command_line.parse(["reproduce", options.OPTIONS[name].flag, "nonsense"])


def test_arguments_of_makers_and_of_pytest_are_passed_on_in_their_order() -> None:
    words = ["--steps", "a", "--to=b", "--train", "0008-01"]
    request = command_line.parse(["split", *words, "--runtime", "venv"])[1]
    assert request.rest == words and request.values == {"RUNTIME": "venv"}
    assert command_line.parse(["test", "-k", "word", "-x"])[1].rest == ["-k", "word", "-x"]


@pytest.mark.process
def test_make_alone_lists_every_target_and_make_variables_every_variable() -> None:
    listed = {
        words: subprocess.run(
            ["make", f"PYTHON={sys.executable}", *words],
            cwd=str(REPOSITORY),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
        for words in [(), ("variables",)]
    }
    for name in commands():
        assert f"  make {name}" in listed[()]
    for variable, option in options.OPTIONS.items():
        line = f"  {variable}={option.form}"
        assert line in listed[("variables",)] and option.help in listed[("variables",)]


@pytest.mark.process
def test_make_passes_its_variables_to_the_launcher(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in options.OPTIONS}
    done = subprocess.run(
        ["make", "plan", f"PYTHON={sys.executable}", "TABLE=nothing", f"SUBMISSION={tmp_path}"],
        cwd=str(REPOSITORY),
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "nothing: the file is missing" in done.stderr


NAMES: Dict[str, Dict[str, str]] = {
    "blend": {"TABLE": "nothing"},
    "blend ": {"TABLE": "v10,searched-nobody"},
    "blend  ": {"POSTPROCESS": "clip"},
    "reproduce": {"EXPERIMENTS": "999"},
    "reproduce ": {"TABLE": "nothing"},
    "reproduce  ": {"RAW_DATA": "/nothing/here"},
    "infer-only": {"WEIGHTS": "/nothing/here"},
    "adam": {"EXPERIMENTS": "joseph/907"},
    "verify": {"ARTIFACTS": "nothing"},
    "statistics": {"RAW_DATA": "/nothing/here"},
}


@pytest.mark.parametrize("runtime", ["docker", "venv"])
@pytest.mark.parametrize("command", list(NAMES))
def test_names_are_checked_before_anything_is_built_or_installed(
    monkeypatch, tmp_path, command, runtime
):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was built or installed")

    monkeypatch.setattr(engine, "problem", lambda: None)
    monkeypatch.setattr(machine, "has_image", lambda name: True)
    for module, function in (
        (containers, "build"),
        (venv, "ready"),
        (process, "run"),
    ):
        monkeypatch.setattr(module, function, never)
    monkeypatch.setenv("RUNTIME", runtime)
    if command.strip() != "statistics":
        monkeypatch.setenv("SUBMISSION", str(tmp_path))
    for variable, value in NAMES[command].items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(KitError):
        main([command.strip()])


@pytest.mark.parametrize("command, flag", [("split", "--statistics"), ("store", "--steps")])
def test_the_folders_of_makers_are_checked_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, command: str, flag: str
) -> None:
    monkeypatch.setattr(venv, "ready", lambda *_: pytest.fail("installed"))
    with pytest.raises(KitError, match="/nothing/here: the folder does not exist"):
        main([command, "--to", "/nothing/there", flag, "/nothing/here"])


def test_an_artifact_of_ones_own_may_be_named_by_its_file(tmp_path: Path) -> None:
    chosen = settings.choose("reproduce", {"SUBMISSION": str(tmp_path)})
    parquet = chosen.results.parquet("mine")
    parquet.parent.mkdir()
    parquet.touch()
    names.require_artifacts(chosen, "mine")
    networks = {"adam/195": "adam_195_78569.oof", "907": "Jo_ex907_cv7855", "mine": "mine"}
    assert registry.named_artifacts(" , ".join(networks)) == list(networks.values())
    with pytest.raises(KitError, match=r"other\.parquet: the parquet does not exist"):
        names.require_artifacts(chosen, "mine,other")


WITHOUT_DATA = {
    "verify": r"subs: holds no parquets; copy yours there",
    "blend": r"mine: the folder does not exist; run `make reproduce` .* `make fetch WHAT=kaggle`",
    "statistics": r"train\.csv: the file is missing; run `make fetch WHAT=\"kaggle train\.csv\"`",
    "split": r"SPLIT: lacks --steps, --to, --train, --validation, --test; write SPLIT=",
    "store": r"STORE: lacks --to; write STORE=",
    "store --to=x": r"step files does not exist; run `make fetch WHAT=steps",
}


@pytest.mark.parametrize("command", list(WITHOUT_DATA))
def test_without_data_a_command_names_the_one_that_gets_it(monkeypatch, tmp_path, command):
    monkeypatch.setattr(venv, "ready", lambda *_: pytest.fail("installed"))
    monkeypatch.setattr(
        engine, "problem", lambda: engine.Problem("docker is not installed", engine.START)
    )
    monkeypatch.setattr(settings, "sample_world", lambda: tmp_path / "mine")
    if command not in ("statistics", "split") and not command.startswith("store"):
        monkeypatch.setenv("SUBMISSION", str(tmp_path))
    with pytest.raises(KitError, match=WITHOUT_DATA[command]):
        main(command.split())
    if command == "blend":
        (tmp_path / "mine").mkdir()
        with pytest.raises(KitError, match=r"test\.csv: the file is missing; run `make fetch"):
            main(["blend"])


def test_the_help_of_a_maker_needs_no_other_argument():
    names.require_arguments("SPLIT", ["--help"], ("--steps", "--to"))
    names.require_arguments("SPLIT", ["--steps=a", "--to", "b"], ("--steps", "--to"))


def test_arguments_that_are_passed_on_may_stand_in_a_variable_which_no_shell_reads(monkeypatch):
    monkeypatch.setenv("SPLIT", "--to 'a b' --steps $(touch x)")
    words = ["--to", "a b", "--steps", "$(touch", "x)"]
    assert command_line.parse(["split"])[1].rest == words
    assert command_line.parse(["split", "--to=c"])[1].rest == ["--to=c"]
    monkeypatch.setenv("SPLIT", "--to 'a")
    with pytest.raises(KitError, match="SPLIT: no closing quotation"):
        command_line.parse(["split"])
