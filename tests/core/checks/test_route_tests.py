"""RouteTests: passed and failed tests with reasons, in `test`, `validate`, `plan` and `apply`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from reconciler.core.checks.route_tests import RouteTestResult, run_route_tests
from reconciler.core.desired.desired import expand_manifests
from reconciler.core.desired.queues import OfflineQueueResolver, resolve_aliases
from reconciler.core.manifest.load import load_manifests
from tests.support.builders import NOW
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS
from tests.support.plan_validator import validate_plan
from tests.support.program import Program, name_tenant, write

pytestmark = pytest.mark.usefixtures("elsewhere")
ROOT = Path(__file__).resolve().parents[3]
HEAD = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
vars: {overflow: General, card: lost_card}
---
apiVersion: routing/v1
kind: Environment
name: staging
owner: acme
tenant: acme-staging
vars: {overflow: Test, card: lost_card}
---
apiVersion: routing/v1
kind: Queues
name: queues
queues:
  cards: Card Services
  vip: {prod: {id: 8d0c}, staging: {name: VIP}}
---
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
defaults: {minConfidence: 0.6}
rules:
  - {intent: lost_card, queue: cards, priority: 10}
  - {intent: pin, targets: [{queue: cards, weight: 80}, {queue: "${overflow}", weight: 20}]}
  - {intent: third, targets: [{queue: cards, weight: 1}, {queue: Fraud, weight: 2}]}
  - {key: gold, when: [{attribute: tier, equals: gold}], queue: vip, priority: 900}
  - {key: number, when: [{attribute: n, equals: 1}], targets: [{queue: cards, weight: 1}, {queue: vip, weight: 0}]}
"""


def write_tests(*tests: str, name: str = "all") -> None:
    """Write the rules, and route tests about them from line 2 on."""
    write("rules.yaml", HEAD + RULES)
    head = f"{{apiVersion: routing/v1, kind: RouteTests, name: {name}, tests: [\n"
    write("tests.yaml", head + ",\n".join(tests) + "\n]}\n")


def tried(environment: str = "prod") -> tuple[RouteTestResult, ...]:
    """Run the route tests of the manifests in one environment."""
    manifests = load_manifests(Path("manifests"))
    chosen = manifests.environments[environment].document
    catalogue = OfflineQueueResolver(
        environment, resolve_aliases(manifests, environment)
    )
    return run_route_tests(
        manifests.route_tests,
        chosen,
        catalogue,
        expand_manifests(manifests, chosen, catalogue),
    )


def junit() -> ET.Element:
    """Return the content of `--junit out.xml`."""
    return ET.fromstring(Path("out.xml").read_text(encoding="utf-8"))  # noqa: S314 - written by this very program


def messages(environment: str = "prod") -> list[str | None]:
    return [
        item.failure.message if item.failure else None for item in tried(environment)
    ]


@each_case(
    "test",
    [
        "{given: {intent: lost_card, confidence: 0.6}, expect: {queue: cards}}",
        "{given: {intent: lost_card, confidence: 0.6}, expect: {queue: Card Services}}",
        "{given: {intent: '${card}', confidence: 1}, expect: {queue: cards}}",
        "{given: {intent: lost_card, confidence: 0.59}, expect: {default: true}}",
        "{given: {intent: lost_card}, expect: {default: true}}",
        "{given: {intent: lost_card, confidence: null}, expect: {default: true}}",
        "{given: {intent: pin, confidence: 0.7}, expect: {split: {cards: 4, '${overflow}': 1}}}",
        "{given: {intent: third, confidence: 0.7}, expect: {split: {Fraud: 0.2, cards: 0.1}}}",
        (
            "{given: {intent: third, confidence: 0.7}, expect: {split: {Fraud: 2, cards: 0.5, Card "
            "Services: 0.5}}}"
        ),
        "{given: {attributes: {tier: gold}}, expect: {queue: vip}}",
        "{given: {attributes: {tier: null}}, expect: {default: true}}",
        "{given: {attributes: {n: 1}}, expect: {queue: cards}}",
        "{given: {attributes: {n: 1.0}}, expect: {split: {cards: 7, Fraud: 0}}}",
        "{given: {attributes: {n: '1'}}, expect: {default: true}}",
        (
            "{given: {attributes: {cognigyDetectedIntent: lost_card, cognigyConfidence: 1}}, expect: "
            "{queue: cards}}"
        ),
    ],
)
def test_correct_tests_pass(test: str) -> None:
    """Aliases and live names, variables, exact splits, missing attributes, and numbers that are not
    texts.
    """
    write_tests(test)
    assert [None] == messages()


