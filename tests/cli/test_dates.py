"""Rules with dates in commands: `--at`, and one time for each run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.render.plan_view import _digest
from tests.support.program import Program, write

MANIFEST = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: Europe/Zurich
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: always, intent: refund, queue: Cards}
  - {key: xmas, intent: refund, queue: Fraud, priority: 9, from: 2026-12-27T06:00, until: 2027-01-07T00:00}
"""
DURING = "2026-12-27T06:00+01:00"
AFTER = "2027-01-06T23:00Z"


@pytest.fixture
def dated(cxroute: Program) -> Program:
    write("m.yaml", MANIFEST)
    return cxroute


def changed(document: dict[str, object]) -> list[str]:
    changes = document["changes"]
    assert isinstance(changes, list)
    return sorted(change["address"] for change in changes)


def test_a_plan_for_a_time_has_the_rules_of_that_time(dated: Program) -> None:
    """Its options have the time; a plan for now has no such field."""
    _, during = dated.json("plan", "-e", "sandbox", "--at", DURING)
    assert ["cards/always", "cards/xmas"] == changed(during)
    assert "2026-12-27T05:00:00Z" == during["options"]["at"]
    _, after = dated.json("plan", "-e", "sandbox", "--at", AFTER)
    assert ["cards/always"] == changed(after)
    _, now = dated.json("plan", "-e", "sandbox")
    assert "at" not in now["options"]


def test_a_plan_for_another_time_is_not_applied(dated: Program) -> None:
    """The plan says so, too."""
    assert 0 == dated("plan", "-e", "sandbox", "--at", DURING, "--out", "plan.json")
    assert "for reading only" in dated.out
    assert "--yes" not in dated.out
    assert (
        "2026-12-27T05:00:00Z"
        == json.loads(Path("plan.json").read_text("utf-8"))["options"]["at"]
    )
    assert 64 == dated("apply", "plan.json", "--yes")
    assert (
        "a plan for 2026-12-27T05:00:00Z (--at), which is for reading only" in dated.err
    )


def test_commands_show_the_rules_of_a_time(dated: Program) -> None:
    """Without a tenant; the time may have any offset."""
    arguments = ("explain", "-e", "sandbox", "--intent", "refund")
    _, during = dated.json(*arguments, "--at", DURING)
    _, after = dated.json(*arguments, "--at", AFTER)
    assert "cards/xmas" == during["winner"]
    assert "cards/always" == after["winner"]


def test_an_undo_is_of_now(dated: Program) -> None:
    """It has nothing to do with dates of manifests."""
    assert 64 == dated("plan", "-e", "sandbox", "--undo", "x", "--at", DURING)
    assert "remove --at" in dated.err


def test_an_apply_of_what_is_due_leaves_the_rest(cxroute: Program) -> None:
    """Only the rule with a date is made; later, nothing is due."""
    ended = "2027-01-07T00:00"
    write(
        "m.yaml",
        MANIFEST.replace("2026-12-27T06:00", "2026-01-01T00:00").replace(
            ended, "9000-01-01T00:00"
        ),
    )
    code, made = cxroute.json("apply", "-e", "sandbox", "--due", "--yes")
    assert (0, True, ["cards/xmas"]) == (code, made["options"]["due"], changed(made))
    assert ["cards/xmas"] == made["options"]["only"]
    assert [] == made["later"]

    code, again = cxroute.json("apply", "-e", "sandbox", "--due", "--yes")
    assert (0, [], [], True) == (
        code,
        changed(again),
        again["options"]["only"],
        again["converged"],
    )
    assert "No change is due by a date of a rule." in cxroute.err
    assert 0 == cxroute("apply", "-e", "sandbox", "--due", "--yes")
    assert "No changes" not in cxroute.out
    _, left = cxroute.json("plan", "-e", "sandbox")
    assert ["cards/always"] == changed(left)


@pytest.mark.parametrize("option", ["--only=cards/xmas", "--undo=x", "plan.json"])
def test_what_is_due_is_not_chosen_by_hand(dated: Program, option: str) -> None:
    write("plan.json", "{}")
    assert 64 == dated("apply", "-e", "sandbox", "--due", option)
    assert "--due chooses the changes itself" in dated.err


ENDED = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: Europe/Zurich
{more}
---
apiVersion: routing/v1
kind: RuleSet
name: desk
rules:
  - {{key: always, intent: refund, queue: Cards}}
