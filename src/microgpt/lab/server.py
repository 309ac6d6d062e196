"""Serve the built page, by default on loopback, or export the page to a folder for another web server.

The server also serves the runs named on the command line. It accepts no uploads. It looks up each address in a list of
the page's files, so no address can lead to any other file, and it follows no symbolic link. It rejects a request whose
Host header names another host, because the request may come from a page on another site whose domain name has been made
to resolve to this machine (DNS rebinding). Other users of this machine can connect to loopback too. They can read the
page, but they cannot read the runs without the token in the address that `microgpt lab` prints.

On another address than loopback, or under another name, nothing at all is served without the token: the printed address
carries it once, and a cookie carries it from then on.
"""

from __future__ import annotations

import gzip
import hmac
import io
import ipaddress
import json
import os
import re
import secrets
import socket
import stat
import sys
import threading
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from time import monotonic
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote

from microgpt.errors import CheckpointError, RunError, SiteError
from microgpt.lab.addresses import HOST, hosts, in_url, is_named, is_not_here, no_address, parsed
from microgpt.runs.best import choose, load_chosen
from microgpt.runs.layout import BEST, METRICS, MODEL

SITE = Path(__file__).parent / "site"
NO_SITE = Path(__file__).parent / "no_site.txt"  # a build that omits the page writes the reason here
PORT = 8000  # the default port, if it is available
# Open without following a link that has just taken the file's place, and without waiting for the writer of a FIFO
READ = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))
MAX_FILE = 1 << 29  # bytes; a browser cannot hold the base64 form of a larger run in a string
MAX_CONNECTIONS = 64  # at a time; a browser opens at most 6
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SLOWEST = 10_000  # bytes per second; a client that reads a response more slowly than this is disconnected
ENTER = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=./">
<title>microgpt</title>
<p><a href="./">Open the lab</a></p>
"""  # not a redirect: after a click on another site, browsers do not send a Strict cookie along with a redirect
NO_TOKEN = "403 Forbidden: open the address that microgpt lab printed, with its token"
NOT_BUILT = "install npm (with Node 20.19, 22.12 or newer), then reinstall this package"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".woff2": "font/woff2",
    ".zip": "application/zip",
}
COMPRESSED = {".css", ".html", ".js", ".json", ".mjs", ".svg", ".txt"}

HEADERS = {
    # web/vite.config.ts adds the same policy to the page, for servers that send no headers; frame-ancestors works
    # only in a header
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:;"
        " worker-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # a run's files change while the run trains
}


@dataclass(frozen=True)
class NamedRun:
    """A run that the page can open. Its paths contain no symbolic links."""

    name: str
    model: Path
    metrics: Path | None  # None if the path is a checkpoint
    checkpoint: str | None = None  # best or last; None for the best one if there is one

    @classmethod
    def find(cls, path: Path, checkpoint: str | None = None) -> NamedRun:
        """Return the run at a path, which can be a run folder or a checkpoint, or a symbolic link to one.

        Raises:
            ValueError: The checkpoint is neither `best` nor `last`, or a file has only one.
            RunError: There is no run at the path, or no best checkpoint although it was asked for.
            CheckpointError: The checkpoint cannot be read.
            SiteError: A file of the run is a symbolic link or not a regular file.
        """
        target = real(path)
        if target.is_dir():
            run = cls(target.name, target / MODEL, target / METRICS, checkpoint)
        else:
            run = cls(target.name, target, None, checkpoint)
        for file in filter(None, (run.model, run.metrics, target / BEST)):
            with suppress(OSError):  # checkpoint_file reports what is wrong with the model
                open_file(file).close()
        load_chosen(path, checkpoint)
        return run

    def chosen(self) -> Path:
        """Return the checkpoint to open now, as a run that is being trained can get a new best one."""
        try:
            return choose(self.model.parent if self.metrics else self.model, self.checkpoint).file
        except (RunError, CheckpointError):  # the files have changed, and reading them reports how
            return self.model


def real(path: Path) -> Path:
    """Return an absolute path without symbolic links; unlike Path.resolve, this accepts links that form a loop."""
    return Path(os.path.realpath(path))


def open_file(path: Path) -> BinaryIO:
    """Open a regular file whose absolute path contains no symbolic link, so that it cannot lead out of its folder.

    Raises:
        SiteError: The path contains a symbolic link, or the file is not a regular file.
        OSError: The file cannot be opened.
    """
    if real(path) != path:
        raise SiteError(
            f"cannot serve {str(path)!r}: it is a symbolic link, or lies behind one; specify the run that the link"
            " leads to, or replace the link with a copy"
        )
    descriptor = os.open(path, READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SiteError(f"cannot serve {str(path)!r}: it is not a regular file; replace it with a copy of the file")
    return os.fdopen(descriptor, "rb")


def read_file(path: Path) -> bytes:
    """Return the content that a file has now, opened by `open_file`; raise SiteError if it is too large."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE:
            raise SiteError(f"cannot serve {str(path)!r}: the page can open at most {MAX_FILE:,} bytes, got {size:,}")
        return file.read(size)


