"""Every place that takes a time takes the same forms, and refuses the same texts (docs/manifests.md#times)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from reconciler.cli.arguments import all_commands, command_module
from reconciler.cli.parsing import CommandParser
from reconciler.core.checks.route_tests import check
from reconciler.core.desired.calendar import DatedRule
from reconciler.core.desired.desired import desire_offline
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.documents import manifest_schema
from reconciler.core.manifest.kinds.guard_limits import DatedFreeze
from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.core.plan.guards import apply_allowance
from reconciler.core.plan.stages import GuardResult
from reconciler.core.text.local_time import TIME
from reconciler.features.assistant.tools import TOOLS
from tests.support.cases import each_case
from tests.support.fallback_project import git
from tests.support.program import Program, write

NOW: Final = datetime(2026, 5, 1, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
DAY_LENGTH: Final = len("2026-12-27")
EARLY: Final = "1971-01-01T00:00:00Z"
LATE: Final = "2095-01-01T00:00:00Z"
READING: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)")
DATE: Final = re.compile(r"\d{4}-\d\d-\d\d.*")

# the fields, each with the name by which `manifest` places a time in it
FIELDS: Final = {
    ("RuleEntry", "from"): "from",
    ("RuleEntry", "until"): "until",
    ("StepEntry", "at"): "step",
    ("Hold", "until"): "hold",
    ("Given", "at"): "given",
    ("Allow", "until"): "allow_until",
    ("Allow", "at"): "allow_at",
    ("DatedFreeze", "start"): "start",
    ("DatedFreeze", "end"): "end",
}
PLACES: Final = tuple(FIELDS.values())
# a time of day without a date, or a length of time
OTHER_FIELDS: Final = {("WeeklyFreeze", "from"), ("WeeklyFreeze", "to")}
COMMANDS: Final = ("explain", "plan", "validate", "test", "since", "studio")
# of the options whose name could be that of a time
OTHER_OPTIONS: Final = {
    "--since": "a switch",
    "--from": "a file",
    "--every": "a length of time",
}
_WORDS: Final = {
    "after",
    "age",
    "at",
    "before",
    "date",
    "day",
    "from",
    "instant",
    "now",
    "since",
    "start",
    "time",
    "to",
    "until",
    "when",
}


def shown(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact_rule(expected: datetime) -> str:
    """Return the fields of a rule that exists for one second."""
    return f"from: '{shown(expected)}', until: '{shown(expected + SECOND)}'"


def manifest(
    place: str, text: str, zone: str | None, expected: datetime = NOW
) -> bytes:
    """Return manifests with a text in one place; all other times have an offset."""
    times = dict.fromkeys(PLACES, LATE)
    times |= {"from": EARLY, "start": EARLY, "given": shown(expected), place: text}
    timezone = f"timezone: {zone}\n" if zone else ""
    return f"""apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
{timezone}guard:
  allow:
    - {{name: deletes, until: '{times["allow_until"]}', reason: r}}
    - {{name: changes, at: '{times["allow_at"]}', reason: r}}
