"""Everything that users and their programs read, as it was before the modules moved, kept in tests/recorded.

A difference is a change for users: it belongs in CHANGELOG.md, with a new recording (`python -m tests.test_recorded`).
Sentences for people are left out (tests/recording.py has the list of fields), since they may be reworded.
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
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

# What the recording needs to know of the package's modules: nothing but these lines depends on where they are.
from reconciler import errors
from reconciler.cli.arguments import COMMANDS
from reconciler.cli.parsing import parser_of
from reconciler.simulator.app import PROFILES, simulator
from reconciler.simulator.faults import Faults
from tests.context.posting import HEADERS, Endpoint, Upstream, event
from tests.context.processes import KEY, process
from tests.context.signing import WRITTEN, signed
from tests.many_tenants import Tenants, rule, ruleset, tenants
from tests.plain import PLAIN
from tests.recording import (
    SCHEMA_TEXTS,
    Ended,
    cxroute,
    json_lines,
    json_text,
    plain_form,
    plain_text,
    workplace,
    write,
)
from tests.watched import Loop, receiving, somebody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Recording = dict[str, str]
    """Each file's name, and what it holds."""

HERE: Final = Path(__file__).parent / "recorded"
ROOT: Final = Path(__file__).resolve().parent.parent
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
- {key: held, intent: held, queue: Cards, priority: 101, name: Held, hold: {until: "2099-01-01T00:00:00Z", reason: later}}
- {key: hand, intent: hand, queue: Fraud, priority: 110, name: By hand, adopt: By hand}
- {key: new, intent: new, targets: [{queue: Cards, weight: 1}, {queue: Fraud, weight: 3}], priority: 120, name: New}
- {key: tie-a, intents: [tie, other], queue: Cards, priority: 130, name: Tie A}
- {key: tie-b, intents: [tie, more], queue: Fraud, priority: 130, name: Tie B}
- {key: shadow, intent: stays, queue: Fraud, priority: 140, name: Shadow, accept: {CXR203: for the recording}}
- {key: rest, when: [], queue: General, priority: 900, name: Rest}
"""
TAKEN: Final = "- {key: taken, intent: taken, queue: Fraud, priority: 150, name: Partner}\n"
SAMPLE: Final = "intent,confidence,count\nstays,0.9,10\nchanged,0.4,20\nchanged,0.9,30\ngone,,40\nleft,0.9,5\n"
"""A traffic sample."""
TESTS: Final = """\
tests:
- {given: {intent: stays, confidence: 0.9}, expect: {queue: Cards}}
- {given: {intent: gone}, expect: {default: true}}
- {given: {intent: changed, confidence: 0.7}, expect: {queue: Fraud}}
"""
WRONG: Final = HEAD.format(kind="RuleSet", name="wrong") + "rules:\n- {intnet: x, queue: Nowhere, priority: high}\n"
PROFILE: Final = """\
rules: {path: /inContactAPI/services/v30.0/routing-rules, list: rules, id: ruleId, paging: {style: skip-top}}
rule: {name: ruleName, enabled: isActive}
operators: {equals: EQ, in: IN}
update: PATCH
"""
BY_HAND: Final = {
    "id": "r1",
    "name": "By hand",
    "description": "",
    "priority": 5,
    "enabled": True,
    "conditions": [{"type": "attribute", "attributeName": "menu", "operator": "equals", "value": "x", "more": 1}],
    "targets": [{"type": "queue", "queueId": "q1", "weight": 1}],
}


# Commands on the sandbox


def manifests(rules: str, guard: str = "deletes: {count: 9, percent: 100}", more: str = "") -> None:
    """Write the manifests of the small tenant."""
    sandbox = HEAD.format(kind="Environment", name="sandbox") + f"owner: acme\nguard: {{{guard}}}\n{more}"
    write("manifests/all.yaml", f"{sandbox}---\n{HEAD.format(kind='RuleSet', name='cards')}{rules}")


def edit_sandbox(change: Callable[[dict[str, dict[str, Any]]], object]) -> None:
    """Let somebody change rules in CXone; each gets an id and times that are the same in every run.

    The rules come by name; a key of more words stands for another rule.
    """
    state = json.loads(STATE.read_text("utf-8"))
    rules = {one["name"]: one for one in state["rules"]}
    change(rules)
    for key, one in rules.items():
        rule_id = f"id-{key.lower().replace(' ', '-')}"
        fixed = {"dateCreated": "2026-01-01T00:00:00Z", "dateModified": "2026-01-01T00:00:00Z", "version": 1}
        one.update(id=rule_id, selfUri=f"/api/v2/routing/rules/{rule_id}", **fixed)
    STATE.write_text(json.dumps({**state, "rules": list(rules.values())}), "utf-8")


def people(rules: dict[str, dict[str, Any]]) -> None:
    """Edit, delete, copy and make rules by hand."""
    by_hand = {**rules["Stays"], "description": "made by hand", "conditions": []}
    rules["Off"]["enabled"] = False
    rules["Both"]["priority"] = 51
    del rules["Lost"]
    rules["Twice again"] = {**rules["Twice"]}
    rules["By hand"] = {**by_hand, "name": "By hand", "priority": 800}
    rules["Partner"] = {**by_hand, "name": "Partner", "priority": 1, "conditions": rules["Changed"]["conditions"]}


def small_tenant(codes: list[Any]) -> Recording:
    """Record the plans, runs and reports of one small tenant, in the order in which people meet them."""
    found: Recording = {}

    def ran(name: str, situation: str, *arguments: str, most: int = 0) -> None:
        ended = cxroute(*arguments, *(["--format", "json"] if name else []))
        codes.append([situation, shown(arguments), ended.code])
        if name:
            found[f"{name}.json"] = json_text(ended.form(most))

    manifests(BEFORE)
    ran("first.plan", "a plan with changes", "plan")
    ran("", "a plan with changes, --detailed-exitcode", "plan", "--detailed-exitcode")
    ran("first.apply", "everything applied", "apply", "--yes")
    ran("", "nothing to do", "plan", "--detailed-exitcode")
    ran("", "nothing to apply", "apply", "--yes")
    ran("", "no drift", "drift")
    first = json.loads(cxroute("history", "--format", "json").out)["runs"][0]["run"]
    found["first.journal.jsonl"] = json_lines(Path(JOURNAL).read_text("utf-8"))
    edit_sandbox(people)

    manifests(BEFORE)
    ran("drift", "drift", "drift")
    manifests(AFTER + TAKEN, guard="deletes: {count: 0, percent: 0}")
    ran("conflict.plan", "a plan with a conflict and a guard that refuses", "plan", most=3)
    ran("", "the same, --fail-on-guards", "plan", "--fail-on-guards")
    ran("conflict.apply", "an apply with a conflict", "apply", "--yes", most=3)
    manifests(AFTER, guard="deletes: {count: 0, percent: 0}")
    write("sample.csv", SAMPLE)
    ran("changes.plan", "a plan of every kind of change", "plan", "--traffic", "sample.csv")
    ran("", "the same, in part", "plan", "--only", "cards/changed")
    found["changes.plan.github.txt"] = annotations(cxroute("plan", "--format", "github").out)
    ran("keep.plan", "drift is left alone", "plan", "--keep-drift", "--adopt", most=3)
    ran("refused.apply", "a guard refuses", "apply", "--yes", most=3)
    ran("", "no confirmation", "apply", "--no-input")
    ran("", "a guard is lifted without a reason", "apply", "--yes", "--allow", "deletes")
    manifests(AFTER, more="freeze: [{start: 2020-01-01, end: 2099-01-01, reason: peak}]\n")
    ran("", "a freeze", "apply", "--yes")
    manifests(AFTER, guard="deletes: {count: 0, percent: 0}")
    ran("", "a saved plan", "plan", "--out", "plan.json")
    found["saved.plan.json"] = json_text(plain_form(json.loads(Path("plan.json").read_text("utf-8")), most=3))
    manifests(AFTER.replace("priority: 120", "priority: 121"), guard="deletes: {count: 0, percent: 0}")
    ran("stale.apply", "a saved plan that is out of date", "apply", "plan.json", "--yes")
    manifests(AFTER, guard="deletes: {count: 0, percent: 0}")
    size = len(Path(JOURNAL).read_text("utf-8"))
    lifted = ("--allow", "deletes", "--reason", "CHG-1")
    ran("changes.apply", "everything applied, a guard lifted", "apply", "--yes", "--no-prune", *lifted)
    ran("prune.apply", "a saved plan that was applied in part before", "apply", "plan.json", "--yes", *lifted)
    found["changes.journal.jsonl"] = json_lines(Path(JOURNAL).read_text("utf-8")[size:])
    found["rules.json"] = json_text(plain_form(json.loads(STATE.read_text("utf-8"))["rules"]))

    ran("history", "the journal", "history", most=3)
    run = json.loads(cxroute("history", "--format", "json").out)["runs"][-1]["run"]
    ran("history.run", "one run of the journal", "history", run)
    ran("", "a run that is not there", "history", "2020-01-01T000000-sandbox-0000")
    ran("undo.plan", "an undo planned", "plan", "--undo", run)
    size = len(Path(JOURNAL).read_text("utf-8"))
    ran("undo.apply", "a run undone", "apply", "--undo", run, "--yes")
    found["undo.journal.jsonl"] = json_lines(Path(JOURNAL).read_text("utf-8")[size:])
    ran("", "an older run undone", "plan", "--undo", first)
    return found


def shown(arguments: tuple[str, ...]) -> str:
    return plain_text(" ".join(arguments))


def annotations(text: str) -> str:
    """Return a workflow's commands without their sentences."""
    lines = [line for line in text.splitlines() if re.match("::(error|warning|notice) ", line)]
    return "".join(
        f"{re.sub(r'(?<=.)::.*', '::<text>', re.sub('title=[^,:]*', 'title=<text>', one))}\n" for one in lines
    )


