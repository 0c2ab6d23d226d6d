"""Loading a directory: valid manifests become values with their positions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.core.manifest.kinds.condition import ConditionEntry
from reconciler.core.manifest.kinds.environment import Api, Environment
from reconciler.core.manifest.kinds.guard_limits import Guard, Limit
from reconciler.core.manifest.kinds.ruleset import AdoptById, RuleEntry, RuleSet
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from tests.support.cases import each_case
from tests.support.work_bounds import plain_rules, takes_at_most
from tests.support.written_manifests import (
    CARDS,
    ENVIRONMENT,
    HEAD,
    MANIFESTS,
    findings,
    loaded,
)


def test_all_fields_of_all_kinds_load(room: Path) -> None:
    """In every form that they allow."""
    shutil.copytree(MANIFESTS / "valid", room, dirs_exist_ok=True)
    manifests = load_manifests(room)
    assert (
        [
            "as-ever",
            "by-area",
            "by-area-elsewhere",
            "by-issuer",
            "by-issuer-at-an-address",
            "prod",
            "sandbox",
        ],
        1,
        ["cards", "hours", "hours"],
        1,
        1,
    ) == (
        sorted(manifests.environments),
        len(manifests.queues),
        [loaded.document.name for loaded in manifests.rulesets],
        len(manifests.intents),
        len(manifests.route_tests),
    )
    rule = manifests.rulesets[0].document.rules[1]
    assert (
        RuleEntry.model_construct(
            _fields_set=rule.model_fields_set,
            key="card-help",
            intent=None,
            intents=("card_not_working", "card_acceptance"),
            name="Cards help",
            description="",
            priority=None,
            enabled=True,
            min_confidence=None,
            below_confidence=0.95,
            when=(
                ConditionEntry("customerTier", "in", ("gold", 1, True)),
                ConditionEntry("language", "notEquals", "fr"),
                ConditionEntry("a", "exists", True),
                ConditionEntry("a", "notExists", True),
                ConditionEntry("a", "between", (10, "1.5")),
                ConditionEntry("a", "equals", ""),
                ConditionEntry("a", "greaterThan", 1000.0),
                ConditionEntry("a", "contains", "${overflow}"),
            ),
            queue=None,
            targets=rule.targets,
            environments=("prod",),
            hold=rule.hold,
            adopt="Cards (by hand)",
        )
        == rule
    )
    assert [("cards", 80), ("${overflow}", 0.5), ("spare", 1)] == [
        (item.queue, item.weight) for item in rule.targets or ()
    ]
    assert AdoptById(id="1234-5678") == manifests.rulesets[0].document.rules[2].adopt
    assert rule.hold is not None
    assert datetime(2026, 12, 1, 7, tzinfo=UTC) == rule.hold.until


def test_null_removes_a_confidence_and_absence_does_not() -> None:
    """`minConfidence: null` differs from a missing minConfidence."""
    removed, absent = (
        RuleEntry.model_validate(item) for item in ({"minConfidence": None}, {})
    )
    assert (True, False) == (
        "min_confidence" in removed.model_fields_set,
        "min_confidence" in absent.model_fields_set,
    )


def test_the_smallest_environment_has_the_defaults_of_the_contract(room: Path) -> None:
    """The defaults of a minimal Environment are those of api-contract and docs/manifests.md."""
    manifests = loaded(room, ENVIRONMENT)
    environment = manifests.environments["prod"].document
    profile = manifests.profile(environment)
    assert ("/api/v2/routing/rules", "/api/v2/routing/queues", 100) == (
        profile.rules.path,
        profile.queues.path,
        profile.page_size,
    )
    assert (
        "https://acme.my.cxone.com",
        "https://acme.my.cxone.com/oauth/token",
        "acme.my.cxone.com",
        Guard(deletes=Limit(count=2, percent=30)),
        ("cognigyDetectedIntent", "cognigyConfidence", "routedAt"),
        (
            "CXONE_CLIENT_ID",
            "CXONE_CLIENT_SECRET",
            "CXONE_ACCESS_KEY_ID",
            "CXONE_ACCESS_KEY_SECRET",
        ),
        (None, None, None, "rules-api", 10, 50, 16, "lowest-first", 17, 0),
        (False, False, True),
    ) == (
        environment.base_url,
        environment.token_url,
        environment.host,
        environment.guard,
        tuple(environment.attributes.model_dump().values()),
        tuple(environment.credentials.model_dump().values()),
        _api(environment.api),
        (
            environment.api.names_unique,
            environment.api.idempotency_keys,
            environment.prune,
        ),
    )


def _api(api: Api) -> tuple[object, ...]:
    paths = (api.profile, api.rules_path, api.page_size, api.queues)
    return (
        *paths,
        api.timeout_seconds,
        api.requests_per_second,
        api.concurrency,
        api.evaluation,
        len(api.operators),
        api.list_lag_seconds,
    )


@each_case(
    "written, expected",
    [
        ("tenant: acme", ("https://acme.my.cxone.com", "acme.my.cxone.com")),
        ("tenant: Cx.Example.org", ("https://Cx.Example.org", "cx.example.org")),
        (
            "api: {auth: access-key, area: na1}",
            ("https://api-na1.niceincontact.com", "api-na1.niceincontact.com"),
        ),
        (
            "tenant: acme\napi: {auth: access-key, area: na1}",
            ("https://api-na1.niceincontact.com", "api-na1.niceincontact.com/acme"),
        ),
        (
            "api: {auth: access-key, issuer: 'https://cxone.niceincontact.com/'}",
            ("", "cxone.niceincontact.com"),
        ),
        (
            "api: {auth: access-key, issuer: 'https://cxone.niceincontact.com', baseUrl: 'https://a.example'}",
            ("https://a.example", "a.example"),
        ),
        (
            "tenant: cx.example.org:8443",
            ("https://cx.example.org:8443", "cx.example.org:8443"),
        ),
        (
            "api: {baseUrl: 'http://127.0.0.1:8080/'}",
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ),
        (
            "tenant: acme\napi: {baseUrl: 'https://a.example:443/'}",
            ("https://a.example:443", "a.example"),
        ),
    ],
)
def test_the_address_of_a_tenant(
    room: Path, written: str, expected: tuple[str, str]
) -> None:
    """A tenant's name is completed, a host is used unchanged, and api.baseUrl overrides both."""
    text = f"apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\n{written}\n"
    environment = loaded(room, text).environments["prod"].document
    assert expected == (environment.base_url, environment.host)


