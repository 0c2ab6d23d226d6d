"""`--undo RUN` for a user: plan, review, apply; skipped rules; journals that are not trusted."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.cli.files import STATE
from reconciler.cli.main import main
from reconciler.features.journal.places import JournalFile
from reconciler.features.practice.sandbox import open_state
from tests.support.plan_formats import FOR_PEOPLE
from tests.support.program import Program, write

JOURNAL: Final = Path(".cxroute/journal.jsonl")
HEAD: Final = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
{more}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
"""
BEFORE: Final = (
    "{intent: kept, queue: Cards}",
    "{intent: changed, queue: Cards, priority: 20}",
    "{intent: gone, queue: Cards}",
    "{key: rest, when: [], queue: General, priority: 900}",
)
AFTER: Final = (
    "{intent: kept, queue: Cards}",
    "{intent: changed, queue: Fraud, priority: 10, minConfidence: 0.5}",
    "{intent: made, queue: Fraud}",
    "{intent: hand, queue: Fraud, adopt: By hand, priority: 30}",
    "{key: rest, when: [], queue: General, priority: 900}",
)


def manifests(
    *rules: str, more: str = "guard: {deletes: {count: 9, percent: 100}}"
) -> None:
    write(
        "all.yaml", HEAD.format(more=more) + "".join(f"  - {rule}\n" for rule in rules)
    )


def rules() -> dict[str, dict[str, Any]]:
    """The live rules by name, without server fields and without the marker line."""
    with open_state(STATE) as state:
        actual = state.rules()
    server = ("id", "version", "dateCreated", "dateModified", "selfUri")
    printed = (
        {name: value for name, value in item.items() if name not in server}
        for item in actual
    )
    return {
        item["name"]: {
            **item,
            "description": item["description"].split("[cxroute:")[0].rstrip(),
        }
        for item in printed
    }


def edit(name: str, **fields: Any) -> None:
    """Change a rule as a user does in CXone."""
    with open_state(STATE) as state:
        (rule_id,) = state.ids_named(f"Cognigy Intent Route: {name}")
        state.edit(rule_id, **fields)


def edit_by_id(rule_id: str, **fields: Any) -> None:
    with open_state(STATE) as state:
        state.edit(rule_id, **fields)


def by_hand() -> None:
    """Create a rule as a user does in CXone."""
    with open_state(STATE) as state:
        queue = next(queue["id"] for queue in state.queues if queue["name"] == "Cards")
        asks = [
            {
                "type": "attribute",
                "attributeName": "tier",
                "operator": "equals",
                "value": "gold",
            }
        ]
        target = {"type": "queue", "queueId": queue, "weight": 1}
        foreign_side = {
            "priority": 500,
            "enabled": True,
            "conditions": asks,
            "targets": [target],
            "division": {"id": "home"},
        }
        state.put(
            {
                "id": "by-hand",
                "name": "By hand",
                "description": "mine",
                "version": 1,
                **foreign_side,
            }
        )


