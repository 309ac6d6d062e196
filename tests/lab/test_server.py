"""The lab's server: it serves the page and the named runs to this machine, and nothing else."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import microgpt
from microgpt.cli import main as cli
from microgpt.errors import SiteError
from microgpt.lab import server as lab_server
from microgpt.lab.server import NamedRun, Pages, Server, export

from conftest import ROOT, TINY, clean_environment
from lab.served import SCRIPT, ask, serving


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/index.html?v=1", "text/html; charset=utf-8"),
        ("/assets/main.js", "text/javascript; charset=utf-8"),
        ("/assets/main.css", "text/css; charset=utf-8"),
        ("/pyodide/pyodide.mjs", "text/javascript; charset=utf-8"),
        ("/pyodide/pyodide.asm.wasm", "application/wasm"),
        ("/pyodide/some.whl", "application/zip"),
        ("/microgpt.zip", "application/zip"),
        ("/snapshot.json", "application/json"),
        ("/icon.svg", "image/svg+xml"),
        ("/strange.thing", "application/octet-stream"),
    ],
)
def test_each_file_has_its_type_and_the_security_headers(site: Path, path: str, kind: str) -> None:
    with serving(Pages(site=site)) as server:
        response = ask(server, path)
    assert (response.status, response.headers["Content-Type"]) == (200, kind)
    file = site / (path.split("?")[0].removeprefix("/") or "index.html")
    assert response.content == file.read_bytes()
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["frame-ancestors"] == "'none'"
    assert not re.search(r"'unsafe-(inline|eval)'|http|\*", " ".join(policy.values()))
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-cache"


def test_the_page_contains_the_policy_of_the_header() -> None:
    """For hosts that send no such header, the page has the policy, except the directive that only a header may have."""
    in_page = re.findall(r"^  \"(.*)\",$", (ROOT / "web" / "vite.config.ts").read_text(), re.MULTILINE)
    in_header = lab_server.HEADERS["Content-Security-Policy"].split("; ")
    assert in_page == [part for part in in_header if not part.startswith("frame-ancestors")]


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/%252e%252e%252fsecret.txt",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "//secret.txt",
        "/./index.html",
        "/assets/",
        "/assets",
        "/.built-from",
        "/link.txt",
        "/links/secret.txt",
        "/index.html%00.js",
        "/index.html/",
        "/%ff%fe",
        "/runs/",
        "/runs/0/config.json",
        "/runs/0/../0/config.json",
        "/runs/1/model.safetensors",
        "/runs/-1/model.safetensors",
        "/runs/00/model.safetensors",
        "/" + "a" * 5000,
    ],
)
def test_no_address_leads_out_of_the_page_and_the_runs(site: Path, run: Path, path: str) -> None:
    with serving(Pages([NamedRun.find(run)], site)) as server:
        for asked in (path, path.replace("secret.txt", str(site.parent / "secret.txt"))):
            response = ask(server, asked)
            assert response.status == 404
            assert response.content == b"404 Not Found\n"
            assert "default-src 'self'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_only_get_and_head_are_allowed(site: Path, method: str) -> None:
    with serving(Pages(site=site)) as server:
        response = ask(server, "/", method, Content_Length="0")
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
        assert ask(server, "/", "BREW").status == 501


def test_a_request_for_another_host_gets_nothing(site: Path) -> None:
    """A page whose host name is made to point to this machine (DNS rebinding) cannot read the runs."""
    with serving(Pages(site=site)) as server:
        port = server.server_port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
            assert ask(server, "/", Host=host).status == 200
        for host in (
            "127.0.0.1",
            f"evil.example:{port}",
            f"127.0.0.1:{port + 1}",
            f"localhost.evil.example:{port}",
            "",
        ):
            response = ask(server, "/", Host=host)
            assert (response.status, response.content) == (421, b"421 Misdirected Request\n")
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(f"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert raw.recv(100).startswith(b"HTTP/1.1 421")


def test_a_browser_that_leaves_out_port_80_is_answered() -> None:
    assert ["127.0.0.1"] in lab_server.hosts(80)
    assert ["127.0.0.1:80"] in lab_server.hosts(80)
    assert ["127.0.0.1"] not in lab_server.hosts(8000)


def test_the_server_listens_only_on_loopback(site: Path) -> None:
    with Server(Pages(site=site), 0) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"
        assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_head_gives_the_headers_of_get(site: Path) -> None:
    with serving(Pages(site=site)) as server:
        head, get = ask(server, "/assets/main.js", "HEAD"), ask(server, "/assets/main.js")
    assert head.content == b""
    assert head.headers["Content-Length"] == str(len(get.content)) == str(len(SCRIPT))


def test_text_is_compressed_if_the_client_accepts_it(site: Path) -> None:
    with serving(Pages(site=site)) as server:
        plain = ask(server, "/assets/main.js", Accept_Encoding="br, identity")
        small = ask(server, "/assets/main.js", Accept_Encoding="br;q=1.0, gzip;q=0.8")
        code = ask(server, "/pyodide/pyodide.asm.wasm", Accept_Encoding="gzip")
    assert plain.headers["Content-Encoding"] is None
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.content) == plain.content == SCRIPT.encode()
    assert len(small.content) < len(plain.content) / 10
    assert plain.headers["Vary"] == small.headers["Vary"] == "Accept-Encoding"
    assert code.content == b"\0asm"


def test_a_changed_file_is_sent_again(site: Path) -> None:
    with serving(Pages(site=site)) as server:
        first = ask(server, "/index.html")
        assert first.headers["Cache-Control"] == "no-cache"
        (site / "index.html").write_text("a new page")
        assert ask(server, "/index.html").content == b"a new page" != first.content


def test_one_connection_carries_many_requests(site: Path) -> None:
    with serving(Pages(site=site)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=120)
        for path, status in [("/", 200), ("/assets/main.js", 200), ("/nothing", 404)]:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert response.status == status
        connection.close()


def test_runs_are_served_with_their_current_files(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "now"
    microgpt.train(["ada", "bea", "abba"], TINY, out=folder)
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((folder / "model.safetensors").read_bytes())
    with serving(Pages([NamedRun.find(folder), NamedRun.find(alone)], site)) as server:
        index = json.loads(ask(server, "/runs/index.json").content)
        assert index == [
            {"name": "now", "model": "runs/0/model.safetensors", "metrics": "runs/0/metrics.jsonl"},
            {"name": "alone.safetensors", "model": "runs/1/model.safetensors", "metrics": "runs/1/metrics.jsonl"},
        ]
        first = ask(server, "/runs/0/metrics.jsonl")
        assert first.content == (folder / "metrics.jsonl").read_bytes()
        assert first.headers["Content-Type"] == "application/jsonl"
        assert ask(server, "/runs/0/model.safetensors").content == (folder / "model.safetensors").read_bytes()
        assert ask(server, "/runs/1/metrics.jsonl").content == b""
        with (folder / "metrics.jsonl").open("a") as metrics:  # as training does
            metrics.write('{"step": 13}\n')
        assert ask(server, "/runs/0/metrics.jsonl").content == first.content + b'{"step": 13}\n'
        (folder / "model.safetensors").unlink()
        assert ask(server, "/runs/0/model.safetensors").status == 404


def test_another_port_is_used_if_the_default_one_is_taken(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(Pages(site=site), 0) as other:
        monkeypatch.setattr(lab_server, "PORT", other.server_port)
        with Server(Pages(site=site)) as server:
            assert server.server_port != other.server_port
        with pytest.raises(
            SiteError, match=rf"port={other.server_port} is not available \(.*in use.*\): choose another"
        ):
            Server(Pages(site=site), other.server_port)
    with pytest.raises(SiteError, match="port=70000 is not available"):
        Server(Pages(site=site), 70000)


# --- The export


def test_the_export_holds_the_page_and_the_runs(site: Path, run: Path, tmp_path: Path) -> None:
    pages = Pages([NamedRun.find(run)], site)
    target = tmp_path / "some" / "where"
    export(pages, target)
    written = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert written == set(pages.all())
    assert "runs/0/model.safetensors" in written
    assert ".built-from" not in written
    assert (target / "assets" / "main.js").read_text() == SCRIPT
    assert json.loads((target / "runs" / "index.json").read_text())[0]["name"] == "small"


def test_the_export_does_not_change_a_folder_that_is_not_empty(site: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export(Pages(site=site), tmp_path / "empty")
    before = sorted((tmp_path / "empty").rglob("*"))
    for target in (tmp_path / "empty", tmp_path / "secret.txt"):
        with pytest.raises(SiteError, match="export must be a new or empty folder, got export='"):
            export(Pages(site=site), target)
    assert sorted((tmp_path / "empty").rglob("*")) == before


# --- The command


def test_without_the_page_the_command_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab_server, "SITE", tmp_path / "nothing")
    monkeypatch.setattr(lab_server, "NO_SITE", tmp_path / "no_site.txt")
    assert cli.main(["lab", "--no-browser"]) == 2
    words = (
        "error: the lab's page is missing from this installation: install npm (with Node 20.19, 22.12 or newer), then"
    )
    assert capsys.readouterr().err == f"{words} reinstall this package\n"
    (tmp_path / "no_site.txt").write_text("MICROGPT_PURE_PYTHON is set")
    assert cli.main(["lab", "--no-browser"]) == 2
    assert (
        capsys.readouterr().err
        == "error: the lab's page is missing from this installation: MICROGPT_PURE_PYTHON is set\n"
    )


def test_a_path_that_is_not_a_run_is_refused(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab_server, "SITE", site)
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    for path, words in [
        ("nothing", "does not exist"),
        ("secrets", "is not a run folder"),
        ("bad.safetensors", "is not a microgpt checkpoint"),
    ]:
        assert cli.main(["lab", "--no-browser", str(tmp_path / path)]) == 2
        assert words in capsys.readouterr().err


def test_the_command_serves_until_ctrl_c(site: Path, run: Path) -> None:
    code = (
        "import pathlib, sys; from microgpt.cli import main as cli; from microgpt.lab import server;"
        f"server.SITE = pathlib.Path({str(site)!r});"
        f"sys.exit(cli.main(['lab', '--no-browser', {str(run)!r}]))"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        address = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#token=([\w-]{43})\n", process.stdout.readline())
        assert address
        connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=120)
        token = {"Authorization": f"Bearer {address[2]}"}
        connection.request("GET", "/runs/index.json", headers=token)  # the connection stays open
        assert json.loads(connection.getresponse().read())[0]["name"] == "small"
        process.send_signal(signal.SIGINT if os.name != "nt" else signal.CTRL_C_EVENT)
        output, error = process.communicate(timeout=120)
        connection.close()
    assert (process.returncode, output, error) == (0, "", "press Ctrl-C to stop\n")