@each_case(
    "test, said",
    [
        (
            "{given: {intent: lost_card, confidence: 0.9}, expect: {queue: Fraud}}",
            'expected "Fraud", but goes to "Card Services" by rule cards/lost-card (manifests/rules.yaml:27)',
        ),
        (
            "{given: {intent: lost_card}, expect: {queue: Nobody knows it}}",
            'expected "Nobody knows it", but no rule takes it: it goes to the tenant\'s default routing',
        ),
        (
            "{given: {intent: pin, confidence: 0.7}, expect: {default: true}}",
            (
                'expected the tenant\'s default routing, but goes to 80 % "Card Services", 20 % "General" by rule'
                " cards/pin (manifests/rules.yaml:28)"
            ),
        ),
        (
            "{given: {intent: third, confidence: 1}, expect: {split: {cards: 33.3, Fraud: 66.7}}}",
            (
                'expected 66.7 % "Fraud", 33.3 % "Card Services", but goes to 66.666667 % "Fraud", 33.333333 %'
                ' "Card Services" by rule cards/third (manifests/rules.yaml:29)'
            ),
        ),
        (
            "{given: {attributes: {n: 1}}, expect: {default: true}}",
            (
                'expected the tenant\'s default routing, but goes to "Card Services" by rule cards/number'
                " (manifests/rules.yaml:31)"
            ),
        ),
        (
            "{given: {attributes: {n: 1}}, expect: {split: {cards: 0}}}",
            'expected no queue, but goes to "Card Services" by rule cards/number (manifests/rules.yaml:31)',
        ),
        (
            "{given: {intent: a, attributes: {cognigyDetectedIntent: b}}, expect: {default: true}}",
            'the conversation sets "cognigyDetectedIntent" twice',
        ),
        (
            "{given: {intent: '${crad}'}, expect: {default: true}}",
            "prod has no variable 'crad' in its vars",
        ),
    ],
)
def test_a_failed_test_names_the_destination_and_the_rule(test: str, said: str) -> None:
    """With file and line of the rule; a split that looks the same has as many digits as needed."""
    write_tests(test)
    (actual,) = tried()
    assert actual.failure is not None
    assert (said, "error", 2) == (
        actual.failure.message,
        actual.failure.severity,
        actual.source.line,
    )


def test_a_queue_with_an_id_is_known_offline_only_by_its_alias() -> None:
    """The live name may be that queue or another one: the failure shows the alias."""
    write_tests("{given: {attributes: {tier: gold}}, expect: {queue: VIP}}")
    (actual,) = tried()
    assert actual.failure is not None
    assert (
        'queue "vip" is named by id in prod: offline, use that alias'
        == actual.failure.hint
    )
    assert [None] == messages("staging")


def test_the_order_of_evaluation_is_the_environments() -> None:
    """`evaluation: highest-first` reverses the priorities."""
    write_tests(
        "{given: {intent: lost_card, confidence: 1, attributes: {tier: gold}}, expect: {queue: "
        "cards}}"
    )
    assert [None] == messages()
    path = Path("manifests/rules.yaml")
    path.write_text(
        path.read_text().replace(
            "tenant: acme\n", "tenant: acme\napi: {evaluation: highest-first}\n"
        )
    )
    assert "cards/gold" in str(messages())


