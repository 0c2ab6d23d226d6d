"""Invalid manifests: every error of every file, each at its position, in the words of manifests.

`python -m tests.core.manifest.test_invalid_manifests` writes the `.expected` files.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import chdir
from pathlib import Path

import pytest

from reconciler.core.model.finding import CODES
from tests.support.written_manifests import (
    CARDS,
    ENVIRONMENT,
    HEAD,
    MANIFESTS,
    findings,
    lines,
)

INVALID = sorted(
    path for path in (MANIFESTS / "invalid").iterdir() if path.suffix != ".expected"
)


@pytest.mark.parametrize("case", INVALID, ids=lambda path: path.name)
def test_invalid_manifests_report_every_error_at_its_position(
    case: Path, room: Path
) -> None:
    """Each class of invalid input gives exactly the lines of its `.expected` file, in order."""
    assert case.with_suffix(".expected").read_text().splitlines() == reported(
        case, room
    )


def reported(case: Path, folder: Path) -> list[str]:
    """Return the errors of a case, whose files are copied into an empty folder."""
    if case.is_dir():
        shutil.copytree(case, folder, dirs_exist_ok=True)
    else:
        shutil.copy(case, folder)
    return lines(folder)


def test_messages_do_not_use_words_of_pydantic_or_python() -> None:
    """Errors are worded for authors of manifests."""
    output = "\n".join(
        path.read_text() for path in (MANIFESTS / "invalid").glob("*.expected")
    )
    phrases = (
        "Input should",
        "valid string",
        "valid integer",
        "dictionary",
        "NoneType",
        "tuple",
        "regex",
        "pydantic",
    )
    assert [] == [
        phrase for phrase in phrases if phrase in output.replace('operator "regex"', "")
    ]


def test_every_code_of_loading_has_a_case() -> None:
    """Each CXR0.. and CXR1.. code of loading occurs in a case here or in test_yaml_reader."""
    output = "\n".join(
        path.read_text() for path in (MANIFESTS / "invalid").glob("*.expected")
    )
    of_desired_rules = {
        "CXR105",
        "CXR106",
        "CXR107",
        "CXR109",
        "CXR110",
        "CXR117",
        "CXR119",
        "CXR120",
        "CXR121",
    }
    of_desired_rules |= {
        "CXR123",
        "CXR133",
        *(f"CXR{number}" for number in range(125, 132)),
    }
    # made by tests, not kept as files
    by_bytes = {
        "CXR001",
        "CXR002",
        "CXR003",
        "CXR010",
        "CXR014",
        "CXR115",
    }
    codes = {code for code in CODES if code < "CXR2"} - of_desired_rules
    assert by_bytes == {code for code in codes if f"[{code}]" not in output}


def test_the_caret_of_an_error(room: Path) -> None:
    """An error shows its line, the length of the invalid text, and the nearest valid name."""
    (room / "a.yaml").write_text(CARDS.replace("queue", "quue"))
    excerpt = "  - {intent: lost_card, quue: fraud}"
    assert [('did you mean "queue"?', excerpt, 4)] == [
        (finding.hint, finding.excerpt, finding.span) for finding in findings(room)
    ]


def test_an_unknown_field_without_a_similar_name_lists_all(room: Path) -> None:
    """The hint lists the valid names."""
    (room / "a.yaml").write_text(
        HEAD + "  - {intent: lost_card, queue: fraud, xyzzy: true}\n"
    )
    (hint,) = [finding.hint for finding in findings(room)]
    assert hint.startswith("available: intent, intents, minConfidence, ")


def test_an_excerpt_has_no_control_characters(room: Path) -> None:
    """Escape sequences and direction marks are replaced one by one, so that the caret keeps its
    column.
    """
    (room / "a.yaml").write_text(
        HEAD + "  - intent: a\t# \x1b[31m \u202e\n    quue: \u202eb\n    queue: b\n"
    )
    assert [
        ("CXR015", "  - intent: a # \ufffd[31m \ufffd", 1),
        ("CXR102", "    quue: \ufffdb", 4),
    ] == [(finding.code, finding.excerpt, finding.span) for finding in findings(room)]


def test_secrets_in_wrong_fields_are_not_shown(room: Path) -> None:
    """A secret in place of a variable's name, or in an address, is not in any finding."""
    text = (
        "notify: {url: 'http://hooks.example/hunter-2'}\ncredentials: {clientSecretEnv: hunter-2, "
        "secret: hunter-2}\n"
    )
    (room / "a.yaml").write_text(ENVIRONMENT + text)
    output = findings(room)
    assert (3, False) == (len(output), any("hunter" in f"{item}" for item in output))


def test_a_file_reports_at_most_a_thousand_errors(room: Path) -> None:
    """A note says that there are more; the errors of other files are reported too."""
    (room / "a.yaml").write_text(HEAD + "  - {colour: red}\n" * 3000)
    (room / "b.yaml").write_text("[")
    output = findings(room)
    assert (1002, "and at least 2,000 more errors in this file", "CXR004") == (
        len(output),
        output[1000].message,
        output[1001].code,
    )


if __name__ == "__main__":
    for invalid in INVALID:
        with tempfile.TemporaryDirectory() as home, chdir(home):
            folder = Path("manifests")
            folder.mkdir()
            text = "\n".join(reported(invalid, folder))
        invalid.with_suffix(".expected").write_text(f"{text}\n")
