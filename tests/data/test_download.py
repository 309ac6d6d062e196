"""The download of the public names: checked and cached, or refused in one line."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import http.server
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from microgpt.data import download
from microgpt.data.download import makemore
from microgpt.data.loading import load
from microgpt.errors import DataError

from data.texts import assert_reads_as_the_reference

CONTENT = b"emma\nolivia\nava\n" * 5000  # large enough for several pieces
Handle = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder; CONTENT is accepted as the published file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "MAKEMORE_SHA256", hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "cache" / "microgpt"


class Server:
    """A web server on this machine that responds with the test's `handle`."""

    def __init__(self) -> None:
        self.requests = 0
        self.handle: Handle = lambda request: respond(request, CONTENT)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                outer.handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/names.txt"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


def respond(request: http.server.BaseHTTPRequestHandler, content: bytes, length: int | None = -1) -> None:
    """Respond with a page; `length` is the length in the header, None omits the header."""
    request.send_response(200)
    if length is not None:
        request.send_header("Content-Length", str(len(content) if length == -1 else length))
    request.end_headers()
    request.wfile.write(content)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def failure(url: str, **options: Any) -> str:
    """Return the one-line message of a failed download, which says what to do; no connection is left open."""
    with pytest.raises(DataError) as error:
        makemore(url=url, **options)
    text = str(error.value)
    del error
    gc.collect()  # a connection that is still open warns now, not in a later test
    assert len(text.splitlines()) == 1
    assert text.endswith(f"download {url} yourself and pass the file, or omit FILE to use the bundled names")
    return text


def everything_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def test_the_public_names_are_downloaded_once_and_kept(cache: Path, server: Server) -> None:
    assert makemore(url=server.url) == cache / "names.txt"
    assert (cache / "names.txt").read_bytes() == CONTENT
    assert everything_in(cache.parent) == [cache / "names.txt"]
    server.stop()
    assert makemore(url=server.url) == cache / "names.txt"
    assert server.requests == 1


def test_the_data_set_makemore_is_the_file_in_the_cache(cache: Path, server: Server) -> None:
    makemore(url=server.url)
    server.stop()
    text = load("makemore")
    assert text.source == "makemore"
    assert text.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert_reads_as_the_reference(text, CONTENT.decode().split())