# Commands without a tenant


def bank(codes: list[Any]) -> Recording:
    """Record what the commands say of the example bank: of long lists the first entries, and a digest of the others."""
    shutil.copytree(ROOT / "manifests", "manifests")
    for path in Path("manifests").rglob("*.yaml"):  # comments may be reworded: they move lines
        path.write_text(re.sub(r"^ *#.*\n| #.*(?=\n)", "", path.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    found: Recording = {}
    conversation = ("--intent", "lost_or_stolen_card", "--confidence", "0.9", "--attr", "customerTier=gold")
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
        ended = cxroute(*arguments, "--format", "json")
        codes.append(["the example bank", shown(tuple(arguments)), ended.code])
        found[f"bank.{name}.json"] = json_text(ended.form(most=2))
    sarif = json.loads(cxroute("validate", "--format", "sarif").out)
    found["bank.sarif.json"] = json_text(plain_form(sarif, most=2))
    junit = Path("junit.xml").read_text("utf-8").splitlines()
    found["bank.junit.xml"] = "".join(f"{plain_text(line)}\n" for line in junit[:6])
    return found


def offline(codes: list[Any]) -> Recording:
    """Record what is said of manifests that are wrong, of two lists of rules, and of tenants that speak otherwise."""
    found: Recording = {}

    def ran(name: str, situation: str, *arguments: str) -> Ended:
        ended = cxroute(*arguments)
        codes.append([situation, shown(arguments), ended.code])
        if name:
            found[f"{name}.json"] = json_text(ended.form())
        return ended

    form = ("--format", "json")
    ran("", "no manifests", "validate")
    manifests(BEFORE)
    write("manifests/tests.yaml", HEAD.format(kind="RouteTests", name="routes") + TESTS)
    ran("tests.failed", "a route test fails", "test", *form, "--junit", "junit.xml")
    junit = plain_text(Path("junit.xml").read_text("utf-8"))
    found["tests.junit.xml"] = re.sub(r'(<failure message=")[^>]*>[^<]*', r'\1[text]">[text]', junit)
    ran("tests.validate", "likewise", "validate", *form)
    ran("tests.apply", "likewise", "apply", "--yes", *form)
    write("manifests/wrong.yaml", WRONG)
    ran("wrong.validate", "manifests are wrong", "validate", *form)
    ran("wrong.plan", "likewise", "plan", *form)
    sarif = json.loads(ran("", "likewise", "validate", "--format", "sarif").out)
    found["wrong.sarif.json"] = json_text(plain_form(sarif["runs"][0]["results"]))
    found["wrong.github.txt"] = annotations(ran("", "likewise", "validate", "--format", "github").out)
    Path("manifests/wrong.yaml").unlink()
    Path("manifests/tests.yaml").unlink()

    manifests("rules:\n- {key: x, intent: x, queue: Cards, adopt: By hand, priority: 5}\n")
    write("live.json", json.dumps({"rules": [BY_HAND], "queues": [{"id": "q1", "name": "Cards"}]}))
    ran("live.plan", "live rules of a file", "plan", "--live", "live.json", *form)
    manifests("rules: []\n")
    exported = ran("", "an export", "export", "--all", "--live", "live.json").out
    found["live.export.yaml"] = re.sub("^#.*\n", "", exported, flags=re.MULTILINE)
    write("left.json", json.dumps([BY_HAND]))
    write("right.json", "[]")
    ran("diff", "conversations go elsewhere", "diff", "left.json", "right.json", *form)
    ran("", "the same, --detailed-exitcode", "diff", "left.json", "right.json", "--detailed-exitcode")
    ran("", "a file that is not there", "diff", "left.json", "nowhere.json")
    ran("usage", "an unknown option", "plan", "--nonsense", *form)
    ran("", "an unknown command", "plam")
    ran("", "no command", "--help")
    ran("", "an unknown Environment", "plan", "-e", "nowhere")
    ran("", "an option given twice", "plan", "--traffic", "a", "--traffic", "b")
    ran("code", "the meaning of a code", "explain", "CXR203", *form)
    ran("", "an unknown code", "explain", "CXR999")
    os.environ["CI"] = "true"
    ran("", "no Environment in CI", "plan")
    return found


def outputs_of_a_step(codes: list[Any]) -> Recording:
    """Record what `cxroute github outputs` hands on to the steps that follow."""
    manifests(BEFORE)
    cxroute("plan", "--report", "report", "-q")
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        os.environ[name] = name.lower()
    codes.append(["a step of a workflow", "github outputs", cxroute("github", "outputs", "--report", "report").code])
    handed_on = Path("github_output").read_text("utf-8")
    return {"github.outputs.txt": re.sub("(plan-id=).*", r"\1<id>", handed_on)}


def about_the_program(_codes: list[Any]) -> Recording:
    """Record options, variables, codes of findings, kinds of errors, schemas, and files that commands print."""
    schemas = {name: json.loads(cxroute("schema", name).out) for name in ("manifest", "plan")}
    options = {name: list(options_of(name)) for name in COMMANDS}  # and with the commands come all kinds of errors
    kinds: list[type[errors.CxrouteError]] = [errors.CxrouteError]
    for kind in kinds:
        assert "kind" in vars(kind), kind
        kinds += kind.__subclasses__()
    codes = re.findall(r"^\| `(CXR\d+)`", (ROOT / "docs/codes.md").read_text("utf-8"), re.MULTILINE)
    told = [json.loads(cxroute("explain", code, "--format", "json").out) for code in codes]
    texts = {one for one in constants() if re.fullmatch("cxroute_[a-z_]+", one)}
    return {
        "metrics.json": json_text(sorted(one for one in texts if "worker" not in one)),
        "options.json": json_text(options),
        "variables.json": json_text(sorted(variables())),
        "codes.json": json_text([[one["code"], one["title"]] for one in told]),
        "errors.json": json_text(sorted([kind.kind, kind.exit_code] for kind in kinds)),
        "schema.profile.yaml": cxroute("schema", "profile").out,
        "cognigy.code.js": cxroute("cognigy", "--code", "--url", "https://endpoint.example").out,
        **{f"schema.{name}.json": json_text(plain_form(one, SCHEMA_TEXTS)) for name, one in schemas.items()},
    }


def options_of(name: str) -> Iterator[dict[str, Any]]:
    """Yield a command's options as a script uses them: names, values, default; no help."""
    parser = parser_of(name, import_module(f"reconciler.cli.{COMMANDS[name].module}"))
    for one in parser._actions:
        if "--workers" not in one.option_strings:
            told = {"names": one.option_strings or one.dest, "value": one.metavar, "of": one.choices and [*one.choices]}
            yield {**told, "count": one.nargs, "default": one.default, "const": one.const}


def variables() -> set[str]:
    """Return the environment variables that the source text names."""
    known = {"CI", "COLUMNS", "FORCE_COLOR", "JOB_COMPLETION_INDEX", "NO_COLOR", "PORT"}
    words = {one for one in constants() if re.fullmatch("[A-Z][A-Z0-9_]+", one)}
    return {one for one in words if one in known or one.startswith(("CXONE_", "CXROUTE_", "GITHUB_", "RUNNER_"))}


@cache
def constants() -> frozenset[str]:
    """Return every text of the source."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "reconciler").rglob("*.py")]
    parts = (one.value for tree in trees for one in ast.walk(tree) if isinstance(one, ast.Constant))
    return frozenset(one for one in parts if isinstance(one, str))


# Tenants over HTTP


def tenants_over_http(codes: list[Any]) -> Recording:
    """Record several environments at once, and runs that a tenant fails."""
    found: Recording = {}
    with tenants("east", "west") as here:
        roomy = "guard: {deletes: {count: 9, percent: 100}, changes: {count: 9, percent: 100}}"
        here.manifests(east=roomy, west=roomy)

        def ran(name: str, situation: str, *arguments: str, most: int = 0) -> None:
            form = () if "--format" in arguments else ("--format", "json")
            ended = cxroute(*arguments, *form)
            codes.append([situation, shown(arguments), ended.code])
            if name:
                found[f"{name}.json"] = json_text(ended.form(most))

        ruleset(LIVE)
        ran("several.plan", "several environments", "plan", "-e", "east,west", most=2)
        ran("several.apply", "likewise", "apply", "--all", "--yes", most=2)
        ran("", "nothing to do in any", "plan", "--all", "--detailed-exitcode")
        here.apps["west"] = simulator(here.states["west"], PROFILES["A"], Faults("GET rules:403"))
        ran("several.drift", "one of several fails", "drift", "--all")
        ruleset([rule("kept"), rule("edited", "Fraud"), rule("new"), CATCH_ALL])
        ran("several.partly", "one of several fails", "apply", "--all", "--yes", most=2)
        ran("", "all of several saved", "plan", "-e", "east,west", "--out", "plans.json")

        for name, spec in FAILING:
            begin(here, spec, *(LIVE if name != "back" else ()))
            size = len(Path(JOURNAL).read_text("utf-8"))
            ran(f"failed.{name}", f"the tenant: {spec}", "apply", "-e", "east", "--yes")
            found[f"failed.{name}.journal.jsonl"] = json_lines(Path(JOURNAL).read_text("utf-8")[size:])
        begin(here, "", *LIVE)
        here.apps["east"] = Interrupting(here.apps["east"])
        ran("failed.interrupted", "a signal in the midst", "apply", "-e", "east", "--yes")
        for spec in READING:
            here.apps["east"] = simulator(here.states["east"], PROFILES["A"], Faults(spec, 0))
            ended = cxroute("plan", "-e", "east", "--format", "json")
            codes.append([f"the tenant: {spec}", "plan -e east", ended.code, json.loads(ended.out)["error"]["kind"]])
        here.apps["east"] = simulator(here.states["east"], PROFILES["A"], Faults("GET queues:403", 0))
        ran("doctor", "something is a `fail`", "doctor", "-e", "east")
        os.environ["CXONE_CLIENT_SECRET"] = ""
        ran("", "no credentials", "plan", "-e", "east")
    return found


CATCH_ALL: Final = {"key": "rest", "when": [], "queue": "General", "priority": 900, "name": "rest"}
LIVE: Final = (rule("kept"), rule("edited"), rule("gone"), CATCH_ALL)
FAILING: Final = (
    ("refused", "PUT rule:400@#1"),
    ("unknown", "POST rules:reset-applied@#1,GET rules:400@#3-"),
    ("stopped", "PUT rule:403"),
    ("back", "POST rules:altered=description"),
)
READING: Final = (
    "token:401",
    "GET rules:403",
    "GET rules:404",
    "GET rules:html",
    "GET rules:missing",
)


def begin(here: Tenants, spec: str, *rules: dict[str, Any]) -> None:
    """Let the tenant have these rules, all managed, and from then on these faults."""
    state = here.states["east"]
    for one in here.rules("east"):
        state.remove(one["id"])
    here.apps["east"] = simulator(state, PROFILES["A"])
    wanted = Path("manifests/cards.yaml").read_text("utf-8")
    if rules:
        ruleset(rules)
        assert 0 == cxroute("apply", "-e", "east", "--yes").code
        Path("manifests/cards.yaml").write_text(wanted, "utf-8")
    here.apps["east"] = simulator(state, PROFILES["A"], Faults(spec))


class Interrupting:
    """A tenant at whose first write somebody presses Ctrl-C."""

    def __init__(self, app: Any) -> None:
        self.app, self.pressed = app, False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Press it, and answer."""
        if scope["method"] in ("PUT", "DELETE") and not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.05)
        await self.app(scope, receive, send)


def spoken_otherwise(codes: list[Any]) -> Recording:
    """Record a tenant of a Profile, which speaks otherwise."""
    head = HEAD.format(kind="Environment", name="acd")
    profile = f"---\n{HEAD.format(kind='Profile', name='acd')}{PROFILE}"
    manifests("rules:\n- {key: x, intent: x, queue: Cards, priority: 5}\n")
    write("manifests/acd.yaml", f"{head}owner: acme\ntenant: acme\napi: {{profile: acd}}\n{profile}")
    with process(Path.cwd(), "simulate", "--as", "acd", "--port", "0", "--state", "acd.json") as (_, url):
        write("manifests/acd.yaml", f"{head}owner: acme\napi: {{profile: acd, baseUrl: '{url}'}}\n{profile}")
        applied = cxroute("apply", "-e", "acd", "--yes", "--format", "json")
        codes.append(["a tenant of a Profile", "apply -e acd --yes", applied.code])
        with somebody(url) as person:
            rules = person.http.get("/inContactAPI/services/v30.0/routing-rules", params={"skip": 0, "top": 9}).json()
    return {"profile.apply.json": json_text(applied.form()), "profile.rules.json": json_text(plain_form(rules))}


# The endpoint and the loop


def endpoint(codes: list[Any]) -> Recording:
    """Record what the endpoint answers, logs and counts: as a process, and in this one where the tenant fails."""
    more = "context: {minConfidence: 0.4, below: {intent: none}}\n"
    manifests("rules:\n- {key: billing, intent: billing, queue: Billing, priority: 5}\n", more=more)
    codes.append(["no keys, and not on loopback", "serve --host 0.0.0.0", cxroute("serve", "--host", "0.0.0.0").code])
    with process(Path.cwd(), "serve", "--port", "0", "--explain") as (running, url):
        with httpx.Client(base_url=url, trust_env=False, verify=PLAIN, headers={"X-API-Key": KEY}) as http:
            answers = [recorded(http.post("/api/route", json=one), str(one)) for one in EVENTS]
            answers += [recorded(http.get(path), path) for path in ("/health", "/ready", "/api/route", "/nowhere")]
            answers.append(recorded(http.post("/health"), "POST /health"))
            metrics = http.get("/metrics").text
        running.send_signal(signal.SIGTERM)
        codes.append(["SIGTERM", "serve", running.wait(20)])
    answers += [*(in_this_process(*one) for one in REFUSED), *asyncio.run(signed_twice())]
    return {
        "endpoint.json": json_text(answers),
        "endpoint.log.jsonl": json_lines(Path("serve.log").read_text("utf-8")),
        "endpoint.metrics.txt": families(metrics),
    }


def loop(codes: list[Any]) -> Recording:
    """Record what the loop logs, counts and sends to a web hook: applied, refused, failed, well again, drift."""
    with receiving() as hook:
        notify = f'notify: {{url: "{hook.url}/hook"}}\n'

        def want(*intents: str) -> None:
            rules = "".join(f"- {{key: {one}, intent: {one}, queue: Cards, priority: 5}}\n" for one in intents)
            manifests(f"rules:\n{rules}", guard="deletes: {count: 0, percent: 0}", more=notify)

        want("a", "b")
        arguments = ("watch", "--every", "1h", "--log-format", "json", "--listen", "127.0.0.1:0")
        with process(Path.cwd(), *arguments, "--apply") as (running, url):
            here = Loop(Path.cwd(), running, url).waited(1)
            want("a")
            here.again()
            write("manifests/wrong.yaml", WRONG)
            here.again()
            Path("manifests/wrong.yaml").unlink()
            want("a", "b")
            here.again()
            health, metrics = here.get("/health"), here.get("/metrics").text
            codes.append(["SIGTERM", "watch --apply", here.end()[0]])
        codes.append(["too often", "watch --every 1s", cxroute("watch", "--every", "1s").code])
        bodies = [plain_form(one) for one in hook.bodies]
    return {
        "watch.json": json_text({"health": [health.status_code, health.text], "webhook": [hook.asked[0], *bodies]}),
        "watch.log.jsonl": json_lines(Path("watch.log").read_text("utf-8")),
        "watch.metrics.txt": families(metrics),
    }


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
REFUSED: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("no key", {"headers": [_TYPE]}),
    ("no JSON", {"body": b"{"}),
    ("large", {"body": b" " * 65_537}),
    ("media", {"headers": [_KEY, (b"content-type", b"text/plain")]}),
    ("a compressed body", {"headers": [*HEADERS, (b"content-encoding", b"gzip")]}),
    ("unknown conversation", {"fault": errors.GoneError("", 404)}),
    ("the tenant's rate", {"fault": errors.TooFastError("", 2.5)}),
    ("the tenant is away", {"fault": errors.LaterError("", 3)}),
    ("nobody knows", {"fault": errors.AmbiguousWriteError("")}),
    ("the tenant failed", {"fault": errors.OverloadedError("")}),
    ("undefined fields", {"fault": errors.UndefinedFieldsError("", 422)}),
    ("too slow", {"fault": TimeoutError()}),
    ("a bug", {"fault": RuntimeError()}),
)


