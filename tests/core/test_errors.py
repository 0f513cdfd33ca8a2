"""An error that a user can meet is one sentence and an exit code, never a traceback."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from leapkit.core.errors import EXIT_INTERRUPTED, EXIT_REFUSED, KitError, explain_os_errors, run_cli
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
