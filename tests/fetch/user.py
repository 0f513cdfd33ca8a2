"""A user of `make fetch`: a process of its own, which reaches the fake internet.

The clients call the addresses that they always call. HTTPS_PROXY leads them to this machine and
SSL_CERT_FILE makes them trust its certificate, as for a user behind a company's proxy. Nothing of
the clients or of fetch/ is patched.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Optional

from launch import registry
from tests.conftest import REPOSITORY
from tests.fetch.fake_internet import HF_TOKEN, KEY, SIGNATURE, TOKEN, USER, Internet

MEMBERS = tuple(registry.members())


@dataclasses.dataclass
class User:
    """A user at a terminal, with a data folder, a folder of checkpoints and a home."""

    python: Path
    internet: Internet
    home: Path

    @property
    def raw(self) -> Path:
        return self.home / "raw_data"

    @property
    def weights(self) -> Path:
        return self.home / "weights"

    @property
    def steps(self) -> Path:
        return self.raw / "ClimSim_low-res" / "train"

    def environment(self, **more: str) -> Dict[str, str]:
        proxy = f"http://127.0.0.1:{self.internet.port}"
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "shared"), str(REPOSITORY)]),
            "HTTPS_PROXY": proxy,
            "SSL_CERT_FILE": self.internet.certificate + ".crt",
            "KAGGLE_USERNAME": USER,
            "KAGGLE_KEY": KEY,
        }
        return {name: value for name, value in dict(env, **more).items() if value}

    def start(
        self, *arguments: str, raw: Optional[Path] = None, **more: str
    ) -> subprocess.Popen[str]:
        command = [str(self.python), "-m", "fetch", "--raw-data", str(raw or self.raw)]
        for member in MEMBERS:
            command += ["--weights", f"{member}={self.weights}"]
        return subprocess.Popen(
            command + list(arguments),
            env=self.environment(**more),
            cwd=str(REPOSITORY),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def fetch(self, *arguments: str, code: int = 0, raw: Optional[Path] = None, **more: str) -> str:
        """Run to the end; check the code, and that no traceback and no secret is printed."""
        process = self.start(*arguments, raw=raw, **more)
        try:
            text = process.communicate(timeout=240)[0]
        finally:
            process.kill()
        assert process.returncode == code, text
        assert "Traceback" not in text and "Error(" not in text, text
        for secret in (KEY, TOKEN, HF_TOKEN, SIGNATURE, "Signature="):
            assert secret not in text, text
        return text

    def refuses(self, *arguments: str, raw: Optional[Path] = None, **more: str) -> str:
        """Run to a refusal, which is one sentence with a remedy."""
        text = self.fetch(*arguments, code=2, raw=raw, **more)
        errors = [line for line in text.splitlines() if line.startswith("error: ")]
        assert errors and all(line.endswith(".") and "; " in line for line in errors), text
        return text


def final_files(folder: Path) -> Dict[str, bytes]:
    """Return the contents of all files below a folder that have their final names."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".partial-" not in str(path)
    }


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come to that in {seconds:.0f} s"
        time.sleep(0.02)
