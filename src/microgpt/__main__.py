"""The entry point of `python -m microgpt`, which runs the `microgpt` command."""

import os
import sys


def main() -> int:
    """Run the command and return its exit status."""
    try:
        from microgpt.cli.main import main as command  # Ctrl-C may come during the import
    except KeyboardInterrupt:
        from contextlib import suppress

        with suppress(OSError):  # stderr may be closed
            os.write(2, b"error: stopped\n")
        return 130
    return command()


if __name__ == "__main__":
    sys.exit(main())
