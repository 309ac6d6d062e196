"""The project's public address, and the README with links that work outside the repository.

`python docs/address.py` prints README.md as a release publishes it: relative links become absolute, and the
instructions begin with the command that clones the repository.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ADDRESS = ""  # such as https://github.com/OWNER/microgpt; empty until the project has a public address

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")
CLONE = "Clone this repository and run the following command in its root folder:"


def published(text: str, address: str) -> str:
    """Return a document of the repository's root with absolute links, for readers outside the repository.

    Args:
        text: The document, in Markdown.
        address: The repository's address, without a slash at the end.

    Raises:
        ValueError: If the address is empty or not an https address.
    """
    if not re.fullmatch(r"https://[^\s/]+(/[^\s/]+)+", address):
        raise ValueError(f"ADDRESS in docs/address.py must be an https address without a final slash, got {address!r}")

    def absolute(match: re.Match[str]) -> str:
        image, label, path = match.groups()
        return f"{image}[{label}]({address}/{'raw' if image else 'blob'}/main/{path})"

    folder = address.rpartition("/")[2]
    return LINK.sub(absolute, text).replace(CLONE, f"Run:\n\n```\ngit clone {address}\ncd {folder}\n```\n\nand then:")


def main() -> int:
    """Print the README as a release publishes it; return the exit status."""
    try:
        print(published((ROOT / "README.md").read_text(encoding="utf-8"), ADDRESS), end="")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
