"""The hosts of `make fetch` and of `make submit` on 127.0.0.1.

The servers answer in the forms that the installed clients request: Kaggle's DownloadDataFile and
its redirect to Google's storage; the hub's tree, resolve and redirect; Google Drive's folder page,
its warning page and its download.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import hashlib
import html
import io
import json
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from tests.fetch import fake_submissions
from tests.fetch.fake_submissions import FakeSubmissions

HOSTS = (
    "api.kaggle.com",
    "storage.googleapis.com",
    "huggingface.co",
    "cdn-lfs.hf.co",
    "raw.githubusercontent.com",
    "drive.google.com",
    "drive.usercontent.google.com",
)
USER = "somebody"
KEY = "kaggle-key-1f2e"
TOKEN = "KGAT_0123456789abcdef"
HF_TOKEN = "hf_secretsecret"
SIGNATURE = "X-Goog-Signature=c0ffee"


@dataclasses.dataclass
class Request:
    """A request that the servers received, and the bytes of content that they sent."""

    method: str
    host: str
    path: str
    headers: Dict[str, str]
    sent: int = 0
    at: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def range(self) -> str:
        return self.headers.get("range", "")


@dataclasses.dataclass
class Internet:
    """What the hosts hold and how they misbehave.

    kaggle      file name -> content as it is served; a zip if it begins as one
    hub         path in the data set -> content
    raw         path on raw.githubusercontent.com -> content
    drive       file id -> (name, content)
    folders     folder id -> [(kind, id, name)]
    status      (host, a part of the path) -> HTTP status instead of an answer
    busy        a part of the path -> how often the answer is 429
    retry_after the seconds after which it is to be asked again
    barred      ids that Google Drive answers with a page instead of the file
    cut         a part of the path -> bytes after which connections break, one by one
    hold        a part of the path -> bytes after which a transfer waits for `released`
    stated      file name -> a wrong sha256 or MD5 that the server states
    on_content  called with the path before content is sent
    submissions what Kaggle has of the user
    """

    kaggle: Dict[str, bytes] = dataclasses.field(default_factory=dict)
    hub: Dict[str, bytes] = dataclasses.field(default_factory=dict)
    raw: Dict[str, bytes] = dataclasses.field(default_factory=dict)
    drive: Dict[str, Tuple[str, bytes]] = dataclasses.field(default_factory=dict)
    folders: Dict[str, List[Tuple[str, str, str]]] = dataclasses.field(default_factory=dict)
    status: Dict[Tuple[str, str], int] = dataclasses.field(default_factory=dict)
    busy: Dict[str, int] = dataclasses.field(default_factory=dict)
    retry_after: str = "1"
    barred: List[str] = dataclasses.field(default_factory=list)
    cut: Dict[str, List[int]] = dataclasses.field(default_factory=dict)
    hold: Dict[str, int] = dataclasses.field(default_factory=dict)
    stated: Dict[str, str] = dataclasses.field(default_factory=dict)
    released: threading.Event = dataclasses.field(default_factory=threading.Event)
    on_content: Optional[Callable[[str], None]] = None
    submissions: FakeSubmissions = dataclasses.field(default_factory=FakeSubmissions)
    requests: List[Request] = dataclasses.field(default_factory=list)
    port: int = 0
    certificate: str = ""

    def contents(self) -> List[Request]:
        """Return the requests that were answered with content."""
        return [request for request in self.requests if request.sent]

    def contents_of(self, path_part: str) -> List[Request]:
        """Return the requests answered with content whose path contains `path_part`."""
        return [request for request in self.contents() if path_part in request.path]


class Writer(io.BufferedIOBase):
    """A file that sends all of what is written; a socket's own file may send a part."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self._connection.sendall(content)
        return len(content)


