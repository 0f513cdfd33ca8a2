"""`make fetch` as a process of its own, against servers on 127.0.0.1.

The clients call the addresses that they always call. HTTPS_PROXY leads them to this machine and SSL_CERT_FILE makes them
trust its certificate: what a user behind a company's proxy sets, and nothing of the clients or of the room is patched.
The servers answer in the forms that the installed clients ask for (Kaggle's DownloadDataFile and its redirect to Google's
storage; the hub's tree, resolve and redirect; Google Drive's folder page, its warning page and its download).
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import html
import io
import json
import os
import pickle
import re
import shutil
import signal
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
import pytest

from launch import registry, stacks
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError
from tests.conftest import REPOSITORY
from tests.helpers import crafted

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="the room has one stack, tested beside Python 3.11"
)

HOSTS = (
    "api.kaggle.com",
    "storage.googleapis.com",
    "huggingface.co",
    "cdn-lfs.hf.co",
    "raw.githubusercontent.com",
    "drive.google.com",
    "drive.usercontent.google.com",
)
USER, KEY, HF_TOKEN, SIGNATURE = (
    "somebody",
    "kaggle-key-1f2e",
    "hf_secretsecret",
    "X-Goog-Signature=c0ffee",
)
MONTH = "0008-02"
MEMBERS = tuple(registry.members())


# The servers -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Seen:
    """One request that came in, and how many bytes of content went out."""

    method: str
    host: str
    path: str
    headers: Dict[str, str]
    sent: int = 0

    @property
    def range(self) -> str:
        return self.headers.get("range", "")


@dataclasses.dataclass
class Internet:
    """What the hosts hold and how they misbehave.

    kaggle      file name -> content as it is served; a zip where it begins as one
    hub         path in the data set -> content
    raw         path on raw.githubusercontent.com -> content
    drive       file id -> (name, content);  folders: id -> [(kind, id, name)]
    status      (host, a part of the path) -> HTTP status instead of an answer
    busy        a part of the path -> how often it is answered 429, ask again in a second
    barred      ids that Google Drive shows a page about instead of handing them out
    cut         a part of the path -> bytes after which connections break, one by one
    hold        a part of the path -> bytes after which a transfer waits for `released`
    """

    kaggle: Dict[str, bytes] = dataclasses.field(default_factory=dict)
    hub: Dict[str, bytes] = dataclasses.field(default_factory=dict)
    raw: Dict[str, bytes] = dataclasses.field(default_factory=dict)
    drive: Dict[str, Tuple[str, bytes]] = dataclasses.field(default_factory=dict)
    folders: Dict[str, List[Tuple[str, str, str]]] = dataclasses.field(default_factory=dict)
    status: Dict[Tuple[str, str], int] = dataclasses.field(default_factory=dict)
    busy: Dict[str, int] = dataclasses.field(default_factory=dict)
    barred: List[str] = dataclasses.field(default_factory=list)
    cut: Dict[str, List[int]] = dataclasses.field(default_factory=dict)
    hold: Dict[str, int] = dataclasses.field(default_factory=dict)
    stated: Dict[str, str] = dataclasses.field(
        default_factory=dict
    )  # file name -> sha256 or MD5 that is no file's
    released: threading.Event = dataclasses.field(default_factory=threading.Event)
    on_content: Optional[Callable[[str], None]] = None
    seen: List[Seen] = dataclasses.field(default_factory=list)
    port: int = 0
    certificate: str = ""

    def contents(self) -> List[Seen]:
        """The requests that content was sent for."""
        return [seen for seen in self.seen if seen.sent]

    def of(self, part: str) -> List[Seen]:
        return [seen for seen in self.contents() if part in seen.path]


class Writer(io.BufferedIOBase):
    """All of what is written goes out: a socket's own file may take a part of it."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self._connection.sendall(content)
        return len(content)