def last() -> str:
    return JournalFile(JOURNAL).read()[-1].id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with the run to undo, and the tenant before it."""
    folder = tmp_path_factory.mktemp("made")
    with contextlib.chdir(folder):
        manifests(*BEFORE)
        assert 0 == main(["apply", "--yes"])
        by_hand()
        before = rules()
        manifests(*AFTER)
        assert 0 == main(["apply", "--yes"])
        assert before != rules()
    return folder, before


@pytest.fixture
def was(made: tuple[Path, dict[str, Any]], elsewhere: Path) -> dict[str, Any]:
    """The tenant before the run to undo, which contains each kind of change."""
    shutil.copytree(made[0], elsewhere, dirs_exist_ok=True)
    return made[1]


def test_a_run_with_every_kind_of_change_is_undone(
    cxroute: Program, was: dict[str, Any]
) -> None:
    """Created, updated, deleted, adopted: planned, saved, applied; the adopted rule is unmanaged
    again.
    """
    run = last()
    code, made = cxroute.json(
        "plan", "--undo", run, "--out", "undo.json", "--detailed-exitcode"
    )
    assert (2, run) == (code, made["options"]["undo"])
    assert {"create": 1, "update": 2, "delete": 1, "adopt": 0} == {
        kind: made["summary"][kind] for kind in ("create", "update", "delete", "adopt")
    }
    (source_values,) = [
        item for item in made["changes"] if item["address"] == "cards/hand"
    ]
    assert (
        "[cxroute:acme/cards/hand#" in source_values["before"]["description"],
        "mine",
    ) == (
        True,
        source_values["after"]["description"],
    )
    assert 0 == cxroute("apply", "undo.json", "--yes"), cxroute.err
    assert "Applied 4 of 4 in" in cxroute.out
    assert f"Read again: run {run} is undone." in cxroute.out
    assert was == rules()
    assert 0 == cxroute("plan", "--undo", run, "--detailed-exitcode")
    assert f"No changes. Nothing is left to undo of run {run}." in cxroute.out


def test_an_undo_can_be_undone(cxroute: Program, was: dict[str, Any]) -> None:
    """The undone changes are made again, the adoption too, because the manifests still contain
    them.
    """
    after = rules()
    assert 0 == cxroute("apply", "--undo", last(), "--yes")
    assert was == rules()
    assert 0 == cxroute("apply", "--undo", last(), "--yes"), cxroute.err
    assert after == rules()
    assert 0 == cxroute("plan", "--detailed-exitcode")


def test_an_adoption_is_repeated_only_if_the_manifests_adopt_the_rule(
    cxroute: Program, was: dict[str, Any]
) -> None:
    """A journal alone adopts no rule: without `adopt:` the rule stays unmanaged, with a message."""
    assert 0 == cxroute("apply", "--undo", last(), "--yes")
    manifests(*(rule.replace(", adopt: By hand", ", name: Another") for rule in AFTER))
    assert 0 == cxroute("apply", "--undo", last(), "--yes"), cxroute.err
    assert "CXR311" in cxroute.out
    assert was["By hand"] == rules()["By hand"]


@pytest.mark.usefixtures("was")
@pytest.mark.parametrize("form", FOR_PEOPLE)
def test_each_format_names_the_run_and_warns_of_the_next_apply(
    cxroute: Program, form: str
) -> None:
    """A reviewer never reads that the manifests define these changes."""
    run = last()
    assert 0 == cxroute("plan", "--undo", run, "--format", form)
    assert f"undoes run {run}" in cxroute.out.replace("`", "")
    assert "would make these 4 changes again" in cxroute.out
    assert "your change" not in cxroute.out
    assert "no manifest defines it here any more" not in cxroute.out


@pytest.mark.usefixtures("was")
def test_a_hold_prevents_a_new_apply_of_the_undone_change(cxroute: Program) -> None:
    """The message says to revert the commit; until then, a line in each rule is enough
    (docs/operations.md).
    """
    run = last()
    assert 0 == cxroute("apply", "--undo", run, "--yes")
    assert (
        "The next apply would make these 4 changes again. Revert the commit first.\n"
        in cxroute.out
    )
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    line = f"hold: {{until: {tomorrow:%Y-%m-%d}T00:00:00Z, reason: undo of {run}}}"
    assert 0 == cxroute("plan", "--undo", run)
    manifests(
        *(
            rule.replace("}", f", {line}}}", 1) if "rest" not in rule else rule
            for rule in AFTER
        )
    )
    code, made = cxroute.json("plan", "--detailed-exitcode")
    assert ["cards/gone"] == [item["address"] for item in made["changes"]]
    assert ["cards/changed", "cards/hand", "cards/made"] == sorted(
        item["address"] for item in made["held"]
    )
    assert 2 == code


def test_a_rule_that_changed_since_the_run_is_skipped(
    cxroute: Program, was: dict[str, Any]
) -> None:
    """The change may come from CXone or a later run; the message contains the author and time."""
    run = last()
    edit("made", priority=77)
    assert 0 == cxroute("apply", "--only", "cards/made", "--yes")
    manifests(
        *(rule.replace("minConfidence: 0.5", "minConfidence: 0.7") for rule in AFTER)
    )
    assert 0 == cxroute("apply", "--yes", "--reason", "INC-7")
    later = last()
    edit("made", priority=78)
    assert 0 == cxroute("apply", "--undo", run, "--yes"), cxroute.err
    assert "not applied: changed in CXone since, last at 20" in cxroute.out
    assert f"not applied: changed since by run {later} (" in cxroute.out
    assert "except 2 held changes" in cxroute.out
    now = rules()
    assert was["By hand"] == now["By hand"]
    assert 78 == now["Cognigy Intent Route: made"]["priority"]
    assert was["Cognigy Intent Route: gone"] == now["Cognigy Intent Route: gone"]
    assert was["Cognigy Intent Route: changed"] != now["Cognigy Intent Route: changed"]


def test_a_rule_deleted_or_released_since_the_run_is_skipped(
    cxroute: Program, was: dict[str, Any]
) -> None:
    """A rule that is no longer managed is not written, even if the journal contains it."""
    run = last()
    with open_state(STATE) as state:
        state.edit("by-hand", description="theirs now")
        (changed,) = state.ids_named("Cognigy Intent Route: changed")
        state.remove(changed)
        before = state.stored_rules["by-hand"]
    assert 0 == cxroute("apply", "--undo", run, "--yes"), cxroute.err
    assert "not applied: deleted since" in cxroute.out
    assert "CXR311" in cxroute.out
    with open_state(STATE) as state:
        assert before == state.stored_rules["by-hand"]
    assert {
        "Cognigy Intent Route: changed",
        "Cognigy Intent Route: hand",
        "By hand",
    } == {
        name
        for name in was.keys() | rules().keys()
        if was.get(name) != rules().get(name)
    }


def test_a_rule_that_cannot_be_restored_is_skipped(cxroute: Program) -> None:
    """No write names a deleted queue, and a name that another rule now has stays with that rule."""
    manifests(*BEFORE, "{intent: old, queue: Old}")
    assert 0 == cxroute("apply", "--yes")
    manifests(BEFORE[0], BEFORE[3])
    assert 0 == cxroute("apply", "--yes")
    form = json.loads(STATE.read_text(encoding="utf-8"))
    form["queues"] = [queue for queue in form["queues"] if queue["name"] != "Old"]
    STATE.write_text(json.dumps(form), encoding="utf-8")
    by_hand()
    edit_by_id("by-hand", name="Cognigy Intent Route: gone")
    assert 0 == cxroute("apply", "--undo", last(), "--yes"), cxroute.err
    assert "not applied: its earlier queue no longer exists (" in cxroute.out
    assert (
        'it is not restored: an unmanaged rule has the name "Cognigy Intent Route: gone" now'
        in cxroute.out
    )
    assert "Applied 1 of 1" in cxroute.out
    assert "mine" == rules()["Cognigy Intent Route: gone"]["description"]


@pytest.mark.usefixtures("was")
@pytest.mark.parametrize(
    ("more", "guard"),
    [
        ("guard: {deletes: {count: 0, percent: 0}}", "deletes"),
        (
            "guard: {deletes: {count: 9, percent: 100}, protected: [cards/changed]}",
            "protected",
        ),
        (
            "freeze: [{start: 2020-01-01, end: 2090-01-01, timezone: Europe/Berlin}]",
            "freeze",
        ),
    ],
)
def test_guards_apply_to_an_undo(cxroute: Program, more: str, guard: str) -> None:
    """Exit 4 with the command that lifts the guard, and that command works."""
    manifests(*AFTER, more=more)
    assert 4 == cxroute("apply", "--undo", last(), "--yes")
    command = cxroute.err.strip().splitlines()[-1].partition("cxroute ")[2]
    assert f"--undo {last()} --allow {guard} --reason" in command
    assert 0 == cxroute(*shlex.split(command), "--yes"), cxroute.err


def test_prune_false_of_the_environment_does_not_keep_created_rules(
    cxroute: Program, was: dict[str, Any]
) -> None:
    """`prune: false` does not keep a created rule; `--no-prune` deletes no rule."""
    manifests(*AFTER, more="prune: false")
    assert 0 == cxroute("apply", "--undo", last(), "--no-prune", "--yes")
    assert "not applied: this undo deletes no rule" in cxroute.out
    assert {"Cognigy Intent Route: made"} == rules().keys() - was.keys()
    first = JournalFile(JOURNAL).read()[-2].id
    assert 0 == cxroute("apply", "--undo", first, "--yes")
    assert was == rules()


def test_a_part_of_a_run_can_be_undone(cxroute: Program, was: dict[str, Any]) -> None:
    """--only takes addresses of the run only."""
    run = last()
    assert 64 == cxroute("plan", "--undo", run, "--only", "cards/kept")
    assert "changed no rule at that address" in cxroute.err
    assert 0 == cxroute("apply", "--undo", run, "--only", "cards/gone", "--yes")
    assert "Applied 1 of 1" in cxroute.out
    assert was["Cognigy Intent Route: gone"] == rules()["Cognigy Intent Route: gone"]


@pytest.mark.usefixtures("was")
def test_a_saved_undo_is_compared_with_a_new_one(cxroute: Program) -> None:
    """A rule that was edited since the review is refused; a plan without the journal is not
    enough.
    """
    assert 0 == cxroute("plan", "--undo", last(), "--out", "undo.json")
    JOURNAL.rename("kept.jsonl")
    assert 64 == cxroute("apply", "undo.json", "--yes")
    assert "--journal FILE" in cxroute.err
    assert 4 == cxroute("apply", "undo.json", "--journal", "kept.jsonl")
    assert "cxroute apply undo.json --journal kept.jsonl --yes" in cxroute.err
    reviewed = json.loads(Path("undo.json").read_text(encoding="utf-8"))
    del reviewed["changes"][0]
    Path("less.json").write_text(json.dumps(reviewed), encoding="utf-8")
    assert 4 == cxroute("apply", "less.json", "--journal", "kept.jsonl", "--yes")
    assert 0 == cxroute("apply", "undo.json", "--journal", "kept.jsonl", "--yes"), (
        cxroute.err
    )


@pytest.mark.usefixtures("was")
def test_history_and_apply_print_the_command_that_undoes_a_run(
    cxroute: Program,
) -> None:
    """The command works as printed, and is also in the JSON."""
    run = last()
    assert 0 == cxroute("history", run)
    command = cxroute.out.strip().splitlines()[-1]
    assert f"Undo: cxroute plan -e sandbox --undo {run}" == command
    assert 0 == cxroute(*shlex.split(command.removeprefix("Undo: cxroute ")))
    code, form = cxroute.json("apply", "--undo", run, "--yes")
    assert (0, last()) == (code, form["run"])
    assert 0 == cxroute("history", last())
    assert f"undo: {run}" in cxroute.out


@pytest.mark.usefixtures("was")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--adopt"], "remove --adopt"),
        (["--keep-drift"], "remove --adopt"),
        (["-e", "sandbox,prod"], "one environment"),
    ],
)
def test_options_that_contradict_undo_are_a_usage_error(
    cxroute: Program, arguments: list[str], said: str
) -> None:
    """Exit 64, before a request."""
    for command in ("plan", "apply"):
        assert 64 == cxroute(command, "--undo", last(), *arguments)
        assert said in cxroute.err
    assert 64 == cxroute("plan", "--journal", "x.jsonl")


@pytest.mark.usefixtures("was")
def test_an_unknown_run_is_reported_with_the_nearest_name(cxroute: Program) -> None:
    """Exit 64."""
    assert 64 == cxroute("plan", "--undo", f"{last()}x")
    assert f'did you mean "{last()}"?' in cxroute.err


def spoilt(change: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
    """Rewrite the journal's lines of the last run."""
    entries = [
        json.loads(line) for line in JOURNAL.read_text(encoding="utf-8").splitlines()
    ]
    run = entries[-1]["run"]
    own_side = [entry for entry in entries if entry["run"] == run]
    change(own_side)
    text = "".join(
        line if isinstance(line, str) else json.dumps(line) + "\n" for line in own_side
    )
    JOURNAL.write_text(text, encoding="utf-8")
    return own_side