def test_the_built_in_sandbox_needs_no_manifest() -> None:
    """The sandbox exists without a document, and its host does not exist."""
    sandbox = Environment(name="sandbox", owner="sandbox")
    assert ("sandbox.invalid", None, Api()) == (
        sandbox.host,
        sandbox.tenant,
        sandbox.api,
    )


def test_a_rule_set_can_be_split_by_environment(room: Path) -> None:
    """Two RuleSets with the same name and without a common environment are both kept."""
    text = "".join(
        f"---\n{{apiVersion: routing/v1, kind: RuleSet, name: a, environments: [{item}], rules: "
        f"[]}}\n"
        for item in ("prod", "sandbox")
    )
    rulesets: list[RuleSet] = [
        ruleset.document for ruleset in loaded(room, ENVIRONMENT + text).rulesets
    ]
    assert [("prod",), ("sandbox",)] == [ruleset.environments for ruleset in rulesets]


def test_positions_and_findings_of_a_loaded_document(room: Path) -> None:
    """A path gives its position, a missing value that of its parent, and findings have the line for
    the caret.
    """
    rules = loaded(room, CARDS + "  - key: a\n    queue: 'b c' # why\n").rulesets[0]
    places: dict[tuple[str | int, ...], tuple[int, int]] = {
        ("rules", 0): (5, 5),
        ("rules", 0, "queue"): (5, 32),
        ("rules", 0, "name"): (5, 5),
        ("rules", 1, "queue"): (7, 12),
        ("rules", 9, "queue"): (5, 3),
        ("defaults",): (1, 1),
        (): (1, 1),
    }
    assert {
        path: Source("manifests/a.yaml", *place) for path, place in places.items()
    } == {path: rules.source_of(*path) for path in places}
    source = Source("manifests/a.yaml", 7, 12)
    expected = Finding(
        code="CXR105",
        severity="warning",
        message="no",
        source=source,
        address=None,
        hint="do",
        excerpt="    queue: 'b c' # why",
        span=5,
    )
    assert expected == rules.finding(
        "CXR105", "no", "rules", 1, "queue", severity="warning", hint="do"
    )
    assert "manifests/a.yaml" == rules.file


