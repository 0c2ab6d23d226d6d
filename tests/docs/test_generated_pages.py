"""The generated pages agree with the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.core.errors import CxrouteError
from tests.docs.generated import GENERATED
from tests.docs.manifests import EXAMPLES
from tests.docs.page import ROOT
from tests.support.program import Program


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_the_generated_pages_are_up_to_date(page: Path) -> None:
    """`make docs` updates them."""
    assert GENERATED[page]() == page.read_text(encoding="utf-8"), "make docs"


def test_the_examples_are_valid_manifests(cxroute: Program) -> None:
    """All together, with their route tests."""
    assert 0 == cxroute("validate", "-m", str(EXAMPLES))
    assert "No errors" in cxroute.out, cxroute.out + cxroute.err
    assert 0 == cxroute("test", "-m", str(EXAMPLES), "-e", "prod")


def test_the_page_of_exit_codes_has_every_exit_code() -> None:
    """The codes of errors, and those of results."""
    page = (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    output = {
        int(code)
        for code in re.findall(r'^\| <a id="exit-(\d+)"></a>\1 \|', page, re.MULTILINE)
    }
    assert {0, 2, 5} | codes(CxrouteError) == output


def test_the_page_of_commands_has_every_variable() -> None:
    """Each variable that the program names."""
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    code = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "reconciler").rglob("*.py")
    )
    named = {
        name.removesuffix("_FILE")
        for name in re.findall(r"\bCXROUTE_[A-Z_]+|\bCXONE_[A-Z_]+", code)
    }
    assert set() == {name for name in named - {"CXROUTE_CA"} if f"`{name}`" not in page}


def codes(error: type[CxrouteError]) -> set[int]:
    """Return the exit codes of an error class and of its subclasses."""
    return {error.exit_code}.union(
        *(codes(subclass) for subclass in error.__subclasses__())
    )