def started(**said: Any) -> Callable[[list[dict[str, Any]]], object]:
    return lambda entries: entries[0].update(said)


@pytest.mark.usefixtures("was")
@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({"environment": "prod"}, "was in prod, and this is sandbox: set -e prod"),
        ({"environment": "\x1b[31m"}, "was in \\u001b[31m"),
        (
            {"owner": "others"},
            "was made for owner others, and sandbox is now owned by acme",
        ),
        ({"tenant": "https://elsewhere.example"}, "was on https://elsewhere.example"),
    ],
)
def test_a_run_on_other_rules_is_a_usage_error(
    cxroute: Program, start: dict[str, str], said: str
) -> None:
    """A run on another environment, owner or tenant: exit 64 with the fix."""
    spoilt(started(**start))
    assert 64 == cxroute("apply", "--undo", last(), "--yes")
    assert said in cxroute.err
    assert "\x1b" not in cxroute.err


def intents(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["event"] == "intend"]


def forged(**said: Any) -> Callable[[list[dict[str, Any]]], object]:
    """Return each change of the run with another value."""
    return lambda entries: [entry.update(said) for entry in intents(entries)]


def sided(side: str, **said: Any) -> Callable[[list[dict[str, Any]]], object]:
    """Return one side of each change of the run, with other fields."""
    return lambda entries: [
        entry[side].update(said) for entry in intents(entries) if entry[side]
    ]


