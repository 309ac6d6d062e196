"""A server that a test starts, and requests to it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from microgpt.lab.server import Pages, Server

SCRIPT = "export const word = 'emma'\n" * 100


@contextmanager
def serving(pages: Pages, **options: Any) -> Iterator[Server]:
    with Server(pages, 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:  # a thread that goes on would keep the test process alive
            server.shutdown()
            thread.join()


class Response:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.content = response.status, response.headers, response.read()


def ask(server: Server, path: str, method: str = "GET", to: str = "127.0.0.1", **headers: str) -> Response:
    """Make a request with an unchanged path. Underscores in header names mean hyphens; the default Host is right.

    The default Authorization has the server's token.
    """
    headers = {"Authorization": f"Bearer {server.token}", **headers}
    connection = http.client.HTTPConnection(to, server.server_port, timeout=120)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = Response(connection.getresponse())
    connection.close()
    return response
