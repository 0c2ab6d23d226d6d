"""Every code that the program can report, from the program itself: a minimal case for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.cli.files import STATE
from reconciler.core.desired.desired import expand_manifests
from reconciler.core.desired.queues import QueueResolver
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.finding import CODES
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Queue, make_opaque
from reconciler.features.journal.places import JournalFile
from reconciler.features.practice.sandbox import open_state
from tests.support.builders import QUEUES, intent_is, managed, rule, unmanaged
from tests.support.in_process_tenant import raw
from tests.support.program import Program
from tests.support.written_manifests import CARDS, ENVIRONMENT, HEAD

SANDBOX: Final = (
    "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: acme\n"
)
HELD: Final = "hold: {until: 2999-01-01T00:00:00Z, reason: tests}"
VIP: Final = (
    "{key: vip, name: vip, description: Routes vip, intent: vip, queue: Card Services}"
)
"""The manifest of the builders' `rule()`."""


def documents(*texts: str) -> str:
    """Return several documents as one file."""
    return "---\n".join(texts)


def ruleset(*rules: str) -> str:
    """Return a RuleSet with these rules."""
    return HEAD + "".join(f"  - {rule}\n" for rule in rules)


class Desk:
    """A folder with manifests, and the program, which checks them."""

    def __init__(self, cxroute: Program, patch: pytest.MonkeyPatch) -> None:
        self.cxroute, self.patch = cxroute, patch
        Path("manifests").mkdir()

    def write(self, text: str | bytes, name: str = "m.yaml") -> None:
        """Write a file next to the manifests' directory, or below it."""
        data = text.encode() if isinstance(text, str) else text
        (Path("manifests") / name).write_bytes(data)

    def said(self, *command: str) -> set[str]:
        """Return the codes of all findings that a command prints as JSON."""
        return set(_codes(self.cxroute.json(*command)[1]))

    def validated(self, text: str | bytes) -> set[str]:
        """Return the codes of `validate` for a file."""
        self.write(text)
        return self.said("validate")

    def of_rules(self, *rules: str, more: str = "") -> set[str]:
        """Return the codes for rules; `more` has further lines of the Environment."""
        return self.validated(documents(ENVIRONMENT + more, ruleset(*rules)))

    def planned(
        self, rules: str, *live: LiveRule, queues: object = QUEUES, more: str = ""
    ) -> set[str]:
        """Return the codes of `plan` with live rules, except the one for rules from a file."""
        self.write(documents(ENVIRONMENT + more, rules))
        listed = [{"id": queue[0], "name": queue[1]} for queue in queues]  # type: ignore[attr-defined]
        Path("live.json").write_text(
            json.dumps({"rules": [raw(item) for item in live], "queues": listed}),
            "utf-8",
        )
        return self.said("plan", "-e", "prod", "--live", "live.json") - {"CXR320"}

    def planned_block(self, rule: str, block: str) -> set[str]:
        """Return the codes of `plan` for a rule of a script with this block, without the notes of
        each such plan.
        """
        self.write(documents(ENVIRONMENT + STUDIO, ruleset(rule), SKILLS))
        Path("live.txt").write_text(
            f"// cxroute:begin acme/main\n{block}\n// cxroute:end\n", "utf-8"
        )
        return self.said("plan", "-e", "prod", "--live", "live.txt") - {
            "CXR128",
            "CXR320",
        }

    def traffic(self, text: str, more: str = "") -> set[str]:
        """Return the codes of `plan` for a traffic sample; `more` has further lines of the
        Environment.
        """
        self.write(documents(SANDBOX + more, CARDS))
        Path("t.csv").write_text(text, "utf-8")
        return self.said("plan", "--traffic", "t.csv")


def _tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")


def _codes(form: Any) -> Iterator[str]:
    """Yield every code in a document."""
    if isinstance(form, dict):
        yield from (form["code"],) if "code" in form else ()
        form = form.values()
    if not isinstance(form, str | int | float | None):
        for item in form:
            yield from _codes(item)


