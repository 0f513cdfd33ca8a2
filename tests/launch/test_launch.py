"""The files that the launcher stands on: Compose, Dockerfiles, locks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from launch import environments, machine, registry, stacks
from tests.conftest import REPOSITORY


def test_a_local_base_is_preferred_and_the_users_own_wins(monkeypatch):
    assert (
        stacks.base_image("3.8") == stacks.OFFICIAL["3.8"]
        and stacks.base_image("3.8", probe=True) == ""
    )
    monkeypatch.setattr(machine, "has_image", lambda name: name.startswith("leap-base"))
    assert stacks.base_image("3.8") == "leap-base:py3.8"
    monkeypatch.setenv("LEAP_BASE_3_8", "mine:1")
    assert stacks.base_image("3.8") == "mine:1"


def services(name: str) -> dict:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((REPOSITORY / name).read_text())["services"]


def test_every_service_is_sandboxed_and_mounts_what_it_reads_read_only():
    for name, service in services("compose.yaml").items():
        assert (
            service["network_mode"] == "none"
            and service["read_only"] is True
            and service["init"] is True
        ), name
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == [
            "no-new-privileges:true"
        ], name
        assert service["user"].startswith("${LEAP_UID") and "shm_size" in service, name
        for mount in service["volumes"]:
            if mount["target"] in ("/raw_data", "/weights", "/tables", "/steps", "/statistics"):
                assert mount["read_only"] is True, (name, mount)
    shared = [
        v for v in services("compose.yaml")["blend"]["volumes"] if v["target"] == "/submission/subs"
    ]
    assert shared[0]["read_only"] is True  # the blend only reads what the members wrote


def test_every_member_has_its_service_its_container_and_its_locks_and_the_blend_waits_for_it():
    compose, gpu = services("compose.yaml"), services("compose.gpu.yaml")
    for member in registry.members():
        assert "depends_on" not in compose[member]
        assert compose["blend"]["depends_on"][member] == {
            "condition": "service_completed_successfully"
        }
        assert (
            gpu[member]["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"
        )
        home = REPOSITORY / "members" / member
        assert (home / "Dockerfile").exists() and (home / "README.md").exists()
        for stack in stacks.STACKS:
            for accelerator in ("cpu", "cuda"):
                assert stacks.lock_of(member, stack, accelerator).exists()


def test_members_with_the_same_python_and_lock_share_an_environment_and_others_do_not():
    def content(member: str) -> tuple:
        return stacks.python_of(member, stack), stacks.lock_of(member, stack, "cpu").read_bytes()

    for stack in stacks.STACKS:
        for one in registry.members():
            for other in registry.members():
                shared = environments.member_environment(
                    one, stack, "cpu"
                ) == environments.member_environment(other, stack, "cpu")
                assert shared == (content(one) == content(other)), (stack, one, other)


@pytest.mark.parametrize("name", ["test-modern-cuda", "py3.11-modern-cuda-0123abcd"])
def test_an_environment_that_is_there_says_which_build_of_torch_can_be_had(
    monkeypatch, tmp_path, name
):
    monkeypatch.setenv("LEAP_VENVS", str(tmp_path))
    (tmp_path / name).mkdir()
    (tmp_path / name / environments.MARKER).touch()
    assert environments.reachable("adam", "modern", "cpu") == "cuda"


def locks() -> list:
    return sorted(
        p
        for pattern in (
            "members/*/locks/*.txt",
            "blend/locks/*.txt",
            "fetch/locks/*.txt",
            "tests/locks/*.txt",
        )
        for p in REPOSITORY.glob(pattern)
    )


@pytest.mark.parametrize("lock", locks(), ids=lambda p: f"{p.parent.parent.name}-{p.stem}")
def test_a_lock_pins_every_package_with_hashes_and_names_no_index(lock: Path):
    text = lock.read_text()
    assert "://" not in text and not re.search(r"^--", text, flags=re.M)
    entries = re.findall(
        r"^(\S+?)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, flags=re.M
    )
    assert len(entries) == len(re.findall(r"^[A-Za-z]", text, flags=re.M)) > 0
