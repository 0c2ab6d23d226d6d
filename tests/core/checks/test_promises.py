"""Promises of manifests: what they mean in an environment, and a broken one in every report."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from reconciler.core.checks.route_tests import check, with_promises
from reconciler.core.manifest.load import load_manifests
from reconciler.core.plan.promises import PromiseResult
from tests.support.builders import NOW
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS
from tests.support.program import Program, write
from tests.support.sarif_form import run_of

pytestmark = pytest.mark.usefixtures("elsewhere")
ROOT = Path(__file__).resolve().parents[3]
HEAD = """\
{apiVersion: routing/v1, kind: Environment, name: prod, owner: acme, tenant: acme,
 vars: {overflow: Partner, floor: 0.4, most: 30}}
---
{apiVersion: routing/v1, kind: Environment, name: staging, owner: acme, tenant: acme-staging,
 vars: {overflow: Test, floor: 0.9, most: 10}}
---
{apiVersion: routing/v1, kind: Queues, name: queues,
 queues: {cards: Card Services, fraud: {prod: {id: 8d0c}, staging: {name: Fraud}}}}
---
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost_card, queue: fraud, priority: 10}
  - {intent: pin, targets: [{queue: cards, weight: 80}, {queue: "${overflow}", weight: 20}], minConfidence: 0.6}
  - {key: all, queue: cards, priority: 900, when: []}