@pytest.fixture
def desk(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(cxroute, monkeypatch)


def outside(desk: Desk) -> set[str]:
    """A link that leads out of the directory."""
    Path("secret.yaml").write_text(CARDS, "utf-8")
    (Path("manifests") / "link.yaml").symlink_to("../secret.yaml")
    return desk.said("validate")


def unreadable(desk: Desk) -> set[str]:
    """A link to nothing."""
    (Path("manifests") / "link.yaml").symlink_to("nowhere.yaml")
    return desk.said("validate")


def inactive(desk: Desk) -> set[str]:
    """Return a case with a queue that is inactive in the tenant."""
    desk.write(documents(ENVIRONMENT, CARDS))
    manifests = load_manifests(Path("manifests"))
    catalogue = QueueResolver("prod", {}, [Queue("7", "fraud", active=False)])
    with pytest.raises(ManifestError) as wrong:
        expand_manifests(manifests, manifests.environments["prod"].document, catalogue)
    return {finding.code for finding in wrong.value.findings}


def bounded_lint(desk: Desk) -> set[str]:
    """Return a case in which no comparison may be made."""
    desk.patch.setattr("reconciler.core.checks.lint.LINT_WORK_PER_RULE", 0)
    overlapping = [
        f"{{key: k{n}, queue: Q{n}, when: [{{attribute: routedAt, notEquals: x{n}}}]}}"
        for n in range(3)
    ]
    return desk.of_rules(*overlapping)


def bounded_drift(desk: Desk) -> set[str]:
    """Return the same case with unmanaged live rules."""
    desk.write(documents(SANDBOX, ruleset(VIP)))
    assert 0 == desk.cxroute("apply", "--yes")
    with open_state(STATE) as state:
        first = next(iter(state.rules()))
        gold = {
            "type": "attribute",
            "attributeName": "tier",
            "operator": "equals",
            "value": "gold",
        }
        hand = {
            "id": "hand",
            "name": "by hand",
            "description": "",
            "priority": 1,
            "conditions": [gold],
        }
        state.put({**first, **hand})
    for name in ("DEFAULT_WORK", "WORK_PER_RULE"):
        desk.patch.setattr(f"reconciler.core.behaviour.diff.difference.{name}", 0)
    return desk.said("drift")


def undone(desk: Desk) -> set[str]:
    """Return the undo of a run that created a rule, which the manifests still define."""
    desk.write(documents(SANDBOX, ruleset(VIP)))
    assert 0 == desk.cxroute("apply", "--yes")
    return desk.said("plan", "--undo", last_run())


def disowned(desk: Desk) -> set[str]:
    """Return the undo of an adoption; the marker of the rule was removed after the run."""
    desk.write(documents(SANDBOX, ruleset(f"{VIP[:-1]}, adopt: vip}}")))
    with open_state(STATE) as state:
        state.put({**raw(unmanaged("hand", rule())), "version": 1})
    assert 0 == desk.cxroute("apply", "--yes"), desk.cxroute.err
    with open_state(STATE) as state:
        state.edit("hand", description="mine")
    return desk.said("plan", "--undo", last_run())


def last_run() -> str:
    """Return the name of the last run in the journal."""
    return JournalFile(Path(".cxroute/journal.jsonl")).read()[-1].id


def accepted(desk: Desk) -> set[str]:
    """Return an acceptance of a live rule that does not exist."""
    accept = (
        "unmanaged: {accept: [{name: by hand, digest: 0123abcd, reason: theirs}]}\n"
    )
    desk.write(documents(SANDBOX + accept, ruleset(VIP)))
    assert 0 == desk.cxroute("apply", "--yes")
    return desk.said("drift")


def unknown_base(desk: Desk) -> set[str]:
    """Return the codes of a plan whose base has no such Environment."""
    Path("old").mkdir()
    Path("old/all.yaml").write_text(
        documents(ENVIRONMENT.replace("prod", "other")), "utf-8"
    )
    desk.planned(ruleset(VIP))
    return desk.said("plan", "-e", "prod", "--live", "live.json", "--base", "old") - {
        "CXR320"
    }


INTENTS: Final = "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [%s]\n"
PROMISES: Final = """\
apiVersion: routing/v1
kind: Promises
name: all
promises: [{{name: a rule takes every conversation, for: {}, never: {{default: true}}}}]
"""
ROUTE_TEST: Final = (
    "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n  - {given: {intent: lost_card}, "
    "expect: {queue: Q}}\n"
)
ALIASES: Final = "apiVersion: routing/v1\nkind: Queues\nname: %s\nqueues: {fraud: %s}\n"
ATTRIBUTES: Final = (
    "apiVersion: routing/v1\nkind: Attributes\nname: %s\n"
    "attributes: {tier: {values: [gold, platinum], writtenBy: IVR}}\n"
)
STUDIO: Final = """\
api: {auth: access-key, area: na1, queues: acd-skills, rules: studio, studio: {script: Hand-over}}
attributes: {intent: intent, confidence: confidence}
"""
DIGITAL: Final = STUDIO.replace("acd-skills", "digital").replace(
    "{script: Hand-over}", "{script: Hand-over, result: {as: routing-queue}}"
)
SKILLS: Final = (
    "apiVersion: routing/v1\nkind: Queues\nname: skills\nqueues: {cards: {prod: {id: "
    "'4001'}}}\n"
)
CASE: Final = (
    'SELECT {\nCASE ( intent.contains("x") )\n{\nASSIGN cxr_skill = 4001\n}\n}'
)
LONG_INTENTS: Final = [f"{'x' * 200}{number}" for number in range(200)]
TWO_FRAUDS: Final = (("1", "fraud"), ("2", "fraud"))
EDITED: Final = [
    managed(n, "cards/vip", rule(f"vip {n}", priority=int(n)), last_written=rule())
    for n in ("1", "2")
]
OTHER: Final = rule(conditions=[intent_is("other")])
"""A rule of the same name that takes other conversations."""
PIN: Final = "{intent: pin, queue: Cards, minConfidence: 0.7, priority: 10}"

CASES: Final[dict[str, Callable[[Desk], set[str]]]] = {
    "CXR001": lambda desk: desk.validated(b"name: \xff\n"),
    "CXR002": lambda desk: desk.validated(b"#" * (5 * 1024 * 1024 + 1)),
    "CXR003": outside,
    "CXR004": lambda desk: desk.validated("name: ["),
    "CXR005": lambda desk: desk.validated("[" * 40 + "]" * 40),
    "CXR006": lambda desk: desk.validated(CARDS.replace("cards", "&a cards")),
    "CXR007": lambda desk: desk.validated(f"{CARDS}<<: {{a: b}}\n"),
    "CXR008": lambda desk: desk.validated(CARDS.replace("cards", "!a cards")),
    "CXR009": lambda desk: desk.validated(f"{CARDS}? [a]\n: b\n"),
    "CXR010": lambda desk: desk.validated("".join(f"k{n}: v\n" for n in range(10_001))),
    "CXR011": lambda desk: desk.validated(f"{CARDS}name: cards\n"),
    "CXR012": lambda desk: desk.validated(
        CARDS.replace("fraud", "fraud, priority: 1e999")
    ),
    "CXR013": lambda desk: desk.validated("- cards\n"),
    "CXR014": unreadable,
    "CXR015": lambda desk: desk.validated(f"{CARDS}# \x07\n"),
    "CXR101": lambda desk: desk.validated(CARDS.replace("RuleSet", "Rules")),
    "CXR102": lambda desk: desk.validated(CARDS.replace("fraud", "fraud, colour: red")),
    "CXR103": lambda desk: desk.validated(CARDS.replace("name: cards\n", "")),
    "CXR104": lambda desk: desk.of_rules("{intent: a, queue: Q, priority: first}"),
    "CXR105": lambda desk: desk.planned(CARDS),
    "CXR106": lambda desk: desk.planned(CARDS, queues=TWO_FRAUDS),
    "CXR107": lambda desk: desk.of_rules("{intent: a, queue: '${queue}'}"),
    "CXR108": lambda desk: desk.of_rules("{key: Not A Key, intent: a, queue: Q}"),
    "CXR109": lambda desk: desk.of_rules(
        "{key: a, intent: a, queue: Q}", "{key: a, intent: b, queue: Q}"
    ),
    "CXR110": lambda desk: desk.of_rules(
        "{name: a, intent: a, queue: Q}", "{name: a, intent: b, queue: Q}"
    ),
    "CXR111": lambda desk: desk.validated(documents(ENVIRONMENT, CARDS, CARDS)),
    "CXR112": lambda desk: desk.of_rules(
        "{key: a, queue: Q, when: [{attribute: routedAt, matches: x}]}"
    ),
    "CXR113": lambda desk: desk.validated(
        documents(ENVIRONMENT, f"{CARDS}environments: [staging]\n")
    ),
    "CXR114": lambda desk: desk.validated(
        documents(ENVIRONMENT, ENVIRONMENT.replace("prod", "staging"))
    ),
    "CXR115": lambda desk: desk.said("validate"),
    "CXR117": lambda desk: desk.validated(
        documents(ENVIRONMENT, ruleset("{intent: a, queue: Q}"), ALIASES % ("q", "F"))
    ),
    "CXR118": lambda desk: desk.validated(
        documents(ENVIRONMENT, ALIASES % ("a", "F"), ALIASES % ("b", "F"))
    ),
    "CXR119": lambda desk: desk.of_rules(
        "{intent: a, queue: Q}", more="api: {operators: [exists]}\n"
    ),
    "CXR120": lambda desk: desk.of_rules("{key: all, queue: Q}"),
    "CXR121": inactive,
    "CXR122": lambda desk: desk.of_rules(
        "{intent: a, queue: Q}", more="api: {profile: theirs}\n"
    ),
    "CXR123": lambda desk: desk.of_rules(
        "{intent: a, targets: [{queue: Q, weight: 0}]}"
    ),
    "CXR124": lambda desk: desk.validated(
        documents(ENVIRONMENT, ATTRIBUTES % "a", ATTRIBUTES % "b")
    ),
    "CXR125": lambda desk: desk.of_rules(
        "{key: a, queue: Q, when: [{attribute: routedAt, endsWith: x}]}", more=STUDIO
    ),
    "CXR126": lambda desk: desk.of_rules(
        "{key: a, queue: Q, when: [{attribute: routedAt, equals: x}, {attribute: routedAt, "
        "lessThan: 1}]}",
        more=STUDIO,
    ),
    "CXR127": lambda desk: desk.of_rules(
        "{intent: Card, queue: P}", "{key: b, intent: card, queue: Q}", more=STUDIO
    ),
    "CXR128": lambda desk: desk.of_rules("{intent: pin, queue: Queue}", more=STUDIO),
    "CXR129": lambda desk: (
        desk.of_rules(
            "{key: a, queue: Queue, when: [{attribute: routedAt, notEquals: x}]}",
            more=STUDIO,
        )
        - {"CXR128"}
    ),
    "CXR130": lambda desk: (
        desk.of_rules(
            "{intent: pin, targets: [{queue: Cards}, {queue: Queue}]}", more=STUDIO
        )
        - {"CXR128"}
    ),
    "CXR131": lambda desk: desk.planned_block(
        f"{{key: a, intents: [{', '.join(LONG_INTENTS)}], queue: cards}}", ""
    ),
    "CXR132": lambda desk: desk.validated(
        documents(
            ENVIRONMENT,
            CARDS,
            ATTRIBUTES.replace("[gold, platinum]", "{gold: {group: top}, top: Top}")
            % "a",
        )
    ),
    "CXR133": lambda desk: (
        desk.of_rules("{intent: pin, queue: Cards}", more=DIGITAL) - {"CXR128"}
    ),
    "CXR140": lambda desk: desk.validated(
        CARDS.replace("fraud", "fraud, clientSecret: hidden")
    ),
    "CXR201": lambda desk: desk.of_rules(
        "{key: a, queue: Q, when: [{attribute: routedAt, in: []}]}"
    ),
    "CXR202": lambda desk: desk.of_rules(
        "{key: all, when: [], queue: P, priority: 1}", "{intent: pin, queue: Q}"
    ),
    "CXR203": lambda desk: desk.of_rules(
        "{key: a, intents: [a, b], queue: Q, priority: 10}",
        "{key: b, intents: [a, b, c], queue: Q}",
    ),
    "CXR204": lambda desk: desk.of_rules(
        "{key: a, name: a, intent: pin, queue: P}", "{key: b, intent: pin, queue: Q}"
    ),
    "CXR205": lambda desk: desk.validated(
        documents(ENVIRONMENT, CARDS, INTENTS % "lost_card, pin")
    ),
    "CXR206": lambda desk: desk.validated(
        documents(
            ENVIRONMENT,
            ruleset("{intent: pin, queue: Q}", "{intent: pni, queue: Q}"),
            INTENTS % "pin",
        )
    ),
    "CXR207": lambda desk: desk.of_rules(
        "{intent: pin, queue: Q, when: [{attribute: tier, equals: gold}]}"
    ),
    "CXR208": lambda desk: desk.of_rules(
        PIN, "{key: low, name: low, intent: pin, queue: Q, belowConfidence: 0.6}"
    ),
    "CXR209": bounded_lint,
    "CXR210": lambda desk: desk.of_rules(
        "{intent: a, queue: Card Services}", more="api: {queues: acd-skills}\n"
    ),
    "CXR211": lambda desk: desk.of_rules(
        "{intent: a, queue: Q}",
        more="context: {writer: digital-custom-fields}\nattributes: {intent: bot intent}\n",
    ),
    "CXR212": lambda desk: desk.of_rules(
        "{intent: a, queue: Q, accept: {CXR201: meant}}"
    ),
    "CXR213": lambda desk: desk.validated(
        documents(
            ENVIRONMENT,
            ruleset(
                "{intent: pin, queue: Q, when: [{attribute: tier, equals: silver}]}"
            ),
            ATTRIBUTES % "a",
        )
    ),
    "CXR214": lambda desk: desk.of_rules(
        "{intent: a, queue: Q, when: [{attribute: cognigyConfidence, lessThan: 60}]}"
    ),
    "CXR216": lambda desk: desk.validated(
        documents(ENVIRONMENT, ruleset("{intent: no, queue: Q}"))
    ),
    "CXR217": lambda desk: desk.validated(
        documents(f"{ENVIRONMENT}guard: {{protected: [cards/card-hlep]}}\n", CARDS)
    ),
    "CXR220": lambda desk: desk.validated(documents(ENVIRONMENT, CARDS, ROUTE_TEST)),
    "CXR221": lambda desk: desk.validated(
        documents(ENVIRONMENT, CARDS, PROMISES.format("{}"))
    ),
    "CXR222": lambda desk: desk.validated(
        documents(
            ENVIRONMENT,
            CARDS,
            PROMISES.format("{minConfidence: 0.5, belowConfidence: 0.5}"),
        )
    ),
    "CXR230": lambda desk: desk.traffic(""),
    "CXR231": lambda desk: desk.traffic('intent,count\n"a,1\n'),
    "CXR232": lambda desk: desk.traffic("intent\na\n"),
    "CXR233": lambda desk: desk.traffic("intent,count\na,-1\n"),
    "CXR234": lambda desk: desk.traffic("intent,count\na,0\n"),
    "CXR235": lambda desk: desk.traffic(
        "intent,count\na,1\n", "traffic: {file: t.csv, maxAgeDays: 30}\n"
    ),
    "CXR240": lambda desk: desk.of_rules(
        "{intent: a, queue: Card Services, from: 2999-01-01T00:00Z}"
    ),
    "CXR241": lambda desk: desk.planned(
        ruleset(
            "{intent: a, targets: [{queue: Fraud, weight: 1}, {queue: General, weight: 0}], steps: "
            "[{at: 2020-01-01T00:00Z, weights: {Fraud: 1, General: 1}, if: {query: q, above: 1, for: 5m}}]}"
        )
    ),
    "CXR242": lambda desk: desk.of_rules(
        "{intent: a, queue: Q, until: 2000-01-01T00:00Z}", "{intent: b, queue: Q}"
    ),
    "CXR243": lambda desk: desk.planned(
        ruleset(
            VIP, f"{{intent: a, queue: Card Services, from: '{_tomorrow()}', {HELD}}}"
        ),
        more="schedule: {every: 10m}\n",
    ),
    "CXR301": lambda desk: desk.planned(ruleset(VIP), unmanaged("1", OTHER)),
    "CXR302": lambda desk: desk.planned(
        ruleset(VIP),
        managed("1", "cards/vip", rule()),
        managed(
            "2",
            "cards/vip",
            rule("copy", conditions=[intent_is("x")]),
            last_written=rule(),
        ),
    ),
    "CXR303": lambda desk: desk.planned(
        ruleset(VIP), managed("1", "x/vip", OTHER, owner="other")
    ),
    "CXR304": lambda desk: desk.planned(
        ruleset(VIP), unmanaged("1", OTHER), unmanaged("2", OTHER)
    ),
    "CXR305": lambda desk: desk.planned(ruleset(f"{VIP[:-1]}, adopt: by hand}}")),
    "CXR306": lambda desk: desk.planned(
        ruleset(VIP),
        unmanaged(
            "1",
            rule(
                "by hand",
                conditions=[make_opaque({"type": "schedule", "name": "nights"})],
            ),
        ),
    ),
    "CXR308": lambda desk: desk.planned(
        ruleset(VIP),
        managed("1", "cards/vip", rule()),
        unmanaged("2", OTHER),
    ),
    "CXR309": lambda desk: desk.planned(
        ruleset(f"{VIP[:-1]}, adopt: vip}}"),
        unmanaged("1", rule(description="x\n[flowsync:ivr/branch@4]")),
    ),
    "CXR310": undone,
    "CXR311": disowned,
    "CXR312": lambda desk: desk.planned(ruleset(VIP), *EDITED),
    "CXR313": lambda desk: desk.planned_block("{intent: pin, queue: cards}", CASE),
    "CXR320": lambda desk: (
        desk.planned(ruleset(VIP))
        | desk.said("plan", "-e", "prod", "--live", "live.json")
    ),
    "CXR321": unknown_base,
    "CXR330": accepted,
    "CXR331": bounded_drift,
    "CXR340": lambda desk: desk.planned(
        ruleset(VIP.replace("Routes vip", "Routes VIP")),
        managed(
            "1",
            "cards/vip",
            rule(description="routes vip"),
            last_written=rule(description="Routes VIP"),
        ),
    ),
}
"""For each code of `findings.CODES` the case that makes the program report it."""


@pytest.mark.parametrize("code", CASES)
def test_the_program_reports_the_code(desk: Desk, code: str) -> None:
    """Only this code: no case has a second problem."""
    assert {code} == CASES[code](desk)


def test_every_code_has_a_case() -> None:
    """A new code needs a case, and the case of a removed code must be removed."""
    assert list(CODES) == list(CASES)
