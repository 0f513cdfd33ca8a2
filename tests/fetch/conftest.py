"""The fake internet, a user, and step files for the tests of fetch/."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Dict, Iterator

import pytest

from leapkit.core.errors import KitError
from tests.fetch.fake_internet import Internet, make_certificate, serve
from tests.fetch.offers import StepMaker, whole_month
from tests.fetch.user import User


@pytest.fixture(scope="session", autouse=True)
def one_stack() -> None:
    """Skip on the old stacks, as fetch/ has one environment, tested beside Python 3.11."""
    if sys.version_info < (3, 11):
        pytest.skip("fetch/ has one environment, tested beside Python 3.11")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the certificate and key of all hosts, which is its own authority."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, so the servers have no certificate")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    make_certificate(path)
    return path


@pytest.fixture
def internet(certificate: Path) -> Iterator[Internet]:
    with serve(certificate) as internet:
        yield internet


@pytest.fixture(scope="session")
def fetch_python() -> Path:
    """Return the Python of fetch's environment, made from its lock."""
    from launch.runtimes import environments

    try:
        return environments.fetch_python()
    except KitError as error:
        pytest.skip(f"the fetch environment cannot be made here: {error}")


@pytest.fixture
def user(fetch_python: Path, internet: Internet, tmp_path: Path) -> User:
    (tmp_path / "home").mkdir()
    return User(fetch_python, internet, tmp_path / "home")


@pytest.fixture(scope="session")
def tiny_steps(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, bytes]:
    """Return a whole month of one column: 4,032 files, 22 MB."""
    maker = StepMaker(tmp_path_factory.mktemp("one-column"), 1)
    return {name: maker.file(name) for name in whole_month()}


@pytest.fixture(scope="session")
def large_steps(tmp_path_factory: pytest.TempPathFactory) -> StepMaker:
    """Return files of the published size."""
    return StepMaker(tmp_path_factory.mktemp("all-columns"), 384)
