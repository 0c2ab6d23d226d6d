"""The endpoint's OpenAPI document is one, and says what a reader sees in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "schema" / "context-endpoint.openapi.yaml"
TEXT = FILE.read_text("utf-8")
QUOTED = [line for line in TEXT.splitlines() if 'description: "' in line]


def validated(file: Path) -> subprocess.CompletedProcess[str]:
    """Return the result of the validator, as `make lint` runs it."""
    command = [sys.executable, "-m", "openapi_spec_validator", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each member at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from members(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name, item
            yield from members(item)


def cut_texts(text: str) -> list[str]:
    """Return the names that are the rest of a text after a comma without quotes: they have no
    value.
    """
    return [name for name, value in members(yaml.safe_load(text)) if value is None]


@pytest.mark.slow
def test_the_document_is_valid() -> None:
    """By the schema of OpenAPI 3.1."""
    actual = validated(FILE)
    assert (0, f"{FILE}: OK\n") == (actual.returncode, actual.stdout)


def test_no_description_ends_at_a_comma() -> None:
    """A validator does not notice it in a schema, where other names are allowed."""
    assert [] == cut_texts(TEXT)


@pytest.mark.parametrize("line", QUOTED)
def test_a_comma_without_quotes_is_found(line: str) -> None:
    """Each description that has one needs its quotes."""
    unquoted = re.sub(r'description: "([^"]*)"', r"description: \1", line)
    broken = TEXT.replace(line, unquoted)
    assert cut_texts(broken)


def test_make_lint_runs_the_validator() -> None:
    """On the same file."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    assert "\t$(BIN)/openapi-spec-validator schema/*.openapi.yaml\n" in recipe
