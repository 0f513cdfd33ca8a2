"""The values of options: checked, with home folders written out, and where they come from said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from launch import command_line, folders, machine, options
from launch.__main__ import main
from launch.runtimes import venv
from leapkit.core.errors import KitError
from tests.conftest import REPOSITORY

COMMAND = {
    "MODE": "plan",
    "EXPERIMENTS": "plan",
    "TABLE": "plan",
    "ARTIFACTS": "verify",
    "MONTHS": "fetch",
    "WHAT": "fetch",
    "DRIVE": "fetch",
    "DROP": "fetch",
}
HOSTILE = {
    "a line end": ("195\nerror: forged", "cannot be printed"),
    "NUL": ("195\0", "cannot be printed"),
    "terminal escapes": ("\x1b[2J195", "cannot be printed"),
    "not UTF-8": (os.fsdecode(b"\xff"), "cannot be printed"),
    "a megabyte": ("x" * (1 << 20), "has 1,048,576 characters; give at most 4096"),
    "a name that no file can have": ("x" * 300, "holds a name that no file can have"),
}


@pytest.fixture(autouse=True)
def nothing_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(venv, "ready", lambda *_: pytest.fail("installed"))
    monkeypatch.delenv(options.TYPED, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("text, complaint", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("variable", list(options.OPTIONS))
def test_a_hostile_value_of_any_option_ends_in_one_short_sentence(
    variable: str, text: str, complaint: str
) -> None:
    with pytest.raises(KitError) as refused:
        options.requested({variable: text})
    assert complaint in str(refused.value) and refused.value.where == variable
    assert len(str(refused.value)) < 300 and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["../../etc/no such file", "$(touch x)", "`id`", "; rm -rf /", "*", "."]
)
@pytest.mark.parametrize("variable", ["EXPERIMENTS", "ARTIFACTS", "MODE", "TABLE"])
def test_names_that_a_shell_or_a_path_would_take_are_names_and_unknown(
    variable: str, value: str, tmp_path: Path
) -> None:
    (tmp_path / "subs").mkdir()
    (tmp_path / "subs" / "any.parquet").touch()
    flag = options.OPTIONS[variable].flag
    with pytest.raises(KitError):
        main([COMMAND[variable], f"{flag}={value}", f"--submission={tmp_path}"])


@pytest.mark.parametrize("value", ["0", "-1", "two", "2.0", "1e3", "1000", "٣"])
def test_a_number_of_gpus_is_a_number(value: str) -> None:
    with pytest.raises(KitError, match=r"^GPUS: .* is not a number from 1 to 999; write one\.$"):
        options.requested({"GPUS": value})
    assert options.requested({"GPUS": " 4 "}) == {"GPUS": "4"}


def test_an_artifact_is_not_looked_for_outside_the_folder_of_parquets(tmp_path: Path) -> None:
    (tmp_path / "subs").mkdir()
    for name in ("outside", "subs/inside"):
        (tmp_path / f"{name}.parquet").touch()
    with pytest.raises(KitError, match=r"ARTIFACTS=\.\./outside: is a path"):
        main(["verify", "--artifacts=../outside", f"--submission={tmp_path}"])


# Home folders


@pytest.mark.parametrize("variable", ["RAW_DATA", "SUBMISSION", "WEIGHTS", "DROP"])
def test_a_quoted_home_folder_is_written_out(tmp_path: Path, variable: str) -> None:
    given = options.requested({variable: "~/mine"})
    assert given == {variable: str(tmp_path / "mine")}


def test_a_home_folder_in_a_list_of_tables_and_in_arguments_is_written_out(tmp_path: Path) -> None:
    given = options.requested({"TABLE": "v10, ~/mine.csv", "EXPERIMENTS": "~/195"})
    assert given == {"TABLE": f"v10,{tmp_path}/mine.csv", "EXPERIMENTS": "~/195"}
    words = ["--steps=~/a", "--to", "~/b", "--train", "0008-01", "x=~/c"]
    assert folders.expanded_words(words, "SPLIT") == [
        f"--steps={tmp_path}/a",
        "--to",
        f"{tmp_path}/b",
        "--train",
        "0008-01",
        "x=~/c",
    ]


def test_a_home_folder_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KitError, match="RAW_DATA: the folder ~nobody-here is not known"):
        options.requested({"RAW_DATA": "~nobody-here/data"})


def test_a_user_whom_the_system_does_not_know_has_a_home_for_pip_and_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    for variable in ("HOME", "USER", "LOGNAME"):
        monkeypatch.delenv(variable, raising=False)
    env = machine.plain_environment()
    assert Path(env["HOME"]).is_dir() and env["USER"] == env["LOGNAME"] == "leap"
    monkeypatch.setenv("HOME", "/home/me")
    assert machine.plain_environment()["HOME"] == "/home/me"


@pytest.mark.process
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become an unknown user")
def test_a_plan_needs_no_home_no_user_and_no_writable_checkout() -> None:
    def plan(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/python3", "-m", "launch", *arguments],
            cwd=str(REPOSITORY),
            env={"PATH": "/usr/bin:/bin", "PYENV_ROOT": "/root/.pyenv"},
            preexec_fn=lambda: os.setuid(54321),
            capture_output=True,
            text=True,
        )

    try:
        done = plan("plan", "--profile=sample")
    except OSError as error:
        pytest.skip(f"an unknown user cannot run this: {error}")
    if "No module named launch" in done.stderr:
        pytest.skip("an unknown user cannot read this checkout")
    assert (done.returncode, done.stderr) == (0, "")
    done = plan("reproduce", "--runtime=venv", "--profile=sample")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "cannot be written to (permission denied)" in done.stderr


# Where a value comes from


def lines(values: Dict[str, str], typed: str, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    monkeypatch.setenv(options.TYPED, typed)
    return options.inherited("plan", values)


def test_options_that_the_shell_exports_count_and_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODE", "infer-only")
    monkeypatch.setenv("DEVICE", "cpu")
    values = command_line.parse(["plan"])[1].values
    assert values == {"MODE": "infer-only", "DEVICE": "cpu"}
    said = lines(values, "PYTHON DEVICE", monkeypatch)
    assert said == ["exported by your shell, and counts: MODE=infer-only"]
    assert lines(values, "MODE DEVICE", monkeypatch) == []
    flags = command_line.parse(["plan", "--mode=reproduce", "--device=cuda"])[1].values
    assert lines(flags, "", monkeypatch) == []
    monkeypatch.setenv("ARGS", "-k word")
    assert options.inherited("test", {}) == ["exported by your shell, and counts: ARGS=-k word"]
    assert options.inherited("plan", {}) == []


@pytest.mark.parametrize("variable", ["MODE", "DEVICE", "STACK", "PROFILE", "RUNTIME"])
def test_an_exported_value_that_is_not_allowed_is_said_to_be_exported(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "/dev/sda")
    with pytest.raises(
        KitError, match=rf"{variable} \(exported by your shell\): '/dev/sda' is not"
    ):
        command_line.parse(["adam"])
    monkeypatch.setenv(options.TYPED, variable)
    with pytest.raises(KitError, match=rf"^{variable}: '/dev/sda' is not allowed; choose "):
        command_line.parse(["adam"])


@pytest.mark.parametrize(
    "command, typed, complaint",
    [
        ("reproduce", "MODE", "make reproduce: has no option MODE; leave it out; it takes RUNTIME"),
        ("adam", "TABLE", "make adam: has no option TABLE"),
        ("plan", "TABEL", "make plan: has no option TABEL; write TABLE="),
        ("plan", "EXPERIMENT", "write EXPERIMENTS="),
        ("reproduce", "RAWDATA", "write RAW_DATA="),
    ],
)
def test_what_is_typed_and_would_not_count_is_refused(monkeypatch, command, typed, complaint):
    monkeypatch.setenv(typed, "x")
    monkeypatch.setenv(options.TYPED, f"PYTHON {typed}")
    with pytest.raises(KitError, match=complaint):
        command_line.parse([command])


def test_what_other_tools_read_may_be_typed_and_options_may_be_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = ("PYTHON", "LEAP_VENVS", "PYTHON_3_8", "ARGS", "SHELL", "V", "CUDA_VISIBLE_DEVICES")
    for variable in typed:
        monkeypatch.setenv(variable, "x")
    monkeypatch.setenv("MODE", "")
    monkeypatch.setenv(options.TYPED, " ".join([*typed, "MODE"]))
    assert command_line.parse(["reproduce"])[1].values == {}


@pytest.mark.process
def test_make_says_which_variables_were_typed(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in options.OPTIONS}
    env.update(MODE="infer-only", PROFILE="nonsense", SUBMISSION="/never")

    def make(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *words, f"PYTHON={sys.executable}", f"SUBMISSION={tmp_path}/a b"],
            cwd=str(REPOSITORY),
            env=env,
            capture_output=True,
            text=True,
        )

    done = make("plan")
    assert "PROFILE (exported by your shell): 'nonsense' is not allowed" in done.stderr
    done = make("plan", "PROFILE=full")
    assert done.stdout.startswith("exported by your shell, and counts: MODE=infer-only\n")
    assert f"{tmp_path}/a b" in done.stdout and "/never" not in done.stdout
    done = make("reproduce", "PROFILE=full", "MODE=infer-only")
    assert done.returncode == 2 and "make reproduce: has no option MODE" in done.stderr
