"""`make member`: a new member is made whole or not at all, and everything knows it at once."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest

from launch import new_member, new_names
from launch.options import OPTIONS
from tests.conftest import REPOSITORY

COPIED = (
    *("containers", "members", "launch", "blend", "shared", "reports", "submitting", "templates"),
    "Makefile",
)
BESIDE = ("compose.yaml", "compose.gpu.yaml", "pyproject.toml", "tests/members/test_newcomer.py")
SHORTEST, LONGEST = "b", "of_twenty_characters"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Return a copy of all that `make member` reads and writes."""
    root = tmp_path / "kit"
    ignore = shutil.ignore_patterns("__pycache__", "*.pt", "*.egg-info", ".mypy_cache")
    for name in (*COPIED, *BESIDE):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(str(source), str(root / name), ignore=ignore)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(source), str(root / name))
    return root


def launch(
    kit: Path, *words: str, before: Optional[Callable[[], None]] = None
) -> subprocess.CompletedProcess[str]:
    others = (*OPTIONS, "PYTHONPATH")
    env = {name: value for name, value in os.environ.items() if name not in others}
    return subprocess.run(
        [sys.executable, "-S", "-m", "launch", *words],
        cwd=str(kit),
        env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=before,
    )


def tree(root: Path) -> Dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def generate(kit: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", str(kit / "containers" / "generate"), *words],
        stdout=subprocess.PIPE,
        text=True,
    )


def shell(kit: Path, command: str) -> None:
    subprocess.run(["sh", "-ec", command], cwd=str(kit), check=True)


# ---- names ---------------------------------------------------------------------------------------