freeze:
  - {{start: '{times["start"]}', end: '{times["end"]}'}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {{key: held, intent: held, queue: A, hold: {{until: '{times["hold"]}', reason: r}}}}
  - {{key: dated, intent: dated, queue: A, from: '{times["from"]}', until: '{times["until"]}'}}
  - key: ramp
    intent: ramp
    targets: [{{queue: A, weight: 1}}, {{queue: B, weight: 0}}]
    steps: [{{at: '{times["step"]}', weights: {{A: 0, B: 1}}}}]
  - {{key: exact, intent: exact, queue: A, {exact_rule(expected)}}}
---
apiVersion: routing/v1
kind: RouteTests
name: tests
tests:
  - {{given: {{intent: exact, at: '{times["given"]}'}}, expect: {{queue: A}}}}
""".encode()


def loaded(place: str, text: str, zone: str | None, expected: datetime) -> Manifests:
    contents = manifest(place, text, zone, expected)
    return load_contents([("m.yaml", contents)], instant=NOW)


def observed(place: str, text: str, zone: str | None, expected: datetime) -> Any:
    """Return the instant that a place has for a text; None for another than the expected one where
    only that can be asked.
    """
    manifests = loaded(place, text, zone, expected)
    environment = manifests.environment("prod")
    freeze = environment.freeze[0]
    assert isinstance(freeze, DatedFreeze)
    if place in {"start", "end"}:
        return freeze.bounds()[place == "end"]
    if place in {"allow_until", "allow_at"}:
        return _allowed_at(environment, place, expected)
    if place == "given":
        (result,) = check(manifests, environment).tried
        return expected if result.failure is None else None
    desired, _ = desire_offline(manifests, environment)
    assert desired.calendar is not None
    rules = {
        str(rule.address): rule
        for rule in (
            entry.steps[0].rule if isinstance(entry, DatedRule) else entry
            for entry in desired.calendar.entries
        )
    }
    if place == "hold":
        hold = rules["cards/held"].hold
        assert hold is not None
        return hold.until
    dated, ramp = (
        next(
            entry
            for entry in desired.calendar.entries
            if isinstance(entry, DatedRule) and entry.address.key == key
        )
        for key in ("dated", "ramp")
    )
    return {
        "from": dated.interval.start,
        "until": dated.interval.end,
        "step": ramp.steps[1].at,
    }[place]


def _allowed_at(environment: Any, place: str, expected: datetime) -> datetime | None:
    """Return the expected time if the exception of a place ends, or is about a date, then."""
    name = "deletes" if place == "allow_until" else "changes"
    refused = GuardResult(name=name, value=9, limit=1, ok=False, message="no")

    def allows(now: datetime, since: datetime | None) -> bool:
        return apply_allowance(refused, environment, now, since).ok

    if place == "allow_until":
        answers = (allows(expected - SECOND, None), allows(expected, None))
    else:
        answers = (allows(expected, expected), allows(expected, expected - SECOND))
    return expected if answers == (True, False) else None


def refusal(place: str, text: str, zone: str | None) -> str:
    """Return the one error of manifests with a text in one place."""
    try:
        manifests = loaded(place, text, zone, NOW)
        environment = manifests.environment("prod")
        checked = check(manifests, environment)
        found = [
            *checked.findings,
            *filter(None, (each.failure for each in checked.tried)),
        ]
        findings = [each for each in found if each.severity == "error"]
    except ManifestError as error:
        findings = list(error.findings)
    (finding,) = findings
    assert "CXR104" == finding.code
    return f"{finding.message}; {finding.hint}"


def brute(local: datetime, zone: str) -> list[datetime]:
    """Return the instants at which the clocks of a zone show a local time, by trying all near it."""
    place = ZoneInfo(zone)
    utc = local.replace(tzinfo=UTC)
    offsets = {
        (utc + timedelta(hours=hours)).astimezone(place).utcoffset()
        for hours in range(-30, 31)
    }
    instants = {utc - offset for offset in offsets if offset is not None}
    return sorted(
        instant
        for instant in instants
        if instant.astimezone(place).replace(tzinfo=None) == local
    )


def random_times(
    random: Random, count: int
) -> Iterator[tuple[str, str, list[datetime], datetime]]:
    """Yield local times as texts, with their zones, their instants by brute force, and as local
    times; many of them near changes of the clocks.
    """
    zones = [
        "Europe/Berlin",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "America/Havana",
        "Asia/Beirut",
        "Pacific/Apia",
    ]
    for _ in range(count):
        zone = random.choice(zones)
        day = datetime(random.randint(1975, 2036), 1, 1, tzinfo=UTC) + timedelta(
            days=random.randrange(365)
        )
        if random.random() < 0.9:
            day = _near_change(day, zone)
        local = day.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        local += timedelta(seconds=random.randint(-4000, 4000))
        form = random.choice(["seconds", "minutes", "minutes", "date"])
        if form == "date":
            local = local.replace(hour=0, minute=0, second=0)
            text = f"{local:%Y-%m-%d}"
        elif form == "minutes":
            local = local.replace(second=0)
            text = f"{local:%Y-%m-%dT%H:%M}"
        else:
            text = f"{local:%Y-%m-%dt%H:%M:%S}"
        yield zone, text, brute(local, zone), local


def _near_change(day: datetime, zone: str) -> datetime:
    """Return the first hour of 400 days before which the clocks change; the day without one."""
    place = ZoneInfo(zone)
    for hours in range(400 * 24):
        hour = day + timedelta(hours=hours)
        following = hour + timedelta(hours=1)
        if (
            hour.astimezone(place).utcoffset()
            != following.astimezone(place).utcoffset()
        ):
            return following
    return day


def is_inexact(message: str, zone: str, instants: Sequence[datetime]) -> bool:
    """Return whether an error says that a local time is skipped or doubled, and names readings."""
    verb = "show it twice" if instants else "skip it"
    _, _, meanings = message.partition("could mean ")
    named = [datetime.fromisoformat(each) for each in READING.findall(meanings)[:2]]
    place = ZoneInfo(zone)
    offsets = [each.utcoffset() for each in named]
    shows_them = offsets == [each.astimezone(place).utcoffset() for each in named]
    is_right = not instants or sorted(named) == list(instants)
    has_words = f"is not an exact time in {zone}" in message and verb in message
    return has_words and len(set(named)) == 2 and shows_them and is_right


# --- the lists are complete ---


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for inner in model.__subclasses__():
        yield from _models(inner)


def test_the_list_of_fields_is_that_of_the_models() -> None:
    """A field of any part of a manifest whose type is a time or a day."""
    found = set()
    for model in _models(BaseModel):
        if not model.__module__.startswith("reconciler.core.manifest"):
            continue
        for name, field in model.model_fields.items():
            if re.search(r"\b(datetime|date)\b", repr(field.annotation)):
                found.add((model.__name__, field.alias or name))
    assert set(FIELDS) == found


def test_the_schema_has_one_pattern_for_all_times() -> None:
    """Each field whose example looks like a date has it."""
    found = set()
    for name, part in manifest_schema()["$defs"].items():
        for field, content in part.get("properties", {}).items():
            examples = content.get("examples", [])
            if any(isinstance(each, str) and DATE.fullmatch(each) for each in examples):
                found.add((name, field))
                assert f"^{TIME.pattern}$" == content["pattern"], field
    assert set(FIELDS) == found


def test_the_list_of_commands_is_that_of_the_parsers() -> None:
    """Each option that could be a time by its name or its placeholder is known."""
    found = set()
    for name in all_commands():
        parser = CommandParser(name, command_module(name))
        for action in parser._actions:
            for option in action.option_strings:
                words = set(option.strip("-").split("-"))
                if option == "--at":
                    found.add(name)
                    assert "(its midnight)" in str(action.help)
                elif words & _WORDS and option not in OTHER_OPTIONS:
                    pytest.fail(f"{name} {option}: is it a time?")
            placeholder = str(action.metavar).upper()
            is_time = re.search(r"\b(TIME|DATE|DAY|INSTANT)\b", placeholder)
            known = {"--at", *OTHER_OPTIONS}
            assert not is_time or known & {*action.option_strings}, (name, placeholder)
    assert set(COMMANDS) == found


def test_no_tool_of_the_assistant_takes_a_time() -> None:
    """Its answers are about now."""
    names = [
        name for tool in TOOLS.values() for name in tool.schema().get("properties", {})
    ]
    words = {word for name in names for word in re.split(r"[_\W]|(?=[A-Z])", name)}
    assert len(names) > 5
    assert set() == words & (_WORDS - {"from", "to"})


def first_minute_after(day: datetime, zone: str) -> datetime:
    """Return the first minute whose local date is later than a day, by trying all around it."""
    place = ZoneInfo(zone)
    begin = day.replace(tzinfo=UTC) + timedelta(hours=8)
    minutes = (begin + timedelta(minutes=number) for number in range(48 * 60))
    return next(each for each in minutes if each.astimezone(place).date() > day.date())


def test_a_last_day_of_a_freeze_ends_at_a_change_of_clocks() -> None:
    """Its end is certain where the clocks skip the next midnight, or show it twice."""
    for zone, day, end in (
        ("Asia/Beirut", "2026-03-28", "2026-03-28T22:00+00:00"),
        ("America/Havana", "2026-10-31", "2026-11-01T04:00+00:00"),
        ("Pacific/Apia", "2011-12-29", "2011-12-30T10:00+00:00"),
    ):
        window = {"start": "2011-12-01", "end": day, "timezone": zone}
        freeze = DatedFreeze.model_validate(window)
        assert datetime.fromisoformat(end) == freeze.bounds()[1]


# --- fields ---


@pytest.mark.parametrize("place", PLACES)
def test_each_field_takes_random_local_times(place: str) -> None:
    """Beside what the clocks show, by brute force: an instant, or an error with both readings."""
    random = Random(f"times {place}")
    exact = 0
    refused = 0
    for zone, text, instants, local in random_times(random, 60):
        # a day at the end of a freeze is a part of it
        is_last_day = place == "end" and len(text) == DAY_LENGTH
        meant = [first_minute_after(local, zone)] if is_last_day else instants
        if len(meant) == 1:
            exact += 1
            assert meant[0] == observed(place, text, zone, meant[0]), (zone, text)
        else:
            refused += 1
            message = refusal(place, text, zone)
            assert is_inexact(message, zone, meant), (zone, text, message)
    assert exact >= 15
    assert refused >= 5


@pytest.mark.parametrize("place", PLACES)
def test_each_field_takes_a_time_with_its_offset(place: str) -> None:
    """With and without a time zone of the Environment, also in the middle of a change."""
    for zone in ("Europe/Berlin", None):
        for text in (
            "2027-03-28T02:30+05:45",
            "2027-10-31t00:30:00z",
            "2027-10-31T02:30:00.75+01:00",
        ):
            expected = datetime.fromisoformat(text.upper()).replace(microsecond=0)
            assert expected == observed(place, text, zone, expected)


@pytest.mark.parametrize("place", PLACES)
def test_each_field_needs_a_zone_for_local_times(place: str) -> None:
    """Days of a freeze are in UTC without one."""
    for text in ("2027-03-28T02:30", "2027-03-28"):
        if place in {"start", "end"} and len(text) == DAY_LENGTH:
            day = datetime(2027, 3, 28 + (place == "end"), tzinfo=UTC)
            assert day == observed(place, text, None, day)
            continue
        message = refusal(place, text, None)
        assert "is a local time" in message
        assert "has no `timezone`" in message
        assert "add the offset of the time from UTC" in message


@pytest.mark.parametrize("place", PLACES)
def test_each_field_refuses_other_texts_in_the_same_words(place: str) -> None:
    """The message lists the forms."""
    for text in (
        "soon",
        "2027-02-30",
        "2027-03-28T2:30",
        "2027-03-28T24:00Z",
        "2027-W01-1",
        "2027-03-28T02:30+00:60",
    ):
        message = refusal(place, text, "Europe/Berlin")
        assert "must be a time, such as 2026-12-27T06:00+01:00" in message
        assert "(its midnight)" in message


@pytest.mark.parametrize("place", PLACES)
def test_each_field_takes_a_plain_date(place: str) -> None:
    """Without quotes, and without a warning about other YAML tools."""
    zone = "Asia/Kathmandu"
    quoted = manifest(place, "2027-03-28", zone)
    plain = quoted.replace(b"'2027-03-28'", b"2027-03-28")
    assert quoted != plain
    assert () == load_contents([("m.yaml", plain)], instant=NOW).warnings


def test_a_freeze_has_its_own_zone() -> None:
    """It wins over that of the Environment."""
    window = {
        "start": "2027-03-01T08:00",
        "end": "2027-03-01",
        "timezone": "Asia/Kathmandu",
    }
    freeze = DatedFreeze.model_validate(window)
    quarter = timedelta(hours=5, minutes=45)
    expected = (
        datetime(2027, 3, 1, 8, tzinfo=UTC) - quarter,
        datetime(2027, 3, 2, tzinfo=UTC) - quarter,
    )
    assert expected == freeze.bounds()


# --- options ---


def project(zone: str | None, expected: datetime) -> str:
    """Return manifests about one second, with a Studio Environment and another one."""
    timezone = f"timezone: {zone}\n" if zone else ""
    head = "apiVersion: routing/v1\nkind: "
    studio = (
        "api: {auth: access-key, area: na1, queues: acd-skills, rules: studio,"
        " studio: {script: Hand-over}}\n"
    )
    return f"""{head}Environment
name: prod
owner: acme
tenant: acme
{timezone}---
{head}Environment
name: block
owner: blocks
tenant: acme
{timezone}{studio}---
{head}Queues
name: skills
queues: {{A: {{prod: {{name: A}}, block: {{id: "4001"}}}}}}
---
{head}RuleSet
name: cards
rules:
  - {{key: rest, intent: other, queue: A}}
  - {{key: exact, intent: exact, queue: A, {exact_rule(expected)}}}
---
{head}RuleSet
name: ended
rules:
  - {{key: over, intent: over, queue: A, until: '{shown(expected)}'}}
  - {{key: last, intent: last, queue: A, until: '{shown(expected + SECOND)}'}}
---
{head}RouteTests
name: ends
tests:
  - {{given: {{intent: over}}, expect: {{default: true}}}}
  - {{given: {{intent: last}}, expect: {{default: true}}}}
"""


def _explains(cxroute: Program, text: str, _expected: datetime) -> bool:
    _, form = cxroute.json("explain", "-e", "prod", "--intent", "exact", "--at", text)
    return bool(form["winner"] == "cards/exact")


def _plans(cxroute: Program, text: str, expected: datetime) -> bool:
    Path("live.json").write_text(
        '{"rules": [], "queues": [{"id": "1", "name": "A"}]}', "utf-8"
    )
    arguments = ("-e", "prod", "--live", "live.json", "--at", text)
    _, form = cxroute.json("plan", *arguments)
    created = {change["address"] for change in form["changes"]}
    is_made = created == {"cards/rest", "cards/exact", "ended/last"}
    return is_made and form["options"]["at"] == shown(expected)


def _validates(cxroute: Program, text: str, _expected: datetime) -> bool:
    _, form = cxroute.json("validate", "-e", "prod", "--at", text)
    over = [each["address"] for each in form["findings"] if each["code"] == "CXR242"]
    return over == ["ended/over"]


def _tests(cxroute: Program, text: str, _expected: datetime) -> bool:
    _, form = cxroute.json("test", "-e", "prod", "--at", text)
    failed = [each["test"] for each in form["results"] if not each["passed"]]
    return failed == [2]


def _finds(cxroute: Program, text: str, _expected: datetime) -> bool:
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "--allow-empty", "-m", "Begin")
    _, form = cxroute.json("since", "-e", "prod", "--intent", "exact", "--at", text)
    return bool(form["now"]["rule"] == "cards/exact")


def _builds(cxroute: Program, text: str, _expected: datetime) -> bool:
    assert 0 == cxroute("-e", "block", "studio", "build", "--at", text), cxroute.err
    return '"exact"' in cxroute.out


OBSERVE: Final[dict[str, Callable[[Program, str, datetime], bool]]] = {
    "explain": _explains,
    "plan": _plans,
    "validate": _validates,
    "test": _tests,
    "since": _finds,
    "studio": _builds,
}


def refused_words(cxroute: Program, command: str, text: str) -> str:
    """Return the message with which a command refuses a time."""
    conversation = ("--intent", "exact")
    words = {
        "explain": ("-e", "prod", "explain", *conversation),
        "since": ("-e", "prod", "since", *conversation),
        "studio": ("-e", "block", "studio", "build"),
        "plan": ("-e", "prod", "plan", "--live", "live.json"),
    }.get(command, ("-e", "prod", command))
    Path("live.json").write_text('{"rules": [], "queues": []}', "utf-8")
    if command == "since":
        git("init", "-q", "-b", "main")
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "Begin")
    assert 64 == cxroute(*words, "--at", text), (cxroute.out, cxroute.err)
    return " ".join(cxroute.err.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_takes_the_forms(cxroute: Program, command: str) -> None:
    """Random local times, and times with an offset; beside what the clocks show."""
    random = Random(f"at {command}")
    exact = 0
    refused = 0
    for zone, text, instants, _local in random_times(random, 10):
        if len(instants) == 1:
            exact += 1
            write("m.yaml", project(zone, instants[0]))
            assert OBSERVE[command](cxroute, text, instants[0]), (zone, text)
            with_offset = instants[0].astimezone(ZoneInfo(zone)).isoformat()
            assert OBSERVE[command](cxroute, with_offset, instants[0]), with_offset
        else:
            refused += 1
            write("m.yaml", project(zone, NOW))
            message = refused_words(cxroute, command, text)
            assert is_inexact(message, zone, instants), message
    assert exact >= 2
    assert refused >= 1


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_needs_a_zone_for_local_times(
    cxroute: Program, command: str
) -> None:
    """Also if no rule had a date: then, the time would be read by nothing."""
    undated = project(None, NOW).replace(f", {exact_rule(NOW)}", "")
    undated = re.sub(r", until: '[^']*'", "", undated)
    for text in (project(None, NOW), undated):
        write("m.yaml", text)
        for time in ("2027-03-28T02:30", "2027-03-28"):
            message = refused_words(cxroute, command, time)
            assert "is a local time" in message
            assert "has no `timezone`" in message
            assert "add the offset of the time from UTC" in message


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_refuses_other_texts(cxroute: Program, command: str) -> None:
    """In the words of manifests; no text reaches a terminal as it is."""
    write("m.yaml", project("Europe/Berlin", NOW))
    for text in ("soon", "2027-02-30", "2027-03-28T2:30", "\x1b[31m"):
        message = refused_words(cxroute, command, text)
        assert "must be a time, such as 2026-12-27T06:00+01:00" in message
        assert "(its midnight)" in message
        assert "\x1b" not in message


@each_case(
    "names, code",
    [("one,two", 0), ("one,three", 64), ("two,none", 64)],
)
def test_a_local_time_is_one_of_each_environment(
    cxroute: Program, names: str, code: int
) -> None:
    """Each has its own zone; one without a zone refuses it."""
    zones = {
        "one": "timezone: Europe/Berlin\n",
        "two": "timezone: Asia/Kathmandu\n",
        "three": "",
        "none": "",
    }
    environments = "---\n".join(
        f"apiVersion: routing/v1\nkind: Environment\nname: {name}\nowner: {name}\n"
        f"tenant: {name}\n{zones[name]}"
        for name in zones
    )
    tests = """---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: berlin, intent: a, queue: A, environments: [one], until: 2027-01-01T11:00:00Z}
  - {key: nepal, intent: a, queue: A, environments: [two], until: 2027-01-01T06:15:00Z}