class Handler(BaseHTTPRequestHandler):
    """A proxy that is every host itself."""

    protocol_version = "HTTP/1.1"
    internet: Internet
    host = "127.0.0.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.host = self.path.split(":")[0]
        if self.host not in HOSTS:
            return self.send_error(502)
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.internet.certificate)
        try:
            self.connection = context.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):
            self.close_connection = True
            return None
        self.rfile, self.wfile = self.connection.makefile("rb"), Writer(self.connection)  # type: ignore[assignment]
        self.close_connection = False  # which Python's CONNECT, of HTTP/1.0, has set
        return None

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_GET

    def _answer(self) -> None:
        seen = Seen(
            self.command, self.host, self.path, {k.lower(): v for k, v in self.headers.items()}
        )
        self.internet.seen.append(seen)
        for (host, part), status in self.internet.status.items():
            if host in ("", self.host) and part in self.path:
                return self._send(
                    status,
                    json.dumps({"code": status, "message": "no, and the key is " + KEY}).encode(),
                )
        for part, times in self.internet.busy.items():
            if part in self.path and times:
                self.internet.busy[part] -= 1
                return self._send(429, b"{}", Retry_After="1")
        answer = {
            "api.kaggle.com": self._kaggle,
            "storage.googleapis.com": self._storage,
            "huggingface.co": self._hub,
            "127.0.0.1": self._hub,
            "cdn-lfs.hf.co": self._cdn,
            "raw.githubusercontent.com": self._raw,
            "drive.google.com": self._drive,
            "drive.usercontent.google.com": self._drive_content,
        }[self.host]
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            answer(seen)
        return None

    def _send(
        self, status: int, body: bytes = b"", kind: str = "application/json", **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in dict(headers, Content_Type=kind, Content_Length=str(len(body))).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _content(self, seen: Seen, body: bytes, etag: str, **headers: str) -> None:
        """A file with Range and If-Range; breaks off or waits where the test says so."""
        start, total = 0, len(body)
        match = re.match(r"bytes=(\d+)-$", seen.range)
        if match and seen.headers.get("if-range", etag) == etag:
            start = int(match[1])
        self.send_response(206 if start else 200)
        for name, value in dict(
            headers,
            ETag=etag,
            Accept_Ranges="bytes",
            Content_Type="application/octet-stream",
            Content_Length=str(total - start),
        ).items():
            self.send_header(name.replace("_", "-"), value)
        if start:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, total - 1, total))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.internet.on_content:
            self.internet.on_content(self.path)
        seen.sent = 1  # asked for, whatever is taken
        for part, ends in self.internet.cut.items():
            if part in self.path and ends:
                return self._break(seen, body[start : start + ends.pop(0)])
        for part, end in self.internet.hold.items():
            if part in self.path and not self.internet.released.is_set():
                self.wfile.write(body[start : start + end])
                seen.sent = end
                self.internet.released.wait(60)
                return self._break(seen, b"")
        self.wfile.write(body[start:])
        seen.sent = max(1, total - start)
        return None

    def _break(self, seen: Seen, body: bytes) -> None:
        self.wfile.write(body)
        seen.sent = max(1, len(body))
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def _kaggle(self, seen: Seen) -> None:
        if seen.path != "/v1/competitions.CompetitionApiService/DownloadDataFile":
            return self._send(404, b"{}")
        wanted = base64.b64encode((f"{USER}:{KEY}").encode()).decode()
        if seen.headers.get("authorization") != "Basic " + wanted:
            return self._send(401, b'{"code": 401, "message": "Unauthenticated"}')
        asked = json.loads(self.body)
        assert asked["competitionName"] == "leap-atmospheric-physics-ai-climsim", asked
        content = self.internet.kaggle.get(asked["fileName"])
        if content is None:
            return self._send(404, b'{"code": 404, "message": "Not found"}')
        name = asked["fileName"] + (".zip" if content[:2] == b"PK" else "")
        return self._send(
            302, Location=f"https://storage.googleapis.com/kaggle-data/{name}?{SIGNATURE}"
        )

    def _storage(self, seen: Seen) -> None:
        assert "authorization" not in seen.headers and SIGNATURE in seen.path
        name = seen.path.split("?")[0].rsplit("/", 1)[1]
        body = self.internet.kaggle[name[:-4] if name.endswith(".zip") else name]
        md5 = (
            self.internet.stated.get(name) or base64.b64encode(hashlib.md5(body).digest()).decode()
        )
        self._content(
            seen,
            body,
            f'"{hashlib.md5(body).hexdigest()}"',
            x_goog_hash="crc32c=AAAAAA==, md5=" + md5,
            Last_Modified="Tue, 30 Apr 2024 12:00:00 GMT",
        )

    def _hub(self, seen: Seen) -> None:
        assert seen.headers.get("authorization") in (None, "Bearer " + HF_TOKEN)
        url = urllib.parse.urlsplit(seen.path)
        tree = "/api/datasets/LEAP/ClimSim_low-res/tree/main/"
        resolve = "/datasets/LEAP/ClimSim_low-res/resolve/main/"
        if url.path.startswith(tree):
            return self._tree(
                urllib.parse.unquote(url.path[len(tree) :]), urllib.parse.parse_qs(url.query)
            )
        name = urllib.parse.unquote(url.path[len(resolve) :])
        if not url.path.startswith(resolve) or name not in self.internet.hub:
            return self._send(404, b"{}", X_Error_Code="EntryNotFound")
        if self.host == "127.0.0.1":
            return self._content(
                seen,
                self.internet.hub[name],
                f'"{hashlib.sha256(self.internet.hub[name]).hexdigest()}"',
            )
        return self._send(302, Location=f"https://cdn-lfs.hf.co/{name}?Signature=abc")

    def _tree(self, folder: str, query: Dict[str, List[str]]) -> None:
        names = sorted(name for name in self.internet.hub if name.startswith(folder + "/"))
        if not names:
            return self._send(404, b"{}", X_Error_Code="EntryNotFound")
        start = int(query.get("cursor", ["0"])[0])
        entries = (
            [{"type": "directory", "oid": "0" * 40, "size": 0, "path": folder + "/old"}]
            if start == 0
            else []
        )
        for name in names[start : start + 1000]:
            body = self.internet.hub[name]
            digest = (
                self.internet.stated.get(name.rsplit("/", 1)[1]) or hashlib.sha256(body).hexdigest()
            )
            entries.append(
                {
                    "type": "file",
                    "oid": "1" * 40,
                    "size": len(body),
                    "path": name,
                    "lfs": {"oid": digest, "size": len(body), "pointerSize": 134},
                }
            )
        more = {}
        if names[start + 1000 :]:
            scheme = (
                "http://127.0.0.1:%d" % self.internet.port
                if self.host == "127.0.0.1"
                else "https://huggingface.co"
            )
            more = {
                "Link": '<%s%s?cursor=%d>; rel="next"'
                % (scheme, self.path.split("?")[0], start + 1000)
            }
        return self._send(200, json.dumps(entries).encode(), **more)

    def _cdn(self, seen: Seen) -> None:
        assert "authorization" not in seen.headers
        body = self.internet.hub[urllib.parse.unquote(seen.path.split("?")[0][1:])]
        self._content(seen, body, f'"{hashlib.sha256(body).hexdigest()}"')

    def _raw(self, seen: Seen) -> None:
        body = self.internet.raw.get(seen.path)
        if body is None:
            return self._send(404, b"404: Not Found", "text/plain")
        seen.sent = len(body)
        if self.internet.on_content:
            self.internet.on_content(self.path)
        return self._send(200, body, "text/plain")

    def _drive(self, seen: Seen) -> None:
        url = urllib.parse.urlsplit(seen.path)
        identity = urllib.parse.parse_qs(url.query)["id"][0]
        if url.path == "/embeddedfolderview":
            if identity not in self.internet.folders:
                return self._send(404, b"", "text/html")
            links = {
                "folder": "https://drive.google.com/drive/folders/%s",
                "file": "https://drive.google.com/file/d/%s/view",
            }
            rows = "".join(
                f'<div class="flip-entry"><a href="{links[kind] % own}" target="_blank"><div>{html.escape(name)}</div></a></div>'
                for kind, own, name in self.internet.folders[identity]
            )
            return self._send(
                200,
                (f"<html><head><title>weights</title></head><body>{rows}</body></html>").encode(),
                "text/html; charset=utf-8",
            )
        assert url.path == "/uc", seen.path
        if identity in self.internet.barred:
            return self._send(
                200,
                b'<p class="uc-error-subcaption">Too many users have viewed this file recently.</p>',
                "text/html; charset=utf-8",
            )
        page = (
            '<html><body><form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
            '<input type="hidden" name="id" value="%s"><input type="hidden" name="confirm" value="t"></form></body>'
        )
        return self._send(200, (page % identity).encode(), "text/html; charset=utf-8")

    def _drive_content(self, seen: Seen) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(seen.path).query)
        assert query["confirm"] == ["t"]
        name, body = self.internet.drive[query["id"][0]]
        self._content(
            seen,
            body,
            f'"{hashlib.md5(body).hexdigest()}"',
            Content_Disposition=f'attachment; filename="{name}"',
        )


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of all hosts, its own authority."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, so there is no certificate for the servers")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=tests",
            "-addext",
            "subjectAltName=" + ",".join("DNS:" + host for host in HOSTS),
            "-keyout",
            str(path),
            "-out",
            str(path) + ".crt",
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + Path(str(path) + ".crt").read_bytes())
    return path


@pytest.fixture
def internet(certificate: Path) -> Iterator[Internet]:
    world = Internet(certificate=str(certificate))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"internet": world}))
    server.daemon_threads = True
    world.port = server.server_address[1]
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    yield world
    world.released.set()
    server.shutdown()
    server.server_close()


# The room --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def room() -> Path:
    """The python of the room's own environment, from its lock."""
    from launch import environments

    try:
        return environments.ready("fetch", stacks.BLEND_PYTHON, [stacks.lock("fetch")])
    except KitError as error:
        pytest.skip(f"the fetch environment cannot be made here: {error}")


@dataclasses.dataclass
class User:
    """Somebody at a terminal: a data folder, a folder of checkpoints, a home."""

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
        proxy = "http://127.0.0.1:%d" % self.internet.port
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
        """Runs to the end and checks what every run owes: its code, no traceback, no secret."""
        process = self.start(*arguments, raw=raw, **more)
        try:
            text = process.communicate(timeout=240)[0]
        finally:
            process.kill()
        assert process.returncode == code, text
        assert "Traceback" not in text and "Error(" not in text, text
        for secret in (KEY, HF_TOKEN, SIGNATURE, "Signature="):
            assert secret not in text, text
        return text

    def refuses(self, *arguments: str, raw: Optional[Path] = None, **more: str) -> str:
        """Runs to a refusal: one sentence, with a remedy."""
        text = self.fetch(*arguments, code=2, raw=raw, **more)
        errors = [line for line in text.splitlines() if line.startswith("error: ")]
        assert errors and all(line.endswith(".") and "; " in line for line in errors), text
        return text


@pytest.fixture
def user(room: Path, internet: Internet, tmp_path: Path) -> User:
    (tmp_path / "home").mkdir()
    return User(room, internet, tmp_path / "home")


