"""The entry point of `python -m microgpt`, which runs the `microgpt` command."""

import sys


def main() -> int:
    """Run the command and return its exit status."""
    try:
        from microgpt.cli.main import main as command  # the import takes a third of a second, so catch Ctrl-C here
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        return 130
    return command()


if __name__ == "__main__":
    sys.exit(main())
