"""Compares everything that users and their programs read with a recording in tests/recorded.

The recording was made before the modules moved. A difference is a change for users and belongs in
CHANGELOG.md, with a new recording (`python -m tests.project.test_recorded`). Sentences are not
recorded: `TEXTS` in tests/support/recording.py lists their fields.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from difflib import unified_diff
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, Final

import httpx
import pytest

# The recording depends on the package's modules in these lines, and in tests/support/recording.py,
# only.
import reconciler
from reconciler.cli.arguments import all_commands, command_module
from reconciler.cli.parsing import CommandParser
from reconciler.core import errors
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES
from tests.features.endpoint.in_process_endpoint import (
    HEADERS,
    Endpoint,
    Upstream,
    event,
)
from tests.features.endpoint.signing import WRITTEN, signed
from tests.support.many_tenants import Tenants, rule, ruleset, tenants
from tests.support.plain_http import PLAIN
from tests.support.recording import (
    SCHEMA_TEXTS,
    OutputRecorder,
    cxroute,
    json_text,
    plain_text,
    workplace,
    write,
)
from tests.support.server_process import KEY, server_process
from tests.support.watch_process import WatchProcess, webhook_server

pytestmark = pytest.mark.slow

Rule = dict[str, Any]
"""A rule in the API's form."""

HERE: Final = Path(__file__).parents[1] / "recorded"
ROOT: Final = Path(__file__).resolve().parents[2]
JOURNAL: Final = ".cxroute/journal.jsonl"
STATE: Final = Path(".cxroute/sandbox.json")