---
apiVersion: routing/v1
kind: RuleSet
name: strike
rules:
  - {{key: strike, intent: refund, queue: Fraud, priority: 9, from: "2026-01-01T00:00", until: "{until}"}}
"""
FREEZE = "freeze: [{start: 2000-01-01, end: 8000-01-01, reason: Christmas}]"


def test_a_campaign_in_a_ruleset_of_its_own_can_end(cxroute: Program) -> None:
    """Its rule still stands in the manifests; a file that lost its rules is refused."""
    write("m.yaml", ENDED.format(more="", until="9000-01-01T00:00"))
    assert 0 == cxroute("apply", "-e", "sandbox", "--yes")
    write("m.yaml", ENDED.format(more="", until="2026-02-01T00:00"))
    code, ended = cxroute.json("apply", "-e", "sandbox", "--due", "--yes")
    assert (0, ["strike/strike"]) == (code, changed(ended))

    write("m.yaml", ENDED.format(more="", until="9000-01-01T00:00"))
    assert 0 == cxroute("apply", "-e", "sandbox", "--yes")
    emptied = ENDED.partition("  - {{key: strike")[0].replace("rules:\n", "rules: []\n")
    text = emptied.replace("rules: []\n", "rules:\n", 1).format(more="")
    write("m.yaml", text)
    assert 4 == cxroute("apply", "-e", "sandbox", "--yes")
    assert "no rule of strike would remain" in cxroute.err


def test_a_run_of_what_is_due_is_quiet_in_a_freeze(cxroute: Program) -> None:
    """It ends with 0, and says that the change is made afterwards."""
    write("m.yaml", ENDED.format(more=FREEZE, until="9000-01-01T00:00"))
    assert 0 == cxroute("apply", "-e", "sandbox", "--due", "--yes")
    assert "sandbox is frozen now: Christmas" in cxroute.err
    assert "is made after the freeze" in cxroute.err
    assert 4 == cxroute("apply", "-e", "sandbox", "--yes")
    write("m.yaml", ENDED.format(more="", until="9000-01-01T00:00"))
    assert 0 == cxroute("apply", "-e", "sandbox", "--due", "--yes")
    assert "Applied 1 of 1" in cxroute.out


def test_later_names_the_first_time_that_it_does_not_show(cxroute: Program) -> None:
    """A campaign whose begin is near, and whose end is not."""
    begin, end = (
        f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%MZ}"
        for days in (80, 100)
    )
    text = ENDED.format(more="", until=end).replace("2026-01-01T00:00", begin)
    write("m.yaml", text)
    assert 0 == cxroute("plan", "-e", "sandbox")
    assert "Not shown: what changes more than 90 days from now, next on " in cxroute.out
    near = text.replace(end, begin.replace("Z", "+00:00").replace(begin[:4], "8000"))
    write("m.yaml", near.replace('from: "' + begin, 'from: "7999-01-01T00:00Z'))
    assert 0 == cxroute("plan", "-e", "sandbox")
    assert "Not shown" not in cxroute.out


def test_a_protected_rule_may_be_one_of_another_time(cxroute: Program) -> None:
    """A rule that is over, or was misspelled."""
    for name, is_found in (("strike", False), ("strikes", True)):
        guard = f"guard: {{protected: [strike/{name}]}}"
        write("m.yaml", ENDED.format(more=guard, until="2026-02-01T00:00"))
        assert 0 == cxroute("validate")
        assert is_found is ("CXR217" in cxroute.out)


def test_the_page_says_that_apply_refuses_something_later(cxroute: Program) -> None:
    """A campaign without a rule behind it; its end is compared with the time before it."""
    end = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%dT%H:%MZ}"
    text = ENDED.format(more="", until=end)
    write(
        "m.yaml",
        text.replace("intent: refund, queue: Cards", "intent: other, queue: Cards"),
    )
    assert 0 == cxroute("plan", "-e", "sandbox", "--report", "out")
    page = Path("out/plan.html").read_text("utf-8")
    assert 'nothing now; for a later time, see <a href="#later">' in page
    assert "Apply will refuse this" in page
    later = page.partition('<h2 id="later">')[2]
    assert 'data-label="Before"' in later
    assert 'data-label="Today"' not in later.partition("</section>")[0]
    comment = Path("out/plan.md").read_text("utf-8")
    assert "| Before |" in comment.replace("  ", " ")


EDITED = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: Europe/Zurich
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {{key: always, intent: refund, queue: Cards}}
  - {{key: xmas, intent: refund, queue: Fraud, priority: 9, from: {begin}, until: {end}}}
"""
EDITED_TEXT = """\
Dates that this change edits (compared with --base "old"):
  cards/xmas begins   27 Dec 8999, 06:00 (+01:00) -> 28 Dec 8999, 06:00 (+01:00)
"""


