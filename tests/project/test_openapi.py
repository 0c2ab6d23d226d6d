"""The OpenAPI documents are valid, and say what a reader sees in them."""

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
FILES = sorted((ROOT / "schema").glob("*.openapi.yaml"))
TEXTS = {file.name: file.read_text("utf-8") for file in FILES}
QUOTED = [
    (name, line)
    for name, text in TEXTS.items()
    for line in text.splitlines()
    if re.search(r'description: "[^"]*,', line)
]


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
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_document_is_valid(file: Path) -> None:
    """By the schema of OpenAPI 3.1."""
    actual = validated(file)
    assert (0, f"{file}: OK\n") == (actual.returncode, actual.stdout)


@pytest.mark.parametrize("name", TEXTS)
def test_no_description_ends_at_a_comma(name: str) -> None:
    """A validator does not notice it in a schema, where other names are allowed."""
    assert [] == cut_texts(TEXTS[name])


@pytest.mark.parametrize(("name", "line"), QUOTED)
def test_a_comma_without_quotes_is_found(name: str, line: str) -> None:
    """Each description that has one needs its quotes."""
    unquoted = re.sub(r'description: "([^"]*)"', r"description: \1", line)
    broken = TEXTS[name].replace(line, unquoted)
    assert cut_texts(broken)


def test_make_lint_runs_the_validator() -> None:
    """On the same file."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    assert "\t$(BIN)/openapi-spec-validator schema/*.openapi.yaml\n" in recipe