def in_this_process(about: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return what the endpoint answers and logs in one case."""
    here = Endpoint(Upstream(faults=[told["fault"]] if "fault" in told else []))
    reply = asyncio.run(here.post(told.get("body", event()), told.get("headers", HEADERS)))
    form = json.loads(reply.body)
    return {**_answer(about, reply.status, reply.headers, form), "log": [one.get("outcome") for one in here.log]}


async def signed_twice() -> list[dict[str, Any]]:
    """Return what a signed message is answered, and another one of the same id."""
    here, found = Endpoint(keys=(), secrets=(WRITTEN,)), []
    for one in (event(), event(intent="other")):
        reply = await here.post(*signed("m1", one))
        found.append(_answer("a signed message", reply.status, reply.headers, reply.form))
    return [{**one, "log": [line["outcome"]]} for one, line in zip(found, here.log, strict=True)]


def recorded(response: httpx.Response, about: str) -> dict[str, Any]:
    """Return an answer with its status, its headers that matter, and its body without sentences."""
    return _answer(about, response.status_code, dict(response.headers), response.json())


def _answer(about: str, status: int, headers: dict[str, str], body: Any) -> dict[str, Any]:
    kept = {name: value for name, value in sorted(headers.items()) if name not in ("content-length", "date")}
    return {"asked": about, "status": status, "headers": kept, "body": plain_form(body)}


def families(text: str) -> str:
    """Return metrics as Prometheus reads them, without their values and sentences."""
    lines = [re.sub(r"^(# HELP \S+) .*", r"\1 <text>", line) for line in text.splitlines() if "worker" not in line]
    return "".join(f"{line if line.startswith('#') else line.rpartition(' ')[0]}\n" for line in lines)


# The test


@cache
def recording() -> Recording:
    """Return every file's name and what it holds."""
    found: Recording = {}
    codes: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        for make in (
            small_tenant,
            bank,
            offline,
            outputs_of_a_step,
            about_the_program,
            tenants_over_http,
            spoken_otherwise,
            endpoint,
            loop,
        ):
            with workplace(Path(folder) / make.__name__):
                found |= make(codes)
    return {**found, "exit_codes.json": json_text(codes)}


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.iterdir()) if HERE.exists() else [])
def test_what_users_read_is_as_it_was(name: str) -> None:
    """Documents, codes, options, metrics, answers and journals are those of the recording."""
    assert (HERE / name).read_text("utf-8") == recording().get(name)


def test_the_recording_is_whole() -> None:
    """No file is left over, and none is missing."""
    assert {path.name for path in HERE.iterdir()} == set(recording())


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for path in HERE.iterdir():
        path.unlink()
    for file, content in recording().items():
        (HERE / file).write_text(content, encoding="utf-8")
