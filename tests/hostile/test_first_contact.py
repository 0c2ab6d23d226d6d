"""Tenants that store rules differently: the first write is made alone, and a rule without its
marker is reverted.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.hostile.command import Workspace
from tests.hostile.scripts import body
from tests.hostile.tenant import (
    HostileTenant,
    Quirk,
    alter_description,
    alter_texts,
    serving,
)
from tests.support import canary_secrets as canary
from tests.support.command import RunResult
from tests.support.watch_process import watch_setup

Rules = dict[str, dict[str, Any]]

MANY: Final = tuple(f"intent_{number:03d}" for number in range(120))
OPENING: Final = "[cxroute:acme/"
VALUES: Final = "with its values in upper case"
NAMED: Final = "collapsed, and named in lower case"


def of_values(make: Callable[[str], str]) -> Quirk:
    def keeps(rule: dict[str, Any]) -> dict[str, Any]:
        requested = [
            {**item, "value": make(item["value"])} if "value" in item else item
            for item in rule["conditions"]
        ]
        return {**rule, "conditions": requested}

    return keeps


LOSING: Final[dict[str, Quirk]] = {
    "collapsed": alter_description(lambda text: " ".join(text.split())),
    "cut at its very end": alter_description(lambda text: text[:90]),
    "cut in the marker": alter_description(lambda text: text[:70]),
    "cut before the marker": alter_description(lambda text: text[:40]),
    "dropped": alter_description(lambda _text: ""),
    "fully escaped": alter_description(
        lambda text: html.escape(text).replace("/", "&#x2F;")
    ),
    "in upper case": alter_description(str.upper),
    "lines in paragraphs": alter_description(lambda text: text.replace("\n", "<br>")),
    "ended with a full stop": alter_description(
        lambda text: text.removesuffix(".") + "."
    ),
    "of another owner": alter_description(
        lambda text: text.replace(OPENING, "[cxroute:other/")
    ),
    "without the text in brackets": alter_description(
        lambda text: text.partition("\n[")[0]
    ),
    NAMED: lambda rule: {
        **rule,
        "name": rule["name"].lower(),
        "description": " ".join(rule["description"].split()),
    },
    VALUES: of_values(str.upper),
}
"""Tenants at which a rule would not be found again, or would route others."""

KEEPING: Final[dict[str, tuple[Quirk, tuple[str, ...]]]] = {
    "as sent": (dict, ()),
    "a line end appended": (alter_description(lambda text: f"{text}\n"), ()),
    "spaces appended": (alter_description(lambda text: f"{text}  "), ()),
    "CR LF": (alter_description(lambda text: text.replace("\n", "\r\n")), ()),
    "CR LF, and one appended": (
        alter_description(lambda text: text.replace("\n", "\r\n") + "\r\n"),
        (),
    ),
    "lower case": (alter_texts(str.lower), ("name", "description")),
    "escaped": (alter_texts(html.escape), ("description",)),
    "name cut at 30": (lambda rule: {**rule, "name": rule["name"][:30]}, ("name",)),
    "name in upper case": (
        lambda rule: {**rule, "name": rule["name"].upper()},
        ("name",),
    ),
}
"""Tenants that keep the line, and the fields that each of them keeps otherwise."""


def by_hand(*intents: str) -> Rules:
    """Return unmanaged rules with the names of desired rules, and with unknown fields."""
    return {
        f"r{number}": {
            "id": f"r{number}",
            "name": f"Cognigy Intent Route: {intent}",
            "description": "made\r\nby hand",
            "priority": 50,
            "enabled": True,
            "division": {"id": "d1"},
            "version": 1,
            "conditions": [
                {
                    "type": "attribute",
                    "attributeName": "cognigyDetectedIntent",
                    "operator": "equals",
                    "value": intent,
                    "label": "kept",
                },
                {
                    "type": "attribute",
                    "attributeName": "vip",
                    "operator": "exists",
                    "note": "gone in the manifest",
                },
            ],
            "targets": [
                {"type": "queue", "queueId": "q-billing", "weight": 1, "skill": 7}
            ],
        }
        for number, intent in enumerate(intents, 1)
    }


def stopped(ended: RunResult) -> dict[str, Any]:
    """Return the message of a run that stopped after its first write and reverted it."""
    form: dict[str, Any] = json.loads(ended.out)
    assert (1, False) == (ended.code, form["converged"]), ended
    assert ["failed"] + ["skipped"] * (len(form["outcomes"]) - 1) == sorted(
        item["status"] for item in form["outcomes"]
    )
    return form


def unversioned(rules: Rules) -> Rules:
    return {
        name: {key: field for key, field in rule.items() if key != "version"}
        for name, rule in rules.items()
    }


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("echoes", [False, True])
@pytest.mark.parametrize("quirk", LOSING)
def test_a_created_rule_that_loses_its_marker_is_deleted(
    place: Workspace,
    quirk: str,
    echoes: bool,  # noqa: FBT001
) -> None:
    """Of 120 creates, one is sent, read back and deleted, and the run explains why it stopped."""
    tenant = HostileTenant(keeps=LOSING[quirk], echoes=echoes)
    with serving(tenant):
        place.manifests(tenant.url, *MANY)
        ended = place("apply", "--yes", "--format", "json")
    if echoes and quirk == VALUES:
        # the line was kept and the answer says that all is well: this is drift, and the next test's
        return
    form = stopped(ended)
    assert ["POST", "DELETE"] == tenant.writes
    assert {} == tenant.rules
    assert "nothing more was written" in form["error"]["message"]
    assert "routing/intent" in form["error"]["message"]


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("quirk", [quirk for quirk in LOSING if quirk != NAMED])
def test_an_adopted_rule_that_loses_its_marker_is_restored(
    place: Workspace, quirk: str
) -> None:
    """Of 120 adoptions, one is sent and reverted, unknown fields included."""
    was = {name: LOSING[quirk](rule) for name, rule in by_hand(*MANY).items()}
    tenant = HostileTenant(rules=dict(was), keeps=LOSING[quirk])
    with serving(tenant):
        place.manifests(tenant.url, *MANY)
        ended = place(
            "apply",
            "--yes",
            "--adopt",
            "--format",
            "json",
            "--allow",
            "unrouted",
            "--reason",
            "test",
        )
    assert ["PUT", "PUT"] == tenant.writes
    assert unversioned(was) == unversioned(tenant.rules)
    stopped(ended)


@pytest.mark.slow
@pytest.mark.parametrize("quirk", KEEPING)
def test_altered_texts_are_one_finding_and_not_rewritten(
    place: Workspace, quirk: str
) -> None:
    """If the tenant keeps the marker, all rules are written; a second run writes nothing, with a
    finding per field.
    """
    keeps, fields = KEEPING[quirk]
    tenant = HostileTenant(keeps=keeps)
    with serving(tenant):
        place.manifests(tenant.url, *MANY)
        first = place("apply", "--yes")
        assert 0 == first.code, first
        assert ("texts that the tenant stores differently" in first.out) == bool(fields)
        assert ["POST"] * 120 == tenant.writes
        tenant.asked.clear()
        again = place("apply", "--yes")
        planned = place("plan", "--format", "json", "--detailed-exitcode")
        drift = place("drift")
    assert (0, 0, 0) == (again.code, planned.code, drift.code), (again, drift)
    assert [] == tenant.writes
    actual = [
        load for load in json.loads(planned.out)["findings"] if load["code"] == "CXR340"
    ]
    assert len(fields) == len(actual), actual
    assert {len(item["addresses"]) for item in actual} <= {120}
    assert [] == [
        field
        for field in fields
        if not any(f"the {field} " in item["message"] for item in actual)
    ]


def lists(tenant: HostileTenant) -> int:
    return sum(request.kind == "list" for request in tenant.asked)


def test_a_first_contact_costs_one_read_and_a_known_tenant_none(
    place: Workspace,
) -> None:
    """120 creates need one more read (two for no rules); 120 more creates need three."""
    tenant = HostileTenant()
    with serving(tenant):
        place.manifests(tenant.url, *MANY)
        assert 0 == place("apply", "--yes").code
        first = lists(tenant)
        tenant.asked.clear()
        place.manifests(tenant.url, *MANY, *(f"more_{intent}" for intent in MANY))
        assert 0 == place("apply", "--yes").code
    assert (2 + 2 + 1 + 1, 1 + 1 + 1) == (first, lists(tenant))


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("echoes", [False, True])
@pytest.mark.parametrize("changed", [False, True])
def test_a_known_tenant_that_cuts_a_longer_text_loses_no_rule(
    place: Workspace,
    changed: bool,  # noqa: FBT001
    echoes: bool,  # noqa: FBT001
) -> None:
    """It stored short texts.

    Of ten rules with a longer text, new or managed, one is written and reverted.
    """
    tenant = HostileTenant(
        keeps=alter_description(lambda text: text[:220]), echoes=echoes
    )
    with serving(tenant):
        place.manifests(tenant.url, *MANY[:20])
        assert 0 == place("apply", "--yes").code
        before = unversioned(tenant.rules)
        tenant.asked.clear()
        place.manifests(tenant.url, *MANY[: 20 if changed else 30])
        manifest = place.path / "manifests" / "routing.yaml"
        head, *rules = manifest.read_text("utf-8").split("  - ")
        longer = [
            rule.replace("}", f", description: {'x' * 300}}}")
            for rule in rules[10 if changed else 20 :]
        ]
        manifest.write_text(
            "  - ".join([head, *rules[: -len(longer)], *longer]), "utf-8"
        )
        ended = place("apply", "--yes", "--format", "json")
    assert (
        "It cuts descriptions at 220 characters" in stopped(ended)["error"]["message"]
    )
    assert (["PUT", "PUT"] if changed else ["POST", "DELETE"], before) == (
        tenant.writes,
        unversioned(tenant.rules),
    )


def test_a_saved_plan_begins_with_one_rule_too(place: Workspace) -> None:
    """If the tenant keeps the marker, all is applied; otherwise one rule is written and
    reverted.
    """
    for quirk, code, writes in (
        (dict, 0, ["POST"] * 3),
        (LOSING["collapsed"], 1, ["POST", "DELETE"]),
    ):
        tenant = HostileTenant(keeps=quirk)
        with serving(tenant):
            place.manifests(tenant.url, *MANY[:3])
            assert 0 == place("plan", "--out", "plan.json").code
            assert code == place("apply", "plan.json", "--yes").code
        assert writes == tenant.writes


def test_of_several_environments_each_has_its_own_first_write(place: Workspace) -> None:
    """The tenant that loses the marker keeps no rule, the other one gets all rules."""
    losing = HostileTenant(keeps=LOSING["collapsed"])
    keeping = HostileTenant()
    with serving(losing), serving(keeping):
        place.manifests(losing.url, *MANY[:3])
        environment = (
            (place.path / "manifests" / "evil.yaml")
            .read_text("utf-8")
            .partition("---")[0]
        )
        candidate = environment.replace("name: evil", "name: other").replace(
            losing.url, keeping.url
        )
        (place.path / "manifests" / "other.yaml").write_text(candidate, "utf-8")
        ended = place("apply", "-e", "other", "--yes")
    assert (["POST", "DELETE"], ["POST"] * 3) == (losing.writes, keeping.writes)
    assert 1 == ended.code, ended
    assert "It joins several lines into one" in ended.out


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("quirk", ["collapsed", "cut in the marker"])
@pytest.mark.parametrize(
    "answer", [b"500 Internal Server Error", b"504 Gateway Timeout"]
)
def test_a_rule_with_a_lost_response_is_found_by_its_content(
    place: Workspace, quirk: str, answer: bytes
) -> None:
    """The rule was created with altered texts and the response is an error: the only similar new
    rule is deleted.
    """
    tenant = HostileTenant(
        keeps=LOSING[quirk], applied=True, scripts={"POST": body(b"{}", answer)}
    )
    with serving(tenant):
        place.manifests(tenant.url, *MANY)
        ended = place("apply", "--yes", "--format", "json")
    assert (["POST", "DELETE"], {}) == (tenant.writes, tenant.rules)
    stopped(ended)


def test_a_new_rule_without_its_texts_is_not_deleted(place: Workspace) -> None:
    """The tenant drops descriptions and the response is lost: nothing proves the owner of the new
    rule.
    """
    tenant = HostileTenant(
        keeps=LOSING["dropped"],
        applied=True,
        scripts={"POST": body(b"{}", b"500 Internal Server Error")},
    )
    with serving(tenant):
        place.manifests(tenant.url, *MANY)
        ended = place("apply", "--yes", "--format", "json")
    assert (["POST"], ["r1"], 5) == (tenant.writes, [*tenant.rules], ended.code), ended
    assert (
        "It is not proven that rule r1 is as"
        in json.loads(ended.out)["error"]["message"]
    )


def test_a_rule_that_cannot_be_reverted_is_named_with_exit_5(place: Workspace) -> None:
    """The tenant loses the marker and refuses the delete: exit code 5, and the rule to check."""
    tenant = HostileTenant(
        keeps=LOSING["collapsed"], scripts={"DELETE": body(b"{}", b"422 Unprocessable")}
    )
    with serving(tenant):
        place.manifests(tenant.url, *MANY)
        ended = place("apply", "--yes", "--format", "json")
    form = json.loads(ended.out)
    assert (["POST", "DELETE"], ["r1"], 5) == (
        tenant.writes,
        [*tenant.rules],
        ended.code,
    ), ended
    assert "Rule r1 could not be reverted" in form["error"]["message"]
    assert 1 == sum(item["status"] == "failed" for item in form["outcomes"])


def test_an_edit_is_reverted_on_a_tenant_that_alters_texts(place: Workspace) -> None:
    """The tenant writes names in lower case: another name or priority is drift, a new manifest is
    not.
    """
    tenant = HostileTenant(keeps=KEEPING["lower case"][0])
    with serving(tenant):
        place.manifests(tenant.url, *MANY[:5])
        assert 0 == place("apply", "--yes").code
        tenant.rules["r1"]["name"] = "renamed by hand"
        tenant.rules["r2"]["priority"] = 7
        assert 2 == place("drift").code
        assert 0 == place("apply", "--yes").code
        assert ["cognigy intent route: intent_000", 100] == [
            tenant.rules["r1"]["name"],
            tenant.rules["r2"]["priority"],
        ]
        manifest = place.path / "manifests" / "routing.yaml"
        manifest.write_text(
            manifest.read_text("utf-8").replace("billing}", "billing, priority: 50}"),
            "utf-8",
        )
        planned = json.loads(place("plan", "--format", "json").out)
    assert [("manifest", ["priority"])] * 5 == [
        (item["cause"], [field["path"] for field in item["fields"]])
        for item in planned["changes"]
    ]


def test_an_undo_reverts_altered_rules(place: Workspace) -> None:
    """Names in lower case are not an edit: the run that created the rules is undone."""
    tenant = HostileTenant(keeps=KEEPING["name in upper case"][0])
    with serving(tenant):
        place.manifests(tenant.url, *MANY[:3])
        run = json.loads(place("apply", "--yes", "--format", "json").out)["run"]
        lifted = (
            "--allow",
            "deletes",
            "--allow",
            "emptied",
            "--allow",
            "unrouted",
            "--reason",
            "test",
        )
        ended = place("apply", "--undo", run, "--yes", *lifted)
    assert (0, {}) == (ended.code, tenant.rules), ended


@pytest.mark.slow
def test_the_loop_writes_no_rule_again_after_a_lost_marker(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cycle writes one rule and reverts it; further cycles write nothing until the manifests
    change.
    """
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    tenant = HostileTenant(keeps=LOSING["collapsed"])
    with serving(tenant), watch_setup(elsewhere) as here:
        here.url = tenant.url
        here.write("billing", "fraud")
        loop = here.watch("--apply")
        assert ["POST", "DELETE"] == tenant.writes
        assert [0, 0] == [
            loop.trigger_round()["applied_changes_total"] for _ in range(2)
        ]
        assert (2, 1) == (len(tenant.writes), len(here.hook.wait_for(1)))
        assert "It joins several lines into one" in here.hook.texts[0]
        here.write("billing", "fraud", "more")
        loop.trigger_round()
        assert ["POST", "DELETE"] * 2 == tenant.writes
        tenant.keeps = dict
        here.write("billing")
        loop.trigger_round()
        assert (0, ["POST", "DELETE", "POST", "DELETE", "POST"]) == (
            loop.end()[0],
            tenant.writes,
        )
