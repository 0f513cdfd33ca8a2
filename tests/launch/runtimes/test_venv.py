"""One virtual environment: made once, whole and of its lock alone, whatever the settings say."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Dict, List

import pytest

from launch import machine
from launch.runtimes import pip, venv
from leapkit.core.errors import KitError
from leapkit.core.files import sha256
from tests.conftest import REPOSITORY

VERSION = "{}.{}".format(*sys.version_info)
TRUE_INTERPRETER = machine.interpreter  # conftest.py gives all tests a machine that has them all
MAKE = """
import os, sys
from pathlib import Path
os.environ["PYTHONHOME"] = "/nowhere"
from launch.runtimes import venv
print(venv.ready("tiny", sys.argv[1], [Path(sys.argv[2])]))
"""


def wheel(folder: Path, name: str = "tiny_package", version: str = "1.0") -> Path:
    """Write the smallest wheel that there is."""
    files = {
        f"{name}.py": "VALUE = 7\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\n"
        f"Version: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = f"{name}-{version}.dist-info/RECORD"
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text)}\n")
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in {**files, record: "".join(lines) + f"{record},,\n"}.items():
            archive.writestr(path, text)
    return target


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Return a lock of one package, whose wheel lies in a folder that a pip.conf names."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    path = tmp_path / "tiny.txt"
    digest = sha256(wheel(wheels))
    path.write_text(f"tiny-package==1.0 \\\n    --hash=sha256:{digest}\n", newline="\r\n")
    return path


def hostile_settings(tmp_path: Path) -> Dict[str, str]:
    """Return an environment in which pip would install elsewhere, nothing, or not at all."""
    conf = tmp_path / "pip.conf"
    conf.write_text(
        f"[global]\nno-index = true\nfind-links =\n    {tmp_path / 'wheels'}\nuser = true\n"
        f"[install]\ntarget = {tmp_path / 'elsewhere'}\nprefix = {tmp_path / 'elsewhere'}\n"
    )
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next((tmp_path / "wheels").glob("*.whl"))) as archive:
        archive.extractall(installed)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
    paths = [REPOSITORY / "shared", REPOSITORY, installed]
    return {
        **clean,
        "LEAP_VENVS": str(tmp_path / "venvs"),
        f"PYTHON_{VERSION.replace('.', '_')}": sys.executable,
        "PIP_CONFIG_FILE": str(conf),
        "PIP_TARGET": str(tmp_path / "elsewhere"),
        "PIP_ROOT": str(tmp_path / "elsewhere"),
        "PIP_USER": "1",
        "PIP_DRY_RUN": "1",
        "PIP_REQUIREMENT": "/nothing.txt",
        "PIP_NO_BINARY": ":all:",
        "PIP_PYTHON": "/nowhere/python",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "VIRTUAL_ENV": "/nowhere",
        # pip would find the package there and install nothing
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }


def start(lock: Path, env: Dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAKE, VERSION, str(lock)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outputs(processes: List[subprocess.Popen[str]]) -> List[str]:
    texts = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), texts
    return texts


@pytest.mark.process
def test_two_commands_make_one_environment_once_whatever_the_users_settings_say(
    lock: Path, tmp_path: Path
) -> None:
    env = hostile_settings(tmp_path)
    texts = outputs([start(lock, env), start(lock, env)])
    python = tmp_path / "venvs" / "tiny" / "bin" / "python"
    assert all(text.splitlines()[-1] == str(python) for text in texts), texts
    assert sum("installing tiny.txt" in text for text in texts) == 1, texts
    assert sum("waiting for another command" in text for text in texts) <= 1
    assert not (tmp_path / "elsewhere").exists()
    value = "import tiny_package; print(tiny_package.VALUE, tiny_package.__file__)"
    done = subprocess.run([str(python), "-I", "-c", value], capture_output=True, text=True)
    assert done.stdout.split()[0] == "7" and str(python.parents[1]) in done.stdout
    assert "installing" not in outputs([start(lock, env)])[0]


@pytest.fixture
def venvs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEAP_VENVS", str(tmp_path / "venvs"))
    return tmp_path / "venvs"


def fake(venvs: Path, lock: Path, version: str = VERSION) -> venv.Environment:
    """Make what counts as a whole environment, without pip."""
    environment = venv.Environment("tiny", version, [lock])
    site = environment.home / "lib" / f"python{version}" / "site-packages"
    info = site / "Tiny.Package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Tiny.Package\nVersion: 1.0\n")
    environment.python.parent.mkdir()
    environment.python.symlink_to(sys.executable)
    (environment.home / venv.MARKER).write_text(f"{version}\n{sha256(lock)}\n")
    return environment


def test_an_environment_is_whole_if_its_marker_its_python_and_its_packages_say_so(
    venvs: Path, lock: Path
) -> None:
    environment = fake(venvs, lock)
    assert environment.problem() == ""
    assert venv.ready("tiny", VERSION, [lock]) == environment.python
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python3")
    assert environment.problem() == "its Python does not exist any more"
    environment.python.unlink()
    environment.python.symlink_to(sys.executable)
    with lock.open("a") as handle:
        handle.write("numpy==1.2\nscipy==1\npandas==2\ntorch==1.10.0+cu113 \\\n")
    absent = pip.absent(environment.home, VERSION, [lock])
    assert absent == ["numpy==1.2", "scipy==1", "pandas==2", "torch==1.10.0+cu113"]


def test_an_environment_that_was_marked_and_never_filled_is_not_whole(
    venvs: Path, lock: Path
) -> None:
    """So did PIP_TARGET leave them, for ever."""
    environment = fake(venvs, lock)
    shutil.rmtree(str(environment.home / "lib"))
    assert environment.problem() == "it lacks tiny-package==1.0"


def test_a_whole_environment_of_another_lock_is_left_alone(venvs: Path, lock: Path) -> None:
    first = fake(venvs, lock)
    lock.write_text("tiny-package==2.0\n")
    second = venv.Environment("tiny", VERSION, [lock])
    assert second.home != first.home and second.home.name.startswith("tiny-")
    assert second.problem() == "it is not made yet"
    (first.home / venv.MARKER).unlink()  # half made: nothing can be using it
    assert venv.Environment("tiny", VERSION, [lock]).home == first.home


def test_a_folder_that_cannot_be_written_to_is_named_with_the_variable_that_names_another(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAP_VENVS", "/proc/nothing/here")
    with pytest.raises(KitError, match=r"/proc/nothing/here: cannot .*LEAP_VENVS=folder"):
        venv.ready("tiny", VERSION, [lock])


def test_a_home_folder_is_written_out(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("LEAP_VENVS", "~/venvs")
    assert venv.folder() == Path("/home/me/venvs")


def test_settings_that_say_where_packages_come_from_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = (
        "global.index-url='https://user:pass@index/simple'\nglobal.find-links='\\n/a\\n/b'\n"
        "global.timeout='9'\ninstall.timeout='60'\ninstall.target='/elsewhere'\nlist.format='x'\n"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CERT", "/ca.pem")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/etc/mine.conf")
    monkeypatch.setattr(machine, "output_of", lambda *_: listed)
    env = {k: v for k, v in pip.variables("python").items() if k.startswith("PIP_")}
    off = {name: "0" for name in ("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_DRY_RUN")}
    assert env == {
        **off,
        "PIP_CERT": "/ca.pem",
        "PIP_INDEX_URL": "https://user:pass@index/simple",
        "PIP_FIND_LINKS": "/a /b",
        "PIP_TIMEOUT": "60",
        "PIP_CONFIG_FILE": os.devnull,
    }
    # Files without a harmful setting are left as they are: pip reads them itself.
    monkeypatch.setattr(machine, "output_of", lambda *_: "global.index-url='https://index'\n")
    env = {k: v for k, v in pip.variables("python").items() if k.startswith("PIP_")}
    assert env == {**off, "PIP_CERT": "/ca.pem", "PIP_CONFIG_FILE": "/etc/mine.conf"}


@pytest.mark.process
def test_an_interpreter_is_found_whatever_steers_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PYTHON_{VERSION.replace('.', '_')}", sys.executable)
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert TRUE_INTERPRETER(VERSION) == sys.executable
