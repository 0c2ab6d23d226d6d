"""Tests see no setting of the user who runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Final

from tests.support.surroundings import CI, suite_variables

SETTINGS: Final = (
    "APPDATA",
    "CI",
    "COLUMNS",
    "CXONE_CLIENT_ID",
    "CXONE_CLIENT_SECRET",
    "CXROUTE_ENV",
    "CXROUTE_JOURNAL",
    "CXROUTE_PROXY",
    "EDITOR",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "GITHUB_ACTOR",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "HOME",
    "HTTPS_PROXY",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "NO_COLOR",
    "NO_PROXY",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "TZ",
    "XDG_CONFIG_HOME",
    "https_proxy",
)


def test_no_setting_reaches_the_tests() -> None:
    """The variables are the same with and without them."""
    machine = {"PATH": os.environ["PATH"]}
    expected = suite_variables(machine)
    assert expected == suite_variables({**machine, **dict.fromkeys(SETTINGS, "x")})


def test_a_test_that_lacks_something_fails_in_ci() -> None:
    """Processes of the program do not see CI; the suite remembers it."""
    actual = suite_variables({"CI": "true"})
    assert "CI" not in actual
    assert "true" == actual[CI]
    assert actual == suite_variables(actual)


def test_this_process_and_its_children_have_the_surroundings() -> None:
    """Variables, time zone, encodings and the permissions of new files."""
    own = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    assert {"HOME": os.devnull, "LANG": "C.UTF-8", "TZ": "NPT-5:45"} == own
    assert -(5 * 60 + 45) * 60 == time.timezone
    code = "import locale, os, time; print(time.tzname[0], locale.getencoding(), os.umask(0))"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ["NPT", "UTF-8", str(0o022)] == printed.stdout.split()