---
apiVersion: routing/v1
kind: RouteTests
name: ends
tests: [{given: {intent: a}, expect: {default: true}}]
"""
    write("m.yaml", environments + tests)
    arguments = ("-e", names, "test")
    assert code == cxroute(*arguments, "--at", "2027-01-01T12:00"), cxroute.err
    if code == 0:
        assert 3 == cxroute(*arguments, "--at", "2027-01-01T11:59:59")
        assert "one" in cxroute.out
        assert "two" in cxroute.out


def test_a_plan_compares_with_the_base_at_the_same_instant(cxroute: Program) -> None:
    """Even if the time zone is a part of the change."""
    before = project("Asia/Kathmandu", NOW)
    write("m.yaml", before)
    Path("manifests").rename("old")
    write("m.yaml", project("Europe/Berlin", NOW))
    Path("live.json").write_text(
        '{"rules": [], "queues": [{"id": "1", "name": "A"}]}', "utf-8"
    )
    arguments = ("-e", "prod", "--live", "live.json", "--base", "old")
    _, form = cxroute.json("plan", *arguments, "--at", "2026-05-01T02:00")
    assert shown(NOW) == form["options"]["at"]
    # the manifests before the change have no zone at all
    Path("old/m.yaml").write_text(project(None, NOW), "utf-8")
    _, form = cxroute.json("plan", *arguments, "--at", "2026-05-01T02:00")
    assert shown(NOW) == form["options"]["at"]
    assert "CXR321" not in {finding["code"] for finding in form["findings"]}


def test_added_tests_are_about_the_local_time_of_the_option(cxroute: Program) -> None:
    """`test --adequacy --write` writes it as it was given, and the tests pass now."""
    dates = "from: 2027-03-01, until: 2027-04-01"
    text = project("Europe/Berlin", NOW).replace(exact_rule(NOW), dates)
    head, _, _ = text.rpartition("---\n")  # without the tests
    write("m.yaml", head)
    arguments = ("test", "-e", "prod", "--adequacy", "--write", "manifests/t.yaml")
    assert 0 == cxroute(*arguments, "--at", "2027-03-01"), cxroute.err
    added = Path("manifests/t.yaml").read_text("utf-8")
    assert 'intent: exact, at: "2027-03-01T00:00:00"' in added
    assert 0 == cxroute("test", "-e", "prod"), cxroute.err