def trouble() -> str:
    """Return the reason the package was built without the page, or "" if no reason was recorded."""
    return NO_SITE.read_text(encoding="utf-8") if NO_SITE.is_file() else ""


class Pages:
    """The files that can be served: the page and the runs named on the command line.

    Each request looks up the files again, because a run's files change during training.

    Args:
        runs: The runs to serve with the page.
        site: The folder that contains the built page; None for the page in this package.

    Raises:
        SiteError: The page was not built.
    """

    def __init__(self, runs: Sequence[NamedRun] = (), site: Path | None = None) -> None:
        site = site or SITE
        if not (site / "index.html").is_file():
            raise SiteError(f"the lab's page is missing from this installation: {trouble() or NOT_BUILT}")
        self.runs, self.site = runs, real(site)

    def all(self) -> dict[str, Path | bytes]:
        """Return a map from each address to its file, or to content that is not stored in a file."""
        found: dict[str, Path | bytes] = {}
        for path in sorted(self.site.rglob("*")):
            name = path.relative_to(self.site).as_posix()
            if path.is_file() and not path.is_symlink() and not name.startswith("."):
                found[name] = path
        index = []
        for i, run in enumerate(self.runs):
            model, metrics = f"runs/{i}/{MODEL}", f"runs/{i}/{METRICS}"
            index.append({"name": run.name, "model": model, "metrics": metrics})
            found[model] = run.chosen()
            found[metrics] = run.metrics if run.metrics and os.path.lexists(run.metrics) else b""
        found["runs/index.json"] = json.dumps(index).encode()
        return found


def export(pages: Pages, folder: Path) -> None:
    """Write the page and its runs to a new or empty folder.

    All addresses are relative, so any static web server can serve the folder. index.html is written last, so a folder
    without index.html is incomplete.

    Raises:
        SiteError: The path is not a folder, or the folder is not empty; or a file cannot be served.
        OSError: A file cannot be read or written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SiteError(f"export must be a new or empty folder, got export={str(folder)!r}")
    found = pages.all()
    for name, source in found.items():
        if name.startswith("runs/") and isinstance(source, Path):
            read_file(source)  # an error here leaves nothing behind
    for name in sorted(found, key=lambda name: (name == "index.html", name)):
        source, target = found[name], folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source if isinstance(source, bytes) else read_file(source))


class Server(ThreadingHTTPServer):
    """An HTTP server.

    Args:
        pages: The files to serve.
        port: The port to listen on; None means PORT, or any free port if PORT is taken.
        host: The address to listen on: an IP address of this machine, or 0.0.0.0 or :: for all of them.
        names: Further names under which the server may be reached, such as that of a proxy.

    Attributes:
        is_guarded: Whether every request needs the token, because the server is not on loopback, or has other names.
        url: The page's address.
        token: What requests for the runs must contain, or all requests if `is_guarded`; "" if nothing is secret.

    Raises:
        SiteError: The address is not this machine's, a name is invalid, or the requested port is not available.
    """

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on Windows this would let two servers share a port

    def __init__(self, pages: Pages, port: int | None = None, host: str = HOST, names: Sequence[str] = ()) -> None:
        self.pages = pages
        ip = parsed(host)
        if wrong := [name for name in names if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name)]:
            raise SiteError(f"allow_host must be a host's name without a port, such as lab.example, got {wrong[0]!r}")
        self.is_guarded = bool(names) or not ip.is_loopback
        self.token = secrets.token_urlsafe() if pages.runs or self.is_guarded else ""
        self.tokens_for_once: set[str] = set()
        self.free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.address_family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        try:
            super().__init__((host, PORT if port is None else port), Handler)
        except (OSError, OverflowError) as error:
            if is_not_here(error):
                raise SiteError(no_address(host, error)) from None
            if port is not None:
                raise SiteError(
                    f"port={port} is not available ({error}): choose another port or omit the option"
                ) from None
            super().__init__((host, 0), Handler)
        self.hosts = hosts(self.server_port, in_url(ip))
        self.names = {name.lower() for name in names}
        self.cookie = f"microgpt-{self.server_port}"  # browsers send the cookies of all ports of a host
        self._ip = ip
        shown = ip if not ip.is_unspecified else ipaddress.ip_address(HOST if ip.version == 4 else "::1")
        self.url = f"http://{in_url(shown)}:{self.server_port}/"

    def address(self, once: bool = False) -> str:
        """Return the page's address, with a token if there are runs.

        Args:
            once: Return an address that opens the runs only once, for a command line, which other users can see.
        """
        token = self.token
        if token and once:
            token = secrets.token_urlsafe()
            self.tokens_for_once.add(token)
        return f"{self.url}{'?' if self.is_guarded else '#'}token={token}" if token else self.url

    def is_here(self, host: Sequence[str] | None) -> bool:
        """Return whether a request with these Host headers is meant for this server."""
        return is_named(host, self._ip, self.names) if self.is_guarded else host in self.hosts

    def exchange(self, token: str) -> bool:
        """Return whether the token of an address is valid; a token for once is not valid again."""
        with suppress(KeyError):
            self.tokens_for_once.remove(token)
            return True
        return self.accepts(token)

    def accepts(self, token: str) -> bool:
        """Return whether a request with this token may read the runs."""
        return not self.token or hmac.compare_digest(token.encode(), self.token.encode())

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.free.acquire(blocking=False):
            with suppress(OSError):
                request.sendall(BUSY)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except Exception:  # the thread could not be started; after Ctrl-C, the started thread still releases it
            self.free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            with suppress(AttributeError, OSError):  # let :: also mean all IPv4 addresses
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)  # HTTPServer.server_bind would look up this machine's name on the network
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a browser may disconnect, or send nothing
            super().handle_error(request, client_address)


def open_browser(url: str) -> None:
    """Open the page in a graphical browser, if one is available. A text browser would take over the terminal."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return
    if type(found) is not webbrowser.GenericBrowser:
        # in a thread, because some browsers block until they are closed
        threading.Thread(target=found.open, args=(url,), daemon=True).start()