def lose(entries: list[dict[str, Any]], address: str) -> None:
    """Remove each line about a rule."""
    entries[:] = [entry for entry in entries if entry.get("address") != address]


HOSTILE: Final[dict[str, Callable[[list[dict[str, Any]]], object]]] = {
    "a line that is not JSON": lambda entries: entries.insert(3, "{half a li\n"),  # type: ignore[arg-type]
    "no beginning": lambda entries: entries.pop(0),
    "a change lost": lambda entries: lose(entries, str(intents(entries)[0]["address"])),
    "an intent lost": lambda entries: entries.remove(intents(entries)[0]),
    "an invalid address": forged(address="../x"),
    "an address that is not text": forged(address=["cards/kept"]),
    "another rule's address": forged(address="cards/kept"),
    "an unknown action": forged(action="rewrite"),
    "nothing before": forged(before=None),
    "nothing after": forged(after=None),
    "a text before": forged(before="cards/kept"),
    "another owner's marker": sided(
        "before", description="x\n[cxroute:others/cards/changed#00000000]"
    ),
    "no marker after": sided("after", description="x"),
    "a copy's marker": sided(
        "after", description="[cxroute:acme/cards/changed~next#00000000]"
    ),
    "an invalid priority": sided("before", priority="first"),
    "half a character": sided("before", name="\ud800"),
    "deep": sided("before", conditions=[{"a": json.loads("[" * 99 + "]" * 99)}]),
    "a secret that was hidden": forged(hidden=True),
}


