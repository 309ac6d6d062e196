"""Requests that the lab's server refuses: links, special files, a missing token, and clients that hold it up."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.errors import SiteError
from microgpt.lab import server as lab_server
from microgpt.lab.server import NamedRun, Pages, Server, export

from lab.served import ask, serving

# --- Links, and files that are not regular


def put_fifo(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no FIFOs")
    os.mkfifo(path)


def put_link(path: Path) -> None:
    path.symlink_to(path.parents[1] / "secret.txt")


def put_link_inside(path: Path) -> None:
    path.symlink_to("config.json")


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_folder(path: Path) -> None:
    path.mkdir()


LINK, IRREGULAR = "it is a symbolic link", "it is not a regular file"
INSTEAD = [
    (put_fifo, IRREGULAR),
    (put_link, LINK),
    (put_link_inside, LINK),
    (put_device, LINK),
    (put_folder, IRREGULAR),
]


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["model.safetensors", "metrics.jsonl"])
@pytest.mark.parametrize(("put", "words"), INSTEAD)
def test_only_regular_files_inside_a_run_are_served(
    site: Path, copy: Path, name: str, put: Callable[[Path], None], words: str
) -> None:
    named = NamedRun.find(copy)
    (copy / name).unlink()
    put(copy / name)
    with pytest.raises(SiteError, match=rf"^cannot serve '.*{name}': {words}"):
        NamedRun.find(copy)
    with serving(Pages([named], site)) as server:  # the file was replaced after the server had started
        response = ask(server, f"/runs/0/{name}")
    assert response.status == 403
    assert words in response.content.decode()
    target = site.parent / "exported"
    with pytest.raises(SiteError, match=words):
        export(Pages([named], site), target)
    assert not target.exists()


def test_a_folder_that_becomes_a_link_is_not_followed(site: Path, run: Path, copy: Path) -> None:
    named = NamedRun.find(copy)
    copy.rename(copy.with_name("moved"))
    copy.symlink_to(run)
    with serving(Pages([named], site)) as server:
        for name in ("model.safetensors", "metrics.jsonl"):
            assert ask(server, f"/runs/0/{name}").status == 403


def test_a_run_may_be_named_by_a_link(site: Path, run: Path, tmp_path: Path) -> None:
    """The reader chose what the link leads to."""
    (tmp_path / "latest").symlink_to(run)
    (tmp_path / "best").symlink_to(run / "model.safetensors")
    for link, name in [("latest", "small"), ("best", "model.safetensors")]:
        named = NamedRun.find(tmp_path / link)
        assert named.name == name
        with serving(Pages([named], site)) as server:
            assert ask(server, "/runs/0/model.safetensors").content == (run / "model.safetensors").read_bytes()


def test_a_file_that_the_page_could_not_open_is_too_large(
    site: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = Pages([NamedRun.find(run)], site)
    size = (run / "model.safetensors").stat().st_size
    monkeypatch.setattr(lab_server, "MAX_FILE", size)
    with serving(pages) as server:
        assert ask(server, "/runs/0/model.safetensors").status == 200
        monkeypatch.setattr(lab_server, "MAX_FILE", size - 1)
        response = ask(server, "/runs/0/model.safetensors")
    words = f"the page can open at most {size - 1:,} bytes, got {size:,}"
    assert response.status == 403
    assert words in response.content.decode()
    with pytest.raises(SiteError, match=words):
        export(pages, tmp_path / "exported")


# --- Who may read the runs


def test_the_runs_are_secret_without_the_token(site: Path, run: Path) -> None:
    with serving(Pages([NamedRun.find(run)], site)) as server:
        assert server.address() == f"{server.url}#token={server.token}"
        for path in ("/runs/index.json", "/runs/0/model.safetensors", "/runs/0/metrics.jsonl", "/runs/", "/runs/token"):
            for given in ("", "Bearer ", "Bearer wrong", f"Bearer {server.token}x", f"Bearer {server.token[:-1]}", "é"):
                for asked in (path, path.replace("runs", "%72uns"), f"{path}?token={server.token}"):
                    response = ask(server, asked, Authorization=given)
                    assert (response.status, response.content) == (403, b"403 Forbidden\n")
        for path in ("/", "/assets/main.js", "/snapshot.json"):
            assert ask(server, path, Authorization="").status == 200


def test_each_server_has_its_own_token_if_there_are_runs(site: Path, run: Path) -> None:
    with Server(Pages([NamedRun.find(run)], site), 0) as one, Server(Pages([NamedRun.find(run)], site), 0) as other:
        assert one.token != other.token
    with serving(Pages(site=site)) as server:
        assert server.token == ""
        assert server.address() == server.address(once=True) == server.url
        assert ask(server, "/runs/index.json", Authorization="").content == b"[]"


def test_the_token_on_the_browser_s_command_line_is_valid_once(site: Path, run: Path) -> None:
    with serving(Pages([NamedRun.find(run)], site)) as server:
        token = server.address(once=True).removeprefix(f"{server.url}#token=")
        assert token not in ("", server.token)
        given = f"Bearer {token}"
        assert ask(server, "/runs/index.json", Authorization=given).status == 403  # it must be exchanged
        assert ask(server, "/runs/token", Authorization=given).content.decode() == server.token
        assert ask(server, "/runs/token", Authorization=given).status == 403
        for _ in range(2):  # the printed token stays valid
            assert ask(server, "/runs/token").content.decode() == server.token


def test_the_command_prints_one_address_and_opens_another(
    site: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(lab_server, "SITE", site)
    monkeypatch.setattr(lab_server, "open_browser", opened.append)
    monkeypatch.setattr(lab_server.Server, "serve_forever", lambda self: None)
    assert cli.main(["lab", str(run)]) == 0
    printed = capsys.readouterr().out.strip()
    [address] = opened
    assert printed.partition("#token=")[0] == address.partition("#token=")[0]
    assert printed != address
    assert cli.main(["lab"]) == 0
    assert opened[1:] == [capsys.readouterr().out.strip()]
    assert "#" not in opened[1]


# --- Connections


@pytest.mark.parametrize(
    ("header", "is_closed"),
    [
        ("Content-Length: 0", False),
        ("Content-Length: 31", True),
        ("Content-Length: 0\r\nContent-Length: 31", True),
        ("Content-Length: x", True),
        ("Transfer-Encoding: chunked", True),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_is_not_read_as_the_next_request(site: Path, method: str, header: str, is_closed: bool) -> None:
    with serving(Pages(site=site)) as server:
        host = f"Host: 127.0.0.1:{server.server_port}"
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=120) as raw:
            raw.sendall(f"{method} /icon.svg HTTP/1.1\r\n{host}\r\n{header}\r\n\r\n".encode())
            response = http.client.HTTPResponse(raw, method=method)
            response.begin()
            response.read()
            assert (response.status, response.headers["Connection"]) == (200, "close" if is_closed else None)
            with suppress(ConnectionError):  # the server may have closed the connection
                raw.sendall(f"GET /assets/main.css HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n".encode())
            try:
                rest = raw.makefile("rb").read()
            except ConnectionError:
                rest = b""
            assert rest.endswith(b"a{}") != is_closed


def test_a_request_that_never_ends_is_given_up(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that keep arriving do not extend the time."""
    time, reads, reading = [0.0], [0], threading.Event()

    def clock() -> float:
        reads[0] += 1
        if reads[0] == 2:  # the first reading sets the deadline
            reading.set()
        return time[0]

    monkeypatch.setattr(lab_server, "monotonic", clock)
    monkeypatch.setattr(lab_server.Handler, "timeout", 600)
    with serving(Pages(site=site)) as server, socket.create_connection(("127.0.0.1", server.server_port)) as raw:
        raw.settimeout(120)
        assert reading.wait(120)
        time[0] = 601
        raw.sendall(b"G")
        assert raw.recv(100) == b""


