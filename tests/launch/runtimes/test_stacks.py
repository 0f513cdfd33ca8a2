"""A member is one folder: its stack.py decides its Python, lock, base, Dockerfile and service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from launch import machine, registry
from launch.runtimes import environments, stacks, venv
from leapkit.core.errors import KitError
from leapkit.core.stacks import ACCELERATORS, MODERN, TORCH_1_10
from tests.conftest import REPOSITORY
from tests.helpers.kit_members import KIT

MEMBERS = tuple(registry.members())
# Services that no member has.
TOOLS = ("verify", "evaluate", "report", "emulator", "stacking", "world")
LOCKS = sorted(stacks.LOCKS.glob("*.txt"))


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the launcher a machine without images and registry, with all interpreters."""
    for name in list(os.environ):
        if name.startswith("LEAP_BASE_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(machine, "has_image", lambda name: False)
    monkeypatch.setattr(machine, "registry_answers", lambda name: False)
    monkeypatch.setattr(machine, "interpreter", lambda version: "/usr/bin/python" + version)


# Stacks and locks


def test_the_published_stacks_are_the_teams_and_the_modern_one_is_the_same_for_all() -> None:
    published = {
        member: member_stacks["published"].name
        for member, member_stacks in stacks.members_stacks().items()
        if member in KIT
    }
    assert published.pop("adam") == "py38-torch1.10" and len(published) == 5
    assert set(published.values()) == {"py310-torch1.12"}
    assert {member_stacks["modern"] for member_stacks in stacks.members_stacks().values()} == {
        MODERN
    }
    assert stacks.pythons() == ["3.8", "3.10", "3.11"]
    assert {"3.8", "3.10"} <= stacks.pythons_of("published")


def test_a_member_without_stacks_or_with_half_of_them_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(KitError, match=r"nobody/stack.py.*members/adam/stack.py"):
        stacks.stacks_of("nobody")
    from members.adam import stack

    monkeypatch.setattr(stack, "STACKS", {"published": MODERN})
    with pytest.raises(KitError, match="STACKS names published"):
        stacks.stacks_of("adam")


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_has_a_lock_for_each_stack_and_accelerator(member: str) -> None:
    for name in stacks.STACKS:
        for accelerator in ACCELERATORS:
            lock = stacks.lock_of(member, name, accelerator)
            torch = stacks.stacks_of(member)[name].torch.replace("torch", "torch==")
            assert f"\n{torch}." in lock.read_text()
        assert stacks.lock(f"tests-{stacks.stacks_of(member)[name].name}").exists()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_pins_every_package_with_hashes_and_names_no_index(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text and not re.search(r"^--", text, flags=re.M)
    entries = re.findall(
        r"^(\S+?)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, flags=re.M
    )
    assert len(entries) == len(re.findall(r"^[A-Za-z]", text, flags=re.M)) > 0


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_holds_what_its_in_file_names(lock: Path) -> None:
    source = lock.with_name(re.sub("-(cpu|cuda)$", "", lock.stem) + ".in")
    locked = dict(re.findall(r"^(\S+?)==(\S+)", lock.read_text(), flags=re.M))
    lines = [line for line in source.read_text().splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        name, _, version = line.lower().replace("_", "-").partition("==")
        name = name.partition("[")[0]  # the extras that it is wanted with
        assert name in locked, f"containers/make-locks {source.stem} was not run after {line!r}"
        assert not version or locked[name].split("+")[0] == version


def test_the_tests_locks_agree_with_the_stacks_locks() -> None:
    for path in stacks.LOCKS.glob("tests-*.txt"):
        stack = path.with_name(path.name.replace("tests-", "").replace(".txt", "-cpu.txt"))
        locked = dict(re.findall(r"^(\S+?)==(\S+)", stack.read_text(), flags=re.M))
        for name, version in re.findall(r"^(\S+?)==(\S+)", path.read_text(), flags=re.M):
            assert locked.get(name, version) == version, (path.name, name)


def test_make_locks_explains_itself_and_refuses_an_unknown_name_without_uv() -> None:
    def make_locks(word: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(REPOSITORY / "containers" / "make-locks"), word],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    done = make_locks("--help")
    assert done.returncode == 0 and "To add a package to the tests" in done.stdout
    refused = make_locks("py27-torch0.1")
    assert refused.returncode == 2
    assert refused.stdout.endswith("containers/locks/py27-torch0.1.in does not exist\n")


# Environments and bases


def test_members_with_the_same_python_and_lock_share_an_environment_and_others_do_not() -> None:
    def content(member: str) -> tuple:
        return stacks.python_of(member, stack), stacks.lock_of(member, stack, "cpu").read_bytes()

    for stack in stacks.STACKS:
        names = {m: environments.member_environment(m, stack, "cpu") for m in MEMBERS}
        for member in MEMBERS:
            for other in MEMBERS:
                shared = names[member] == names[other]
                assert shared == (content(member) == content(other)), (stack, member, other)


def test_an_environment_is_named_by_what_is_in_it() -> None:
    """Environments on users' machines have these names and contents, and stay valid."""
    assert {
        environments.member_environment(member, stack, accelerator)
        for member in MEMBERS
        for stack in stacks.STACKS
        for accelerator in ACCELERATORS
    } == {
        "py3.10-published-cpu-3d278be6",
        "py3.10-published-cuda-9300d81f",
        "py3.11-modern-cpu-5228233a",
        "py3.11-modern-cuda-d261eed5",
        "py3.8-published-cpu-7ec730a1",
        "py3.8-published-cuda-e72cb5b8",
    }


@pytest.mark.parametrize("name", ["tests-py311-torch2.13-cuda", "py3.11-modern-cuda-0123abcd"])
def test_an_existing_environment_says_which_build_of_torch_can_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("LEAP_VENVS", str(tmp_path))
    (tmp_path / name).mkdir()
    (tmp_path / name / venv.MARKER).touch()
    assert environments.reachable(MODERN, "cpu") == "cuda"


@pytest.mark.parametrize("versions, build", [("2.13.0+cpu, 2.12.0+cpu", "cpu"), (None, "cuda")])
def test_without_an_environment_pip_says_which_build_of_torch_can_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, versions: Optional[str], build: str
) -> None:
    monkeypatch.setenv("LEAP_VENVS", str(tmp_path))
    monkeypatch.setattr(machine, "output_of", lambda *_: versions)
    assert environments.reachable(MODERN, "cpu") == build
    assert environments.reachable(TORCH_1_10, "cpu") == "cpu"


def test_a_local_base_is_preferred_and_the_users_own_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stacks.base_image("3.8") == stacks.OFFICIAL["3.8"]
    assert stacks.base_image("3.8", probe=True) == ""
    monkeypatch.setattr(machine, "has_image", lambda name: name.startswith("leap-base"))
    assert stacks.base_image("3.8") == "leap-base:py3.8"
    monkeypatch.setenv("LEAP_BASE_3_8", "mine:1")
    assert stacks.base_image("3.8") == "mine:1"


def test_a_python_without_an_official_image_is_refused() -> None:
    with pytest.raises(KitError, match=r"launch/runtimes/stacks\.py: no image of Python 3\.99"):
        stacks.official_image("3.99")


# Dockerfiles and Compose files


def services(name: str, root: Path = REPOSITORY) -> Dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    by_name: Dict[str, Any] = yaml.safe_load((root / name).read_text())["services"]
    return by_name


def dockerfile(member: str, root: Path = REPOSITORY) -> str:
    return (root / "members" / member / "Dockerfile").read_text()


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", str(root / "containers" / "generate"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of all that containers/generate reads and writes."""
    root = tmp_path / "kit"
    ignore = shutil.ignore_patterns("__pycache__", "weights")
    for name in ("containers", "members", "launch", "blend", "reports", "shared"):
        shutil.copytree(str(REPOSITORY / name), str(root / name), ignore=ignore)
    for name in ("compose.yaml", "compose.gpu.yaml"):
        shutil.copy2(str(REPOSITORY / name), str(root / name))
    return root


def test_the_generated_files_are_up_to_date() -> None:
    done = generate(REPOSITORY, "--check")
    assert done.returncode == 0, done.stdout


def test_a_generated_file_says_so_in_its_first_line() -> None:
    for path in [*REPOSITORY.glob("compose*.yaml"), *REPOSITORY.glob("members/*/Dockerfile")]:
        first = path.read_text().splitlines()[0]
        assert first.startswith("# Generated by containers/generate; edit containers/"), path


def test_a_new_member_needs_its_own_folder_and_the_generated_files_only(copy: Path) -> None:
    folder = copy / "members" / "newbie"
    shutil.copytree(str(copy / "members" / "joseph"), str(folder))
    (folder / "Dockerfile").unlink()
    for path in folder.glob("*.*"):
        path.write_text(path.read_text().replace("joseph", "newbie"))
    assert generate(copy, "--check").returncode == 1
    assert not (folder / "Dockerfile").exists()
    done = generate(copy)
    assert done.returncode == 0, done.stdout
    assert set(done.stdout.split(": written\n")[:-1]) == {
        "members/newbie/Dockerfile",
        "compose.yaml",
        "compose.gpu.yaml",
    }
    assert generate(copy, "--check").returncode == 0
    assert dockerfile("newbie", copy) == dockerfile("joseph", copy).replace("joseph", "newbie")
    planned = subprocess.run(
        [sys.executable, "-S", "-m", "launch", "plan"],
        cwd=str(copy),
        env=dict(os.environ, PYTHONPATH="shared:.", RAW_DATA=str(copy), SUBMISSION=str(copy)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert planned.returncode == 0 and b"newbie/907" in planned.stdout, planned.stdout
    compose = services("compose.yaml", copy)
    assert set(compose) == {*MEMBERS, *TOOLS, "newbie", "blend"}
    assert "newbie" in compose["blend"]["depends_on"]
    assert "newbie" in services("compose.gpu.yaml", copy)


def test_another_stack_of_a_member_reaches_its_dockerfile(copy: Path) -> None:
    path = copy / "members" / "adam" / "stack.py"
    path.write_text(path.read_text().replace("TORCH_1_10", "TORCH_1_12"))
    written = ("containers/emulator.Dockerfile", "members/adam/Dockerfile")
    assert generate(copy).stdout == "".join(f"{path}: written\n" for path in written)
    assert dockerfile("adam", copy) == dockerfile("joseph", copy).replace("joseph", "adam")


def test_a_members_own_dockerfile_is_left_alone(copy: Path) -> None:
    path = copy / "members" / "zuiye" / "Dockerfile"
    path.write_text("FROM scratch\n")
    assert generate(copy).stdout == "" and path.read_text() == "FROM scratch\n"
    assert generate(copy, "--check").returncode == 0


def test_members_with_the_same_stack_differ_in_their_last_layer_only() -> None:
    def steps(member: str) -> List[str]:
        lines = [line for line in dockerfile(member).splitlines() if not line.startswith("#")]
        copied = f"COPY --chmod=755 members/{member} /opt/leap/members/{member}"
        assert f"members/{member}" not in "\n".join(lines[: lines.index(copied)])
        return lines[: lines.index(copied)]

    member_stacks = stacks.members_stacks()
    for member in MEMBERS:
        for other in MEMBERS:
            assert (steps(member) == steps(other)) == (
                member_stacks[member] == member_stacks[other]
            ), (member, other)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_dockerfile_names_the_bases_and_locks_of_the_members_stacks(member: str) -> None:
    text = dockerfile(member)
    for name, stack in stacks.stacks_of(member).items():
        base = stacks.official_image(stack.python)
        lock = f"containers/locks/{stack.name}-${{ACCELERATOR}}.txt"
        pattern = rf"FROM \${{BASE:-{re.escape(base)}}} AS {name}\nARG .*\nCOPY {re.escape(lock)} "
        assert re.search(pattern, text), (name, text)


def test_every_service_is_sandboxed_and_mounts_what_it_reads_read_only() -> None:
    for name, service in services("compose.yaml").items():
        assert service["network_mode"] == "none", name
        assert service["read_only"] is True and service["init"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].startswith("${LEAP_UID") and "shm_size" in service, name
        for mount in service["volumes"]:
            if mount["target"] in (
                "/raw_data",
                "/weights",
                "/tables",
                "/steps",
                "/statistics",
                "/predictions",
                "/truth",
            ):
                assert mount["read_only"] is True, (name, mount)
    # The blend only reads what the members wrote.
    mounts = {mount["target"]: mount for mount in services("compose.yaml")["blend"]["volumes"]}
    assert mounts["/submission/subs"]["read_only"] is True


def test_every_member_has_its_service_and_the_blend_waits_for_it() -> None:
    compose, gpu = services("compose.yaml"), services("compose.gpu.yaml")
    assert set(MEMBERS) <= set(gpu)
    ended = {"condition": "service_completed_successfully"}
    started = [member for member in MEMBERS if "profiles" not in compose[member]]
    assert compose["blend"]["depends_on"] == {member: ended for member in started}
    assert set(MEMBERS) - set(started) == {"student"}, "it is trained on request"
    for member in MEMBERS:
        assert "depends_on" not in compose[member]
        devices = gpu[member]["deploy"]["resources"]["reservations"]["devices"]
        assert devices[0]["driver"] == "nvidia"
        assert compose[member]["build"]["dockerfile"] == f"members/{member}/Dockerfile"
        assert compose[member]["image"].startswith(f"leap-{member}:")
        assert (REPOSITORY / "members" / member / "README.md").exists()


def test_compose_variables_say_where_things_lie_and_what_is_built_never_what_to_do() -> None:
    variables = re.findall(r"\$\{(LEAP_\w+?):-", (REPOSITORY / "compose.yaml").read_text())
    members = "|".join(name.upper() for name in MEMBERS)
    allowed = (
        r"UID|GID|PIDS|MEMORY|CORES|CODE|STACK|ACCELERATOR|WHEELS|BUILD_CA|BUILD_PIP_CONF"
        r"|RAW_DATA|RAW_DATA_PARENT|SUBMISSION|TABLES|STEPS|STATISTICS|PREDICTIONS|TRUTH"
        r"|EMULATOR|WEIGHTS|INPUTS|TO|ASKED"
        rf"|WEIGHTS_({members})|BASE_({members}|BLEND|EMULATOR)"
    )
    assert variables and not [
        name for name in variables if not re.match(f"^LEAP_({allowed})$", name)
    ]
    for name, service in services("compose.yaml").items():
        assert "$" not in str(service.get("command", "")), name