REFUSED = {
    "Alice": "lower-case letters",
    "1st": "lower-case letters",
    "al-ice": "lower-case letters",
    "al__ice": "lower-case letters",  # no name of an image
    "_alice": "lower-case letters",
    "alice/..": "lower-case letters",
    "älice": "lower-case letters",
    "a" * 21: "has 21 characters, more than 20",
    "class": "a word of Python",
    "zuiye": "a member already",
    "plan": "a command or a service",
    "clean": "a command or a service",
    "emulator": "a command or a service",
    "v10": "the name of a blend",
    "searched": "the name of a blend",
    "json": "a module or a package",
    "blend": "a command or a service",
    "leapkit": "a module or a package",
    "torch": "a module or a package",
    "typing_extensions": "a module or a package",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_something_else_has_or_that_cannot_be_one_is_refused(name: str) -> None:
    assert REFUSED[name] in new_names.problem_of(name)


@pytest.mark.parametrize("name", ["alice", "ana_2", SHORTEST, LONGEST])
def test_other_names_may_be_had(name: str) -> None:
    assert new_names.problem_of(name) == "" or (REPOSITORY / "members" / name).exists()


def test_nothing_of_the_template_is_left_in_a_new_member() -> None:
    texts = new_member.files_of("bert")
    made = {str(path.relative_to(REPOSITORY)): text for path, text in texts.items()}
    assert {"members/bert/__main__.py", "tests/members/test_bert.py", "compose.yaml"} <= set(made)
    for path, text in made.items():
        assert not re.search("templates|newcomer", text), path


# ---- whole, or not at all ------------------------------------------------------------------------


@pytest.mark.process
def test_a_new_member_is_known_to_everything_and_can_be_undone(kit: Path) -> None:
    before = tree(kit)
    done = launch(kit, "member", "--name=alice")
    assert done.returncode == 0, done.stdout
    made = set(tree(kit)) - set(before)
    assert made == {
        *(f"members/alice/{name}" for name in ("Dockerfile", "README.md", "weights/README.md")),
        *(f"members/alice/{name}.py" for name in ("__init__", "__main__", "experiments")),
        *("members/alice/networks.py", "members/alice/stack.py", "tests/members/test_alice.py"),
    }
    assert generate(kit, "--check").returncode == 0
    for command, says in {
        ("plan",): "blend searched-alice ",
        ("plan", "--table=searched-with-alice"): "blend searched-with-alice ",
        ("alice", "--help"): "alice alone: train and predict",
        ("doctor",): "You can run now:",
        ("export", "--network=alice/cnn", "--raw-data=."): "make alice EXPERIMENTS=cnn",
    }.items():
        said = launch(kit, *command).stdout
        assert says in said, said

    again = launch(kit, "member", "--name=alice")
    assert again.returncode == 2 and "is a member already" in again.stdout
    [undo] = re.findall("to undo it: (.*)", done.stdout)
    shell(kit, undo)
    assert tree(kit) == before


@pytest.mark.process
def test_a_file_of_somebodys_own_is_never_written_over(kit: Path) -> None:
    (kit / "tests" / "members" / "test_alice.py").write_text("mine = True\n")
    (kit / "members" / "bert" / "notes").mkdir(parents=True)
    before = tree(kit)
    for name, where in {"alice": "tests/members/test_alice.py", "bert": "members/bert"}.items():
        done = launch(kit, "member", f"--name={name}")
        assert done.returncode == 2 and f"{where}: exists already; " in done.stdout
    assert tree(kit) == before and (kit / "members" / "bert" / "notes").exists()


@pytest.mark.process
@pytest.mark.parametrize("name", [SHORTEST, LONGEST])
def test_what_is_made_passes_the_linter_and_is_formatted(kit: Path, name: str) -> None:
    assert launch(kit, "member", f"--name={name}").returncode == 0
    for words in (["check"], ["format", "--check"]):
        made = [f"members/{name}", f"tests/members/test_{name}.py"]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", *made],
            cwd=str(kit),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.process
@pytest.mark.parametrize("size", [0, 400, 2000, 8000])
def test_on_a_full_disk_nothing_changes(kit: Path, size: int) -> None:
    """No file may grow past `size` bytes, which the kit reads as the end of a disk."""
    before = tree(kit)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = launch(kit, "member", "--name=alice", before=limit)
    assert done.returncode == 2 and "the disk is full" in done.stdout, done.stdout
    assert tree(kit) == before and not list(kit.glob(".partial-*"))


def small(root: Path) -> Dict[Path, str]:
    """Return the texts of a small member, one of which replaces a file."""
    (root / "compose.yaml").write_text("old\n")
    (root / "members").mkdir()
    (root / "tests").mkdir()
    texts = {"compose.yaml": "new\n", "tests/test_alice.py": "test\n"}
    texts.update({"members/alice/a.py": "a\n", "members/alice/weights/b.md": "b\n"})
    return {root / name: text for name, text in texts.items()}


@pytest.mark.parametrize("stops_at", range(12))
def test_a_stop_at_any_rename_leaves_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops_at: int
) -> None:
    texts = small(tmp_path)
    before = tree(tmp_path)
    monkeypatch.setattr(new_member, "REPOSITORY", tmp_path)
    renamed: List[str] = []
    for module, function in ((os, "replace"), (os, "rename")):
        real = getattr(module, function)

        def stopping(source: str, target: str, real: Callable[..., None] = real) -> None:
            renamed.append(str(target))
            if len(renamed) - 1 == stops_at:
                raise KeyboardInterrupt
            real(source, target)

        monkeypatch.setattr(module, function, stopping)
    try:
        new_member.install(texts, tmp_path / "members" / "alice")
    except KeyboardInterrupt:
        assert tree(tmp_path) == before
    else:
        assert len(renamed) <= stops_at, "it was not stopped"
        made = {str(path.relative_to(tmp_path)): text for path, text in texts.items()}
        assert {name: text.decode() for name, text in tree(tmp_path).items()} == made
    assert not list(tmp_path.glob(".partial-*"))


@pytest.mark.process
@pytest.mark.parametrize("killed_at", range(0, 16, 5))
def test_after_a_kill_the_same_command_makes_it_whole(
    kit: Path, tmp_path: Path, killed_at: int
) -> None:
    """Killed at some rename: the member is not there, and the second try makes it."""
    script = (
        "import os, sys; sys.path[:0] = ['shared', '.']; real, count = os.replace, []\n"
        "def killing(*arguments):\n"
        "    count.append(1)\n"
        f"    os.kill(os.getpid(), 9) if len(count) > {killed_at} else real(*arguments)\n"
        "os.replace = killing\n"
        "from launch import new_member; new_member.run({'NAME': 'alice'})\n"
    )
    killed = subprocess.run([sys.executable, "-S", "-c", script], cwd=str(kit))
    assert killed.returncode == -signal.SIGKILL
    assert not (kit / "members" / "alice").exists()
    done = launch(kit, "member", "--name=alice")
    assert done.returncode == 0, done.stdout
    assert generate(kit, "--check").returncode == 0 and not list(kit.glob(".partial-*"))


@pytest.mark.process
def test_two_at_once_are_both_made(kit: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-S", "-m", "launch", "member", f"--name={name}"], cwd=str(kit)
        )
        for name in ("alice", "bert")
    ]
    codes = [one.wait(60) for one in both]
    assert codes == [0, 0] and generate(kit, "--check").returncode == 0
    assert "alice" in (kit / "compose.yaml").read_text()