@pytest.mark.fast_cases(6)
@pytest.mark.usefixtures("was")
@pytest.mark.parametrize("how", HOSTILE)
def test_an_incomplete_or_impossible_journal_is_refused(
    cxroute: Program, how: str
) -> None:
    """Exit 4 with the reason, and nothing is written."""
    spoilt(HOSTILE[how])
    before = rules()
    run = next(item.id for item in JournalFile(JOURNAL).read() if item.changes)
    assert 4 == cxroute("apply", "--undo", run, "--yes"), cxroute.out
    assert f"cannot undo run {run}: " in cxroute.err
    assert before == rules()


@pytest.mark.usefixtures("was")
@pytest.mark.parametrize("value", ["NaN", "1e999"])
def test_a_number_that_is_not_json_makes_a_line_unreadable(
    cxroute: Program, value: str
) -> None:
    """JSON has no NaN: the line is unreadable, so the run is incomplete."""
    text = JOURNAL.read_text(encoding="utf-8").replace(
        '"priority":20', f'"priority":{value}'
    )
    JOURNAL.write_text(text, encoding="utf-8")
    assert 4 == cxroute("apply", "--undo", last(), "--yes")
    assert "unreadable lines" in cxroute.err


@pytest.mark.usefixtures("was")
def test_a_journal_cannot_cause_a_write_to_an_unmanaged_rule(cxroute: Program) -> None:
    """A forged adoption of an unmanaged rule in its live state: only live markers decide on
    ownership.
    """
    with open_state(STATE) as state:
        foreign_side = {
            **state.stored_rules["by-hand"],
            "id": "theirs",
            "name": "Theirs",
            "description": "not ours",
        }
        state.put(foreign_side)
        before = state.stored_rules["theirs"]

    def forge(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            if entry.get("address") == "cards/hand":
                entry["id"] = "theirs"
                if entry.get("after"):
                    form = {
                        name: before[name]
                        for name in (
                            "name",
                            "priority",
                            "enabled",
                            "conditions",
                            "targets",
                        )
                    }
                    entry["after"] = {
                        **form,
                        "description": "not ours\n[cxroute:acme/cards/hand#00000000]",
                    }
                    entry["before"] = {**entry["before"], "name": "pwned"}

    spoilt(forge)
    assert 0 == cxroute("apply", "--undo", last(), "--yes"), cxroute.err
    assert "CXR311" in cxroute.out
    with open_state(STATE) as state:
        assert before == state.stored_rules["theirs"]


@pytest.mark.usefixtures("was")
def test_hostile_text_in_a_journal_is_escaped(cxroute: Program) -> None:
    """Invisible characters of an author are escaped; an odd name of a run is not part of a
    command.
    """
    run = last()
    manifests(
        *(rule.replace("minConfidence: 0.5", "minConfidence: 0.7") for rule in AFTER)
    )
    assert 0 == cxroute("apply", "--yes")
    spoilt_text = JOURNAL.read_text(encoding="utf-8").replace(
        last(), "r\\u001b[2J\\u202e; rm -rf ~"
    )
    JOURNAL.write_text(spoilt_text, encoding="utf-8")
    assert 0 == cxroute("plan", "--undo", run)
    assert (
        "not applied: changed since by run r\\u001b[2J\\u202e; rm -rf ~" in cxroute.out
    )
    assert not {"\x1b", "\u202e"} & {*cxroute.out}
    odd = last()
    assert 0 == cxroute("history", odd)
    assert "Undo:" not in cxroute.out
    assert 64 == cxroute("plan", "--undo", odd)
    assert not {"\x1b", "\u202e"} & {*cxroute.err}


def endless(**said: Any) -> Callable[[list[dict[str, Any]]], object]:
    """Return the run as it is while it is in progress: without outcomes and end."""

    def change(entries: list[dict[str, Any]]) -> None:
        entries[:] = [
            entry for entry in entries if entry["event"] not in ("outcome", "end")
        ]
        entries[0]["process"] = said
        for entry in entries:
            entry["at"] = said.get("at") or datetime.now(UTC).isoformat()

    return change


@pytest.mark.usefixtures("was")
def test_an_uncertain_change_is_not_undone_if_a_later_run_made_it(
    cxroute: Program,
) -> None:
    """Both have the same values, but it is unknown whether the first run wrote them."""
    entries = spoilt(endless(host=socket.gethostname(), pid=2**31 - 1))
    run = str(entries[0]["run"])
    created = [
        entry
        for entry in entries
        if entry.get("address") == "cards/made" and entry["event"] == "intend"
    ]
    candidate = [{**entry, "run": "later"} for entry in (entries[0], *created)]
    candidate.append(
        {
            **created[0],
            "run": "later",
            "event": "outcome",
            "status": "applied",
            "attempts": 1,
        }
    )
    candidate.append({"run": "later", "event": "end", "at": "2020-01-01T00:00:00Z"})
    with JOURNAL.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in candidate)
    code, made = cxroute.json("plan", "--undo", run)
    assert (0, ["cards/made"]) == (code, [item["address"] for item in made["held"]])
    assert "undo that run first" in made["held"][0]["reason"]
    assert 3 == len(made["changes"])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"host": "elsewhere", "pid": 1}, 4),
        ({"host": socket.gethostname(), "pid": os.getpid()}, 4),
        ({"host": socket.gethostname(), "pid": 2**31 - 1}, 0),
        ({"host": "elsewhere", "pid": 1, "at": "2020-01-01T00:00:00Z"}, 0),
    ],
)
def test_a_run_that_may_still_be_in_progress_is_not_undone(
    cxroute: Program, was: dict[str, Any], said: dict[str, Any], code: int
) -> None:
    """A run without an end is refused if its process lives or is unknown; that of a dead process is
    undone.
    """
    spoilt(endless(**said))
    assert code == cxroute("apply", "--undo", last(), "--yes"), cxroute.err
    assert ("may still be in progress" in cxroute.err) == (code == 4)
    assert (was == rules()) == (code == 0)