def results(folder: Path) -> Dict[str, bytes]:
    """Everything below a folder that has a final name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".partial-" not in str(path)
    }


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come to that in {seconds:.0f} s"
        time.sleep(0.02)


# Data ------------------------------------------------------------------------------------------------------------------


def whole_month(month: str = MONTH) -> List[str]:
    return [
        "E3SM-MMF.%s.%s-%02d-%05d.nc" % (kind, month, day, seconds)
        for day in range(1, 29)
        for seconds in range(0, 86400, 1200)
        for kind in ("mli", "mlo")
    ]


class StepMaker:
    """Real small step files: one is written by the sample world, the instants of the others are put into its bytes."""

    def __init__(self, folder: Path, columns: int) -> None:
        pytest.importorskip("netCDF4")
        from leapkit.data.cdf5 import parse_header
        from leapkit.sampleworld.steptime import StepTime
        from leapkit.sampleworld.write import write_steps

        self._templates = {}
        for path in write_steps(folder, [StepTime(8, 2, 1, 0)], seed=5, columns=columns):
            content = path.read_bytes()
            variables = parse_header(content[: 1 << 16]).variables
            self._templates[path.name[9:12]] = (
                content,
                variables["ymd"].begin,
                variables["tod"].begin,
            )

    def file(self, name: str) -> bytes:
        content, ymd, tod = self._templates[name[9:12]]
        changed = bytearray(content)
        year, month, day, seconds = map(int, name[13:-3].split("-"))
        struct.pack_into(">i", changed, ymd, year * 10000 + month * 100 + day)
        struct.pack_into(">i", changed, tod, seconds)
        return bytes(changed)


@pytest.fixture(scope="session")
def tiny_steps(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, bytes]:
    """A whole month of one column: 4,032 files, 22 MB."""
    maker = StepMaker(tmp_path_factory.mktemp("one-column"), 1)
    return {name: maker.file(name) for name in whole_month()}


@pytest.fixture(scope="session")
def large_steps(tmp_path_factory: pytest.TempPathFactory) -> StepMaker:
    """Files of the published size."""
    return StepMaker(tmp_path_factory.mktemp("all-columns"), 384)


def offer(internet: Internet, files: Dict[str, bytes]) -> None:
    internet.hub.update((f"train/{name[13:20]}/{name}", content) for name, content in files.items())


def have(user: User, files: Dict[str, bytes], but: int = 0) -> Dict[str, bytes]:
    """Puts all files but the last few on the user's disk; returns those few."""
    folder = user.steps / MONTH
    folder.mkdir(parents=True)
    names = sorted(files)
    for name in names[: len(names) - but]:
        (folder / name).write_bytes(files[name])
    return {name: files[name] for name in names[len(names) - but :]}


def csv(columns: Tuple[str, ...], rows: int = 3) -> bytes:
    numbers = np.random.RandomState(rows).rand(rows, len(columns))
    lines = ["sample_id," + ",".join(columns)]
    lines += [
        "test_%d,%s" % (k, ",".join(map(repr, row))) for k, row in enumerate(numbers.tolist())
    ]
    return ("\n".join(lines) + "\n").encode()