@pytest.fixture
def edited(cxroute: Program) -> Program:
    """A sandbox as it should be now, and a change that moves a date."""
    Path("old").mkdir()
    old = EDITED.format(begin="8999-12-27T06:00", end="9000-01-07T00:00")
    Path("old/m.yaml").write_text(old, "utf-8")
    write("m.yaml", EDITED.format(begin="8999-12-28T06:00", end="9000-01-07T00:00"))
    assert 0 == cxroute("apply", "-e", "sandbox", "--yes")
    return cxroute


def test_a_plan_names_the_dates_that_a_change_edits(edited: Program) -> None:
    """In each form, also from a saved plan; a later one than those of Later, too."""
    assert 0 == edited("plan", "--base", "old", "--report", "out", "--out", "p.json")
    assert EDITED_TEXT in edited.out
    assert "No changes now. 1 rule in sandbox matches the manifests." in edited.out
    assert 0 == edited("show", "p.json")
    assert EDITED_TEXT in edited.out
    comment = Path("out/plan.md").read_text("utf-8")
    times = "27 Dec 8999, 06:00 (+01:00) → 28 Dec 8999, 06:00 (+01:00)"
    assert f"- `cards/xmas` begins {times}\n" in comment
    assert "Merge: the first run after each date makes its changes." in comment
    page = Path("out/plan.html").read_text("utf-8")
    assert f"<code>cards/xmas</code> begins {times}</li>" in page
    assert '<a href="#dates">Edited dates <b>1</b></a>' in page


def test_without_an_edited_date_a_plan_says_nothing_of_them(edited: Program) -> None:
    """Nor without a comparison."""
    for base in ("manifests", "none"):
        assert 0 == edited("plan", "--base", base, "--report", "out")
        assert "Dates that" not in edited.out
        assert "No changes. 1 rule in sandbox" in edited.out
        assert "Dates that" not in Path("out/plan.md").read_text("utf-8")
        assert "dates" not in Path("out/plan.html").read_text("utf-8")


def test_many_edited_dates_are_counted(edited: Program) -> None:
    """Twelve are shown, and up to fifty with -v."""
    rule = "  - {{key: k{0}, intent: x{0}, queue: Cards, from: '8999-01-{0}T00:00'}}\n"
    rules = "".join(rule.format(number) for number in range(10, 31))
    write(
        "more.yaml",
        EDITED.partition("---\n")[2].partition("  -")[0].replace("cards", "more")
        + rules,
    )
    assert 0 == edited("plan", "--base", "old")
    assert 11 == edited.out.count("  more/k")
    assert "  and 10 more dates: see the plan as JSON\n" in edited.out
    assert 0 == edited("plan", "--base", "old", "-v")
    assert 21 == edited.out.count("  more/k")
    assert ", new\n" in edited.out
    _, form = edited.json("plan", "--base", "old")
    assert 22 == len(form["editedDates"])


@pytest.mark.parametrize(
    "words",
    [
        ("edited_dates", 0, 0, 1),  # event
        ("edited_dates", 0, 0, 2),  # times
        ("later", 0, 0, 0),  # when
    ],
)
def test_a_time_of_a_saved_plan_is_a_time(
    edited: Program, words: tuple[str | int, ...]
) -> None:
    """The forms print it as it is, so another text is refused."""
    soon = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%dT%H:%MZ}"
    write("m.yaml", EDITED.format(begin=soon, end="9000-01-07T00:00"))
    assert 0 == edited("plan", "--base", "old", "--out", "p.json")
    form = json.loads(Path("p.json").read_text("utf-8"))
    part = form["view"]["content"]["summary"]
    for name in words[:-1]:
        part = part[name]
    last = words[-1]
    part[last] = f"{part[last]} <b>bold</b>"
    form["view"]["digest"] = _digest(form["view"]["content"], form["planId"])
    Path("p.json").write_text(json.dumps(form), "utf-8")
    assert 64 == edited("show", "p.json", "--format", "markdown")
    assert "is not a saved plan" in edited.err