"""


def write_promises(*promises: str, more: str = "") -> None:
    """Write the rules, and promises about them from line 2 on."""
    write("rules.yaml", HEAD + RULES)
    head = (
        f"{{apiVersion: routing/v1, kind: Promises, name: safety, {more}promises: [\n"
    )
    write("promises.yaml", head + ",\n".join(promises) + "\n]}\n")


def results(environment: str = "prod") -> tuple[PromiseResult, ...]:
    """Check the promises of the manifests in one environment."""
    manifests = load_manifests(Path("manifests"), NOW)
    checked = with_promises(
        check(manifests, manifests.environments[environment].document)
    )
    return tuple(
        result for result in checked.tried if isinstance(result, PromiseResult)
    )


def message(environment: str = "prod") -> str:
    (result,) = results(environment)
    return result.failure.message if result.failure else ""


LOST = "{intent: lost_card}"


@each_case(
    "promise",
    [
        "for: {intent: lost_card}, always: {queues: [fraud]}",
        (
            "for: {intents: [lost_card, pin], minConfidence: 0.6}, always: {queues: [fraud, Card "
            "Services, '${overflow}']}"
        ),
        "for: {intent: lost_card}, never: {queues: [cards, '${overflow}']}",
        "never: {queues: [Nobody]}",
        "never: {default: true}",
        "never: {default: true, queues: [Nobody]}",
        "decidedBy: cards/*",
        "for: {intent: lost_card}, decidedBy: cards/lost-card",
        (
            "for: {intent: pin, minConfidence: 0.6}, split: {cards: {least: 80, most: 80}, Partner: "
            "{most: '${most}'}}"
        ),
        (
            "for: {intent: pin, belowConfidence: 0.6}, split: {cards: {least: 100}, '${overflow}': "
            "{most: 0}}"
        ),
        (
            "for: {when: [{attribute: cognigyDetectedIntent, notExists: true}]}, always: {queues: "
            "[cards]}"
        ),
    ],
)
def test_a_kept_promise_has_no_finding(promise: str) -> None:
    """Each form, with aliases, names of live queues, variables and conditions."""
    write_promises(f"{{name: p, {promise}}}")
    assert "" == message()


@each_case(
    "promise, said",
    [
        (
            "for: {intent: lost_card}, always: {queues: [cards]}",
            'for intent "lost_card": expected only "cards", but goes to "fraud" by rule cards/lost-card (manifests',
        ),
        (
            "for: {intent: pin}, never: {queues: [cards]}",
            '"pin", confidence 0.8: expected other queues than "cards", but goes to 80 % "Card Services", 20 %',
        ),
        (
            "for: {intent: pin, minConfidence: 0.6}, split: {'${overflow}': {most: 19.9}}",
            'expected 0 to 19.9 % "Partner", but goes to 80 % "Card Services", 20 % "Partner" by rule cards/pin',
        ),
        (
            "for: {intent: pin, minConfidence: '${floor}'}, decidedBy: cards/pin",
            'expected rule cards/pin, but goes to "Card Services" by rule cards/all (manifests/rules.yaml:16)',
        ),
        (
            "for: {belowConfidence: 0.4}, split: {cards: {most: 50}}",
            'is broken for intent "other", confidence 0.2',
        ),
        (
            (
                "for: {intent: pin, when: [{attribute: cognigyDetectedIntent, equals: x}]}, never: "
                "{default: true}"
            ),
            "is about no conversation: the conditions of its `for` contradict each other",
        ),
    ],
)
def test_a_broken_promise_names_an_example_and_the_rule(
    promise: str, said: str
) -> None:
    """With the destination, and with file and line of the rule; the position is that of the
    promise.
    """
    write_promises(f"{{name: p, {promise}}}")
    assert 'promise "p" ' in message()
    assert said in message()
    (result,) = results()
    assert ("manifests/promises.yaml", 2, 1) == result.finding.source


def test_variables_and_environments_decide_by_environment() -> None:
    """A value of staging alone breaks a promise there; a promise of prod is not checked in
    staging.
    """
    split = "for: {intent: pin, minConfidence: 0.6}, split: {'${overflow}': {most: '${most}'}}"
    write_promises(
        f"{{name: a, {split}}}",
        "{name: b, environments: [prod], never: {default: true}}",
    )
    assert [("a", True), ("b", True)] == [
        (result.name, result.facts.holds) for result in results()
    ]
    assert [("a", False)] == [
        (result.name, result.facts.holds) for result in results("staging")
    ]
    write_promises(f"{{name: a, {split}}}", more="environments: [prod], ")
    assert () == results("staging")


@each_case(
    "promise, code, place, said",
    [
        (
            "never: {queues: [old]}",
            "CXR105",
            (2, 28),
            "queue alias 'old' has no entry for prod",
        ),
        (
            "split: {a: {least: '${most1}'}}",
            "CXR107",
            (2, 30),
            "prod has no variable 'most1' in its vars",
        ),
        (
            "split: {a: {least: '${overflow}'}}",
            "CXR104",
            (2, 30),
            "least must be a number from 0 to 100, and",
        ),
        (
            "for: {minConfidence: '${overflow}'}, decidedBy: a/b",
            "CXR104",
            (2, 32),
            "minConfidence must be a number from",
        ),
        (
            "for: {when: [{attribute: a, in: '${floor}'}]}, decidedBy: a/b",
            "CXR104",
            (2, 43),
            "in must be a list",
        ),
        (
            "split: {a: {least: 60, most: 50}}",
            "CXR104",
            (2, 22),
            "60 is above 50 in prod",
        ),
        ("split: {a: {}}", "CXR104", (2, 22), "needs least or most"),
    ],
)
def test_an_error_of_expansion_has_its_position(
    cxroute: Program, promise: str, code: str, place: tuple[int, int], said: str
) -> None:
    """Unknown queues and variables, and values of the wrong type, are errors as in rules."""
    write_promises(f"{{name: p, {promise}}}")
    path = Path("manifests/rules.yaml")
    path.write_text(
        path.read_text().replace(
            "{cards: Card", "{old: {staging: {name: Old}}, cards: Card"
        )
    )
    code_of_run, form = cxroute.json("validate", "-e", "prod")
    (finding,) = [item for item in form["findings"] if item["severity"] == "error"]
    assert (3, code, *place) == (
        code_of_run,
        finding["code"],
        finding["source"]["line"],
        finding["source"]["column"],
    )
    assert said in finding["message"]


@each_case(
    "promise, code, said",
    [
        (
            "{name: p}",
            "CXR104",
            "exactly one of always, never, decidedBy, split is required",
        ),
        (
            "{name: p, always: {queues: [a]}, decidedBy: a/b}",
            "CXR104",
            "exactly one of always, never, decidedBy, split",
        ),
        ("{name: p, never: {}}", "CXR104", "needs queues or default"),
        ("{name: p, always: {queues: []}}", "CXR104", "must not be empty"),
        ("{name: p, split: {}}", "CXR104", "must not be empty"),
        ("{name: p, environments: [], decidedBy: a/b}", "CXR104", "must not be empty"),
        (
            "{name: p, split: {a: {least: 101}}}",
            "CXR104",
            "must be a number from 0 to 100",
        ),
        (
            "{name: p, decidedBy: 'Fraud/*'}",
            "CXR108",
            "must be an address, ruleset/key, or a pattern of addresses",
        ),
        (
            "{name: p, for: {intent: a, intents: [b]}, decidedBy: a/b}",
            "CXR104",
            'a promise has either "intent" or "intents", not both',
        ),
        (
            "{name: p, severity: info, decidedBy: a/b}",
            "CXR104",
            "must be one of error, warning",
        ),
        ("{name: p, allways: {queues: [a]}}", "CXR102", 'unknown field "allways"'),
        (
            "{name: p, environments: [prd], decidedBy: a/b}",
            "CXR113",
            'no Environment document is named "prd"',
        ),
        (
            "{name: p, decidedBy: a/b},\n{name: p, decidedBy: a/b}",
            "CXR111",
            'promise "p" is already in line 2 of this file',
        ),
    ],
)
def test_an_invalid_document_is_reported_with_its_line(
    cxroute: Program, promise: str, code: str, said: str
) -> None:
    """Each error of the form, in the promise's line."""
    write_promises(promise)
    code_of_run, form = cxroute.json("validate")
    actual = [
        (item["code"], item["source"]["line"])
        for item in form["findings"]
        if said in item["message"]
    ]
    assert (3, [(code, 2 + promise.count("\n"))]) == (code_of_run, actual), form[
        "findings"
    ]


