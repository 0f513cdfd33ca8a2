"""The wheels of a bundle: which locks they are of, and which machines they run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch import machine
from launch.bundles import wheelhouse
from launch.runtimes import environments
from tests.helpers.refusals import refused


def test_a_bundle_holds_the_wheels_of_the_members_the_blend_and_fetch() -> None:
    pythons = wheelhouse.locks(["adam", "joseph"], "published", "cuda")
    assert {lock.stem: python for lock, python in pythons.items()} == {
        "blend": "3.11",
        "fetch": "3.11",
        "py38-torch1.10-cuda": "3.8",
        "py310-torch1.12-cuda": "3.10",
    }


def test_the_build_of_torch_that_pip_reaches_is_the_bundles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environments, "reachable", lambda *_: "cuda")
    stems = {lock.stem for lock in wheelhouse.locks(["adam"], "modern", "cpu")}
    assert stems == {"blend", "fetch", "py311-torch2.13-cuda"}


def test_an_interpreter_that_pip_would_be_asked_with_must_be_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "interpreter", lambda version: version == "3.11" and "python")
    with refused("RUNTIME=venv", "not installed: python3.8", "PYTHON_3_8=path"):
        wheelhouse.locks(["adam"], "published", "cpu")


@pytest.mark.parametrize(
    "names, oldest",
    [
        (["a-1-py3-none-any.whl"], ""),
        (["a-1-cp38-cp38-manylinux1_x86_64.whl", "b-1-py3-none-any.whl"], "2.5"),
        (["a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_28_x86_64.whl"], "2.17"),
        (
            ["a-1-cp38-cp38-manylinux_2_9_x86_64.whl", "b-1-cp38-abi3-manylinux2010_x86_64.whl"],
            "2.12",
        ),
        (["a-1-cp38-cp38-linux_x86_64.whl"], ""),
    ],
)
def test_the_c_library_that_wheels_need_is_read_from_their_names(names, oldest) -> None:
    assert wheelhouse.glibc([Path(name) for name in names]) == oldest
