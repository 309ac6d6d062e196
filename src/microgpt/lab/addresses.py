"""The addresses and the names under which the lab's server is reached."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress

from microgpt.errors import SiteError

HOST = "127.0.0.1"
NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL, errno.ENODEV)  # an address, not a port, is wrong

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def parsed(host: str) -> Ip:
    """Return the IP address of `--host`; raise a SiteError if it is none."""
    try:
        return ipaddress.ip_address(HOST if host == "localhost" else host)
    except ValueError as error:
        raise SiteError(no_address(host, error)) from None


def no_address(host: str, error: Exception) -> str:
    """Return the message for an address that the server cannot listen on."""
    return (
        f"host must be an IP address of this machine, or 0.0.0.0 or :: for all of its addresses, got host={host!r}"
        f" ({error})"
    )


def _without_zone(ip: Ip) -> Ip:
    """Return an address without the name of its network interface, which browsers do not send."""
    return ipaddress.ip_address(str(ip).partition("%")[0])


def in_url(ip: Ip) -> str:
    """Return an address as a URL contains it."""
    return str(ip) if ip.version == 4 else f"[{str(ip).replace('%', '%25')}]"


def hosts(port: int, address: str = HOST) -> list[list[str]]:
    """Return the valid Host headers of a server on loopback, each as a one-element list.

    Browsers omit port 80.
    """
    ports = ["", ":80"] if port == 80 else [f":{port}"]
    return [[name + given] for name in (address, "localhost") for given in ports]


def is_not_here(error: Exception) -> bool:
    """Return whether a server cannot listen because the address is not this machine's."""
    return isinstance(error, socket.gaierror) or getattr(error, "errno", 0) in NOT_HERE


def is_named(host: Sequence[str] | None, ip: Ip, names: Collection[str]) -> bool:
    """Return whether Host headers name a guarded server.

    A guarded server may be reached through another port (of a container, for example), and at every address that it
    listens on, because a site that makes a domain name resolve to this machine is sent that name.

    Args:
        host: The request's Host headers.
        ip: The address that the server listens on.
        names: The other names under which it may be reached, in lower case.
    """
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:\d+)?", host[0]) if host and len(host) == 1 else None
    if not found:
        return False
    name = found[1].lower().strip("[]")
    if name in {"localhost", *names}:
        return True
    with suppress(ValueError):
        own = ipaddress.ip_address(name)
        return own.is_loopback or ip.is_unspecified or own == _without_zone(ip)
    return False
