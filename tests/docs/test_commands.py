"""Every `make` line in the documents is one that the Makefile and the launcher know."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import List, Set, Tuple

import pytest

from launch.options import OPTIONS, PASSED_ON
from tests.docs.markdown import ROOT, everywhere

MAKEFILE = (ROOT / "Makefile").read_text()
MEMBERS = sorted(path.parent.name for path in (ROOT / "members").glob("*/experiments.py"))


def targets() -> Set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, flags=re.M)) | set(MEMBERS)


def variables() -> Set[str]:
    """Return the variables that the Makefile sets and those that the launcher reads."""
    set_here = re.findall(r"^([A-Z_]+)\s*\?=", MAKEFILE, flags=re.M)
    return {*set_here, *OPTIONS, *PASSED_ON.values()}


def words_of(command: str) -> Tuple[List[str], List[str]]:
    """Return (targets, variables) of a `make` command.

    <name> stands for any member, and so does alice, whom docs/new_member.md tells of.
    """
    members = re.sub("<name>|\\balice\\b", "adam", command)
    words = shlex.split(members.replace("<address>", "ADDRESS"))
    after = words[words.index("make") + 1 :]
    names = [word.partition("=")[0] for word in after if "=" in word]
    return [word for word in after if "=" not in word], names


def test_every_make_command_names_targets_and_variables_of_the_makefile() -> None:
    written = everywhere("commands")
    assert len(written) > 60
    wrong = []
    for document, command in written:
        named, assigned = words_of(command)
        unknown = [name for name in named if name not in targets()]
        unknown += [f"{name}=" for name in assigned if name not in variables()]
        if unknown:
            wrong.append(f"{document}: {command}: unknown {unknown}")
    assert not wrong, "\n".join(wrong)


def test_every_value_of_a_closed_list_is_one_of_the_list() -> None:
    wrong = []
    for document, command in everywhere("commands"):
        for name, _, value in (word.partition("=") for word in shlex.split(command)):
            allowed = OPTIONS[name].allowed if name in OPTIONS else ()
            if allowed and value not in allowed:
                wrong.append(f"{document}: {command}")
    assert not wrong, "\n".join(wrong)


def test_every_target_that_the_documents_name_can_be_planned_by_make() -> None:
    if not shutil.which("make"):
        pytest.skip("there is no make")
    named = {target for _, command in everywhere("commands") for target in words_of(command)[0]}
    done = subprocess.run(
        ["make", "-n", *sorted(named)], cwd=str(ROOT), stdout=subprocess.PIPE, check=True
    )
    assert b"launch reproduce" in done.stdout


def test_the_readme_and_the_page_on_running_name_every_target() -> None:
    named = {target for _, command in everywhere("commands") for target in words_of(command)[0]}
    assert not targets() - named - {"help"}


def test_every_variable_is_in_the_table_of_choices() -> None:
    page = (ROOT / "docs" / "running.md").read_text()
    table = set(re.findall(r"`([A-Z_]+)`", page))
    assert not variables() - table


def test_every_assignment_in_backticks_is_of_a_known_variable() -> None:
    """Such as RUNTIME=venv; variables of other programs are named where they are needed."""
    others = {
        "LEAP_BUILD_PIP_CONF",
        "LEAP_CORES",
        "LEAP_FUZZ",
        "LEAP_LONG_TESTS",
        "LEAP_MEMORY",
        "LEAP_PIDS",
        "PYTHON_3_8",
        "PYTHON_3_10",
        "PYTHON_3_11",
    }
    wrong = []
    for document, text in everywhere("in_backticks"):
        match = re.match(r"([A-Z][A-Z_0-9]+)=", text)
        if match and match[1] not in variables() | others:
            wrong.append(f"{document}: {text}")
    assert not wrong, "\n".join(wrong)
