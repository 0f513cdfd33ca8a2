"""make sbom: each image or environment is described by its own Python, as it is."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv as standard_venv
from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch import machine
from launch.runtimes import environments, stacks
from launch.sboms import described, sbom
from launch.sboms.cyclonedx import Subject
from launch.sboms.described import Described
from leapkit.core.errors import KitError

pytestmark = pytest.mark.process

LOCK = f"small==1.0 \\\n    --hash=sha256:{'a' * 64}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with one small package, of two files."""
    home = tmp_path_factory.mktemp("environments") / "py-small"
    standard_venv.create(str(home), with_pip=False, symlinks=True)
    [site] = home.glob("lib/python*/site-packages")
    (site / "small.py").write_text("ANSWER = 42\n")
    about = site / "small-1.0.dist-info"
    about.mkdir()
    metadata = "Name: small\nVersion: 1.0\nLicense-Expression: MIT\n"
    requires = "Requires-Dist: Some_Thing[all]>=2; python_version > '3'\n"
    (about / "METADATA").write_text(
        metadata + requires + "Requires-Dist: pytest; extra == 'test'\n"
    )
    (site / "small.libs").mkdir()
    (site / "small.libs" / "libz-1a2b.so.1").write_bytes(b"a library")
    (site / "lib.cpython-311-x86_64-linux-gnu.so").write_bytes(b"an extension module")
    (about / "sboms").mkdir()
    (about / "sboms" / "auditwheel.cdx.json").write_text(json.dumps(OF_WHEEL))
    (about / "sboms" / "broken.json").write_text("{")
    record = "".join(f"{name},sha256={digest(site / name)},\n" for name in RECORDED)
    (about / "RECORD").write_text(record + "small-1.0.dist-info/RECORD,,\n")
    (home / ".complete").write_text("whole\n")
    return home


OF_WHEEL = {
    "metadata": {"component": {"name": "small"}},
    "components": [{"name": "small"}, {"name": "zlib", "version": "1.3", "purl": "pkg:rpm/zlib"}],
}
RECORDED = (
    *("small.py", "small-1.0.dist-info/METADATA", "small-1.0.dist-info/sboms/auditwheel.cdx.json"),
    *("small-1.0.dist-info/sboms/broken.json", "small.libs/libz-1a2b.so.1"),
    "lib.cpython-311-x86_64-linux-gnu.so",
)


def digest(path: Path) -> str:
    import base64

    value = hashlib.sha256(path.read_bytes()).digest()
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def of(home: Path) -> Described:
    command = [str(home / "bin" / "python"), "-I", "-c", described.SOURCE.read_text()]
    return Described(Subject("platform", home.name, "1"), command, home.name, LOCK)


def read(path: Path) -> Dict[str, Any]:
    return dict(json.loads(path.read_text()))