def test_a_promise_does_not_count_as_a_route_test(cxroute: Program) -> None:
    """The JSON of `validate` has the number of route tests; a broken promise is one of its
    findings.
    """
    write_promises(
        "{name: kept, for: {intent: lost_card}, always: {queues: [fraud]}}",
        "{name: p, decidedBy: a/b}",
    )
    code, form = cxroute.json("validate", "-e", "prod")
    assert (3, {"tests": 0, "failed": 0}) == (code, form["routeTests"])
    assert ["CXR221"] == [
        item["code"] for item in form["findings"] if item["severity"] == "error"
    ]


def test_an_intent_that_the_bot_does_not_have_is_a_warning(cxroute: Program) -> None:
    """A misspelt intent would be a promise about nothing, too: the finding is at its name, with the
    nearest one.
    """
    write(
        "bot.yaml",
        "{apiVersion: routing/v1, kind: Intents, name: bot, intents: [lost_card, pin]}\n",
    )
    write_promises(
        "{name: p, for: {intents: [pin, lost_crad]}, never: {queues: [cards]}}"
    )
    actual = [
        item
        for item in cxroute.json("validate", "-e", "prod")[1]["findings"]
        if item["code"] == "CXR206"
    ]
    (place,) = [
        (item["source"]["line"], item["source"]["column"])
        for item in actual
        if "lost_crad" in item["message"]
    ]
    assert (2, 32) == place
    cxroute("validate", "-e", "prod")
    assert 'did you mean "lost_card"?' in cxroute.out


def test_a_queue_without_an_alias_is_a_warning(cxroute: Program) -> None:
    """Offline every name counts as a live queue: a misspelt alias would be a promise about
    nothing.
    """
    write_promises("{name: p, never: {queues: [crads]}}")
    code, form = cxroute.json("validate", "-e", "prod")
    (finding,) = [item for item in form["findings"] if item["code"] == "CXR117"]
    assert (0, 2, 28) == (code, finding["source"]["line"], finding["source"]["column"])
    assert 'did you mean "cards"?' in finding["message"]


BROKEN = "{name: safe, for: {intent: lost_card}, always: {queues: [cards]}}"