HEAD: Final = "apiVersion: routing/v1\nkind: {kind}\nname: {name}\n"
BEFORE: Final = """\
rules:
- {key: stays, intent: stays, queue: Cards, priority: 10, name: Stays}
- {key: changed, intent: changed, queue: Cards, priority: 20, name: Changed}
- {key: gone, intent: gone, queue: Cards, priority: 30, name: Gone}
- {key: off, intent: off, queue: Cards, priority: 40, name: Off}
- {key: both, intent: both, queue: Cards, priority: 50, name: Both}
- {key: lost, intent: lost, queue: Cards, priority: 60, name: Lost}
- {key: twice, intent: twice, queue: Cards, priority: 70, name: Twice}
- {key: left, intent: left, queue: Cards, priority: 80, name: Left}
- {key: right, intent: right, queue: Fraud, priority: 90, name: Right}
- {key: held, intent: held, queue: Cards, priority: 100, name: Held}
- {key: rest, when: [], queue: General, priority: 900, name: Rest}
"""
AFTER: Final = """\
rules:
- {key: stays, intent: stays, queue: Cards, priority: 10, name: Stays}
- {key: changed, intent: changed, queue: Fraud, priority: 25, name: Changed, minConfidence: 0.5}
- {key: off, intent: off, queue: Cards, priority: 40, name: Off}
- {key: both, intent: both, queue: General, priority: 50, name: Both}
- {key: lost, intent: lost, queue: Cards, priority: 60, name: Lost}
- {key: twice, intent: twice, queue: Cards, priority: 70, name: Twice}
- {key: left, intent: right, queue: Cards, priority: 80, name: Right}
- {key: right, intent: left, queue: Fraud, priority: 90, name: Left}
- {key: held, intent: held, queue: Cards, priority: 101, name: Held, hold: {until: 2099-01-01T00:00:00Z, reason: x}}
- {key: hand, intent: hand, queue: Fraud, priority: 110, name: By hand, adopt: By hand}
- {key: new, intent: new, targets: [{queue: Cards, weight: 1}, {queue: Fraud, weight: 3}], priority: 120, name: New}
- {key: tie-a, intents: [tie, other], queue: Cards, priority: 130, name: Tie A}
- {key: tie-b, intents: [tie, more], queue: Fraud, priority: 130, name: Tie B}
- {key: shadow, intent: stays, queue: Fraud, priority: 140, name: Shadow, accept: {CXR203: for the recording}}
- {key: rest, when: [], queue: General, priority: 900, name: Rest}
"""
TAKEN: Final = (
    "- {key: taken, intent: taken, queue: Fraud, priority: 150, name: Partner}\n"
)
SAMPLE: Final = "intent,confidence,count\nstays,0.9,10\nchanged,0.4,20\nchanged,0.9,30\ngone,,40\nleft,0.9,5\n"
"""A traffic sample."""
TESTS: Final = """\
tests:
- {given: {intent: stays, confidence: 0.9}, expect: {queue: Cards}}
- {given: {intent: gone}, expect: {default: true}}
- {given: {intent: changed, confidence: 0.7}, expect: {queue: Fraud}}
"""
PROMISES: Final = """\
promises:
- {name: right is fraud, for: {intent: right}, always: {queues: [Fraud]}}
- {name: gone is never there, for: {intent: gone, minConfidence: 0.5}, never: {queues: [Cards]}, severity: warning}
"""
WRONG: Final = (
    HEAD.format(kind="RuleSet", name="wrong")
    + "rules:\n- {intnet: x, queue: Nowhere, priority: high}\n"
)
BY_HAND: Final = {
    "id": "r1",
    "name": "By hand",
    "description": "",
    "priority": 5,
    "enabled": True,
    "conditions": [
        {
            "type": "attribute",
            "attributeName": "menu",
            "operator": "equals",
            "value": "x",
            "more": 1,
        }
    ],
    "targets": [{"type": "queue", "queueId": "q1", "weight": 1}],
}
CATCH_ALL: Final = {
    "key": "rest",
    "when": [],
    "queue": "General",
    "priority": 900,
    "name": "rest",
}
LIVE: Final = (rule("kept"), rule("edited"), rule("gone"), CATCH_ALL)
WRITE_FAULTS: Final = {
    "refused": "PUT rule:400@#1",
    "unknown": "POST rules:reset-applied@#1,GET rules:400@#3-",
    "stopped": "PUT rule:403",
    "changed": "PUT rule:412",
    "back": "POST rules:altered=description",
}
"""By the outcome of an apply.

`back`: the tenant does not keep the first rule, and it is deleted again.
"""
READ_FAULTS: Final = (
    "token:401",
    "GET rules:403",
    "GET rules:404",
    "GET rules:html",
    "GET rules:missing",
)
STRICT: Final = "deletes: {count: 0, percent: 0}"
"""A guard that refuses every delete."""
VARIABLES: Final = (
    "CI",
    "COLUMNS",
    "FORCE_COLOR",
    "JOB_COMPLETION_INDEX",
    "NO_COLOR",
    "PORT",
)
PREFIXES: Final = ("CXONE_", "CXROUTE_", "GITHUB_", "RUNNER_")
EVENTS: Final = (
    event(),
    event(),
    event(timestamp="2026-02-01T08:00:00Z"),
    event(conversationId="c-2", intent="unknown"),
    event(conversationId="c-3", confidence=None, timestamp=...),
    event(conversationId="c-4", confidence=0.1),
    event(confidence=7),
    event(intent=...),
)
_TYPE, _KEY = HEADERS
REQUESTS: Final[dict[str, tuple[Any, Any, Exception | None]]] = {
    "no key": ([_TYPE], event(), None),
    "not JSON": (HEADERS, b"{", None),
    "too large": (HEADERS, b" " * 65_537, None),
    "media type": ([_KEY, (b"content-type", b"text/plain")], event(), None),
    "compressed": ([*HEADERS, (b"content-encoding", b"gzip")], event(), None),
    "unknown conversation": (HEADERS, event(), errors.RuleNotFoundError("", 404)),
    "rate of the tenant": (HEADERS, event(), errors.RateLimitedError("", 2.5)),
    "tenant is unavailable": (HEADERS, event(), errors.RetryLaterError("", 3)),
    "outcome is unknown": (HEADERS, event(), errors.AmbiguousWriteError("")),
    "tenant fails": (HEADERS, event(), errors.OverloadedError("")),
    "undefined fields": (HEADERS, event(), errors.UndefinedFieldsError("", 422)),
    "too slow": (HEADERS, event(), TimeoutError()),
    "bug": (HEADERS, event(), RuntimeError()),
}
"""Headers, body, and the error of the write to the tenant."""


