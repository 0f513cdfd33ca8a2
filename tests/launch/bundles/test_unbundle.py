"""make unbundle: nothing is used before all of it was checked, and then no network is needed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch import machine
from launch.__main__ import main
from launch.bundles import bundled, code_archive, manifests, unbundle
from launch.bundles.bundle import UNFINISHED
from launch.runtimes import stacks
from leapkit.core.files import sha256
from tests.helpers.refusals import refused
from tests.helpers.small_kit import make, offline, plain, small_kit
from tests.launch.bundles.test_manifests import manifest_of
from tests.launch.runtimes.test_venv import wheel

# Checks, in this process


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> List[str]:
    """Return the list of what is installed, which stays empty as long as a bundle is refused."""
    done: List[str] = []
    installers: Dict[str, Any] = {"venv": lambda *_: done.append("venv")}
    monkeypatch.setattr(unbundle, "_INSTALLERS", installers)
    monkeypatch.setattr(bundled, "PATH", tmp_path / "record.json")
    monkeypatch.setattr(code_archive, "names", lambda: ["Makefile", "containers/locks/blend.txt"])
    return done


def bundle(folder: Path, **changed: Any) -> Path:
    """Write a bundle with an archive of some of this kit's files."""
    folder.mkdir()
    (folder / "code.tar").write_bytes(code_archive.content())
    changed = {"machine": platform.machine(), "glibc": "2.5", **changed}
    manifests.write(folder, manifest_of(folder, **changed))
    return folder


def open_bundle(folder: Path) -> int:
    return main(["unbundle", f"--bundle={folder}"])


def test_a_bundle_that_is_whole_and_of_this_code_is_installed(
    tmp_path: Path, installed: List[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bundle(tmp_path / "bundle", experiments="joseph/907")
    assert open_bundle(folder) == 0 and installed == ["venv"]
    text = capsys.readouterr().out
    assert f"sha256 of SHA256SUMS: {sha256(folder / 'SHA256SUMS')}" in text
    assert text.splitlines()[-1] == (
        "you can run now: make reproduce RUNTIME=venv STACK=modern DEVICE=cpu"
        " EXPERIMENTS=joseph/907"
    )


@pytest.mark.parametrize(
    "entry, complaint",
    [
        ({"machine": "pdp11"}, "is for pdp11, and this machine is"),
        ({"glibc": "99.1"}, "needs glibc 99.1, and this machine has"),
        ({"runtime": "rkt"}, "runtime: this kit does not know rkt"),
        ({"stack": "../../x"}, "stack: this kit does not know ../../x"),
        ({"accelerator": "rocm"}, "accelerator: this kit does not know rocm"),
        ({"pythons": ["3.11", "3.99"]}, "pythons: this kit does not know 3.99"),
        ({"locks": ["../../etc/passwd"]}, "locks: this kit does not know ../../etc/passwd"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_a_bundle_that_this_machine_or_this_kit_cannot_use_is_refused(
    tmp_path: Path, installed: List[str], entry: Dict[str, Any], complaint: str
) -> None:
    folder = bundle(tmp_path / "bundle", **entry)
    with refused(folder, complaint):
        open_bundle(folder)
    assert installed == []


def test_a_bundle_of_other_code_is_refused_with_the_way_to_its_own(
    tmp_path: Path, installed: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bundle(tmp_path / "bundle")
    other = tmp_path / "other"
    (other / "containers" / "locks").mkdir(parents=True)
    monkeypatch.setattr(bundled, "REPOSITORY", other)
    shutil.copy(str(stacks.lock("blend")), str(other / "containers" / "locks"))
    with refused(folder, "is of other code than this kit: Makefile differs", "unpack"):
        open_bundle(folder)
    assert installed == []


def test_nothing_is_installed_of_a_bundle_with_one_wrong_byte(
    tmp_path: Path, installed: List[str]
) -> None:
    folder = bundle(tmp_path / "bundle")
    content = (folder / "code.tar").read_bytes()
    (folder / "code.tar").write_bytes(content[:-1] + b"x")
    with refused(folder / "code.tar", "has changed since the bundle was made"):
        open_bundle(folder)
    assert installed == [] and not (tmp_path / "record.json").exists()


def test_an_interpreter_that_wheels_need_is_asked_for_before_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "PATH", tmp_path / "record.json")
    monkeypatch.setattr(code_archive, "names", lambda: ["Makefile"])
    monkeypatch.setattr(machine, "interpreter", lambda version: None)
    folder = bundle(tmp_path / "bundle", pythons=["3.8", "3.11"])
    with refused("RUNTIME=venv", "not installed: python3.8, python3.11", "PYTHON_3_8=path"):
        open_bundle(folder)
    assert not (tmp_path / "record.json").exists()


# The whole way, through make


@pytest.mark.process
def test_a_bundle_of_wheels_is_all_that_a_machine_without_a_network_needs(tmp_path: Path) -> None:
    wheels = tmp_path / "an index"
    wheels.mkdir()
    lock = f"tiny-package==1.0 \\\n    --hash=sha256:{sha256(wheel(wheels))}\n"
    kit = small_kit(tmp_path / "kit", lock)
    env = {**plain(), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    online = {**env, "PIP_FIND_LINKS": wheels.as_uri()}
    folder = tmp_path / "a bundle"
    chosen = {"RUNTIME": "venv", "STACK": "modern", "DEVICE": "cuda", "EXPERIMENTS": "joseph/907"}
    # what a call that was killed leaves, beside a wheel of an earlier lock
    (folder / "wheels").mkdir(parents=True)
    for version in ("1.0", "0.9"):
        name = f"tiny_package-{version}-py3-none-any.whl"
        (folder / "wheels" / name).write_text("cut off")
    (folder / UNFINISHED).touch()
    assert make(kit, "bundle", [], online, BUNDLE=str(folder), **chosen).startswith("0 ")
    assert [path.name for path in (folder / "wheels").iterdir()] == [
        "tiny_package-1.0-py3-none-any.whl"
    ]
    shutil.rmtree(str(wheels))  # and no wheel is asked for again
    text = make(kit, "bundle", [], env, BUNDLE=str(folder), **chosen)
    assert "nothing to do: the bundle is whole" in text
    # on the other machine
    unshared = offline()
    subprocess.run(["tar", "xf", str(folder / "code.tar"), "-C", str(tmp_path)], check=True)
    there = tmp_path / "leap-kit"
    text = make(there, "unbundle", unshared, plain(), BUNDLE=str(folder))
    assert text.startswith("0 ") and "you can run now: make reproduce RUNTIME=venv" in text
    environments = sorted(path.name for path in (there / ".venvs").glob("*/.complete"))
    assert len(environments) == 3
    for python in (there / ".venvs").glob("*/bin/python"):
        subprocess.run([str(python), "-I", "-c", "import tiny_package"], check=True)