def zipped(**files: bytes) -> bytes:
    """A zip of `name=content`, names with dots for underscores; stored, so that it is as long as its content."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


TEST, SUBMISSION, OLD = csv(INPUTS), csv(TARGETS, 4), csv(TARGETS, 5)


def competition(internet: Internet, test: bytes = b"") -> None:
    internet.kaggle = {
        "test.csv": test or zipped(**{"test.csv": TEST}),
        "sample_submission.csv": SUBMISSION,
        "sample_submission_old.csv": zipped(**{"sample_submission_old.csv": OLD}),
    }


def enough_disk(folder: Path, size: float) -> None:
    if shutil.disk_usage(str(folder)).free < size:
        pytest.skip(
            "less than %.1f GB of disk are free, which a real download would need" % (size / 1e9)
        )


def checkpoint(folder: Path, prefix: str, seed: int = 0) -> bytes:
    """A small whole state_dict as the team saved theirs."""
    path = crafted.write(
        folder / "some.pt",
        crafted.program({prefix + "weight": crafted.tensor()}),
        {"0": np.arange(seed, seed + 6, dtype="<f4").tobytes()},
    )
    content = path.read_bytes()
    path.unlink()
    return content


# The listing -----------------------------------------------------------------------------------------------------------


def test_without_what_it_lists_everything_and_changes_nothing(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    have(user, tiny_steps, but=3)
    folder = user.steps / MONTH
    (folder / "E3SM-MMF.mli.0008-02-30-00000.nc").write_bytes(b"")
    (folder / "notes of mine.txt").write_bytes(b"")
    damaged = folder / sorted(tiny_steps)[0]
    damaged.write_bytes(damaged.read_bytes()[:-8])
    (user.raw / "kaggle-data").mkdir()
    (user.raw / "kaggle-data" / "test.csv").write_bytes(TEST)
    before = {path: path.stat().st_mtime_ns for path in user.home.rglob("*")}
    text = user.fetch()
    assert {
        path: path.stat().st_mtime_ns for path in user.home.rglob("*")
    } == before and not user.internet.seen
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    assert lines["kaggle-data/test.csv"].split()[1:] == ["there"]
    assert (
        "missing, optional" in lines["kaggle-data/train.csv"]
        and "182.0 GB" in lines["kaggle-data/train.csv"]
    )
    assert "make fetch WHAT=statistics" in lines["statistics/fdzm/mean.json"]
    # The mli file of the first step is cut, the mlo files of the last three are not there.
    assert re.search(r"train/0008-02 +2012 of 2016 steps .*MONTHS=0008-02$", text, re.M), text
    assert re.search(
        r"train/0001-02 to 0008-01 +missing +.*make fetch WHAT=steps MONTHS=0001-02:0008-01$",
        text,
        re.M,
    ), text
    for note in (
        "odd name: E3SM-MMF.mli.0008-02-30-00000.nc",
        "odd name: notes of mine.txt",
        f"{damaged.name}: is truncated: ",
        "missing: 195.pt, 197.pt, 200.pt",
    ):
        assert note in text, text
    assert "raw_data/drop, then make fetch WHAT=drop" in text and "2nd-kaggle-LEAP" in text


def test_a_whole_month_is_told_as_whole_whatever_its_number_of_columns(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    have(user, tiny_steps)
    text = user.fetch("--months", MONTH)
    assert re.search(r"train/0008-02 +whole, 2016 steps$", text, re.M), text
    assert "0001-02" not in text


@pytest.mark.parametrize(
    "months",
    ["0008-13", "0008-02:0008-01", "8-1", "0008-01:", "0008-01,,0008-x", "0008-01:0008-02:3"],
)
def test_months_that_are_none_are_refused_with_an_example(user: User, months: str) -> None:
    text = user.refuses("--what", "steps", "--months", months)
    assert (
        "MONTHS: " in text
        and "write MONTHS=0008-01:0008-03,0009-01" in text
        and not user.raw.exists()
    )


def test_months_may_be_ranges_and_lists_and_stand_there_twice(user: User) -> None:
    text = user.fetch("--months", "0008-11:0009-01, 0008-12 0001-02")
    assert re.findall(r"train/(.*?) +missing .* MONTHS=(.*)$", text, re.M) == [
        ("0001-02", "0001-02"),
        ("0008-11 to 0009-01", "0008-11:0009-01"),
    ]


def test_a_reader_that_has_seen_enough_is_no_error_of_the_kit(user: User) -> None:
    process = user.start()
    assert process.stdout is not None
    process.stdout.close()  # long before its first line; a traceback would end it with code 1
    assert process.wait(timeout=60) == 3


def test_words_that_name_nothing_and_steps_without_months_are_refused(user: User) -> None:
    assert "WHAT: 'everything' is nothing that can be fetched; choose from kaggle" in user.refuses(
        "--what", "everything"
    )
    assert "MONTHS: which months?" in user.refuses("--what", "statistics steps")
    assert "drop folder is missing" in user.refuses("--what", "drop")


# Hugging Face ----------------------------------------------------------------------------------------------------------


def test_a_month_is_fetched_once(user: User, tiny_steps: Dict[str, bytes]) -> None:
    enough_disk(user.home, 6.5e9)
    offer(user.internet, tiny_steps)
    text = user.fetch("--what", "steps", "--months", MONTH, HF_TOKEN=HF_TOKEN)
    assert results(user.steps / MONTH) == tiny_steps and not list(user.raw.rglob(".partial-*"))
    assert (
        "4032 files to fetch in 1 months, about 6.1 GB" in text
        and "nothing that was asked for is missing" in text
    )
    assert len(user.internet.contents()) == 4032
    asked = [seen for seen in user.internet.seen if seen.host == "huggingface.co"]
    assert [
        seen for seen in asked if seen.headers.get("authorization") != "Bearer " + HF_TOKEN
    ] == []
    user.internet.seen.clear()
    text = user.fetch("--what", "steps", "--months", MONTH)
    assert not user.internet.seen and "0008-02 is there, 2016 steps" in text


def test_only_what_is_missing_is_asked_for_also_at_another_endpoint(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    offer(user.internet, tiny_steps)
    few = have(user, tiny_steps, but=5)
    user.fetch(
        "--what",
        "steps",
        "--months",
        MONTH,
        HTTPS_PROXY="",
        HF_ENDPOINT="http://127.0.0.1:%d" % user.internet.port,
    )
    assert sorted(seen.path.rsplit("/", 1)[1] for seen in user.internet.contents()) == sorted(few)
    assert {seen.host for seen in user.internet.seen} == {"127.0.0.1"} and results(
        user.steps / MONTH
    ) == tiny_steps


def one_large_file(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> Tuple[str, bytes]:
    """A month of which one file of the published size is missing."""
    name = "E3SM-MMF.mlo.0008-02-28-85200.nc"
    files = dict(tiny_steps, **{name: large_steps.file(name)})
    offer(user.internet, files)
    have(user, files, but=1)
    return name, files[name]


def test_a_cut_transfer_goes_on_where_it_ended(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, content = one_large_file(user, tiny_steps, large_steps)
    user.internet.cut[name] = [600_000, 300_000]
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content
    starts = [int(seen.range[6:-1] or 0) for seen in user.internet.of(name)]
    assert len(starts) == 3 and 0 == starts[0] < starts[1] <= 600_000 < starts[2] <= 900_000, starts
    assert sum(seen.sent for seen in user.internet.of(name)) < len(content) + 2 * (1 << 17) + 1


def half_way(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> Tuple[str, bytes, Path, subprocess.Popen[str]]:
    """A run whose server falls silent in the middle of a file: its name, content, unfinished part and process."""
    name, content = one_large_file(user, tiny_steps, large_steps)
    user.internet.hold[name] = 700_000
    process = user.start("--what", "steps", "--months", MONTH)
    part = user.steps / MONTH / (".partial-" + name)
    until(lambda: part.exists() and part.stat().st_size > 500_000)
    return name, content, part, process


def test_a_killed_transfer_goes_on_where_it_ended(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, content, part, process = half_way(user, tiny_steps, large_steps)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (user.steps / MONTH / name).exists()
    size = part.stat().st_size
    assert content.startswith(part.read_bytes()) and size > 500_000
    user.internet.released.set()
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content and not part.exists()
    assert [seen.range for seen in user.internet.of(name)] == ["", "bytes=%d-" % size]


def test_a_beginning_of_another_file_is_noticed_and_fetched_anew(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, content = one_large_file(user, tiny_steps, large_steps)
    (user.steps / MONTH / (".partial-" + name)).write_bytes(b"x" * 10_000)
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content
    assert [seen.range for seen in user.internet.of(name)] == ["bytes=10000-", ""]


def test_an_unfinished_name_that_is_a_users_file_is_not_written_through(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    offer(user.internet, tiny_steps)
    name = next(iter(have(user, tiny_steps, but=1)))
    own = user.home / "mine.nc"
    own.write_bytes(b"mine")
    os.link(str(own), str(user.steps / MONTH / (".partial-" + name)))  # what a killed drop leaves
    user.fetch("--what", "steps", "--months", MONTH)
    assert (
        own.read_bytes() == b"mine" and (user.steps / MONTH / name).read_bytes() == tiny_steps[name]
    )


def test_a_wrong_sha256_costs_that_file_and_no_other(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    offer(user.internet, tiny_steps)
    few = have(user, tiny_steps, but=6)
    name = sorted(few)[2]
    user.internet.stated[name] = "0" * 64
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert f"{name}: had another sha256 than the hub states, and was removed" in text
    assert "still missing: ClimSim_low-res/train/0008-02 (2015 of 2016 steps)" in text
    assert set(tiny_steps) - set(results(user.steps / MONTH)) == {name} and not list(
        user.raw.rglob(".partial-*")
    )
    user.internet.stated.clear()
    user.fetch("--what", "steps", "--months", MONTH)
    assert results(user.steps / MONTH) == tiny_steps


def test_a_file_that_is_no_such_step_is_not_let_in(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    few = have(user, tiny_steps, but=2)
    first, second = sorted(few)
    offer(
        user.internet,
        dict(
            tiny_steps,
            **{first: tiny_steps[first][:-8], second: tiny_steps[sorted(tiny_steps)[2020]]},
        ),
    )
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert f"{first}: the hub's file is no such step: is truncated" in text
    assert f"{second}: the hub's file is no such step: holds the step 0008-02" in text
    assert not {first, second} & set(os.listdir(str(user.steps / MONTH))) and not list(
        user.raw.rglob(".partial-*")
    )


def test_a_damaged_file_that_is_there_is_named_and_never_written_over(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    offer(user.internet, tiny_steps)
    few = have(user, tiny_steps, but=2)
    damaged = user.steps / MONTH / sorted(tiny_steps)[7]
    damaged.write_bytes(b"not a step file")
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert (
        f"{damaged}: is not a CDF-5 file" in text
        and "remove it" in text
        and damaged.read_bytes() == b"not a step file"
    )
    assert all((user.steps / MONTH / name).exists() for name in few), "the others are fetched"


@pytest.mark.parametrize(
    "status, words",
    [
        (401, "the hub does not accept HF_TOKEN"),
        (403, "the hub refuses"),
        (404, "the hub does not have it"),
        (418, "the server fails (HTTP 418)"),
    ],
)
def test_refusals_of_the_hub_are_one_sentence(
    user: User, tiny_steps: Dict[str, bytes], status: int, words: str
) -> None:
    offer(user.internet, tiny_steps)
    have(user, tiny_steps, but=3)
    user.internet.status["huggingface.co", "/tree/"] = status
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert words in text and "HTTP %d" % status in text and text.count("error: ") == 1
    user.internet.status = {("cdn-lfs.hf.co", ""): status}
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert words in text and text.count("error: ") <= 3
    assert set(results(user.steps / MONTH)) == set(sorted(tiny_steps)[:-3])


def test_a_month_that_the_hub_lacks_does_not_keep_the_next_from_coming(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    enough_disk(user.home, 13e9)
    offer(
        user.internet,
        {name: content for name, content in tiny_steps.items() if name != sorted(tiny_steps)[-1]},
    )
    have(user, tiny_steps, but=4)
    text = user.refuses("--what", "steps", "--months", "0008-01:0008-02")
    assert "train/0008-01 of LEAP/ClimSim_low-res: the hub does not have it" in text
    assert (
        f"0008-02: the hub does not list 1 of its files, such as {sorted(tiny_steps)[-1]}" in text
    )
    assert len(results(user.steps / MONTH)) == 4031


def test_without_a_network_one_sentence_says_so(user: User, tiny_steps: Dict[str, bytes]) -> None:
    have(user, tiny_steps, but=4)
    text = user.refuses(
        "--what",
        "steps statistics kaggle weights",
        "--months",
        MONTH,
        "--drive",
        "1" * 33,
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    for where in (
        "train/0008-02 of LEAP/ClimSim_low-res",
        "test.csv",
        "adam_part/data/middle_result/mean.json",
        "Google Drive",
    ):
        assert f"error: {where}: the network does not answer: the connection is refused" in text, (
            text
        )
    assert text.count("error: ") == 4


def test_a_certificate_of_a_stranger_is_told_as_that(user: User) -> None:
    text = user.refuses("--what", "statistics", SSL_CERT_FILE="")
    assert "a TLS certificate is not trusted (SSL_CERT_FILE" in text


def test_servers_that_are_busy_are_asked_again(user: User, tiny_steps: Dict[str, bytes]) -> None:
    enough_disk(user.home, 7.5e9)
    offer(user.internet, tiny_steps)
    have(user, tiny_steps, but=3)
    competition(user.internet)
    user.internet.busy = {"/tree/": 1, "resolve": 2, "DownloadDataFile": 1, "test.csv.zip": 1}
    text = user.fetch("--what", "steps kaggle", "--months", MONTH)
    assert (
        results(user.steps / MONTH) == tiny_steps
        and "429" not in text
        and not any(user.internet.busy.values())
    )


# Kaggle ----------------------------------------------------------------------------------------------------------------


def test_the_competitions_files_come_zipped_or_not_and_once(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    competition(user.internet)
    text = user.fetch("--what", "kaggle")
    assert results(user.raw) == {
        "kaggle-data/test.csv": TEST,
        "kaggle-data/sample_submission.csv": SUBMISSION,
        "kaggle-data/sample_submission_old.csv": OLD,
    }
    assert "test.csv: about 6.9 GB" in text and not list(user.raw.rglob(".partial-*"))
    assert len(user.internet.contents()) == 3, "train.csv was not asked for"
    user.internet.seen.clear()
    user.fetch(
        "--what", "kaggle", KAGGLE_KEY=""
    )  # nothing is missing, so nobody is asked who it is
    assert not user.internet.seen


def test_train_csv_comes_only_when_it_is_asked_for(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    competition(user.internet)
    user.internet.kaggle["train.csv"] = zipped(**{"train.csv": csv(INPUTS + TARGETS)})
    user.fetch("--what", "kaggle")
    assert not (user.raw / "kaggle-data" / "train.csv").exists()
    text = user.refuses("--what", "train.csv")
    assert "train.csv needs 182.00 GB" in text, "less than that is free here"


def slow_test_csv(user: User) -> bytes:
    """A test.csv whose zip is some megabytes long: the client writes a megabyte at a time."""
    enough_disk(user.home, 7.5e9)
    content = csv(INPUTS, 400)
    competition(user.internet, zipped(**{"test.csv": content}))
    (user.raw / "kaggle-data").mkdir(parents=True)
    for name, other in (("sample_submission.csv", SUBMISSION), ("sample_submission_old.csv", OLD)):
        (user.raw / "kaggle-data" / name).write_bytes(other)
    assert len(user.internet.kaggle["test.csv"]) > 4_000_000
    return content


def kaggle_ranges(user: User) -> List[int]:
    return [int(seen.range[6:-1]) for seen in user.internet.contents() if seen.range]


def test_a_cut_download_from_kaggle_goes_on_with_a_range_request(user: User) -> None:
    content = slow_test_csv(user)
    user.internet.cut["test.csv.zip"] = [2_500_000]
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content
    assert len(kaggle_ranges(user)) == 1 and 2_000_000 <= kaggle_ranges(user)[0] <= 2_500_000
    assert [seen.headers["if-range"] for seen in user.internet.contents() if seen.range]


def kill_in_the_middle(user: User) -> Path:
    user.internet.hold["test.csv.zip"] = 2_500_000
    process = user.start("--what", "kaggle")
    part = user.raw / ".partial-fetch" / "test.csv.download"
    until(lambda: part.exists() and part.stat().st_size >= 2_000_000)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    user.internet.released.set()
    assert not (user.raw / "kaggle-data" / "test.csv").exists() and part.exists()
    return part


def test_a_killed_download_from_kaggle_goes_on_with_a_range_request(user: User) -> None:
    content = slow_test_csv(user)
    size = kill_in_the_middle(user).stat().st_size
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content and kaggle_ranges(
        user
    ) == [size]
    assert not (user.raw / ".partial-fetch").exists()


def test_a_server_that_falls_silent_is_asked_again(user: User) -> None:
    content = slow_test_csv(user)
    user.internet.hold["test.csv.zip"] = 2_500_000
    user.internet.on_content = lambda path: (
        user.internet.hold.clear() if user.internet.of("test.csv.zip") else None
    )
    code = (
        "import sys; from fetch import competition; competition.SILENCE = 1.5; from fetch.__main__ import main; "
        "from leapkit.core.errors import run_cli; run_cli(main, sys.argv[1:])"
    )
    command = [str(user.python), "-c", code, "--raw-data", str(user.raw), "--what", "kaggle"]
    command += [word for member in MEMBERS for word in ("--weights", f"{member}={user.weights}")]
    done = subprocess.run(
        command,
        env=user.environment(),
        cwd=str(REPOSITORY),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content and len(
        kaggle_ranges(user)
    ) == 1


def test_a_file_that_changed_on_kaggle_meanwhile_is_fetched_anew(user: User) -> None:
    slow_test_csv(user)
    kill_in_the_middle(user)
    content = csv(INPUTS, 401)
    user.internet.kaggle["test.csv"] = zipped(**{"test.csv": content})
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content and kaggle_ranges(
        user
    ) == []


def test_a_run_killed_between_download_and_unpacking_refetches_nothing(user: User) -> None:
    content = slow_test_csv(user)
    # What such a run leaves: the whole zip with its server's time, and half a CSV.
    part = user.raw / ".partial-fetch" / "test.csv.download"
    part.parent.mkdir()
    part.write_bytes(user.internet.kaggle["test.csv"])
    modified = time.mktime(
        time.strptime("2024-04-30 12:00:00", "%Y-%m-%d %H:%M:%S")
    )  # as Kaggle's client sets it
    os.utime(part, (modified, modified))
    (user.raw / "kaggle-data" / ".partial-test.csv").write_bytes(content[:1000])
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content
    assert [seen.sent for seen in user.internet.contents()] == [1], (
        "it is asked for its length and hash, and not read"
    )


@pytest.mark.parametrize(
    "damage, words",
    [
        ("truncated", "is a truncated or damaged zip"),
        ("flipped", "its part test.csv is damaged"),
        ("other", "holds no test.csv"),
        ("cut csv", "is cut off in the middle of its last line"),
        ("html", "the column sample_id is missing (557 of 557 are)"),
        ("cut csv in zip", "is cut off in the middle of its last line"),
        ("md5", "had another MD5 than its server states"),
    ],
)
def test_a_damaged_download_is_removed_and_never_named_a_csv(
    user: User, damage: str, words: str
) -> None:
    enough_disk(user.home, 7.5e9)
    good = zipped(**{"test.csv": TEST})
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    competition(
        user.internet,
        {
            "truncated": good[:-40],
            "flipped": bytes(flipped),
            "other": zipped(**{"train.csv": TEST}),
            "cut csv": TEST[:-3],
            "html": b"<html>sign in</html>\n",
            "cut csv in zip": zipped(**{"test.csv": TEST[:-3]}),
            "md5": good,
        }[damage],
    )
    if damage == "md5":
        user.internet.stated["test.csv.zip"] = "AAAA"
    text = user.refuses("--what", "kaggle")
    assert words in text and "removed" in text and "still missing: kaggle-data/test.csv" in text
    assert sorted(results(user.raw)) == [
        "kaggle-data/sample_submission.csv",
        "kaggle-data/sample_submission_old.csv",
    ]
    assert not list(user.raw.rglob("*.download")) and not list(user.raw.rglob(".partial-*.csv"))
    competition(user.internet)
    user.internet.stated.clear()
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == TEST


@pytest.mark.parametrize(
    "status, words",
    [
        (
            401,
            "Kaggle does not accept these credentials (HTTP 401); make a token on https://www.kaggle.com/settings",
        ),
        (
            403,
            "has not accepted the competition's rules (HTTP 403); accept them on https://www.kaggle.com/competitions/leap",
        ),
        (404, "Kaggle does not have this file"),
    ],
)
def test_refusals_of_kaggle_are_one_sentence(user: User, status: int, words: str) -> None:
    enough_disk(user.home, 7.5e9)
    competition(user.internet)
    user.internet.status["api.kaggle.com", ""] = status
    assert words in user.refuses("--what", "kaggle") and not results(user.raw)


def test_without_credentials_nobody_is_asked(user: User) -> None:
    text = user.refuses("--what", "kaggle", KAGGLE_USERNAME="", KAGGLE_KEY="")
    assert "Kaggle: there are no credentials; make a token" in text and not user.internet.seen
    assert text.count("error: ") == 1


def test_a_key_file_is_read_as_kaggles_client_does(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    competition(user.internet)
    (user.home / ".kaggle").mkdir()
    (user.home / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": USER, "key": KEY}))
    (user.home / ".kaggle" / "kaggle.json").chmod(0o600)
    user.fetch("--what", "kaggle", KAGGLE_USERNAME="", KAGGLE_KEY="")
    assert len(results(user.raw)) == 3


def test_a_missing_old_weights_file_names_the_teams_own(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    competition(user.internet)
    del user.internet.kaggle["sample_submission_old.csv"]
    assert "copy statistics/adam/old_sample_weight.csv there" in user.refuses("--what", "kaggle")
    assert len(results(user.raw)) == 2, "the others came"


# The team's statistics -------------------------------------------------------------------------------------------------

BASE = "/ChunhanLi/2nd-kaggle-LEAP/df6df33/"
PATHS = {
    "adam/mean.json": "adam_part/data/middle_result/mean.json",
    "adam/std.json": "adam_part/data/middle_result/std.json",
    "adam/old_sample_weight.csv": "adam_part/data/middle_result/old_sample_weight.csv",
    "fdzm/mean.json": "fdzm_part/data/mean.json",
    "fdzm/std.json": "fdzm_part/data/std.json",
}


def test_the_published_statistics_are_let_in_and_only_they(user: User, published: Path) -> None:
    real = {name: (published / name).read_bytes() for name in PATHS}
    user.internet.raw = {BASE + path: real[name] for name, path in PATHS.items()}
    user.internet.raw[BASE + PATHS["fdzm/std.json"]] += b" "
    text = user.refuses("--what", "statistics")
    assert "had another sha256 than ef59d1bae9e0... and was removed" in text
    assert results(user.raw / "statistics") == {
        name: body for name, body in real.items() if name != "fdzm/std.json"
    }
    user.internet.raw[BASE + PATHS["fdzm/std.json"]] = real["fdzm/std.json"]
    user.internet.seen.clear()
    user.fetch("--what", "statistics")
    assert results(user.raw / "statistics") == real and len(user.internet.seen) == 1


def test_statistics_of_another_make_are_left_alone_and_missing_ones_told(user: User) -> None:
    own = user.raw / "statistics" / "adam" / "mean.json"
    own.parent.mkdir(parents=True)
    own.write_text("{}")
    text = user.refuses("--what", "statistics")
    assert (
        f"{own} is there, and is not the published one: it is left alone" in text
        and own.read_text() == "{}"
    )
    assert text.count("the team's repository does not have it any more (HTTP 404)") == 4


# Google Drive ----------------------------------------------------------------------------------------------------------

ROOT, INNER = "1" * 33, "2" * 33


def team_drive(user: User) -> Dict[str, bytes]:
    """A folder with three checkpoints, two of them in folders, and something else; -> what belongs where."""
    files = {
        "195.pt": checkpoint(user.home, "module.", 1),
        "ex907/ex907.pt": checkpoint(user.home, "", 2),
        "022_fork14_deeper_gf/022_fork14_deeper_gf_g3.pt": checkpoint(user.home, "", 3),
    }
    user.internet.folders = {
        ROOT: [
            ("file", "a" * 33, "195.pt"),
            ("file", "d" * 33, "readme & more.txt"),
            ("folder", INNER, "ex907"),
            ("folder", "3" * 33, "022_fork14_deeper_gf"),
        ],
        INNER: [("file", "b" * 33, "ex907.pt")],
        "3" * 33: [("file", "c" * 33, "022_fork14_deeper_gf_g3.pt")],
    }
    for identity, (name, content) in zip("abc", files.items()):
        user.internet.drive[identity * 33] = (name.rsplit("/", 1)[-1], content)
    user.internet.drive["d" * 33] = ("readme & more.txt", b"hello")
    return {
        "195.pt": files["195.pt"],
        "ex907.pt": files["ex907/ex907.pt"],
        "022_fork14_deeper_gf/022_fork14_deeper_gf_g3.pt": files[
            "022_fork14_deeper_gf/022_fork14_deeper_gf_g3.pt"
        ],
    }


@pytest.mark.parametrize(
    "address", [ROOT, f"https://drive.google.com/drive/folders/{ROOT}?usp=sharing"]
)
def test_checkpoints_come_from_a_folder_of_google_drive_once(user: User, address: str) -> None:
    placed = team_drive(user)
    text = user.fetch("--what", "weights", "--drive", address, code=2)
    assert results(user.weights) == placed
    assert "not recognised on the drive: readme & more.txt" in text
    assert "still missing: adam's checkpoints (1 of 3 there)" in text and "error: " not in text
    assert not (user.raw / ".partial-fetch").exists()
    assert sorted(seen.path.count("id=") for seen in user.internet.contents()) == [1, 1, 1]
    user.internet.seen.clear()
    user.fetch("--what", "weights", "--drive", address, code=2)
    assert not user.internet.contents() and results(user.weights) == placed


def test_a_large_checkpoint_is_resumed_after_a_cut_and_after_a_kill(user: User) -> None:
    team_drive(user)
    path = crafted.write(
        user.home / "some.pt",
        crafted.program(
            {
                "module.weight": crafted.tensor(
                    crafted.storage(count=1_000_000), size=(1000, 1000), stride=(1000, 1)
                )
            }
        ),
        {"0": np.random.RandomState(1).rand(1_000_000).astype("<f4").tobytes()},
    )
    content = path.read_bytes()
    user.internet.drive["a" * 33] = ("195.pt", content)
    user.internet.cut["id=" + "a" * 33 + "&confirm"] = [1_500_000]
    user.internet.hold["id=" + "a" * 33 + "&confirm"] = 1_200_000
    process = user.start("--what", "weights", "--drive", ROOT)
    parts = user.raw / ".partial-fetch" / "drive" / ("a" * 33)
    until(lambda: sum(p.stat().st_size for p in parts.glob("*.part")) >= 2_000_000)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (user.weights / "195.pt").exists()
    size = sum(p.stat().st_size for p in parts.glob("*.part"))
    user.internet.released.set()
    user.fetch("--what", "weights", "--drive", ROOT, code=2)
    assert (user.weights / "195.pt").read_bytes() == content
    ranges = [seen.range for seen in user.internet.of("a" * 33) if seen.range]
    assert len(ranges) == 2 and ranges[1] == "bytes=%d-" % size, ranges


def test_damaged_hostile_and_foreign_checkpoints_are_not_let_in(user: User) -> None:
    placed = team_drive(user)
    user.internet.drive["a" * 33] = ("195.pt", placed["195.pt"][:-30])
    hostile = crafted.write(
        user.home / "h.pt",
        crafted.PROTOCOL
        + crafted.call(
            crafted.name("posix", "system"), crafted.text("touch %s" % (user.home / "hacked"))
        )
        + crafted.STOP,
    )
    user.internet.drive["b" * 33] = ("ex907.pt", hostile.read_bytes())
    user.internet.drive["c" * 33] = ("022_fork14_deeper_gf_g3.pt", placed["195.pt"])
    text = user.refuses("--what", "weights", "--drive", ROOT)
    assert "is truncated, or not a checkpoint" in text and "refused, nothing was executed" in text
    assert "begin with `module.`, unlike those of the team's max2020/022" in text
    assert not results(user.weights) and not (user.home / "hacked").exists()
    assert not (user.raw / ".partial-fetch").exists()


def test_an_archive_at_any_address_is_unpacked_into_place(user: User) -> None:
    placed = team_drive(user)
    archive = zipped(
        **{
            "all/195.pt": placed["195.pt"],
            "all/ex907/ex907.pt": placed["ex907.pt"],
            "all/notes": b"n",
        }
    )
    user.internet.raw["/somebody/weights.zip"] = archive
    text = user.fetch(
        "--what",
        "weights",
        "--drive",
        "https://raw.githubusercontent.com/somebody/weights.zip",
        code=2,
    )
    assert results(user.weights) == {"195.pt": placed["195.pt"], "ex907.pt": placed["ex907.pt"]}
    assert "not recognised: all/notes in" in text and not (user.raw / ".partial-fetch").exists()
    user.internet.drive["e" * 33] = (
        "more.zip",
        zipped(
            **{
                "022_fork14_deeper_gf_g3.pt": placed[
                    "022_fork14_deeper_gf/022_fork14_deeper_gf_g3.pt"
                ]
            }
        ),
    )
    user.fetch(
        "--what",
        "weights",
        "--drive",
        "https://drive.google.com/file/d/%s/view?usp=sharing" % ("e" * 33),
        code=2,
    )
    assert results(user.weights) == placed


def test_archives_in_the_folder_are_fetched_while_something_is_missing(user: User) -> None:
    placed = team_drive(user)
    user.internet.folders[ROOT].append(("file", "f" * 33, "more.zip"))
    user.internet.drive["f" * 33] = (
        "more.zip",
        zipped(**{"200.pt": checkpoint(user.home, "module.", 9)}),
    )
    user.fetch("--what", "weights", "--drive", ROOT, code=2)
    assert sorted(results(user.weights)) == sorted(list(placed) + ["200.pt"])


def test_files_that_google_does_not_hand_out_are_told_and_the_others_come(user: User) -> None:
    placed = team_drive(user)
    user.internet.barred = ["a" * 33]
    text = user.refuses("--what", "weights", "--drive", ROOT)
    assert "195.pt: Google Drive does not hand it out" in text and "fetched too often" in text
    assert (
        sorted(results(user.weights)) == sorted(set(placed) - {"195.pt"})
        and text.count("error: ") == 1
    )


def test_weights_without_an_address_or_at_a_wrong_one_are_refused(user: User) -> None:
    assert "DRIVE: nothing says where the team's download lies; give it as DRIVE=" in user.refuses(
        "--what", "weights"
    )
    text = user.refuses("--what", "weights", "--drive", "9" * 33)
    assert "Google Drive: Google Drive does not hand it out: it is not there, not shared" in text


# The drop folder -------------------------------------------------------------------------------------------------------


def fill_drop(
    user: User, tiny_steps: Dict[str, bytes], published: Path
) -> Tuple[Path, Dict[str, bytes], Dict[str, bytes]]:
    """A drop folder as people have them -> (it, what belongs below raw_data, what below the weights)."""
    drop = user.home / "my downloads"
    (drop / "deep" / "er").mkdir(parents=True)
    first, second, third = sorted(tiny_steps)[:3]
    (drop / "deep" / "er" / "test.csv").write_bytes(TEST)
    (drop / "archive (1).zip").write_bytes(
        zipped(
            **{
                "kaggle/sample_submission.csv": SUBMISSION,
                "__MACOSX/kaggle/._x": b"x",
                f"low-res/{first}": tiny_steps[first],
                "fdzm_part/data/std.json": (published / "fdzm" / "std.json").read_bytes(),
                "why.txt": b"?",
            }
        )
    )
    (drop / second).write_bytes(tiny_steps[second])
    (drop / "deep" / third).write_bytes(tiny_steps[third])
    (drop / "mean.json").write_bytes(
        (published / "fdzm" / "mean.json").read_bytes()
    )  # known by its sha256 alone
    mine = json.dumps({name: 0.5 for name in INPUTS + TARGETS}).encode()
    (drop / "adam stats").mkdir()
    (drop / "adam stats" / "std.json").write_bytes(mine)  # known by its folder alone
    (drop / "v3_index.pt").write_bytes(
        zipped(**{"v3/data.pkl": pickle.dumps({"01_02": [1, 2]}, 2)})
    )
    (drop / "014_g0.pt").write_bytes(checkpoint(user.home, "", 4))
    (drop / "deep" / "forcewithme_reslstm_cv0.789_lb0.783.pt").write_bytes(
        checkpoint(user.home, "module.", 5)
    )
    (drop / "holiday.jpg").write_bytes(b"jpg")
    (drop / "test.csv.crdownload").write_bytes(TEST[:100])
    raw = {
        "kaggle-data/test.csv": TEST,
        "kaggle-data/sample_submission.csv": SUBMISSION,
        "statistics/fdzm/mean.json": (published / "fdzm" / "mean.json").read_bytes(),
        "statistics/fdzm/std.json": (published / "fdzm" / "std.json").read_bytes(),
        "statistics/adam/std.json": mine,
        "v3_index.pt": (drop / "v3_index.pt").read_bytes(),
    }
    raw.update(
        ("ClimSim_low-res/train/0008-02/" + name, tiny_steps[name])
        for name in (first, second, third)
    )
    weights = {
        "014_group_finetune/014_group_finetune_g0.pt": (drop / "014_g0.pt").read_bytes(),
        "forcewithme_reslstm_cv0.7890_lb0.7863.pt": (
            drop / "deep" / "forcewithme_reslstm_cv0.789_lb0.783.pt"
        ).read_bytes(),
    }
    return drop, raw, weights


def test_what_came_by_hand_is_recognised_and_placed(
    user: User, tiny_steps: Dict[str, bytes], published: Path
) -> None:
    drop, raw, weights = fill_drop(user, tiny_steps, published)
    before = results(drop)
    text = user.fetch("--what", "drop", "--drop", str(drop))
    assert results(user.raw) == raw and results(user.weights) == weights and results(drop) == before
    assert "11 files given their place, 0 already there" in text
    unknown = [line for line in text.splitlines() if line.startswith("not recognised: ")]
    assert len(unknown) == 3 and all(
        any(word in line for line in unknown)
        for word in ("why.txt in ", "holiday.jpg", "test.csv.crdownload")
    ), unknown
    assert not user.internet.seen
    assert "0 files given their place, 11 already there" in user.fetch(
        "--what", "drop", "--drop", str(drop)
    )
    assert {name for name in results(user.raw) if not name.startswith(".")} == set(raw)


def test_real_step_files_find_their_place(user: User, real_steps: Path) -> None:
    real = {path.name: path for path in real_steps.glob("*/*.nc")}
    text = user.fetch("--what", "drop", "--drop", str(real_steps))
    assert "%d files given their place" % len(real) in text and "not recognised" not in text
    placed = list(user.steps.glob("*/*.nc"))
    assert len(placed) == len(real) and all(
        path.read_bytes() == real[path.name].read_bytes() for path in placed
    )
    assert "train/0008-01 " in user.fetch() and "10 of 2232 steps" in user.fetch()


def test_what_lies_in_the_drop_folder_is_not_fetched(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    competition(user.internet)
    drop = user.raw / "drop"
    drop.mkdir(parents=True)
    (drop / "test.csv").write_bytes(TEST)
    user.fetch("--what", "kaggle")
    assert (
        not user.internet.of("test.csv.zip")
        and (user.raw / "kaggle-data" / "test.csv").read_bytes() == TEST
    )


def test_another_file_in_place_is_never_written_over(
    user: User, tiny_steps: Dict[str, bytes], published: Path
) -> None:
    drop, raw, _ = fill_drop(user, tiny_steps, published)
    theirs = {
        user.raw / "kaggle-data" / "test.csv": csv(INPUTS, 7),
        user.weights / "014_g0.pt": b"another checkpoint",
        user.raw / "kaggle-data" / "sample_submission.csv": csv(TARGETS, 8),
    }
    for path, content in theirs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    text = user.refuses("--what", "drop", "--drop", str(drop))
    for path in theirs:
        assert (
            f"is another file than {path}; move one of the two away: nothing is written over."
            in text
        )
    assert {path: path.read_bytes() for path in theirs} == theirs
    assert set(raw) <= set(results(user.raw)) and text.count("error: ") == 3, (
        "the others were placed"
    )


def test_damaged_files_of_the_drop_folder_are_refused_by_name(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    drop = user.raw / "drop"
    (drop / "a").mkdir(parents=True)
    first, second = sorted(tiny_steps)[:2]
    (drop / first).write_bytes(tiny_steps[first][:-1])
    (drop / second).write_bytes(tiny_steps[sorted(tiny_steps)[5]])  # of another instant
    (drop / "test.csv").write_bytes(TEST[:-2])
    (drop / "broken.zip").write_bytes(zipped(a=b"b")[:-10])
    flipped = bytearray(zipped(**{"sample_submission.csv": SUBMISSION}))
    flipped[3000] ^= 1
    (drop / "flipped.zip").write_bytes(bytes(flipped))
    (drop / "a" / "195.pt").write_bytes(b"PK no zip")
    (drop / "v3_index.pt").write_bytes(zipped(a=b"b" * 99)[:-3])
    (drop / "adam").mkdir()
    (drop / "adam" / "mean.json").write_text('{"state_t_0": 1}')
    text = user.refuses("--what", "drop")
    assert text.count("error: ") == 8 and "0 files given their place" in text
    for word in (
        "is truncated: ",
        "holds the step 0008",
        "is cut off in the middle",
        "broken.zip: is truncated",
        "sample_submission.csv is damaged",
        "195.pt: is truncated",
        "v3_index.pt: is truncated",
        "does not hold a number for each of the 924 columns",
    ):
        assert word in text, (word, text)
    assert (
        not [name for name in results(user.raw) if not name.startswith("drop/")]
        and not user.weights.exists()
    )


# All together ----------------------------------------------------------------------------------------------------------


def test_one_that_fails_does_not_stop_the_others(
    user: User, tiny_steps: Dict[str, bytes], published: Path
) -> None:
    enough_disk(user.home, 7.5e9)
    offer(user.internet, tiny_steps)
    have(user, tiny_steps, but=4)
    competition(user.internet)
    placed = team_drive(user)
    user.internet.raw = {
        BASE + path: (published / name).read_bytes() for name, path in PATHS.items()
    }
    user.internet.status["api.kaggle.com", ""] = 403
    text = user.refuses(
        "--what", "kaggle,steps,statistics,weights", "--months", MONTH, "--drive", ROOT
    )
    assert results(user.steps / MONTH) == tiny_steps and results(user.weights) == placed
    assert len(results(user.raw / "statistics")) == 5 and text.count("error: ") == 1
    missing = [line for line in text.splitlines() if line.startswith("still missing: ")]
    assert sum("kaggle-data/" in line for line in missing) == 3 and not any(
        "statistics" in line for line in missing
    )


def test_too_small_a_disk_is_refused_before_anything_is_fetched(
    user: User, small_disk: Path
) -> None:
    competition(user.internet)
    text = user.refuses("--what", "kaggle statistics steps", "--months", MONTH, raw=small_disk)
    for words in (
        "test.csv needs 6.90 GB",
        "4032 step files needs 6.11 GB",
        "mean.json needs 0.00 GB",
    ):
        assert words in text, text
    assert not user.internet.contents() and not results(small_disk)


def fill_up(disk: Path) -> None:
    """What another program may do at any moment."""
    with contextlib.suppress(OSError), open(disk / "filler", "ab", buffering=0) as handle:
        while True:
            handle.write(b"x" * 4096)


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing_half_done(
    user: User, small_disk: Path, published: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,size=512k", str(small_disk)], check=True)
    user.internet.raw = {
        BASE + path: (published / name).read_bytes() for name, path in PATHS.items()
    }
    user.internet.on_content = lambda path: (
        fill_up(small_disk) if path.endswith("fdzm_part/data/mean.json") else None
    )
    text = user.refuses("--what", "statistics", raw=small_disk)
    assert (
        text.count("error: ") == 1
        and "fdzm_part/data/mean.json: the disk is full; free some space" in text
    )
    assert sorted(results(small_disk / "statistics")) == sorted(
        name for name in PATHS if name.startswith("adam")
    )
    user.internet.on_content = None
    (small_disk / "filler").unlink()
    user.fetch("--what", "statistics", raw=small_disk)
    assert len(results(small_disk / "statistics")) == 5


def test_step_files_on_a_disk_that_fills_up_go_on_where_they_ended(
    user: User, small_disk: Path, large_steps: StepMaker, tiny_steps: Dict[str, bytes]
) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    user.raw.symlink_to(small_disk)
    name, content = one_large_file(user, tiny_steps, large_steps)
    user.internet.cut[name] = [500_000]  # a part is there when the disk fills up
    user.internet.on_content = lambda path: fill_up(small_disk) if user.internet.of(name) else None
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert f"{name}: the disk is full" in text and text.count("error: ") == 1
    assert not (user.steps / MONTH / name).exists()
    part = (user.steps / MONTH / (".partial-" + name)).stat().st_size
    user.internet.on_content = None
    (small_disk / "filler").unlink()
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content and part >= 300_000
    assert user.internet.of(name)[-1].range == "bytes=%d-" % part


def test_ctrl_c_ends_it_in_one_sentence(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, content, _part, process = half_way(user, tiny_steps, large_steps)
    os.killpg(process.pid, signal.SIGINT)
    text = process.communicate(timeout=45)[0]  # though the server says nothing for 120 seconds
    user.internet.released.set()
    assert process.returncode == 3 and "Traceback" not in text, text
    assert text.rstrip().endswith(
        "stopped: what was finished is kept; the same command goes on from there."
    )
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content


def test_two_at_a_time_are_refused(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, _ = one_large_file(user, tiny_steps, large_steps)
    user.internet.hold[name] = 700_000
    process = user.start("--what", "steps", "--months", MONTH)
    until(lambda: (user.steps / MONTH / (".partial-" + name)).exists())
    assert "another `make fetch` is at work there" in user.refuses("--what", "statistics")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_the_rooms_lock_has_hashes_and_no_address() -> None:
    text = stacks.lock("fetch").read_text()
    packages = re.split(r"^(?=\S)", text, flags=re.M)[1:]
    assert len(packages) > 10 and all(
        "==" in package and "--hash=sha256:" in package for package in packages
    )
    assert "://" not in text and "index" not in text
    for line in stacks.lock("fetch").with_suffix(".in").read_text().splitlines():
        assert line.startswith("#") or line.replace("_", "-") + " " in text, (
            f"make-locks was not run after {line}"
        )


def test_make_passes_everything_on(user: User, room: Path, tmp_path: Path) -> None:
    """The one way that people take: `make fetch`, through the launcher, with the variables that the README names."""
    placed = team_drive(user)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "test.csv").write_bytes(TEST)
    variables = {"RAW_DATA": str(user.raw), "WEIGHTS": str(user.weights)}

    def make(**more: str) -> Tuple[int, str]:
        words = ["{}={}".format(*item) for item in dict(variables, **more).items()]
        env = user.environment(
            LEAP_VENVS=str(room.parent.parent.parent), PYTHON_3_11=sys.executable
        )
        done = subprocess.run(
            ["make", "fetch", "PYTHON=" + sys.executable] + words,
            cwd=str(REPOSITORY),
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        return done.returncode, done.stdout

    code, text = make()
    assert code == 0 and f"WHAT=kaggle RAW_DATA={user.raw} WEIGHTS={user.weights}" in text, text
    assert not user.raw.exists() and not user.internet.seen
    code, text = make(WHAT="weights drop", DRIVE=ROOT, DROP=str(tmp_path / "drop"))
    assert code == 2 and "still missing: max2020's checkpoints (1 of 35 there)" in text, text
    assert (
        results(user.weights) == placed
        and (user.raw / "kaggle-data" / "test.csv").read_bytes() == TEST
    )
    code, text = make(WHAT="steps", MONTHS="0008-2")
    assert code == 2 and "MONTHS: '0008-2' is not a month" in text
