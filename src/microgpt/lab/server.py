"""Serve the built page on loopback, or write it to a folder for another host.

The runs that were named come with it. The page is only read: an address is looked up in the list of the page's
files, so that there is no way out of them, and a request that names another host (a page elsewhere whose name was bent
to this machine) gets nothing.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import threading
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import unquote

from microgpt.errors import SiteError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.layout import METRICS, MODEL, checkpoint_file

SITE = Path(__file__).parent / "site"
NO_SITE = Path(__file__).parent / "no_site.txt"  # written by the build that could not make the page
HOST = "127.0.0.1"
PORT = 8000  # when it is free
NOT_BUILT = "install npm (with node 20.19, 22.12 or newer), and then this package again"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".woff2": "font/woff2",
    ".zip": "application/zip",
}
COMPRESSED = {".css", ".html", ".js", ".json", ".mjs", ".svg"}

HEADERS = {
    # web/vite.config.ts puts the same into the page, for hosts that send no headers; there no frame can be forbidden
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:;"
        " worker-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # a run that trains changes its files
}


@dataclass(frozen=True)
class NamedRun:
    """A run that the page can open."""

    name: str
    model: Path
    metrics: Path | None  # a checkpoint alone has none

    @classmethod
    def find(cls, path: Path) -> NamedRun:
        """Raises RunError or CheckpointError where there is no run."""
        model = checkpoint_file(path)
        checkpoints.load(model)
        return cls(path.resolve().name, model, path / METRICS if path.is_dir() else None)


def trouble() -> str:
    """Why the page was not built when the package was; empty where it was."""
    return NO_SITE.read_text(encoding="utf-8") if NO_SITE.is_file() else ""


class Pages:
    """What can be asked for, by its address. The files may change while they are served: a run that trains does."""

    def __init__(self, runs: Sequence[NamedRun] = (), site: Path | None = None) -> None:
        site = site or SITE
        if not (site / "index.html").is_file():
            raise SiteError(f"the lab's page is not in this installation: {trouble() or NOT_BUILT}")
        self.runs, self.site = runs, site

    def all(self) -> dict[str, Path | bytes]:
        """Address -> file, or content."""
        found: dict[str, Path | bytes] = {}
        for path in sorted(self.site.rglob("*")):
            name = path.relative_to(self.site).as_posix()
            if path.is_file() and not path.is_symlink() and not name.startswith("."):
                found[name] = path
        index = []
        for i, run in enumerate(self.runs):
            model, metrics = f"runs/{i}/{MODEL}", f"runs/{i}/{METRICS}"
            index.append({"name": run.name, "model": model, "metrics": metrics})
            found[model] = run.model
            found[metrics] = run.metrics if run.metrics and run.metrics.is_file() else b""
        found["runs/index.json"] = json.dumps(index).encode()
        return found


def export(pages: Pages, folder: Path) -> None:
    """Write everything into a folder that is new or empty; its addresses are relative, so that any static host will do.

    index.html comes last: what has none is not complete.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SiteError(f"export needs a new or an empty folder, got export={str(folder)!r}, which holds something")
    found = pages.all()
    for name in sorted(found, key=lambda name: (name == "index.html", name)):
        source, target = found[name], folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source if isinstance(source, bytes) else source.read_bytes())


class Server(ThreadingHTTPServer):
    """Answers on loopback until it is shut down. port: None is PORT, or a free one where that is taken."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on Windows two servers could then have the same port

    def __init__(self, pages: Pages, port: int | None = None) -> None:
        self.pages = pages
        try:
            super().__init__((HOST, PORT if port is None else port), Handler)
        except (OSError, OverflowError) as error:
            if port is not None:
                raise SiteError(f"port={port} cannot be had ({error}): give another, or none") from None
            super().__init__((HOST, 0), Handler)
        self.hosts = hosts(self.server_port)
        self.url = f"http://{HOST}:{self.server_port}/"

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks the network for this machine's name
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a browser that goes away, or sends nothing, is no fault
            super().handle_error(request, client_address)


def hosts(port: int) -> list[list[str]]:
    """What a request to this port may carry as its Host headers: one, in which a browser leaves out port 80."""
    ports = ["", ":80"] if port == 80 else [f":{port}"]
    return [[name + given] for name in (HOST, "localhost") for given in ports]


def open_browser(url: str) -> None:
    """Where there is one with windows; one that runs in the terminal would take it away."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return
    if type(found) is not webbrowser.GenericBrowser:
        threading.Thread(target=found.open, args=(url,), daemon=True).start()  # some wait until it is closed


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a connection may be silent
    server: Server

    def version_string(self) -> str:
        return "microgpt"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def do_GET(self) -> None:
        if self.headers.get_all("Host") not in self.server.hosts:
            return self.refuse(HTTPStatus.MISDIRECTED_REQUEST)
        name = unquote(self.path.split("?")[0].removeprefix("/")) or "index.html"
        source = self.server.pages.all().get(name)
        if source is None:
            return self.refuse(HTTPStatus.NOT_FOUND)
        try:
            content = source if isinstance(source, bytes) else source.read_bytes()
        except OSError:  # it went since
            return self.refuse(HTTPStatus.NOT_FOUND)
        ending = Path(name).suffix
        accepted = [coding.split(";")[0].strip() for coding in self.headers.get("Accept-Encoding", "").split(",")]
        is_compressed = ending in COMPRESSED and "gzip" in accepted
        self.send_response(HTTPStatus.OK)
        self.send_header("Vary", "Accept-Encoding")
        if is_compressed:
            self.send_header("Content-Encoding", "gzip")
        return self.send(TYPES.get(ending, "application/octet-stream"), compress(content) if is_compressed else content)

    do_HEAD = do_GET

    def refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True  # what else the request carries is not read
        self.send_response(status)
        self.send_header("Connection", "close")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send("text/plain; charset=utf-8", f"{status.value} {status.phrase}\n".encode())

    def do_POST(self) -> None:
        self.refuse(HTTPStatus.METHOD_NOT_ALLOWED)

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = do_POST

    def send(self, kind: str, content: bytes) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@lru_cache(maxsize=64)
def compress(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0)
