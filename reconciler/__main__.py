"""`python -m reconciler` is the same program as `cxroute`."""

import sys

from reconciler.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
