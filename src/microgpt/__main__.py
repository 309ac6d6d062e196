"""The entry point of `python -m microgpt`, which runs the `microgpt` command."""

import sys


def main() -> int:
    """Its exit status."""
    try:
        from microgpt.cli.main import main as command  # a third of a second, in which Ctrl-C may come, too
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        return 130
    return command()


if __name__ == "__main__":
    sys.exit(main())
