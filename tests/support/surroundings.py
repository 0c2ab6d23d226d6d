"""The environment of the suite: the same on every machine, for tests and for each process that they
start.

`settle()` replaces the variables of the user who runs the tests. tests/conftest.py calls it when pytest
is configured, so that the workers of pytest-xdist start with it, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Final

CI: Final = "CXROUTE_TESTS_CI"
"""Set to `true` where CI=true: a test that lacks what it needs fails."""
_RETAINED: Final = frozenset(
    {
        "CXROUTE_CAMPAIGN",
        "JAVA_HOME",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "SYSTEMROOT",
        "TMPDIR",
        "USER",
        "VIRTUAL_ENV",
    }
)
"""Where the machine has its programs, certificates and temporary files; what the campaign says."""
_RETAINED_PREFIXES: Final = (
    "COVERAGE_",
    "CXROUTE_MUTATION_",
    "CXROUTE_TESTS_",
    "PIP_",
    "PYTEST_",
    "UV_",
    "npm_config_",
)
"""Switches of the suite's own tools; the installers say where packages come from."""
_STATED: Final = {
    # Nothing can be written there, as for a user of a system service; by root neither.
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "LANG": "C.UTF-8",
    # Far from UTC and not by whole hours; in a form that needs no database.
    "TZ": "NPT-5:45",
}


def settle() -> None:
    """Give this process the environment of the suite."""
    variables = suite_variables(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.umask(0o022)


def suite_variables(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the suite, for a process that was given others."""
    retained = {
        name: value
        for name, value in given.items()
        if name in _RETAINED or name.startswith(_RETAINED_PREFIXES)
    }
    if given.get("CI") == "true":
        retained[CI] = "true"
    return {**retained, **_STATED}
