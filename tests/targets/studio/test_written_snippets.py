"""Random snippets as people write them: their rules decide as the snippet does, or a refusal is
true.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from random import Random
from typing import Any, Final

import pytest

from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.errors import CxrouteError
from reconciler.core.model.rule import Rule, Target
from reconciler.targets.studio.imported import ImportedSnippet
from reconciler.targets.studio.layout import BlockLayout
from tests.support.snippet_interpreter import UndocumentedError, run_code
from tests.support.written_snippets import (
    NUMBER_VARIABLES,
    SnippetWriter,
    WrittenSnippet,
    contact,
)
from tests.tiers import size

LAYOUT = BlockLayout(owner="acme", block="main", variables={})
SNIPPETS = size(fast=150, slow=600, full=5_000)
CONTACTS = 40
PARTS = 4
_EXAMPLE = re.compile(r"contacts such as (\{.*?\}) get no skill")
_PROBLEM = re.compile(r"\n  line ([0-9]+): (.*)")


def shares_of(rule: Rule | None) -> dict[str, int]:
    """Return the percent of each skill of a rule; without a rule, all contacts have none."""
    if rule is None:
        return {"": 100}
    targets = [part for part in rule.targets if isinstance(part, Target)]
    if len(targets) == 1:
        return {targets[0].queue_id: 100}
    return {target.queue_id: int(target.weight) for target in targets}


def as_rules_see(values: dict[str, Any]) -> dict[str, Any]:
    """Return a contact's values as rules compare them: a text of digits is a number where the
    snippet compares numbers.
    """
    seen = {name: value for name, value in values.items() if name != "contactid"}
    for name in NUMBER_VARIABLES:
        value = seen.get(name)
        if isinstance(value, str) and value != "none":
            seen[name] = float(value)
    return seen


def shares_by_snippet(text: str, values: dict[str, Any]) -> dict[str, int]:
    """Return the percent of the contacts with these values that get each skill."""
    counts = Counter[str]()
    contacts = range(0, 100, 10) if "percent" in text else (0,)
    for contact_id in contacts:
        result = run_code(text, {**values, "contactid": contact_id}).get("skill")
        skill = "" if result is None else str(result)
        counts[skill] += 100 // len(contacts)
    return dict(counts)


def check_rules(text: str, rules: list[Rule], random: Random) -> int:
    """Compare the rules with the snippet on random contacts; return how many were compared."""
    entries = [
        RoutingEntry(name=str(place), rule=rule) for place, rule in enumerate(rules)
    ]
    compared = 0
    for _ in range(CONTACTS):
        values = contact(random)
        try:
            expected = shares_by_snippet(text, values)
        except UndocumentedError:
            continue
        winner = route_conversation(entries, as_rules_see(values)).winner
        actual = shares_of(winner.rule if winner else None)
        assert expected == actual, (text, values)
        compared += 1
    return compared


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text).lower()


def _gets_none(text: str, random: Random) -> bool:
    """Return whether a random contact gets no skill, as far as documents say."""
    try:
        return shares_by_snippet(text, contact(random)) == {"": 100}
    except UndocumentedError:
        return True


_SKILL_VARIABLE: Final = re.compile(r"(?i)\b\w*(?:skill|queue)\w*\s*=")


def check_refusal(snippet: WrittenSnippet, message: str, random: Random) -> None:
    """Check that each problem is in its line, and that an example of a contact gets no skill."""
    lines = snippet.text.splitlines()
    if message.startswith('no variable of the snippet has "skill" or "queue"'):
        assert not _SKILL_VARIABLE.search(snippet.text), snippet.text
        return
    problems = _PROBLEM.findall(message)
    assert problems, message
    for number, reason in problems:
        line = lines[int(number) - 1]
        example = _EXAMPLE.match(reason)
        if example:
            values = json.loads(example[1])
            assert shares_by_snippet(snippet.text, values) == {"": 100}, reason
            continue
        if reason == "no contact gets a skill":
            assert all(_gets_none(snippet.text, random) for _ in range(CONTACTS))
            continue
        construct = re.search("`(.*)`$", reason)
        assert construct, reason
        assert squeezed(construct[1]) in squeezed(line), (snippet.text, number, reason)
        assert snippet.wrong, (snippet.text, reason)


@pytest.mark.generated
@pytest.mark.parametrize("part", range(PARTS))
def test_a_snippet_decides_as_its_rules_or_a_refusal_is_true(part: int) -> None:
    """Contacts have missing values, texts, and numbers as texts.

    A refusal names a line, and what stands in it, or a contact that gets no skill.
    """
    imported = refused = compared = 0
    for seed in range(part, SNIPPETS, PARTS):
        random = Random(f"written {seed}")
        snippet = SnippetWriter(random).write()
        try:
            rules = ImportedSnippet(snippet.text, LAYOUT).rules
        except CxrouteError as error:
            check_refusal(snippet, str(error), random)
            refused += 1
        else:
            assert not snippet.wrong, snippet.text
            compared += check_rules(snippet.text, rules, random)
            imported += 1
    assert imported > refused
    assert compared > 10 * imported