# The sandbox


def manifests(
    rules: str, guard: str = "deletes: {count: 9, percent: 100}", more: str = ""
) -> None:
    """Write the manifests of the sandbox."""
    environment = (
        HEAD.format(kind="Environment", name="sandbox")
        + f"owner: acme\nguard: {{{guard}}}\n{more}"
    )
    write(
        "manifests/all.yaml",
        f"{environment}---\n{HEAD.format(kind='RuleSet', name='cards')}{rules}",
    )


def edit_sandbox(edit: Callable[[dict[str, Rule]], object]) -> None:
    """Edit the live rules, and give each an id and times that are the same in every run.

    `edit` gets the rules by name; it may use any key for a rule that it adds.
    """
    state = json.loads(STATE.read_text("utf-8"))
    rules = {live["name"]: live for live in state["rules"]}
    edit(rules)
    for key, live in rules.items():
        rule_id = f"id-{key.lower().replace(' ', '-')}"
        fixed = {
            "dateCreated": "2026-01-01T00:00:00Z",
            "dateModified": "2026-01-01T00:00:00Z",
            "version": 1,
        }
        live.update(id=rule_id, selfUri=f"/api/v2/routing/rules/{rule_id}", **fixed)
    STATE.write_text(json.dumps({**state, "rules": list(rules.values())}), "utf-8")


def edits(rules: dict[str, Rule]) -> None:
    """Edit, delete, copy and add rules, as users do in CXone."""
    by_hand = {**rules["Stays"], "description": "made by hand", "conditions": []}
    rules["Off"]["enabled"] = False
    rules["Both"]["priority"] = 51
    del rules["Lost"]
    rules["Twice again"] = {**rules["Twice"]}
    rules["By hand"] = {**by_hand, "name": "By hand", "priority": 800}
    rules["Partner"] = {
        **by_hand,
        "name": "Partner",
        "priority": 1,
        "conditions": rules["Changed"]["conditions"],
    }


def last_run() -> str:
    """Return the name of the newest run in the journal."""
    return str(
        json.loads(cxroute("history", "--format", "json").out)["runs"][-1]["run"]
    )


def record_sandbox(record: OutputRecorder) -> None:
    """Record plan, apply, drift, refusals, saved plans, history and undo on one small tenant."""
    manifests(BEFORE)
    record.document("first.plan", "a plan with changes", "plan")
    record.run(
        "a plan with changes, --detailed-exitcode", "plan", "--detailed-exitcode"
    )
    record.document("first.apply", "everything applied", "apply", "--yes")
    record.run("nothing to do", "plan", "--detailed-exitcode")
    record.run("nothing to apply", "apply", "--yes")
    record.run("no drift", "drift")
    first_run = last_run()
    record.lines("first.journal", Path(JOURNAL).read_text("utf-8"))

    edit_sandbox(edits)
    record.document("drift", "drift", "drift")
    manifests(AFTER + TAKEN, guard=STRICT)
    plan = record.run("a plan with a conflict", "plan", "--format", "json")
    record.form("conflict.findings", json.loads(plan.out)["findings"])
    record.run("a plan with a conflict, --fail-on-guards", "plan", "--fail-on-guards")
    record.document(
        "conflict.apply", "an apply with a conflict", "apply", "--yes", most=3
    )
    manifests(AFTER, guard=STRICT)
    write("sample.csv", SAMPLE)
    plan = record.run(
        "a plan of every kind of change",
        "plan",
        "--traffic",
        "sample.csv",
        "--format",
        "json",
    )
    record.form("changes.plan", json.loads(plan.out))
    record.form(
        "digests",
        {
            f"of {name}": json.loads(plan.out)[name]
            for name in ("manifestDigest", "liveDigest")
        },
    )
    record.annotations("changes.plan", cxroute("plan", "--format", "github").out)
    record.run("a plan of some changes", "plan", "--only", "cards/changed")
    record.document(
        "keep.plan", "drift is kept", "plan", "--keep-drift", "--adopt", most=3
    )
    record_refusals(record)
    record_changes(record, first_run)