class Incoming(io.RawIOBase):
    """The bytes that a handler's client sends. Reading fails at the handler's deadline, even if bytes still arrive."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.handler.deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self.handler.connection.settimeout(left)
        count: int = self.handler.connection.recv_into(buffer)
        return count


class Handler(BaseHTTPRequestHandler):
    """Handles one connection's GET and HEAD requests for the page's files and the named runs."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds until a connection is closed in which no complete request has arrived
    deadline = 0.0
    server: Server

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(Incoming(self))

    def handle_one_request(self) -> None:
        self.deadline = monotonic() + self.timeout
        super().handle_one_request()

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        lengths = self.headers.get_all("Content-Length", [])
        if any(length.strip() != "0" for length in lengths) or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # the body is not read, so it must not be read as the next request
        return True

    def version_string(self) -> str:
        return "microgpt"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def do_GET(self) -> None:
        if not self.server.is_here(self.headers.get_all("Host")):
            return self.refuse(HTTPStatus.MISDIRECTED_REQUEST)
        path, _, query = self.path.partition("?")
        name = unquote(path.removeprefix("/")) or "index.html"
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.server.is_guarded:
            if name == "index.html" and any(map(self.server.exchange, parse_qs(query).get("token", []))):
                return self.enter()
            if not (token := self.from_cookie()):
                return self.refuse(HTTPStatus.FORBIDDEN, NO_TOKEN)
        elif name == "runs/token" and self.server.exchange(token):
            self.send_response(HTTPStatus.OK)
            return self.send("text/plain; charset=utf-8", self.server.token.encode())
        if name.startswith("runs/") and not self.server.accepts(token):
            return self.refuse(HTTPStatus.FORBIDDEN)
        source = self.server.pages.all().get(name)
        if source is None:
            return self.refuse(HTTPStatus.NOT_FOUND)
        try:
            content = source if isinstance(source, bytes) else read_file(source)
        except OSError:  # the file was deleted after it was looked up
            return self.refuse(HTTPStatus.NOT_FOUND)
        except SiteError as error:
            return self.refuse(HTTPStatus.FORBIDDEN, str(error))
        ending = Path(name).suffix
        accepted = [coding.split(";")[0].strip() for coding in self.headers.get("Accept-Encoding", "").split(",")]
        is_compressed = ending in COMPRESSED and "gzip" in accepted
        self.send_response(HTTPStatus.OK)
        self.send_header("Vary", "Accept-Encoding")
        if is_compressed:
            self.send_header("Content-Encoding", "gzip")
        return self.send(TYPES.get(ending, "application/octet-stream"), compress(content) if is_compressed else content)

    do_HEAD = do_GET

    def from_cookie(self) -> str:
        """Return the token in the request's cookie if it is valid, otherwise ""."""
        for cookie in ";".join(self.headers.get_all("Cookie", [])).split(";"):
            name, _, token = cookie.strip().partition("=")
            if name == self.server.cookie and self.server.accepts(token):
                return token
        return ""

    def enter(self) -> None:
        """Answer an address with a valid token: set the cookie, and open the page without the token in its address."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Set-Cookie", f"{self.server.cookie}={self.server.token}; HttpOnly; SameSite=Strict; Path=/")
        self.send(TYPES[".html"], ENTER)

    def refuse(self, status: HTTPStatus, reason: str = "") -> None:
        self.close_connection = True  # whatever else the client sends
        self.send_response(status)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send("text/plain; charset=utf-8", f"{reason or f'{status.value} {status.phrase}'}\n".encode())

    def do_POST(self) -> None:
        self.refuse(HTTPStatus.METHOD_NOT_ALLOWED)

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = do_POST

    def send(self, kind: str, content: bytes) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.connection.settimeout(self.timeout + len(content) / SLOWEST)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@lru_cache(maxsize=64)
def compress(content: bytes) -> bytes:
    """Compress content with gzip. The same content always produces the same bytes."""
    return gzip.compress(content, 6, mtime=0)
