"""An error that a user can meet is one sentence and an exit code, never a traceback."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest

from leapkit.core.errors import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    KitError,
    explain_os_errors,
    printable,
    run_cli,
)
from tests.helpers.refusals import refused


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EFBIG, "the disk is full"),
        (errno.ENOENT, "the file is missing"),
        (errno.EACCES, "permission denied"),
        (errno.EPERM, "permission denied"),
        (errno.EIO, os.strerror(errno.EIO)),
        (errno.EROFS, os.strerror(errno.EROFS)),
    ],
)
def test_each_refusal_of_the_system_says_what_and_where(number: int, words: str) -> None:
    with refused("/some/place", words):
        with explain_os_errors("/some/place", "do this"):
            raise OSError(number, os.strerror(number))


def test_a_missing_file_is_named_rather_than_the_file_that_was_wanted(tmp_path: Path) -> None:
    with refused(tmp_path / "inner", "missing"):
        with explain_os_errors("/outer"):
            open(str(tmp_path / "inner"))


@pytest.mark.parametrize(
    "failure, code, words",
    [
        (
            KitError("is cut off", "test.csv", "download it again"),
            EXIT_REFUSED,
            "error: test.csv: is cut off; download",
        ),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "stopped"),
    ],
)
def test_a_failure_reaches_the_terminal_as_its_sentence_and_its_code(
    capsys: pytest.CaptureFixture, failure: BaseException, code: int, words: str
) -> None:
    def main(_: list) -> int:
        raise failure

    with pytest.raises(SystemExit) as exit_info:
        run_cli(main, [])
    assert exit_info.value.code == code != 0
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err and err.count("\n") == 1


def test_a_success_leaves_with_zero() -> None:
    with pytest.raises(SystemExit) as exit_info:
        run_cli(lambda argv: None, [])
    assert exit_info.value.code == 0


# ---- what of a stranger's text reaches the terminal ----------------------------------------------

HOSTILE = {
    "a terminal's escape": "a\x1b[2J\x1b]0;title\x07b",
    "a C1 control": "a\x9b2Jb",
    "a forged line": "a\nerror: all is well\r\nb",
    "a reversed text": "a\u202egpj.exe\u2066b",
    "an isolate": "\u2067abc",
    "a separator of lines": "a\u2028b\u2029c",
    "a lone surrogate": "a\ud800b\udcff",
    "an invisible space": "a\u200bb\ufeffc",
    "a megabyte": "x" * (1 << 20),
    "a megabyte of escapes": "\x1b" * (1 << 20),
    "a backspace": "safe\b\b\b\bevil",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_text_that_a_terminal_would_obey_is_escaped_and_bounded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable() and len(shown) <= 200
    assert printable(shown) == shown
    error = KitError(f"holds {text}", f"/data/{text}", f"remove {text}")
    for part in (str(error), error.what, error.where, error.remedy):
        assert part.isprintable() and len(part) < 13_000
    assert str(error).encode("utf-8")


def test_escapes_say_which_character_was_there() -> None:
    assert printable("a\x1b\x9b\n\t\u202e\udcffb") == r"a\x1b\x9b\n\t\u202e\udcffb"


@pytest.mark.parametrize(
    "name",
    [
        "/home/zo\u00eb/M\u00fcller \u00d8/\u0434\u0430\u043d\u043d\u044b\u0435",
        "/\u30c7\u30fc\u30bf\u3000\u4e00\u5f0f/\u6e2c\u5b9a.pt",  # with an ideographic space
        "/\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # with a joiner
        "a\u00a0b \\ 'c' \"d\" `e` $f",
        "e\u0301",
    ],
)
def test_letters_of_real_paths_stay_as_they_are(name: str) -> None:
    assert printable(name) == name
    assert str(KitError("is cut off", name)) == f"{name}: is cut off."


def test_a_long_text_keeps_both_of_its_ends_and_says_how_long_it_is() -> None:
    shown = printable("begin" + "-" * 100_000 + "end", 60)
    assert shown.startswith("begin") and shown.endswith("end") and " 100008 characters " in shown
    assert len(shown) == 60


def test_an_error_of_another_process_arrives_as_it_was() -> None:
    error = KitError("holds \x1b", "a\nb", "remove it")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