def record_refusals(record: OutputRecorder) -> None:
    """Record applies that write nothing."""
    record.document("refused.apply", "a guard refuses", "apply", "--yes", most=3)
    record.run("no confirmation", "apply", "--no-input")
    record.run(
        "a guard is lifted without a reason", "apply", "--yes", "--allow", "deletes"
    )
    manifests(
        AFTER, more="freeze: [{start: 2020-01-01, end: 2099-01-01, reason: peak}]\n"
    )
    record.run("a freeze", "apply", "--yes")
    manifests(AFTER, guard=STRICT)
    record.run("a plan is saved", "plan", "--out", "plan.json")
    record.form("saved.plan", json.loads(Path("plan.json").read_text("utf-8")), most=3)
    manifests(AFTER.replace("priority: 120", "priority: 121"), guard=STRICT)
    record.document(
        "stale.apply", "a saved plan that is out of date", "apply", "plan.json", "--yes"
    )
    manifests(AFTER, guard=STRICT)


def record_changes(record: OutputRecorder, first_run: str) -> None:
    """Record an apply of every kind of change, a saved plan, and an undo."""
    size = len(Path(JOURNAL).read_text("utf-8"))
    lift = ("--allow", "deletes", "--reason", "CHG-1")
    record.document(
        "changes.apply",
        "everything applied, a guard lifted",
        "apply",
        "--yes",
        "--no-prune",
        *lift,
    )
    record.document(
        "saved.apply",
        "a saved plan of which a part is done",
        "apply",
        "plan.json",
        "--yes",
        *lift,
    )
    record.lines("changes.journal", Path(JOURNAL).read_text("utf-8")[size:])
    record.form("rules", json.loads(STATE.read_text("utf-8"))["rules"])
    record.document("history", "the journal", "history", most=3)
    run = last_run()
    record.document("history.run", "one run of the journal", "history", run)
    record.run("an unknown run", "history", "2020-01-01T000000-sandbox-0000")
    record.document("undo.plan", "a plan to undo a run", "plan", "--undo", run)
    size = len(Path(JOURNAL).read_text("utf-8"))
    record.document("undo.apply", "a run undone", "apply", "--undo", run, "--yes")
    record.lines("undo.journal", Path(JOURNAL).read_text("utf-8")[size:])
    record.run("a plan to undo an older run", "plan", "--undo", first_run)


# Commands without a tenant


def record_bank(record: OutputRecorder) -> None:
    """Record the output of the commands for the example bank: of long lists the first entries, and
    digests.
    """
    shutil.copytree(ROOT / "manifests", "manifests")
    # comments may be reworded, which moves lines
    for path in Path("manifests").rglob("*.yaml"):
        path.write_text(
            re.sub(
                r"^ *#.*\n| #.*(?=\n)", "", path.read_text("utf-8"), flags=re.MULTILINE
            ),
            "utf-8",
        )
    conversation = (
        "--intent",
        "lost_or_stolen_card",
        "--confidence",
        "0.9",
        "--attr",
        "customerTier=gold",
    )
    for name, *arguments in (
        ("validate", "validate"),
        ("test", "test", "--junit", "junit.xml"),
        ("plan", "plan"),
        ("apply", "apply", "--yes"),
        ("test.live", "test", "--live"),
        ("drift", "drift"),
        ("diff", "diff", "manifests:sandbox", "live:sandbox"),
        ("explain", "explain", *conversation),
        ("explain.live", "explain", "--live", *conversation),
        ("doctor", "doctor"),
        ("history", "history"),
    ):
        record.document(f"bank.{name}", "the example bank", *arguments, most=2)
    record.form(
        "bank.sarif", json.loads(cxroute("validate", "--format", "sarif").out), most=2
    )
    report = plain_text(Path("junit.xml").read_text("utf-8"))
    record.files["bank.junit.xml"] = "".join(report.splitlines(keepends=True)[:6])


