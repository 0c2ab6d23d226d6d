"""`python -m reconciler`, and the command `cxroute`."""

import sys


def run() -> int:
    """Run the program, and return its exit code.

    An interrupt during the imports ends it like one during the run.
    """
    try:
        from reconciler.cli.main import main  # noqa: PLC0415 - most of the start-up is imports

        return main()
    except KeyboardInterrupt:
        from reconciler.cli.main import interrupted  # noqa: PLC0415 - for the same reason

        return interrupted(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