@pytest.mark.slow
def test_ten_thousand_rules_load_quickly(room: Path) -> None:
    """The time grows linearly with the number of rules."""
    with takes_at_most(rules=30_000):
        manifests = loaded(room, HEAD + plain_rules(10_000))
    assert 10_000 == len(manifests.rulesets[0].document.rules)


@pytest.mark.slow
def test_loading_imports_no_slow_library() -> None:
    """Loading imports no library of the network, the differ or the renderer."""
    heavy = (
        "httpx",
        "aiohttp",
        "deepdiff",
        "jinja2",
        "starlette",
        "rich",
        "yaml.constructor.never",
    )
    code = (
        f"import sys, reconciler.core.manifest.load; print([one for one in {heavy} if one in "
        f"sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert "[]\n" == done.stdout


ONE_TEST = "a condition is one test of one attribute, such as {attribute: language, equals: fr}"


@each_case(
    "when, said",
    [
        (
            "[{attribute: tier, operator: in, value: [gold, a b]}]",
            'unknown operator "operator"',
        ),
        ("[{type: attribute, attributeName: age, operator: exists}]", ONE_TEST),
        ("[{or: [{attribute: tier, equals: gold}]}]", ONE_TEST),
        ("[{language: [de, fr]}]", ONE_TEST),
        ("[{attribute: language}]", ONE_TEST),
        ("[{}]", ONE_TEST),
        (
            "[language != de]",
            "must be a mapping, such as {attribute: language, equals: fr}",
        ),
    ],
)
def test_a_condition_in_another_form_is_one_error(
    room: Path, when: str, said: str
) -> None:
    """The message has a valid condition, or the hint has the operators."""
    head = (
        "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n- key: a\n  queue: b\n  when: "
        ""
    )
    (room / "a.yaml").write_text(f"{head}{when}\n")
    (actual,) = findings(room)
    assert said in actual.message
    assert (
        "{attribute: language, equals: fr}" in actual.message
        or "equals, exists" in actual.hint
    )


def test_a_document_without_a_kind_gets_the_list_of_kinds(room: Path) -> None:
    """One error, at the document."""
    (room / "a.yaml").write_text("apiVersion: routing/v1\nname: cards\nrules: []\n")
    (actual,) = findings(room)
    kinds = "Environment, Queues, RuleSet, Intents, Attributes, RouteTests, Promises, Profile"
    assert ('missing field "kind"', f"available: {kinds}") == (
        actual.message,
        actual.hint,
    )


def test_a_base_url_has_no_path(room: Path) -> None:
    """Environments are identified by their hosts, and paths have their own fields."""
    (room / "a.yaml").write_text(
        f"{ENVIRONMENT}api: {{baseUrl: 'https://acme.my.cxone.com/api/v2'}}\n"
    )
    (actual,) = findings(room)
    text = '"baseUrl" must be an address without a path; set rulesPath, queuesPath and contextPath for paths'
    assert text == actual.message