def record_offline(record: OutputRecorder) -> None:
    """Record failing route tests, invalid manifests, comparisons of files, and wrong command
    lines.
    """
    record.run("no manifests", "validate")
    manifests(BEFORE)
    write("manifests/tests.yaml", HEAD.format(kind="RouteTests", name="routes") + TESTS)
    record.document("tests", "a route test fails", "test", "--junit", "junit.xml")
    report = plain_text(Path("junit.xml").read_text("utf-8"))
    record.files["tests.junit.xml"] = re.sub(
        r'(<failure message=")[^>]*>[^<]*', r'\1[text]">[text]', report
    )
    record.document("tests.validate", "a route test fails", "validate")
    record.document("tests.apply", "a route test fails", "apply", "--yes")
    Path("manifests/tests.yaml").unlink()
    write(
        "manifests/promises.yaml",
        HEAD.format(kind="Promises", name="safety") + PROMISES,
    )
    record.document("promises", "a promise is broken", "test")
    Path("manifests/promises.yaml").unlink()
    write("manifests/wrong.yaml", WRONG)
    record.document("wrong.validate", "invalid manifests", "validate")
    record.document("wrong.plan", "invalid manifests", "plan")
    sarif = json.loads(
        record.run("invalid manifests", "validate", "--format", "sarif").out
    )
    record.form("wrong.sarif", sarif["runs"][0]["results"])
    record.annotations(
        "wrong", record.run("invalid manifests", "validate", "--format", "github").out
    )
    Path("manifests/wrong.yaml").unlink()

    manifests(
        "rules:\n- {key: x, intent: x, queue: Cards, adopt: By hand, priority: 5}\n"
    )
    write(
        "live.json",
        json.dumps({"rules": [BY_HAND], "queues": [{"id": "q1", "name": "Cards"}]}),
    )
    record.document("live.plan", "live rules of a file", "plan", "--live", "live.json")
    manifests("rules: []\n")
    exported = record.run("an export", "export", "--all", "--live", "live.json").out
    record.files["live.export.yaml"] = re.sub(
        "^#.*\n", "", exported, flags=re.MULTILINE
    )
    write("nothing.json", "[]")
    record.document(
        "diff", "conversations go elsewhere", "diff", "live.json", "nothing.json"
    )
    record.run(
        "conversations go elsewhere",
        "diff",
        "live.json",
        "nothing.json",
        "--detailed-exitcode",
    )
    record.run("a missing file", "diff", "live.json", "nowhere.json")
    record.document("usage", "an unknown option", "plan", "--nonsense")
    record.run("an unknown command", "plam")
    record.run("--help", "--help")
    record.run("an unknown Environment", "plan", "-e", "nowhere")
    record.run("an option given twice", "plan", "--traffic", "a", "--traffic", "b")
    record.document("code", "the meaning of a code", "explain", "CXR203")
    record.run("an unknown code", "explain", "CXR999")
    os.environ["CI"] = "true"
    record.run("no Environment in CI", "plan")


def record_step(record: OutputRecorder) -> None:
    """Record the outputs that `cxroute github outputs` hands to the next steps of a workflow."""
    manifests(BEFORE)
    cxroute("plan", "--report", "report", "-q")
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        os.environ[name] = name.lower()
    record.run("a step of a workflow", "github", "outputs", "--report", "report")
    record.files["github.outputs.txt"] = re.sub(
        "(plan-id=).*", r"\1<id>", Path("github_output").read_text("utf-8")
    )