def test_a_failure_is_displayed_once_for_all_environments(cxroute: Program) -> None:
    """With their names, and the command that explains it; exit 3."""
    write_tests(
        "{given: {intent: lost_card, confidence: 0.9}, expect: {queue: Fraud}}",
        "{given: {intent: pin, confidence: 1}, expect: {split: {cards: 80, General: 20}}}",
    )
    assert 3 == cxroute("test")
    first, second, _, total = cxroute.out.splitlines()
    assert first.startswith(
        'manifests/tests.yaml:2:1: error[CXR220]: expected "Fraud", but goes to "Card Services"'
    )
    assert first.endswith(
        ", in prod and staging; why: cxroute explain -e prod --intent lost_card --confidence 0.9"
    )
    assert second.startswith("manifests/tests.yaml:3:1: error[CXR220]: ")
    assert ", in staging; why: " in second
    assert "1 of 2 route tests failed in prod, 2 in staging." == total
    assert 3 == cxroute("test", "-e", "prod")
    assert "1 of 2 route tests failed in prod." == cxroute.out.splitlines()[-1]
    assert ", in prod" not in cxroute.out.splitlines()[0]


@pytest.mark.parametrize(
    "given",
    [
        "{intent: -x, confidence: 0.25}",
        "{intent: 'two words', attributes: {n: 1, m: '1', t: true, q: '\"quoted', e: '', v: 1.5}}",
        "{attributes: {-n: 'a=b', cognigyConfidence: high, cognigyDetectedIntent: 7}}",
        '{attributes: {x: "$(rm -rf)\'; \\u00fc"}}',
    ],
)
def test_the_command_under_a_failure_explains_the_same_conversation(
    cxroute: Program, given: str
) -> None:
    """For any content: typed as printed, the command has exactly the attributes of the test."""
    write_tests(f"{{given: {given}, expect: {{queue: Fraud}}}}")
    assert 3 == cxroute("test", "-e", "prod")
    typed = cxroute.out.splitlines()[0].split("why: ")[1]
    code, form = cxroute.json(*shlex.split(typed)[1:])
    assert (0, dict(tried()[0].conversation)) == (code, form["input"])


def test_validate_runs_and_counts_the_tests(cxroute: Program) -> None:
    """Among its other findings, by position; without tests the text does not mention them."""
    write_tests("{given: {intent: lost_card, confidence: 0.9}, expect: {queue: cards}}")
    assert 0 == cxroute("validate", "-e", "prod")
    assert cxroute.out.endswith("in 2 files. 1 route test passed in prod.\n")
    write_tests("{given: {intent: lost_card, confidence: 0.9}, expect: {queue: Fraud}}")
    code, form = cxroute.json("validate")
    assert (3, False, {"tests": 2, "failed": 2}) == (
        code,
        form["valid"],
        form["routeTests"],
    )
    assert "CXR220" in [finding["code"] for finding in form["findings"]]
    Path("manifests/tests.yaml").unlink()
    assert 0 == cxroute("validate", "-e", "prod")
    assert "route test" not in cxroute.out


def test_tests_do_not_run_in_a_sandbox_that_was_not_selected(cxroute: Program) -> None:
    """Rules of prod only are not required in the built-in sandbox, unless -e selects it."""
    rules = RULES.replace("defaults:", "environments: [prod, staging]\ndefaults:")
    write_tests("{given: {intent: lost_card, confidence: 1}, expect: {queue: cards}}")
    write("rules.yaml", HEAD + rules)
    assert 0 == cxroute("test")
    assert "1 route test passed in prod and staging.\n" == cxroute.out
    assert 0 == cxroute("validate")
    assert 3 == cxroute("test", "-e", "sandbox")


def break_a_test() -> None:
    """Write the manifests of `init`, with one route test that its rule fails."""
    path = Path("manifests/tests.yaml")
    path.write_text(
        path.read_text().replace(
            "expect: { queue: cards }", "expect: { queue: billing }"
        )
    )


def test_a_plan_with_failed_tests_shows_them_first_and_exits_3(
    cxroute: Program,
) -> None:
    """In every form, with each exit code option; the changes are still displayed for review."""
    assert 0 == cxroute("init")
    break_a_test()
    failure = 'expected "Billing", but goes to "Card Services"'
    change = "routing/lost-or-stolen-card"
    for options in ([], ["--detailed-exitcode"], ["--fail-on-guards"], ["-q"]):
        assert 3 == cxroute("plan", *options)
        assert (
            cxroute.out.index("1 route test fails")
            < cxroute.out.index(failure)
            < cxroute.out.index(change)
        )
    assert "explain -e sandbox" in cxroute.out
    assert "Correct the rules or the route tests, then plan again." in cxroute.out
    assert "To apply: cxroute" not in cxroute.out
    for form in ("markdown", "html", "github"):
        assert 3 == cxroute("plan", "--format", form)
        assert "1 route test fails" in cxroute.out
        assert "contacted.\\" not in cxroute.out
        assert "CXR220" in cxroute.out
        assert "lost-or-stolen-card" in cxroute.out
    assert re.search(
        r"^::error file=.*,line=[0-9]+,.*CXR220", cxroute.out, re.MULTILINE
    )