@pytest.mark.usefixtures("was")
def test_undo_works_with_invalid_manifests_and_a_warning(cxroute: Program) -> None:
    """For example two rules with one name: plan itself refuses them."""
    run = last()
    manifests(
        *AFTER,
        "{intent: twin, queue: Cards, name: One}",
        "{intent: other, queue: Cards, name: One}",
    )
    assert 3 == cxroute("plan", "--live", str(STATE))
    assert 0 == cxroute("plan", "--undo", run, "--live", str(STATE))
    assert "the effect of the next apply is unknown: " in cxroute.out
    assert "cards/gone" in cxroute.out


def test_a_failing_route_test_does_not_prevent_an_undo(
    cxroute: Program, was: dict[str, Any]
) -> None:
    """Route tests are about the manifests, which are often the reason for an undo."""
    write(
        "tests.yaml",
        "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
        "  - {given: {intent: changed, confidence: 0.9}, expect: {queue: General}}\n",
    )
    assert 3 == cxroute("plan")
    assert 0 == cxroute("apply", "--undo", last(), "--yes"), cxroute.err
    assert was == rules()


BROKEN: Final[dict[str, str]] = {
    "a RuleSet that is wrong": "apiVersion: routing/v1\nkind: RuleSet\nname: x\nrules: [{intent: 5}]\n",
    "no YAML": "a: [\n",
    "not UTF-8": "\udcff",
    "another environment that is wrong": "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: [x]\n",
    "a rule without a queue": "apiVersion: routing/v1\nkind: RuleSet\nname: x\nrules: [{intent: a}]\n",
}


