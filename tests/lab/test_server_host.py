"""The lab on an address that other machines reach: without the token, nothing is served, and only to the right host."""

from __future__ import annotations

import hmac
import http.client
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.errors import SiteError
from microgpt.lab import server as lab_server
from microgpt.lab.server import NamedRun, Pages, Server

from conftest import clean_environment
from lab.served import ask, serving

PATHS = ("/", "/index.html", "/assets/main.js", "/snapshot.json", "/runs/index.json", "/runs/0/model.safetensors",
         "/runs/token", "/nowhere", "/?token=", "/?token=wrong", "/?token=%ff")  # fmt: skip


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def cookie_of(server: Server, address: str = "") -> str:
    """Open the printed address, and return the cookie that it sets."""
    response = ask(server, "/" + (address or server.address()).removeprefix(server.url), Authorization="")
    assert response.status == 200
    return response.headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_is_served_without_the_token(method: str, path: str, site: Path, run: Path) -> None:
    with serving(Pages([NamedRun.find(run)], site), host="0.0.0.0") as server:
        name = server.cookie
        for headers in (
            {},
            {"Authorization": f"Bearer {server.token}"},  # only the cookie counts, which no script can read
            {"Cookie": f"{name}="},
            {"Cookie": f"{name}=wrong; other={server.token}"},
            {"Cookie": f"{name}={server.token}x"},
            {"Cookie": f"{name}-2={server.token}"},
        ):
            response = ask(server, path, method, **{"Authorization": "", **headers})
            assert response.status == 403
            assert "Set-Cookie" not in response.headers
            expected = b"403 Forbidden: open the address that microgpt lab printed, with its token\n"
            assert response.content == (expected if method == "GET" else b"")


def test_the_printed_address_sets_a_cookie_with_which_everything_is_served(site: Path, run: Path) -> None:
    with serving(Pages([NamedRun.find(run)], site), host="0.0.0.0") as server:
        assert server.address() == f"http://127.0.0.1:{server.server_port}/?token={server.token}"
        entered = ask(server, f"/?token={server.token}", Authorization="")
        assert entered.headers["Set-Cookie"] == (
            f"microgpt-{server.server_port}={server.token}; HttpOnly; SameSite=Strict; Path=/"
        )
        assert b'content="0; url=./"' in entered.content
        assert server.token.encode() not in entered.content
        assert entered.headers["Cache-Control"] == "no-cache"
        cookie = {"Cookie": f"other=1; {cookie_of(server)}", "Authorization": ""}
        assert ask(server, "/", **cookie).content == (site / "index.html").read_bytes()
        assert ask(server, "/assets/main.js", **cookie).status == 200
        assert ask(server, "/runs/0/model.safetensors", **cookie).content == (run / "model.safetensors").read_bytes()
        assert ask(server, "/nowhere", **cookie).status == 404
        assert ask(server, "/runs/token", **cookie).status == 404  # no script learns the token


def test_the_address_for_the_browser_is_valid_once(site: Path) -> None:
    with serving(Pages(site=site), host="0.0.0.0") as server:
        once = server.address(once=True)
        assert server.token not in once
        assert cookie_of(server, once) == f"{server.cookie}={server.token}"
        assert ask(server, "/" + once.removeprefix(server.url), Authorization="").status == 403


def test_tokens_are_compared_in_constant_time(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    original = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or original(a, b))
    with serving(Pages(site=site), host="0.0.0.0") as server:
        ask(server, "/?token=first", Authorization="")
        ask(server, "/", Authorization="", Cookie=f"{server.cookie}=second")
    assert compared == [b"first", b"second"]


def test_a_guarded_server_answers_only_to_its_addresses_and_names(site: Path) -> None:
    with serving(Pages(site=site), host="0.0.0.0", names=["Lab.example"]) as server:
        cookie, port = {"Cookie": cookie_of(server), "Authorization": ""}, server.server_port
        here = (f"127.0.0.1:{port}", "127.0.0.1:9000", "localhost", "192.168.7.9:80", "[fe80::1]:8000", "[::1]",
                "lab.example", "LAB.example:443")  # fmt: skip
        for host in here:
            assert ask(server, "/", Host=host, **cookie).status == 200, host
        for host in ("evil.example", f"evil.example:{port}", "lab.example.evil.example", "", "a:b:c", "[]", "0x7f.1",
                     "127.0.0.1.evil.example", "lab.example:x"):  # fmt: skip
            response = ask(server, "/", Host=host, **cookie)
            assert (response.status, response.content) == (421, b"421 Misdirected Request\n"), host


