"""The hint of an error: the nearest known name, or an example that is valid."""

from __future__ import annotations

from typing import Final

import pytest

from reconciler.core.desired.desired import desire_offline
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.load import load_contents
from reconciler.core.model.finding import Finding
from tests.support.cases import each_case
from tests.support.written_manifests import ENVIRONMENT, HEAD

TESTS: Final = "apiVersion: routing/v1\nkind: RouteTests\nname: cards\ntests:\n"
PROMISES: Final = "apiVersion: routing/v1\nkind: Promises\nname: cards\npromises:\n"
RULE: Final = f"{HEAD}  - intent: lost\n    queue: a\n    @\n"
QUEUE: Final = f"{HEAD}  - intent: lost\n    @\n    priority: 10\n"
WHEN: Final = (
    f"{HEAD}  - intent: lost\n    queue: a\n    when: [{{attribute: language, @}}]\n"
)
TEST: Final = f"{TESTS}  - given: {{intent: lost}}\n    @\n"
PROMISE: Final = f"{PROMISES}  - name: a\n    @\n"
ATTRIBUTES: Final = "apiVersion: routing/v1\nkind: Attributes\nname: cards\n"
DOCUMENT: Final = "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: []\n"

# the manifest around an entry, and the wrong entry
WRONG: Final = [
    (RULE, "when: {or: [{attribute: language, equals: de}]}"),
    (RULE, "when: language == de"),
    (WHEN, "equals: [a, b]"),
    (WHEN, "in: a"),
    (WHEN, "contains: [a]"),
    (WHEN, "exists: 'yes'"),
    (WHEN, "between: 1-5"),
    (QUEUE, "targets: {a: 80}"),
    (QUEUE, "targets: a"),
    (RULE, "minConfidence: 60"),
    (RULE, "minConfidence: '0.6'"),
    (RULE, "priority: '10'"),
    (RULE, "enabled: yes"),
    (RULE, "environments: prod"),
    (RULE, "key: Lost Card"),
    (RULE, "hold: 2026-12-01T08:00:00+01:00"),
    (RULE, "accept: CXR203"),
    (TEST, "expect: baggage"),
    (f"{TESTS}  - @\n    expect: {{queue: a}}\n", "given: lost"),
    (PROMISE, "always: x"),
    (PROMISE, "never: default"),
    (f"{PROMISES}  - name: a\n    always: {{queues: [a]}}\n    @\n", "for: lost"),
    (DOCUMENT.replace("name: cards", "@"), "name: Cards Desk"),
    (DOCUMENT.replace("rules: []", "@"), "rules: {lost: bags}"),
    (f"{ATTRIBUTES}@\n", "attributes: [tier]"),
    (
        "apiVersion: routing/v1\nkind: Intents\nname: bot\n@\n",
        "intents: {lost: Lost card}",
    ),
    ("apiVersion: routing/v1\nkind: Queues\nname: q\n@\n", "queues: [bags]"),
]


def errors_of(text: str) -> list[Finding]:
    contents = [("m.yaml", text.encode())]
    if "kind: Environment" not in text:
        variables = "vars: {overflow: General}\n"  # of the example of `targets`
        contents.insert(0, ("e.yaml", f"{ENVIRONMENT}{variables}".encode()))
    try:
        manifests = load_contents(contents)
        desire_offline(manifests, manifests.environment("prod"))
    except ManifestError as error:
        return [finding for finding in error.findings if finding.severity == "error"]
    return []


@each_case("around, wrong", WRONG)
def test_the_example_of_an_error_is_valid(around: str, wrong: str) -> None:
    """One error, on the line of the mistake; its example in place of the entry makes the manifest
    valid.
    """
    (error,) = errors_of(around.replace("@", wrong, 1))
    line = around[: around.index("@")].count("\n") + 1
    assert error.source
    assert line == error.source.line
    assert error.hint.startswith("such as ")
    assert [] == errors_of(around.replace("@", error.hint.removeprefix("such as "), 1))


@pytest.mark.parametrize("word", ["queues", "Queue", "quue"])
def test_a_misspelt_field_is_one_error(word: str) -> None:
    """Not also a missing one."""
    (error,) = errors_of(QUEUE.replace("@", f"{word}: a"))
    assert (f'unknown field "{word}"', "CXR102") == (error.message, error.code)
    assert error.hint.startswith("did you mean ")


@each_case(
    "text, hint",
    [
        (DOCUMENT.replace("apiVersion", "apiversion"), 'did you mean "apiVersion"?'),
        (DOCUMENT.replace("kind", "Kind"), 'did you mean "kind"?'),
        (DOCUMENT.replace("RuleSet", "ruleset"), 'did you mean "RuleSet"?'),
        (DOCUMENT.replace("rules:", "rule:"), 'did you mean "rules"?'),
        (ENVIRONMENT.replace("tenant:", "tennant:"), 'did you mean "tenant"?'),
        (ENVIRONMENT.replace("owner:", "Owner:"), 'did you mean "owner"?'),
    ],
)
def test_a_misspelt_name_of_a_document_is_one_error(text: str, hint: str) -> None:
    """Of its head, of its kind, and of a required field."""
    assert [hint] == [error.hint for error in errors_of(text)]


@pytest.mark.parametrize(
    "second", [ENVIRONMENT, "kind: Queues\nname: q\nqueues: {b: c}\n"]
)
@pytest.mark.parametrize(
    "first", [HEAD + "  - {intent: a, queue: b}\n", TESTS + "  []\n"]
)
def test_a_missing_line_between_documents_is_one_error(first: str, second: str) -> None:
    """At the second document; with the line, both are valid."""
    (error,) = errors_of(first + second)
    assert error.source
    assert first.count("\n") + 1 == error.source.line
    assert (
        "a second document begins here, without a line --- before it" == error.message
    )
    assert error.hint.startswith("write --- on a line of its own, before ")
    head = "" if second.startswith("apiVersion") else "apiVersion: routing/v1\n"
    assert [] == errors_of(f"{first}---\n{head}{second}")


def test_a_key_that_is_there_twice_does_not_begin_a_document() -> None:
    """In the head of a document, and below the first level."""
    (error,) = errors_of(
        DOCUMENT.replace("kind: RuleSet", "kind: RuleSet\nkind: RuleSet")
    )
    assert "duplicate key 'kind', first on line 2" == error.message
    (error,) = errors_of(f"{ENVIRONMENT}vars: {{a: b, kind: x, kind: y}}\n")
    assert "duplicate key 'kind', first on line 6" == error.message


def test_a_secret_in_a_line_without_a_colon_is_not_repeated() -> None:
    """Neither of an address nor of credentials."""
    for line in ("clientSecretEnv hunter-2", "baseUrl hunter-2"):
        (error,) = errors_of(f"{ENVIRONMENT}credentials:\n  {line}\n  clientIdEnv: A\n")
        assert "hunter" not in f"{error.message} {error.hint}"


def test_many_mistakes_cost_bounded_time() -> None:
    """Of three thousand wrong rules, the first thousand are reported."""
    actual = errors_of(HEAD + "  - {intent: a, targets: {a: 80}}\n" * 3000)
    assert 1001 == len(actual)
