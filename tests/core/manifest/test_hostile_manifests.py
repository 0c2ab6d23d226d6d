"""Hostile manifests: no input causes a traceback, a long run, or values that differ from the
text.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.main import main
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.documents import manifest_schema
from reconciler.core.manifest.load import load_manifests
from reconciler.core.manifest.yaml_reader import parse_file
from reconciler.core.model.finding import CODES
from tests.support.work_bounds import takes_at_most
from tests.support.written_manifests import CARDS, ENVIRONMENT, MANIFESTS, yaml_of
from tests.tiers import size

SIZE = 5 * 1024 * 1024
RULES = "apiVersion: routing/v1\nkind: RuleSet\nname: a\nrules:\n"


def many(count: int, form: str) -> str:
    """Return the text repeated, with the number of the repetition instead of #."""
    return "".join(form.replace("#", str(number)) for number in range(count))


def queues(document: int) -> str:
    return f"apiVersion: routing/v1\nkind: Queues\nname: q{document}\nqueues:\n" + many(
        9900, "  a#: b\n"
    )


WORST: dict[str, Callable[[], str]] = {
    "flat": lambda: many(SIZE // 10, "#: \n"),
    "list": lambda: "- \n" * (SIZE // 3),
    "brackets": lambda: "[" * SIZE,
    "dashes": lambda: "-" * SIZE,
    "lines-of-dashes": lambda: "-\n" * (SIZE // 2),
    "documents": lambda: "---\n" * (SIZE // 4),
    "plain-scalar": lambda: "a: " + "x" * (SIZE - 3),
    "digits": lambda: "a: " + "1" * (SIZE - 3),
    "quoted-scalar": lambda: 'a: "' + "\\n" * (SIZE // 2 - 3) + '"',
    "newlines": lambda: "\n" * SIZE,
    "nul": lambda: "\0" * SIZE,
    "duplicates": lambda: CARDS + "name: a\n" * 200_000,
    "many-duplicates": lambda: "---\n".join([many(9900, "a#: b\na#: c\n")] * 12),
    "unknown-fields": lambda: CARDS + many(100_000, "field#: 1\n"),
    "unknown-fields-in-rules": lambda: RULES + many(80_000, "- {quue#: a, intnt: b}\n"),
    "wrong-everything": lambda: (
        RULES + "- {priority: a, enabled: no, queue: 1, intent: 2, k: 3}\n" * 41_000
    ),
    "empty-rules": lambda: RULES + "- {}\n" * 249_000,
    "conditions": lambda: RULES + ("- {queue: a, when: [" + "{}," * 900 + "]}\n") * 270,
    "wrong-operators": lambda: (
        RULES + many(40_000, "- {queue: a, when: [{attribute: a, equls#: b}]}\n")
    ),
    "unknown-environments": lambda: (
        RULES + many(49_000, "- {intent: i, queue: q, environments: [e#]}\n")
    ),
    "unknown-zones": lambda: many(
        1999, ENVIRONMENT + "freeze: [{days: [mon], timezone: Europe/B#}]\n---\n"
    ),
    "allow": lambda: ENVIRONMENT + "guard: {allow: [" + "{}," * 240_000 + "]}\n",
    "tag-directives": lambda: many(300_000, "%TAG !#! x\n") + "---\na\n",
    "out-of-range": lambda: "- 1e999\n" * 249_000,
    "aliases": lambda: "- &a x\n" + "- *a\n" * 249_000,
    "queues": lambda: "---\n".join(queues(document) for document in range(24)),
    "valid": lambda: (
        RULES + many(41_000, "- {key: k#, intent: i, queue: q, priority: 1, name: x}\n")
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORST)
def test_no_file_takes_long(name: str, room: Path) -> None:
    """The slowest known files are read within a second; the test allows five seconds for 200,000
    rules.
    """
    (room / "a.yaml").write_text(WORST[name]())
    with takes_at_most(rules=200_000):
        try:
            load_manifests(room)
        except ManifestError as error:
            assert 1 <= len(error.findings) <= 1001  # noqa: PT017 - some of the files are valid


EXPANDED: dict[str, Callable[[], str]] = {
    "one-key": lambda: RULES + many(60_000, "- {key: k, intent: x, queue: a}\n"),
    "one-name": lambda: (
        RULES + many(49_000, "- {key: k#, intent: x, queue: a, name: n}\n")
    ),
    "unknown-variables": lambda: (
        RULES + many(60_000, "- {key: k#, intent: '${x#}', queue: a}\n")
    ),
    "no-keys": lambda: RULES + "- {intent: '!', queue: a}\n" * 80_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPANDED)
def test_errors_of_many_rules_are_reported_quickly(
    name: str, room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If every rule is invalid, a thousand errors and a note are reported, and reading stops."""
    (room / "a.yaml").write_text(EXPANDED[name]())
    (room / "environment.yaml").write_text(ENVIRONMENT)
    with takes_at_most(rules=200_000):
        assert 3 == main(["validate"])
    assert (
        "1,000 errors, and possibly more: further rules are not checked; fix these errors first"
        in (capsys.readouterr().out)
    )


LINES = (
    *CARDS.splitlines(), *ENVIRONMENT.splitlines(), "---", "rules: []", "freeze:", "  - {days: [mon]}", "when: [{}]",
    "guard: {deletes: 1}", "queues: {a: {}}", "tests: [{given: {}}]", "  queue: [a]", "kind: Queues", "kind: []", "? a",
    "vars: {1: 2}", "apiVersion:", "intents: [1, {a: b}]", "hold: {until: 0001-01-01T00:00:00Z}", "name: 1", "- a",
)  # fmt: skip
NAMES = (
    "attribute", "equals", "in", "queue", "weight", "id", "name", "until", "start", "end", "days", "given", "expect",
    "x",
)  # fmt: skip
FIELDS = sorted(
    {
        item
        for part in manifest_schema()["$defs"].values()
        for item in part.get("properties", {})
    }
)
KINDS = ("Environment", "Queues", "RuleSet", "Intents", "RouteTests")
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    LEAVES | st.text("ab-/.:1 ", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=10,
)
VALIDATOR: Any = jsonschema.Draft202012Validator(manifest_schema())


@pytest.mark.generated
@settings(max_examples=size(fast=40, slow=100, full=200), deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=15).map("\n".join))
def test_mixed_lines_load_or_end_in_findings(text: str) -> None:
    """Lines of manifests in any order load, or end in findings with positions; no other exception
    occurs.
    """
    loads_or_has_findings(text)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_json_value_loads_or_ends_in_findings(
    kind: str, fields: dict[str, Any]
) -> None:
    """Any JSON under any field loads, or ends in findings with messages; a loaded file fits the
    published schema.
    """
    loads_or_has_findings(
        yaml_of({"apiVersion": "routing/v1", "name": "a", **fields, "kind": kind})
    )


@pytest.mark.campaign
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_manifests_load_or_end_in_findings(data: st.DataObject) -> None:
    """A manifest with every feature and random changes loads, or ends in findings."""
    garbled = bytearray(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(garbled)))
        garbled[at : at + data.draw(st.integers(0, 8))] = data.draw(
            st.binary(max_size=4)
        )
    loads_or_has_findings(bytes(garbled))


EVERYTHING = (MANIFESTS / "valid" / "everything.yaml").read_bytes()


def loads_or_has_findings(text: str | bytes) -> None:
    """Load a file; each error must have a code and a position, and a loaded file must fit the
    schema.
    """
    data = text.encode() if isinstance(text, str) else text
    before = time.process_time()
    with TemporaryDirectory() as directory:
        Path(directory, "a.yaml").write_bytes(data)
        try:
            load_manifests(Path(directory))
        except ManifestError as error:
            assert all(  # noqa: PT017 - or it loads
                finding.source and finding.code in CODES for finding in error.findings
            )
            assert [] == [  # noqa: PT017 - as above
                finding
                for finding in error.findings
                if "another value" in finding.message
            ]
        else:
            for document in parse_file(data, "a.yaml").documents:
                VALIDATOR.validate(document.value)
    assert time.process_time() - before < 2
