"""Download the public data sets, makemore's names.txt and tiny Shakespeare, to a cache."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from microgpt.errors import DataError
from microgpt.system.files import atomic

MAKEMORE_URL = "https://raw.githubusercontent.com/karpathy/makemore/988aa59/names.txt"
MAKEMORE_SHA256 = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"
SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
MAX_BYTES = 1 << 22  # the published files have 228,145 and 1,115,394; a server that sends more sends another file

Progress = Callable[[int, int], None]  # (bytes so far, total bytes or 0 if unknown)


def cache_folder() -> Path:
    """Return the folder for downloads: $XDG_CACHE_HOME/microgpt, or the system's equivalent."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "microgpt"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "microgpt"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "microgpt"
    return Path.home() / ".cache" / "microgpt"


def makemore(progress: Progress | None = None, *, url: str = MAKEMORE_URL, timeout: float = 20.0) -> Path:
    """Return the path of the public names.txt (32,033 names); see `fetch`."""
    return fetch("the makemore names", "names.txt", MAKEMORE_SHA256, url, progress, timeout)


def shakespeare(progress: Progress | None = None, *, url: str = SHAKESPEARE_URL, timeout: float = 20.0) -> Path:
    """Return the path of tiny Shakespeare (1,115,394 characters of the plays); see `fetch`."""
    return fetch("tiny Shakespeare", "shakespeare.txt", SHAKESPEARE_SHA256, url, progress, timeout)


def fetch(what: str, name: str, sha256: str, url: str, progress: Progress | None, timeout: float) -> Path:
    """Return the path of a published file, downloading it to the cache if necessary.

    Args:
        what: The file in words, for messages.
        name: Its name in the cache.
        sha256: The SHA-256 of its bytes.
        url: The URL to download from.
        progress: Called to report download progress.
        timeout: How long to wait for the server, in seconds.

    Returns:
        The path of the cached file, whose SHA-256 has been verified.

    Raises:
        DataError: The file cannot be downloaded or saved; the message says what to do.
    """
    path = cache_folder() / name
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
        return path
    import http.client
    import urllib.error
    import urllib.request

    remedy = f"download {url} yourself and pass the file, or omit FILE to use the bundled names"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            total, content = int(response.headers.get("Content-Length") or 0), b""
            while total <= MAX_BYTES and len(content) <= MAX_BYTES and (piece := response.read(1 << 14)):
                content += piece
                if progress:
                    progress(len(content), total)
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = " ".join(str(getattr(error, "reason", error)).split())
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DataError(f"cannot download {what} ({reason}): {remedy}") from None
    if max(total, len(content)) > MAX_BYTES:
        sent = f"{total:,} bytes" if total > MAX_BYTES else "too much"
        raise DataError(f"the server sends {sent} for {what}, and at most {MAX_BYTES:,} are read: {remedy}")
    if (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(
            f"the downloaded file does not match {what} as published (SHA-256 {digest[:12]}..., expected"
            f" {sha256[:12]}...): try again, or {remedy}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as file:
            file.write(content)
    except OSError as error:
        raise DataError(f"cannot save {what} in {str(path.parent)!r} ({error.strerror}): {remedy}") from None
    return path