def record_program(record: OutputRecorder) -> None:
    """Record options, variables, codes of findings, kinds of errors, names of metrics, and
    schemas.
    """
    # imports every kind of error, too
    record.form("options", {name: list(options_of(name)) for name in all_commands()})
    # whatever other tests have imported
    for module in walk_packages(reconciler.__path__, "reconciler."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    kinds: list[type[errors.CxrouteError]] = [errors.CxrouteError]
    for kind in kinds:
        assert "kind" in vars(kind), f"{kind} defines no kind"
        kinds += kind.__subclasses__()
    record.form("errors", sorted([kind.kind, kind.exit_code] for kind in kinds))
    codes = re.findall(
        r"^\| `(CXR\d+)`", (ROOT / "docs/codes.md").read_text("utf-8"), re.MULTILINE
    )
    record.form("codes", [[code, title_of(code)] for code in codes])
    record.form(
        "shared.metrics",
        sorted(
            text for text in constants() if re.fullmatch("cxroute_shared_[a-z_]+", text)
        ),
    )
    names = {text for text in constants() if re.fullmatch("[A-Z][A-Z0-9_]+", text)}
    record.form(
        "variables",
        sorted(
            name for name in names if name in VARIABLES or name.startswith(PREFIXES)
        ),
    )
    for schema in ("manifest", "plan"):
        record.form(
            f"schema.{schema}", json.loads(cxroute("schema", schema).out), SCHEMA_TEXTS
        )
    record.files["schema.profile.yaml"] = re.sub(
        "^#.*\n", "", cxroute("schema", "profile").out, flags=re.MULTILINE
    )
    code = cxroute("cognigy", "--code", "--url", "https://endpoint.example").out
    record.files["cognigy.code.js"] = re.sub("^ *//.*\n", "", code, flags=re.MULTILINE)


def title_of(code: str) -> str:
    return str(json.loads(cxroute("explain", code, "--format", "json").out)["title"])


def options_of(command: str) -> Iterator[dict[str, Any]]:
    """Yield the options of a command, without their help texts."""
    for option in CommandParser(command, command_module(command))._actions:
        if "--workers" not in option.option_strings:
            names = option.option_strings or option.dest
            choices = [*option.choices] if option.choices else None
            values = {
                "value": option.metavar,
                "choices": choices,
                "count": option.nargs,
            }
            yield {
                "names": names,
                **values,
                "default": option.default,
                "const": option.const,
            }


@cache
def constants() -> frozenset[str]:
    """Return every text constant in the source."""
    trees = [
        ast.parse(path.read_text("utf-8"))
        for path in (ROOT / "reconciler").rglob("*.py")
    ]
    values = (
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
    )
    return frozenset(value for value in values if isinstance(value, str))


# Tenants over HTTP


def record_tenants(record: OutputRecorder) -> None:
    """Record several environments in one run, and runs in which the tenant fails."""
    with tenants("east", "west") as tenant:
        guard = "guard: {deletes: {count: 9, percent: 100}, changes: {count: 9, percent: 100}}"
        tenant.manifests(east=guard, west=guard)
        ruleset(LIVE)
        record.document(
            "several.plan", "several environments", "plan", "-e", "east,west", most=2
        )
        record.document(
            "several.apply", "several environments", "apply", "--all", "--yes", most=2
        )
        record.run(
            "nothing to do in several environments",
            "plan",
            "--all",
            "--detailed-exitcode",
        )
        tenant.apps["west"] = Simulator(
            tenant.states["west"], PROFILES["A"], FaultInjector("GET rules:403")
        )
        record.document(
            "several.drift", "one of several environments fails", "drift", "--all"
        )
        ruleset([rule("kept"), rule("edited", "Fraud"), rule("new"), CATCH_ALL])
        record.document(
            "several.partly",
            "one of several environments fails",
            "apply",
            "--all",
            "--yes",
            most=2,
        )
        for name, spec in WRITE_FAULTS.items():
            start(tenant, spec, *(() if name == "back" else LIVE))
            size = len(Path(JOURNAL).read_text("utf-8"))
            record.document(
                f"failed.{name}",
                f"tenant with {spec}",
                "apply",
                "-e",
                "east",
                "--yes",
                most=3,
            )
            record.lines(
                f"failed.{name}.journal", Path(JOURNAL).read_text("utf-8")[size:]
            )
        start(tenant, "", *LIVE)
        tenant.apps["east"] = Interrupting(tenant.apps["east"])
        record.document(
            "failed.interrupted",
            "SIGINT during an apply",
            "apply",
            "-e",
            "east",
            "--yes",
            most=3,
        )
        for spec in READ_FAULTS:
            tenant.apps["east"] = Simulator(
                tenant.states["east"], PROFILES["A"], FaultInjector(spec)
            )
            result = record.run(
                f"tenant with {spec}", "plan", "-e", "east", "--format", "json"
            )
            record.codes[-1].append(json.loads(result.out)["error"]["kind"])
        tenant.apps["east"] = Simulator(
            tenant.states["east"], PROFILES["A"], FaultInjector("GET queues:403")
        )
        record.document("doctor", "a check fails", "doctor", "-e", "east")
        os.environ["CXONE_CLIENT_SECRET"] = ""
        record.run("no credentials", "plan", "-e", "east")


def start(tenant: Tenants, faults: str, *rules: Rule) -> None:
    """Replace the live rules by these managed rules, and switch faults on; the manifests are
    unchanged.
    """
    state = tenant.states["east"]
    file = Path("manifests/cards.yaml")
    for live in tenant.rules("east"):
        state.remove(live["id"])
    tenant.apps["east"] = Simulator(state, PROFILES["A"])
    if rules:
        manifest = file.read_text("utf-8")
        ruleset(rules)
        assert 0 == cxroute("apply", "-e", "east", "--yes").code
        file.write_text(manifest, "utf-8")
    tenant.apps["east"] = Simulator(state, PROFILES["A"], FaultInjector(faults))


class Interrupting:
    """A tenant that sends SIGINT to this process at the first update or delete."""

    def __init__(self, app: Any) -> None:
        self.app, self.interrupted = app, False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, after the signal has arrived."""
        if scope["method"] in ("PUT", "DELETE") and not self.interrupted:
            self.interrupted = True
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.05)
        await self.app(scope, receive, send)


def record_endpoint(record: OutputRecorder) -> None:
    """Record the endpoint's responses, log and metrics: of the process, and in this process if the
    tenant fails.
    """
    further = "context: {minConfidence: 0.4, below: {intent: none}}\n"
    manifests(
        "rules:\n- {key: billing, intent: billing, queue: Billing, priority: 5}\n",
        more=further,
    )
    record.run("no keys, and not on loopback", "serve", "--host", "host.example")
    with server_process(Path.cwd(), "serve", "--port", "0", "--explain") as (
        running,
        url,
    ):
        with httpx.Client(
            base_url=url, trust_env=False, verify=PLAIN, headers={"X-API-Key": KEY}
        ) as http:
            responses = [
                response_form(http.post("/api/route", json=body)) for body in EVENTS
            ]
            responses += [
                response_form(http.get(path))
                for path in ("/health", "/ready", "/api/route", "/nowhere")
            ]
            responses.append(response_form(http.post("/health")))
            record.metrics("endpoint", http.get("/metrics").text)
        running.send_signal(signal.SIGTERM)
        record.codes.append(["SIGTERM", "serve", running.wait(20)])
    record.lines("endpoint.log", Path("serve.log").read_text("utf-8"))
    replies = {
        situation: asyncio.run(reply_form(*request))
        for situation, request in REQUESTS.items()
    }
    record.form(
        "endpoint",
        {"process": responses, **replies, "signed": asyncio.run(signed_replies())},
    )


def response_form(response: httpx.Response) -> dict[str, Any]:
    headers = {
        name: response.headers[name]
        for name in sorted({*response.headers} - {"content-length", "date"})
    }
    request = f"{response.request.method} {response.request.url.path} {response.request.content.decode()}".strip()
    return {
        "request": request,
        "status": response.status_code,
        "headers": headers,
        "body": response.json(),
    }


async def reply_form(
    headers: Any, body: Any, fault: Exception | None
) -> dict[str, Any]:
    """Return the response and the log outcomes of one request in this process."""
    endpoint = Endpoint(Upstream(faults=[fault] if fault else []))
    reply = await endpoint.post(body, headers)
    outcomes = [line.get("outcome", line["event"]) for line in endpoint.log]
    del reply.headers["content-length"]
    return {
        "status": reply.status,
        "headers": reply.headers,
        "body": reply.form,
        "outcomes": outcomes,
    }


async def signed_replies() -> list[Any]:
    """Return the responses to a signed message and to another body with the same id."""
    endpoint = Endpoint(keys=(), secrets=(WRITTEN,))
    replies = [
        await endpoint.post(*signed("m1", body))
        for body in (event(), event(intent="other"))
    ]
    return [
        [reply.status, reply.form, line["outcome"]]
        for reply, line in zip(replies, endpoint.log, strict=True)
    ]


def record_loop(record: OutputRecorder) -> None:
    """Record the loop's log, metrics and notifications: applied, refused, failed, and clean
    again.
    """
    with webhook_server() as hook:

        def want(*intents: str) -> None:
            rules = "".join(
                f"- {{key: {intent}, intent: {intent}, queue: Cards, priority: 5}}\n"
                for intent in intents
            )
            manifests(
                f"rules:\n{rules}",
                guard=STRICT,
                more=f'notify: {{url: "{hook.url}/hook"}}\n',
            )

        want("a", "b")
        arguments = (
            "--every",
            "1h",
            "--log-format",
            "json",
            "--listen",
            "127.0.0.1:0",
            "--apply",
        )
        with server_process(Path.cwd(), "watch", *arguments) as (running, url):
            loop = WatchProcess(Path.cwd(), running, url).wait_for_count(1)
            want("a")
            loop.trigger_round()
            write("manifests/wrong.yaml", WRONG)
            loop.trigger_round()
            Path("manifests/wrong.yaml").unlink()
            want("a", "b")
            loop.trigger_round()
            health = loop.get("/health")
            record.metrics("watch", loop.get("/metrics").text)
            record.codes.append(["SIGTERM", "watch --apply", loop.end()[0]])
        record.form(
            "watch",
            {
                "health": [health.status_code, health.text],
                "hook": [hook.asked[0], *hook.bodies],
            },
        )
    record.lines("watch.log", Path("watch.log").read_text("utf-8"))
    record.run("an interval that is too short", "watch", "--every", "1s")


# The comparison

SCENARIOS: Final = (
    *(record_sandbox, record_bank, record_offline, record_step, record_program),
    *(record_tenants, record_endpoint, record_loop),
)


@cache
def recording() -> dict[str, str]:
    """Return the new content of every recorded file."""
    record = OutputRecorder()
    with tempfile.TemporaryDirectory() as folder:
        for scenario in SCENARIOS:
            with workplace(Path(folder) / scenario.__name__):
                scenario(record)
    return {**record.files, "exit_codes.json": json_text(record.codes)}


def differences() -> Iterator[str]:
    """Yield the differing lines of each file, with their context."""
    current = recording()
    recorded = {path.name: path.read_text("utf-8") for path in HERE.iterdir()}
    for name in sorted({*current, *recorded}):
        before, after = (
            files.get(name, "").splitlines() for files in (recorded, current)
        )
        yield from unified_diff(
            before, after, f"recorded/{name}", name, lineterm="", n=2
        )


def test_output_equals_the_recording() -> None:
    """Documents, exit codes, options, metrics, responses, logs and journals have not changed for
    users.
    """
    diff = "\n".join(differences())
    assert "" == diff, f"\n{diff}"


if __name__ == "__main__":
    for path in HERE.iterdir():
        path.unlink()
    for file, content in recording().items():
        (HERE / file).write_text(content, encoding="utf-8")