def test_validate_and_test_fail_for_an_error_and_not_for_a_warning(
    cxroute: Program,
) -> None:
    """Exit 3 with the number of promises; with `severity: warning` the same finding, and exit 0."""
    for command in ("validate", "test"):
        write_promises(BROKEN, "{name: good, never: {default: true}}")
        assert 3 == cxroute(command, "-e", "prod,staging")
        assert "error[CXR221]" in cxroute.out
        assert "1 of 2 promises not kept in prod, 1 in staging.\n" in cxroute.out
        write_promises(BROKEN.replace("safe,", "safe, severity: warning,"))
        assert 0 == cxroute(command, "-e", "prod,staging"), cxroute.out
        assert "warning[CXR221]" in cxroute.out
        write_promises("{name: good, never: {default: true}}")
        assert 0 == cxroute(command, "-e", "prod,staging")
        assert "1 promise kept in prod and staging.\n" in cxroute.out


def test_environments_with_other_promises_have_their_own_number(
    cxroute: Program,
) -> None:
    """Kept, and broken, with the number of that environment."""
    write_promises(
        "{name: all, never: {default: true}}",
        "{name: one, environments: [prod], decidedBy: cards/*}",
    )
    assert 0 == cxroute("test"), cxroute.out
    assert "2 promises kept in prod. 1 promise kept in staging.\n" in cxroute.out
    write_promises(BROKEN, "{name: one, environments: [prod], decidedBy: cards/*}")
    assert 3 == cxroute("test")
    assert (
        "1 of 2 promises not kept in prod. 1 of 1 promise not kept in staging.\n"
        in cxroute.out
    )


def test_the_hint_is_the_command_that_explains_the_example(cxroute: Program) -> None:
    """Typed as printed, it has the example's conversation, and the rule that takes it."""
    write_promises(BROKEN)
    assert 3 == cxroute("test", "-e", "prod")
    typed = cxroute.out.splitlines()[0].split("why: ")[1]
    code, form = cxroute.json(*shlex.split(typed)[1:])
    assert (0, {"cognigyDetectedIntent": "lost_card"}) == (code, form["input"])
    assert "cards/lost-card" == form["winner"]


def test_json_has_every_promise(cxroute: Program) -> None:
    """With its violations in the form of a plan's regions."""
    write_promises(BROKEN, "{name: good, severity: warning, never: {default: true}}")
    code, form = cxroute.json("test", "-e", "prod")
    assert (3, False, 0) == (code, form["passed"], form["failed"])
    condition = {
        "type": "attribute",
        "attributeName": "cognigyDetectedIntent",
        "operator": "equals",
        "value": "lost_card",
    }
    violation = {
        "where": [condition],
        "except": [],
        "destination": {
            "queues": [{"queueId": "8d0c", "queueName": "fraud", "share": 1.0}]
        },
        "witness": {"cognigyDetectedIntent": "lost_card"},
        "rule": "cards/lost-card",
    }
    broken, good = form["promises"]
    head = {"environment": "prod", "document": "safety"}
    assert (
        head
        | {
            "name": "safe",
            "severity": "error",
            "holds": False,
            "violations": [violation],
        }
        == broken
    )
    assert (
        head | {"name": "good", "severity": "warning", "holds": True, "violations": []}
        == good
    )


def test_sarif_and_annotations_have_a_broken_promise(cxroute: Program) -> None:
    """At the line of the promise."""
    write_promises(BROKEN)
    assert 3 == cxroute("validate", "--format", "sarif")
    form = json.loads(cxroute.out)
    assert run_of(form)
    actual, _ = [
        item for item in form["runs"][0]["results"] if item["ruleId"] == "CXR221"
    ]
    assert ("error", 2) == (
        actual["level"],
        actual["locations"][0]["physicalLocation"]["region"]["startLine"],
    )
    assert 3 == cxroute("validate", "--format", "github")
    assert "::error file=manifests/promises.yaml,line=2," in cxroute.out


def junit() -> ET.Element:
    return ET.fromstring(Path("out.xml").read_text(encoding="utf-8"))  # noqa: S314 - written by this very program


