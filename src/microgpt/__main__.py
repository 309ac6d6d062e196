"""The entry point of `python -m microgpt`, which runs the `microgpt` command."""

import sys


def main() -> int:
    """Run the command and return its exit status."""
    try:
        from microgpt.cli.main import main as command  # takes a third of a second: catch Ctrl-C here too
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        return 130
    return command()


if __name__ == "__main__":
    sys.exit(main())