@pytest.mark.fast_cases(2)
@pytest.mark.usefixtures("was")
@pytest.mark.parametrize("what", BROKEN)
def test_an_undo_needs_only_the_environment_of_the_manifests(
    cxroute: Program, what: str
) -> None:
    """Other invalid files cause a warning: the run is undone directly or by a saved plan."""
    run = last()
    before = rules()
    Path("manifests/broken.yaml").write_bytes(
        BROKEN[what].encode("utf-8", "surrogateescape")
    )
    assert 3 == cxroute("plan")
    assert 0 == cxroute("plan", "--undo", run, "--out", "undo.json")
    assert "the effect of the next apply is unknown: " in cxroute.out
    assert before == rules()
    assert 0 == cxroute("apply", "undo.json", "--yes"), cxroute.err
    assert before != rules()


@pytest.mark.usefixtures("was")
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("all.yaml", HEAD.format(more="guard: {deletes: many}") + "  []\n"),
        ("all.yaml", HEAD.format(more="owner: acme") + "  []\n"),
        ("again.yaml", HEAD.format(more="").partition("---")[0]),
    ],
)
def test_an_invalid_environment_prevents_an_undo(
    cxroute: Program, file: str, text: str
) -> None:
    """An Environment that is invalid or exists twice could name another tenant: nothing is
    undone.
    """
    run = last()
    before = rules()
    write(file, text)
    assert 3 == cxroute("apply", "--undo", run, "--yes")
    assert before == rules()