def test_a_server_on_one_address_does_not_answer_to_another(site: Path) -> None:
    with serving(Pages(site=site), host="127.0.0.1", names=["lab.example"]) as server:
        cookie = {"Cookie": cookie_of(server), "Authorization": ""}  # a name needs the token even on loopback
        assert ask(server, "/", Host="lab.example", **cookie).status == 200
        assert ask(server, "/", Host="192.168.7.9", **cookie).status == 421
        assert ask(server, "/", Authorization="").status == 403


@needs_ipv6
def test_ipv6_is_served_on_loopback_and_on_all_addresses(site: Path) -> None:
    with serving(Pages(site=site), host="::1") as server:
        assert (server.is_guarded, server.address()) == (False, f"http://[::1]:{server.server_port}/")
        assert ask(server, "/", to="::1").status == 200
        assert ask(server, "/", to="::1", Host=f"localhost:{server.server_port}").status == 200
        assert ask(server, "/", to="::1", Host="evil.example").status == 421
    with serving(Pages(site=site), host="::") as server:
        assert server.address().startswith(f"http://[::1]:{server.server_port}/?token=")
        path = f"/?token={server.token}"
        assert ask(server, path, to="::1").status == ask(server, path, to="127.0.0.1").status == 200
        assert ask(server, "/", to="::1").status == 403


def test_loopback_is_the_default_and_serves_the_page_without_a_token(site: Path) -> None:
    with serving(Pages(site=site)) as server:
        assert (server.is_guarded, server.server_address[0]) == (False, "127.0.0.1")
        assert ask(server, "/", Authorization="").status == 200


WRONG = {
    "nowhere.example": "host must be an IP address of this machine, or 0.0.0.0 or :: for all of its addresses, got"
    " host='nowhere.example'",
    "192.0.2.1": "host must be an IP address of this machine, or 0.0.0.0 or :: for all of its addresses, got"
    " host='192.0.2.1'",  # reserved for documentation, so no machine has it
    "fe80::1%nowhere": "host must be an IP address of this machine, or 0.0.0.0 or :: for all of its addresses, got"
    " host='fe80::1%nowhere'",
    "": "host must be an IP address of this machine, or 0.0.0.0 or :: for all of its addresses, got host=''",
    "127.0.0.1:80": "host must be an IP address of this machine, or 0.0.0.0 or :: for all of its addresses, got"
    " host='127.0.0.1:80'",
}


@pytest.mark.parametrize(("host", "message"), WRONG.items(), ids=WRONG)
def test_a_wrong_address_is_refused(
    host: str, message: str, site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for port in (None, 0):
        with pytest.raises(SiteError, match=f"^{re.escape(message)}"):
            Server(Pages(site=site), port, host)
    monkeypatch.setattr(lab_server, "SITE", site)
    assert cli.main(["lab", "--no-browser", *shlex.split(f"--host='{host}'")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


@pytest.mark.parametrize("name", ["", "lab.example:80", "http://lab.example", "a b", "-x", "*"])
def test_a_wrong_name_is_refused(name: str, site: Path) -> None:
    message = f"allow_host must be a host's name without a port, such as lab.example, got {name!r}"
    with pytest.raises(SiteError, match=f"^{re.escape(message)}$"):
        Server(Pages(site=site), 0, "0.0.0.0", [name])


def test_the_command_prints_the_address_with_the_token_and_a_warning(site: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from microgpt.lab import server; from microgpt.cli.main import main;"
        f" server.SITE = Path({str(site)!r}); sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "lab", "--host", "0.0.0.0", "--port", "0", "--no-browser"],
        env=clean_environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    printed = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=[\w-]{43}\n", process.stdout.readline())
    assert printed
    assert process.stderr
    assert process.stderr.readline() == (
        "warning: other machines can reach the lab: this address with its token shows the page and the runs to anyone;"
        " the connection is not encrypted\n"
    )
    assert process.stderr.readline() == "press Ctrl-C to stop\n"
    connection = http.client.HTTPConnection("127.0.0.1", int(printed[1]), timeout=120)
    connection.request("GET", "/")
    assert connection.getresponse().status == 403  # the server runs, so that Ctrl-C ends it and not its start
    connection.close()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 0