def test_a_plan_with_failed_tests_is_not_applied(cxroute: Program) -> None:
    """Its findings contain the failures; saved, reported or fresh, apply refuses it with exit 3 and
    writes nothing.
    """
    assert 0 == cxroute("init")
    break_a_test()
    code, form = cxroute.json("plan", "--out", "plan.json", "--report", "out")
    assert (3, [("CXR220", "error")]) == (
        code,
        [(item["code"], item["severity"]) for item in form["findings"]],
    )
    assert 3 == len(form["changes"])
    validate_plan(form)
    assert "1 route test fails" in Path("out/plan.md").read_text("utf-8")
    assert "1 route test fails" in Path("out/plan.html").read_text("utf-8")
    for command in (
        ["apply", "--yes"],
        ["apply", "plan.json", "--yes"],
        ["apply", "out/plan.json", "--yes"],
    ):
        assert 3 == cxroute(*command)
        assert 'expected "Billing"' in cxroute.err
    assert 0 == cxroute("init", "good")
    assert 0 == cxroute("-m", "good", "plan")
    assert "3 to create" in cxroute.out
    assert 2 == cxroute("drift")


def test_failed_tests_are_reported_without_a_tenant(cxroute: Program) -> None:
    """Plan and apply need no credentials for this."""
    assert 0 == cxroute("init")
    break_a_test()
    name_tenant()
    for command in (["plan"], ["apply", "--yes"], ["plan", "--format", "json"]):
        assert 3 == cxroute(*command, "-e", "prod")
        assert (
            'expected \\"Billing\\"' in cxroute.out
            or 'expected "Billing"' in cxroute.err
        )
        assert "explain -e prod" in cxroute.out + cxroute.err


def test_invalid_rules_are_reported_before_tests(cxroute: Program) -> None:
    """Every error of the rules, and no test, because none could run."""
    write_tests("{given: {intent: lost_card, confidence: 1}, expect: {queue: cards}}")
    write("rules.yaml", HEAD + RULES.replace("${overflow}", "${overflo}"))
    code, form = cxroute.json("test")
    assert (3, {"CXR107"}) == (
        code,
        {finding["code"] for finding in form["error"]["findings"]},
    )
    assert 3 == cxroute("validate", "-e", "prod")
    assert "CXR107" in cxroute.out
    assert "CXR220" not in cxroute.out


def test_json_has_every_test(cxroute: Program) -> None:
    """The conversation, the rule, the result, and the position of the test."""
    write_tests(
        "{given: {intent: lost_card, confidence: 1}, expect: {queue: cards}}",
        "{given: {confidence: 1}, expect: {queue: cards}}",
    )
    code, form = cxroute.json("test", "-e", "prod")
    assert (3, False, 2, 1) == (code, form["passed"], form["tests"], form["failed"])
    first, second = form["results"]
    assert {
        "environment": "prod",
        "document": "all",
        "test": 1,
        "source": {"file": "manifests/tests.yaml", "line": 2, "column": 1},
        "input": {"cognigyDetectedIntent": "lost_card", "cognigyConfidence": 1},
        "winner": "cards/lost-card",
        "passed": True,
        "message": None,
    } == first
    assert (None, False) == (second["winner"], second["passed"])


def test_no_tests_are_not_an_error(cxroute: Program) -> None:
    """But the text mentions it."""
    write("rules.yaml", HEAD + RULES)
    assert 0 == cxroute("test", "--junit", "out.xml")
    assert "No route test was run.\n" == cxroute.out
    assert 0 == len(junit())