def test_junit_has_a_case_for_each_promise(cxroute: Program) -> None:
    """A broken one of severity error is a failure; a warning is in the suite's output."""
    write_promises(
        BROKEN,
        BROKEN.replace("safe,", "soft, severity: warning,"),
        "{name: good, never: {default: true}}",
    )
    assert 3 == cxroute("test", "-e", "prod", "--junit", "out.xml")
    (suite,) = junit()
    assert ("safety in prod", "3", "1") == tuple(
        suite.attrib[name] for name in ("name", "tests", "failures")
    )
    cases = suite.findall("testcase")
    assert ['promise "safe"', 'promise "soft"', 'promise "good"'] == [
        case.attrib["name"] for case in cases
    ]
    assert [1, 0, 0] == [len(case) for case in cases]
    assert "CXR221" == cases[0][0].attrib["type"]
    assert 'manifests/promises.yaml:3: promise "soft" is broken' in str(
        suite.findtext("system-out")
    )


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_hostile_names_break_neither_xml_nor_a_terminal(
    cxroute: Program, text: str
) -> None:
    """Names of promises, documents and intents come from outside."""
    named = json.dumps(text)
    intent = json.dumps(text or "x")
    write("rules.yaml", HEAD + RULES)
    fields = (
        f"name: {json.dumps(text or 'n')}, for: {{intent: {intent}}}, always: {{queues: "
        f"[fraud]}}"
    )
    write(
        "promises.yaml",
        f"{{apiVersion: routing/v1, kind: Promises, name: {named or 'd'}, promises: "
        f"[{{{fields}}}]}}\n",
    )
    code = cxroute("test", "-e", "prod", "--junit", "out.xml")
    assert 3 == code
    assert not CONTROL_CHARACTERS.search(cxroute.out.replace("\n", ""))
    if Path("out.xml").exists():
        assert len(junit())


def test_an_undecided_promise_counts_as_not_kept(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3, `holds: null`, no violation, and a message that says why."""
    for name in ("DEFAULT_WORK", "WORK_PER_RULE"):
        monkeypatch.setattr(f"reconciler.core.behaviour.diff.promises.{name}", 0)
    write_promises("{name: p, never: {default: true}, for: {intent: pin}}")
    code, form = cxroute.json("test", "-e", "prod")
    assert (3, False, None, []) == (
        code,
        form["passed"],
        form["promises"][0]["holds"],
        form["promises"][0]["violations"],
    )
    assert 3 == cxroute("test", "-e", "prod")
    assert (
        'promise "p" is not proven: the analysis stopped at its bound of work'
        in cxroute.out
    )
    assert "1 of 1 promise not kept in prod." in cxroute.out


NEW_RULESET = """\
apiVersion: routing/v1
kind: RuleSet
name: app
rules:
  - key: callers
    priority: 5
    when: [{attribute: channel, equals: app}]
    queue: card-services
"""


def test_a_new_ruleset_above_fraud_fails_offline(cxroute: Program) -> None:
    """The bank with a RuleSet of priority 5 for the app: its own promises fail, with rule, file,
    line and example.
    """
    shutil.copytree(ROOT / "manifests", "manifests")
    shutil.rmtree("manifests/tests")
    write("app.yaml", NEW_RULESET)
    assert 3 == cxroute("validate")
    promises = Path("manifests/promises.yaml").read_text("utf-8").splitlines()
    for name, requirement in (
        (
            "stolen cards, stolen phones and compromised cards reach the fraud desk",
            'only "fraud"',
        ),
        (
            "only the fraud rules decide about stolen cards, stolen phones and compromised cards",
            "rule fraud/*",
        ),
    ):
        line = promises.index(f"  - name: {name}") + 1
        expected = (
            f'manifests/promises.yaml:{line}:5: error[CXR221]: promise "{name}" is broken for intent'
            ' "compromised_card", confidence 0.45, channel "app": expected '
            f'{requirement}, but goes to "Card Services" by rule app/callers'
            " (manifests/app.yaml:5), in prod, sandbox"
        )
        assert expected in cxroute.out