def test_a_client_that_does_not_read_makes_room(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "large.wasm").write_bytes(bytes(30_000_000))  # more than the system's buffers hold
    monkeypatch.setattr(lab_server, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(lab_server.Handler, "timeout", 0.5)
    monkeypatch.setattr(lab_server, "SLOWEST", 1e9)
    with serving(Pages(site=site)) as server, socket.create_connection(("127.0.0.1", server.server_port)) as raw:
        raw.sendall(f"GET /large.wasm HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
        while not is_answered(server):
            pass


def is_answered(server: Server) -> bool:
    """Make a request; return False if the server is busy."""
    try:
        return ask(server, "/icon.svg").status == 200
    except (OSError, http.client.HTTPException):
        return False


def test_the_number_of_connections_is_limited(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_server, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(lab_server.Handler, "timeout", 600)
    with serving(Pages(site=site)) as server:
        held = [http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=120) for _ in range(2)]
        for connection in held:
            connection.request("GET", "/icon.svg")
            assert connection.getresponse().read() == b"<svg/>"
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=120) as raw:
            assert raw.makefile("rb").read().startswith(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n")
        held[0].request("GET", "/icon.svg")  # the others are still served
        assert held[0].getresponse().read() == b"<svg/>"
        held[1].close()
        while not is_answered(server):
            pass
        held[0].close()


def test_ctrl_c_while_a_connection_begins_frees_it_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda facts: errors.append(facts.exc_value))
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    with Server(Pages(site=site), 0) as server:
        ours, theirs = socket.socketpair()
        theirs.close()
        threads = set(threading.enumerate())
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", interrupted)
            with pytest.raises(KeyboardInterrupt):
                server.process_request(ours, ("127.0.0.1", 1))
        for thread in set(threading.enumerate()) - threads:
            thread.join()
        assert errors == []
        for _ in range(lab_server.MAX_CONNECTIONS):
            assert server.free.acquire(blocking=False)
        assert not server.free.acquire(blocking=False)
