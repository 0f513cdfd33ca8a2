"""What answers to the name `docker`. Programs of that name are shell scripts on the PATH."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Callable

import pytest

# The function itself: the fixture of this folder replaces the module's.
from launch.runtimes.engine import problem

pytestmark = pytest.mark.process

DOCKER = "Docker version 28.2.2, build e6534b4"
SERVER = {"Version": "20.10.24+dfsg1", "Components": [{"Name": "Engine", "Version": "20.10.24"}]}
PODMAN_SERVER = {"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}
PODMAN_COMPOSE = "podman-compose version 1.0.6\nusing podman version: 4.3.1"


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a maker of a `docker` that prints its version, its engine's and Compose's."""

    def make(name: str = DOCKER, server: object = SERVER, compose: str = "2.26.1-4") -> None:
        script = tmp_path / "docker"
        answer = json.dumps({"Client": {"Version": "28.2.2"}, "Server": server})
        script.write_text(
            "#!/bin/sh\ncase $1 in\n"
            f"--version) echo '{name}';;\n"
            f"version) echo '{answer}'; exit {0 if server else 1};;\n"
            f"compose) [ -n '{compose}' ] || exit 1; echo '{compose}';;\n"
            "esac\n"
        )
        script.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return make


@pytest.mark.parametrize("compose", ["2.24.0", "2.26.1-4", "v2.30.3", "5.1.0"])
def test_docker_with_a_compose_that_is_new_enough_is_taken(answers, compose) -> None:
    answers(compose=compose)
    assert problem() is None


REFUSED = {
    "podman under docker's name": (
        {"name": "podman version 4.3.1", "compose": PODMAN_COMPOSE},
        "`docker` is podman version 4.3.1, and not Docker",
    ),
    "docker's command before podman's engine": (
        {"server": PODMAN_SERVER},
        "the engine behind `docker` is podman, and not Docker",
    ),
    "nerdctl under docker's name": ({"name": "nerdctl version 1.7.6"}, "`docker` is nerdctl"),
    "podman-compose as docker's Compose": (
        {"compose": PODMAN_COMPOSE},
        "Docker Compose podman-compose version 1.0.6 using podman version: 4.3.1 is older",
    ),
    "an old Compose": ({"compose": "2.23.3"}, "Docker Compose 2.23.3 is older than 2.24"),
    "an old Compose of another form": ({"compose": "v2.17.2"}, "v2.17.2 is older than 2.24"),
    "a Compose without a version": ({"compose": "dev"}, "of an unknown version (dev)"),
    "no Compose": ({"compose": ""}, "`docker compose` (Compose v2) is not installed"),
    "an old engine": (
        {"server": {"Version": "19.03.15"}},
        "Docker Engine 19.03.15 is older than 20.10",
    ),
    "no engine": ({"server": None}, "no container engine answers"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_not_docker_or_too_old_is_called_what_it_is(answers, case) -> None:
    program, words = REFUSED[case]
    answers(**program)
    found = problem()
    assert found is not None and words in found.what
    assert "use RUNTIME=venv" in found.remedy
