"""Invalid manifests: every error of every file, each at its place, in words for people."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconciler.model.finding import CODES
from tests.support.written_manifests import CARDS, ENVIRONMENT, HEAD, MANIFESTS, findings, lines

INVALID = sorted(path for path in (MANIFESTS / "invalid").iterdir() if path.suffix != ".expected")


@pytest.mark.parametrize("case", INVALID, ids=lambda path: path.name)
def test_invalid_manifests_tell_every_error_at_its_place(case: Path, room: Path) -> None:
    """Each class of bad input gives exactly the lines of its `.expected` file, in order."""
    if case.is_dir():
        shutil.copytree(case, room, dirs_exist_ok=True)
    else:
        shutil.copy(case, room)
    assert case.with_suffix(".expected").read_text().splitlines() == lines(room)


def test_no_message_speaks_pydantic_or_python() -> None:
    """Errors are worded for people who write manifests."""
    told = "\n".join(path.read_text() for path in (MANIFESTS / "invalid").glob("*.expected"))
    phrases = ("Input should", "valid string", "valid integer", "dictionary", "NoneType", "tuple", "regex", "pydantic")
    assert [] == [phrase for phrase in phrases if phrase in told.replace('operator "regex"', "")]


def test_every_code_of_this_room_has_a_case() -> None:
    """Each CXR0.. and CXR1.. code that loading can give is seen in a case here or in test_strict_yaml."""
    told = "\n".join(path.read_text() for path in (MANIFESTS / "invalid").glob("*.expected"))
    of_desired_rules = {"CXR105", "CXR106", "CXR107", "CXR109", "CXR110", "CXR117", "CXR119", "CXR120", "CXR121"}
    of_desired_rules |= {"CXR123"}
    by_bytes = {"CXR001", "CXR002", "CXR003", "CXR010", "CXR014", "CXR115"}  # made by tests, not kept as files
    codes = {code for code in CODES if code < "CXR2"} - of_desired_rules
    assert by_bytes == {code for code in codes if f"[{code}]" not in told}


def test_the_caret_of_an_error(room: Path) -> None:
    """An error shows its line, how much of it is meant, and the nearest known name."""
    (room / "a.yaml").write_text(CARDS.replace("queue", "quue"))
    excerpt = "  - {intent: lost_card, quue: fraud}"
    assert [("", excerpt, 1), ('did you mean "queue"?', excerpt, 4)] == [
        (one.hint, one.excerpt, one.span) for one in findings(room)
    ]


def test_a_field_like_no_other_is_told_which_there_are(room: Path) -> None:
    """Whoever writes a field that belongs elsewhere reads the names that may stand there."""
    (room / "a.yaml").write_text(HEAD + "  - {intent: lost_card, queue: fraud, xyzzy: true}\n")
    (hint,) = [one.hint for one in findings(room)]
    assert hint.startswith("available: key, intent, intents, ")


def test_an_excerpt_cannot_command_a_terminal(room: Path) -> None:
    """Escape sequences and marks of direction show as one harmless character each, so that the caret stands right."""
    (room / "a.yaml").write_text(HEAD + "  - intent: a\t# \x1b[31m \u202e\n    quue: \u202eb\n    queue: b\n")
    assert [("CXR015", "  - intent: a # \ufffd[31m \ufffd", 1), ("CXR102", "    quue: \ufffdb", 4)] == [
        (one.code, one.excerpt, one.span) for one in findings(room)
    ]


def test_secrets_in_the_wrong_field_are_not_repeated(room: Path) -> None:
    """A secret where a variable's name belongs, or in an address, stands in no finding."""
    text = (
        "notify: {url: 'http://hooks.example/hunter-2'}\ncredentials: {clientSecretEnv: hunter-2, secret: hunter-2}\n"
    )
    (room / "a.yaml").write_text(ENVIRONMENT + text)
    told = findings(room)
    assert (3, False) == (len(told), any("hunter" in f"{one}" for one in told))


def test_only_so_many_errors_of_a_file_are_told(room: Path) -> None:
    """A file with very many errors tells a thousand and says that there are more; other files tell theirs."""
    (room / "a.yaml").write_text(HEAD + "  - {colour: red}\n" * 3000)
    (room / "b.yaml").write_text("[")
    told = findings(room)
    assert (1002, "and at least 2,000 more errors in this file", "CXR004") == (
        len(told),
        told[1000].message,
        told[1001].code,
    )