class Handler(BaseHTTPRequestHandler):
    """A proxy that answers for each of the hosts itself."""

    protocol_version = "HTTP/1.1"
    internet: Internet
    host = "127.0.0.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.host = self.path.split(":")[0]
        if self.host not in HOSTS:
            self.send_error(502)
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.internet.certificate)
        try:
            self.connection = context.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = Writer(self.connection)  # type: ignore[assignment]
        self.close_connection = False  # Python's CONNECT is of HTTP/1.0 and sets it

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def do_PUT(self) -> None:
        request = self._request()
        self.internet.requests.append(request)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            fake_submissions.upload(self, self.internet.submissions)

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_GET

    def _request(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, self.host, self.path, headers)

    def _answer(self) -> None:
        request = self._request()
        self.internet.requests.append(request)
        for (host, path_words), status in self.internet.status.items():
            if host in ("", self.host) and path_words in self.path:
                return self._send(
                    status,
                    json.dumps({"code": status, "message": "no, and the key is " + KEY}).encode(),
                )
        for path_words, times in self.internet.busy.items():
            if path_words in self.path and times:
                self.internet.busy[path_words] -= 1
                return self._send(429, b"{}", Retry_After=self.internet.retry_after)
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
            answer(request)
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

    def _content(self, request: Request, body: bytes, etag: str, **headers: str) -> None:
        """Send a file with Range and If-Range; break off or wait if the test says so."""
        start = 0
        total = len(body)
        match = re.match(r"bytes=(\d+)-$", request.range)
        if match and request.headers.get("if-range", etag) == etag:
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
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()
        if self.command == "HEAD":
            return None
        if self.internet.on_content:
            self.internet.on_content(self.path)
        request.sent = 1  # content was requested, however much is read
        for path_words, ends in self.internet.cut.items():
            if path_words in self.path and ends:
                return self._break(request, body[start : start + ends.pop(0)])
        for path_words, end in self.internet.hold.items():
            if path_words in self.path and not self.internet.released.is_set():
                self.wfile.write(body[start : start + end])
                request.sent = end
                self.internet.released.wait(60)
                return self._break(request, b"")
        self.wfile.write(body[start:])
        request.sent = max(1, total - start)
        return None

    def _break(self, request: Request, body: bytes) -> None:
        self.wfile.write(body)
        request.sent = max(1, len(body))
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def _kaggle(self, request: Request) -> None:
        if request.path == "/v1/security.OAuthService/IntrospectToken":
            is_known = json.loads(self.body)["token"] == TOKEN
            return self._send(200, json.dumps({"active": is_known, "username": USER}).encode())
        method = request.path.replace(fake_submissions.SERVICE, "")
        expected = base64.b64encode((f"{USER}:{KEY}").encode()).decode()
        if request.headers.get("authorization") not in ("Basic " + expected, "Bearer " + TOKEN):
            return self._send(401, b'{"code": 401, "message": "Unauthenticated"}')
        payload = json.loads(self.body)
        if method != "DownloadDataFile":
            return fake_submissions.answer(self, self.internet.submissions, method, payload)
        assert payload["competitionName"] == "leap-atmospheric-physics-ai-climsim", payload
        content = self.internet.kaggle.get(payload["fileName"])
        if content is None:
            return self._send(404, b'{"code": 404, "message": "Not found"}')
        name = payload["fileName"] + (".zip" if content[:2] == b"PK" else "")
        return self._send(
            302, Location=f"https://storage.googleapis.com/kaggle-data/{name}?{SIGNATURE}"
        )

    def _storage(self, request: Request) -> None:
        assert "authorization" not in request.headers and SIGNATURE in request.path
        name = request.path.split("?")[0].rsplit("/", 1)[1]
        body = self.internet.kaggle[name[:-4] if name.endswith(".zip") else name]
        md5 = (
            self.internet.stated.get(name) or base64.b64encode(hashlib.md5(body).digest()).decode()
        )
        self._content(
            request,
            body,
            f'"{hashlib.md5(body).hexdigest()}"',
            x_goog_hash="crc32c=AAAAAA==, md5=" + md5,
            Last_Modified="Tue, 30 Apr 2024 12:00:00 GMT",
        )

    def _hub(self, request: Request) -> None:
        assert request.headers.get("authorization") in (None, "Bearer " + HF_TOKEN)
        url = urllib.parse.urlsplit(request.path)
        tree = "/api/datasets/LEAP/ClimSim_low-res/tree/main/"
        resolve = "/datasets/LEAP/ClimSim_low-res/resolve/main/"
        if url.path == tree[:-1]:
            return self._tree("", {})
        if url.path.startswith(tree):
            return self._tree(
                urllib.parse.unquote(url.path[len(tree) :]), urllib.parse.parse_qs(url.query)
            )
        name = urllib.parse.unquote(url.path[len(resolve) :])
        if not url.path.startswith(resolve) or name not in self.internet.hub:
            return self._send(404, b"{}", X_Error_Code="EntryNotFound")
        if self.host == "127.0.0.1":
            return self._content(
                request,
                self.internet.hub[name],
                f'"{hashlib.sha256(self.internet.hub[name]).hexdigest()}"',
            )
        return self._send(302, Location=f"https://cdn-lfs.hf.co/{name}?Signature=abc")

    def _tree(self, folder: str, query: Dict[str, List[str]]) -> None:
        names = sorted(
            name
            for name in self.internet.hub
            if (name.startswith(folder + "/") if folder else "/" not in name)
        )
        if not names:
            return self._send(404, b"{}", X_Error_Code="EntryNotFound")
        start = int(query.get("cursor", ["0"])[0])
        entries = (
            [{"type": "directory", "oid": "0" * 40, "size": 0, "path": f"{folder}/old".lstrip("/")}]
            if start == 0
            else []
        )
        for name in names[start : start + 1000]:
            body = self.internet.hub[name]
            digest = (
                self.internet.stated.get(name.rsplit("/", 1)[-1])
                or hashlib.sha256(body).hexdigest()
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
            is_local = self.host == "127.0.0.1"
            origin = (
                f"http://127.0.0.1:{self.internet.port}" if is_local else "https://huggingface.co"
            )
            next_page = f"{origin}{self.path.split('?')[0]}?cursor={start + 1000}"
            more = {"Link": f'<{next_page}>; rel="next"'}
        return self._send(200, json.dumps(entries).encode(), **more)

    def _cdn(self, request: Request) -> None:
        assert "authorization" not in request.headers
        body = self.internet.hub[urllib.parse.unquote(request.path.split("?")[0][1:])]
        self._content(request, body, f'"{hashlib.sha256(body).hexdigest()}"')

    def _raw(self, request: Request) -> None:
        body = self.internet.raw.get(request.path)
        if body is None:
            return self._send(404, b"404: Not Found", "text/plain")
        request.sent = len(body)
        if self.internet.on_content:
            self.internet.on_content(self.path)
        return self._send(200, body, "text/plain")

    def _drive(self, request: Request) -> None:
        url = urllib.parse.urlsplit(request.path)
        identity = urllib.parse.parse_qs(url.query)["id"][0]
        if url.path == "/embeddedfolderview":
            if identity not in self.internet.folders:
                return self._send(404, b"", "text/html")
            page = "".join(
                _folder_entry(kind, child, name)
                for kind, child, name in self.internet.folders[identity]
            )
            return self._send(
                200,
                f"<html><head><title>weights</title></head><body>{page}</body></html>".encode(),
                "text/html; charset=utf-8",
            )
        assert url.path == "/uc", request.path
        if identity in self.internet.barred:
            page = (
                '<p class="uc-error-subcaption">Too many users have viewed this file recently.</p>'
            )
        else:
            page = (
                '<html><body><form id="download-form" method="get"'
                ' action="https://drive.usercontent.google.com/download">'
                f'<input type="hidden" name="id" value="{identity}">'
                '<input type="hidden" name="confirm" value="t"></form></body>'
            )
        return self._send(200, page.encode(), "text/html; charset=utf-8")

    def _drive_content(self, request: Request) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        assert query["confirm"] == ["t"]
        name, body = self.internet.drive[query["id"][0]]
        self._content(
            request,
            body,
            f'"{hashlib.md5(body).hexdigest()}"',
            Content_Disposition=f'attachment; filename="{name}"',
        )


def _folder_entry(kind: str, identity: str, name: str) -> str:
    """Return the line of a folder or a file on Google Drive's folder page."""
    path = f"drive/folders/{identity}" if kind == "folder" else f"file/d/{identity}/view"
    link = f'<a href="https://drive.google.com/{path}" target="_blank">'
    return f'<div class="flip-entry">{link}<div>{html.escape(name)}</div></a></div>'


@contextlib.contextmanager
def serve(certificate: Path) -> Iterator[Internet]:
    """Run the servers on a free port until the body ends."""
    internet = Internet(certificate=str(certificate))
    bound = type("Bound", (Handler,), {"internet": internet})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    server.daemon_threads = True
    internet.port = server.server_address[1]
    run = functools.partial(server.serve_forever, poll_interval=0.02)
    threading.Thread(target=run, daemon=True).start()
    try:
        yield internet
    finally:
        internet.released.set()
        internet.submissions.released.set()
        server.shutdown()
        server.server_close()


def make_certificate(path: Path) -> None:
    """Write the certificate of all hosts to <path>.crt, and it with its key to `path`."""
    command = [
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
    ]
    names = "subjectAltName=" + ",".join("DNS:" + host for host in HOSTS)
    public = Path(f"{path}.crt")
    command += [names, "-keyout", str(path), "-out", str(public)]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + public.read_bytes())