def test_junit_is_a_suite_for_each_environment_and_document(cxroute: Program) -> None:
    """With the fields that both common schemas require; each failure has its message and
    position.
    """
    write_tests(
        "{given: {intent: lost_card, confidence: 1}, expect: {queue: cards}}",
        "{given: {intent: pin, confidence: 1}, expect: {queue: cards}}",
    )
    assert 3 == cxroute("test", "--junit", "out.xml")
    root = junit()
    assert ("testsuites", {}) == (root.tag, root.attrib)
    assert [("0", "all in prod", "2", "1"), ("1", "all in staging", "2", "1")] == [
        tuple(suite.attrib[name] for name in ("id", "name", "tests", "failures"))
        for suite in root
    ]
    for suite in root:
        assert {"package", "timestamp", "hostname", "errors", "time"} < set(
            suite.keys()
        )
        assert ["properties", "testcase", "testcase", "system-out", "system-err"] == [
            part.tag for part in suite
        ]
        assert all(
            {"name", "classname", "time"} == set(case.keys())
            for case in suite.iter("testcase")
        )
    (failure, _) = root.iter("failure")
    assert "CXR220" == failure.get("type")
    assert str(failure.get("message")).startswith(
        'expected "Card Services", but goes to 80 %'
    )
    assert str(failure.text).startswith("manifests/tests.yaml:3: expected ")


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_hostile_names_break_neither_xml_nor_a_terminal(
    cxroute: Program, text: str
) -> None:
    """In a document's name, an intent, an attribute's name and its value, and a queue."""
    quoted = (
        '"'
        + re.sub("[^a-z0-9 ]", lambda actual: f"\\U{ord(actual[0]):08x}", text)
        + '"'
    )
    write_tests(
        f"{{given: {{intent: {quoted}, attributes: {{{quoted}: {quoted}}}}}, expect: {{default: true}}}}".replace(
            "$(", "$$("
        ),
        f"{{given: {{confidence: 0.1}}, expect: {{queue: {quoted}}}}}",
        name=quoted,
    )
    assert 3 == cxroute("test", "-e", "prod", "--junit", "out.xml")
    assert CONTROL_CHARACTERS.search(cxroute.out + cxroute.err) is None
    assert (
        CONTROL_CHARACTERS.search(Path("out.xml").read_text(encoding="utf-8")) is None
    )
    (suite,) = junit()
    assert ["2", "1"] == [suite.get("tests"), suite.get("failures")]


@pytest.mark.parametrize(
    "place", ["nowhere/out.xml", ".", "", "manifests", "manifests/tests.yaml/out.xml"]
)
def test_junit_is_written_completely_or_not_at_all(
    cxroute: Program, place: str
) -> None:
    """Exit 1 and one sentence; no partial file."""
    write_tests("{given: {intent: lost_card, confidence: 1}, expect: {queue: cards}}")
    before = sorted(Path().rglob("*"))
    assert 1 == cxroute("test", "--junit", place)
    assert cxroute.err.startswith("error: cannot write ")
    assert (1, before) == (len(cxroute.err.splitlines()), sorted(Path().rglob("*")))


def test_the_bank_is_tested_completely(cxroute: Program) -> None:
    """Every rule of the example takes a conversation of some test; tests cover every intent and
    queue.
    """
    assert 0 == cxroute("-m", str(ROOT / "manifests"), "test")
    promises = (
        "17 promises kept in prod, sandbox and studio. 18 promises kept in staging."
    )
    assert cxroute.out.endswith(
        f" route tests passed in prod, sandbox, staging and studio. {promises}\n"
    )
    manifests = load_manifests(ROOT / "manifests", NOW)
    chosen = manifests.environments["prod"].document
    catalogue = OfflineQueueResolver("prod", resolve_aliases(manifests, "prod"))
    expected = expand_manifests(manifests, chosen, catalogue)
    actual = run_route_tests(manifests.route_tests, chosen, catalogue, expected)
    assert set(map(str, expected.rules)) == {
        item.winner.name for item in actual if item.winner
    }
    assert any(item.winner is None for item in actual)
    text = {item.conversation.get(chosen.attributes.intent) for item in actual}
    assert (
        set()
        == {intent for loaded in manifests.intents for intent in loaded.document.names}
        - text
    )