def test_an_environment_tells_its_packages_and_its_interpreter(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.cdx.json"
    lines = sbom.write(path, of(home))
    assert lines[0] == f"{path}: 1 Python packages, 2 libraries in them"
    components = {each["name"]: each for each in read(path)["components"]}
    assert set(components) == {"small", "CPython"}
    assert components["small"]["licenses"][0]["expression"] == "MIT"
    assert components["small"]["hashes"][0]["content"] == "a" * 64
    library, zlib = components["small"]["components"]
    assert library["name"] == "small.libs/libz-1a2b.so.1"
    assert library["hashes"][0]["content"] == hashlib.sha256(b"a library").hexdigest()
    assert (zlib["name"], zlib["version"], zlib["purl"]) == ("zlib", "1.3", "pkg:rpm/zlib")
    assert of(home).inventory()["distributions"][0]["requires"] == ["some-thing"]
    interpreter = Path(os.path.realpath(str(home / "bin" / "python")))
    content = hashlib.sha256(interpreter.read_bytes()).hexdigest()
    assert components["CPython"]["hashes"][0]["content"] == content
    before = path.stat().st_mtime_ns
    assert sbom.write(path, of(home))[0].endswith("(as before)")
    assert path.stat().st_mtime_ns == before


def test_a_file_that_was_changed_after_the_installation_is_said(home: Path, tmp_path: Path) -> None:
    [module] = home.glob("lib/python*/site-packages/small.py")
    was = module.read_text()
    try:
        module.write_text("ANSWER = 41\n")
        lines = sbom.write(tmp_path / "small.cdx.json", of(home))
    finally:
        module.write_text(was)
    [line] = [line for line in lines if "not as its lock says" in line]
    assert line.endswith("small has 1 of 6 files that its RECORD says otherwise: small.py")


def test_a_python_that_cannot_answer_is_refused_in_one_sentence(home: Path, tmp_path: Path) -> None:
    broken = of(home).command[:2]
    one = Described(Subject("platform", "x", "1"), [*broken, "-c", "raise SystemExit(3)"], "x")
    with pytest.raises(KitError, match="x: its Python gives no inventory"):
        sbom.write(tmp_path / "x.cdx.json", one)
    assert not (tmp_path / "x.cdx.json").exists()


def test_the_environments_of_a_run_are_described_each_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    python = home / "bin" / "python"
    (tmp_path / "fetch").mkdir()
    (tmp_path / "fetch" / ".complete").touch()  # as `make fetch` leaves it
    monkeypatch.setenv("LEAP_VENVS", str(tmp_path))
    monkeypatch.setattr(environments, "fetch_python", lambda: python)
    monkeypatch.setattr(environments, "blend_python", lambda: python)
    monkeypatch.setattr(
        environments, "member_pythons", lambda members, *_: dict.fromkeys(members, python)
    )
    monkeypatch.setattr(environments, "reachable", lambda stack, accelerator: accelerator)
    values = {"RUNTIME": "venv", "TO": str(tmp_path / "to"), "SUBMISSION": str(tmp_path)}
    assert sbom.make({**values, "NETWORK": "v10"}) == 0
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [
        "blend.cdx.json",
        "fetch.cdx.json",
        "py-small.cdx.json",
    ]
    about = read(tmp_path / "to" / "py-small.cdx.json")["metadata"]["component"]
    told = {each["name"]: each["value"] for each in about["properties"]}
    assert told["leap:lock"].startswith("py3")
    assert "is missing" in capfd.readouterr().out  # of the stack's lock nothing is installed


def test_the_inventory_runs_on_every_python_of_the_kit_and_sees_the_codes_files(
    tmp_path: Path,
) -> None:
    """The source imports nothing but the standard library: -S finds nothing more."""
    room = tmp_path / "members" / "x"
    room.mkdir(parents=True)
    (room / "a.py").write_text("1\n")
    (tmp_path / "requirements.txt").write_text(LOCK)
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        described.SOURCE.read_text(),
        "--code",
        str(tmp_path),
    ]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert found["lock"] == LOCK and list(found["code"]) == ["members/x/a.py"]


class Engine:
    """What an engine answers of an image and of its base."""

    def __init__(self, layers: Dict[str, List[str]]) -> None:
        self.layers = layers

    def output_of(self, command: List[str], *_: Any) -> str:
        return json.dumps(self.layers[command[-1]])


@pytest.mark.parametrize(
    ("layers", "base"), [(["1", "2", "3"], "base:py3.8"), (["2", "3"], "not known")]
)
def test_the_base_is_named_only_if_its_layers_are_the_images_first(
    layers: List[str], base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine({"leap-adam:published-cpu": layers, "base:py3.8": ["1", "2"]})
    monkeypatch.setattr(machine, "output_of", engine.output_of)
    monkeypatch.setattr(machine, "image_id", lambda name: "sha256:" + "c" * 64)
    one = described.of_image("leap-adam:published-cpu", "base:py3.8")
    assert one.subject.properties["base"].startswith(base)
    assert one.subject.purl == f"pkg:oci/leap-adam@sha256%3A{'c' * 64}?tag=published-cpu"
    assert "--network=none" in one.command and "--read-only" in one.command


def test_locks_of_every_stack_give_their_hashes() -> None:
    from launch.runtimes import pip

    for lock in sorted(stacks.LOCKS.glob("*.txt")):
        found = pip.locked_hashes(lock.read_text())
        assert [(name, version) for name, (version, _) in found.items()] == pip.locked(lock)
        assert set().union(*(set(hashes) for _, hashes in found.values())) == pip.hashes(lock)
        assert all(hashes for _, hashes in found.values())