@pytest.mark.golden
def test_the_golden_names_pass_the_published_checksum(
    names_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("http_proxy", raising=False)
    content = names_file.read_bytes()
    server.handle = lambda request: respond(request, content)
    assert makemore(url=server.url).read_bytes() == content
    assert len(load("makemore")) == 32033


def test_progress_is_reported_as_the_bytes_arrive(cache: Path, server: Server) -> None:
    calls: list[tuple[int, int]] = []
    makemore(lambda done, total: calls.append((done, total)), url=server.url)
    assert len(calls) >= 3
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert {total for _, total in calls} == {len(CONTENT)}
    makemore(lambda done, total: pytest.fail("nothing is downloaded"), url=server.url)


def test_progress_has_no_total_if_the_server_does_not_send_one(cache: Path, server: Server) -> None:
    server.handle = lambda request: respond(request, CONTENT, None)
    calls: list[tuple[int, int]] = []
    makemore(lambda done, total: calls.append((done, total)), url=server.url)
    assert calls[-1] == (len(CONTENT), 0)


@pytest.mark.parametrize("content", [b"", b"<html>log in to the hotel's network</html>", CONTENT[:-1], CONTENT + b"\n"])
def test_a_download_that_is_not_the_published_file_is_refused_and_not_kept(
    cache: Path, server: Server, content: bytes
) -> None:
    server.handle = lambda request: respond(request, content)
    digest, expected = (hashlib.sha256(text).hexdigest()[:12] for text in (content, CONTENT))
    assert failure(server.url).startswith(
        f"the downloaded file does not match the makemore names as published (SHA-256 {digest}..., expected"
        f" {expected}...): try again, or download http://127.0.0.1:"
    )
    assert everything_in(cache.parent) == []


def test_a_download_that_ends_early_is_refused_and_not_kept(cache: Path, server: Server) -> None:
    server.handle = lambda request: respond(request, CONTENT[:40_000], len(CONTENT))
    assert "the downloaded file does not match the makemore names as published" in failure(server.url)
    assert everything_in(cache.parent) == []


def chunked_and_cut(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nemma\n")


def chunked_and_wrong(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\nemma\n")


def no_http(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def long_header(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")


def hang_up(request: http.server.BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("handle", [chunked_and_cut, chunked_and_wrong, no_http, long_header, hang_up])
def test_a_server_that_breaks_the_protocol_fails_the_download(cache: Path, server: Server, handle: Handle) -> None:
    server.handle = handle
    assert failure(server.url).startswith("cannot download the makemore names (")
    assert everything_in(cache.parent) == []


def announced(request: http.server.BaseHTTPRequestHandler) -> None:
    respond(request, CONTENT, 10**12)


def endless(request: http.server.BaseHTTPRequestHandler) -> None:
    with contextlib.suppress(OSError):  # the client hangs up
        respond(request, b"", None)
        while True:
            request.wfile.write(CONTENT)


def endless_chunks(request: http.server.BaseHTTPRequestHandler) -> None:
    with contextlib.suppress(OSError):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            request.wfile.write(f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n")


@pytest.mark.parametrize(
    ("handle", "what"), [(announced, "1,000,000,000,000 bytes"), (endless, "too much"), (endless_chunks, "too much")]
)
def test_a_server_that_sends_too_much_is_refused_and_nothing_is_kept(
    cache: Path, server: Server, handle: Handle, what: str
) -> None:
    server.handle = handle
    received = []
    text = failure(server.url, progress=lambda done, _: received.append(done))
    assert text.startswith(f"the server sends {what} for the makemore names, and at most 4,194,304 are read: download")
    assert max(received, default=0) <= download.MAX_BYTES + (1 << 14)
    assert everything_in(cache.parent) == []


def test_a_negative_length_is_no_way_around_the_limit(cache: Path, server: Server) -> None:
    server.handle = lambda request: respond(request, CONTENT, -2)
    assert makemore(url=server.url).read_bytes() == CONTENT


def test_a_server_error_is_named(cache: Path, server: Server) -> None:
    server.handle = lambda request: request.send_error(404)
    assert failure(server.url).startswith("cannot download the makemore names (Not Found): download http://")
    assert everything_in(cache.parent) == []


def test_without_a_network_one_line_says_what_to_do(cache: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nothing listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/names.txt"
        text = failure(url)
    assert re.match(r"cannot download the makemore names \(.*refused.*\): download http", text)
    assert not cache.exists()


def test_a_server_that_does_not_respond_times_out(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = failure(f"http://127.0.0.1:{silent.getsockname()[1]}/names.txt", timeout=0.2)
    assert text.startswith("cannot download the makemore names (timed out): ")


def test_a_download_that_stalls_times_out(cache: Path, server: Server) -> None:
    finished = threading.Event()

    def stall(request: http.server.BaseHTTPRequestHandler) -> None:
        respond(request, CONTENT[:40_000], len(CONTENT))
        finished.wait(30)

    server.handle = stall
    text = failure(server.url, timeout=0.2)
    finished.set()
    assert text.startswith("cannot download the makemore names (timed out): ")
    assert everything_in(cache.parent) == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(cache: Path, server: Server) -> None:
    cache.mkdir(parents=True)
    (cache / "names.txt").write_bytes(CONTENT[:1000])
    assert makemore(url=server.url).read_bytes() == CONTENT
    assert everything_in(cache.parent) == [cache / "names.txt"]


def test_a_damaged_file_in_the_cache_stays_if_the_download_fails(cache: Path, server: Server) -> None:
    cache.mkdir(parents=True)
    (cache / "names.txt").write_bytes(CONTENT[:1000])
    server.handle = lambda request: respond(request, b"wrong")
    failure(server.url)
    assert (cache / "names.txt").read_bytes() == CONTENT[:1000]


def test_a_cache_that_cannot_be_written_is_named(
    cache: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker))
    folder = str(blocker / "microgpt")
    assert failure(server.url).startswith(f"cannot save the makemore names in {folder!r} (")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_in_the_cache(
    cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, full)
        text = failure(server.url)
    assert text.startswith(f"cannot save the makemore names in {str(cache)!r} (No space left on device): ")
    assert everything_in(cache.parent) == []


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/microgpt"),
        ("linux", {"HOME": "/home/a"}, "/home/a/.cache/microgpt"),
        ("darwin", {"HOME": "/Users/a"}, "/Users/a/Library/Caches/microgpt"),
        ("darwin", {"HOME": "/Users/a", "XDG_CACHE_HOME": "/x"}, "/x/microgpt"),
        ("win32", {"HOME": "/home/a", "LOCALAPPDATA": "/local"}, "/local/microgpt"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the paths are those of other systems")
def test_downloads_are_kept_in_the_cache_folder_of_the_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert download.cache_folder() == Path(expected)
