"""The reference pages list the program's fields, guards, exit codes, faults, operators and
profiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from reconciler.cli.arguments import all_commands
from reconciler.cli.environments import WORST
from reconciler.core.apply.progress import ApplyReport, outcomes_to_json
from reconciler.core.model.change import Applied, Create
from reconciler.core.model.operators import OPERATORS
from reconciler.core.plan.guards import GUARD_NAMES as GUARDS
from reconciler.core.plan.plan_json import plan_schema
from tests.campaign.matrix import ROWS
from tests.campaign.matrix_vocabulary import OPERATIONS
from tests.campaign.profiles import PROFILES
from tests.docs.citations import CITED, REFERENCE
from tests.docs.page import ROOT, fields_of_rows
from tests.support.builders import address, rule

SECTIONS: Final = (
    "Later",
    "Change",
    "Rule",
    "Source",
    "Behaviour",
    "Replay",
    "Destination",
)
"""The definitions of the schema that have a section of their own."""


def test_the_page_of_plans_has_exactly_the_fields_of_the_schema() -> None:
    """Each field is in the table of its section, with its presence."""
    schema = plan_schema()
    definitions = schema["$defs"]
    for name, part in {
        "plan": schema,
        **{name: definitions[name] for name in SECTIONS},
    }.items():
        expected = dict(_fields(part, definitions))
        assert _nested(expected, "acknowledged") in ({}, _nested(expected, "findings"))
        expected = {
            path: present
            for path, present in expected.items()
            if not path.startswith("acknowledged.")
        }
        if name == "Later":  # its guards and promises are those of other sections
            expected = {
                path: present for path, present in expected.items() if "." not in path
            }
        if name == "plan":  # a held change has the fields of a change, and its reason
            change = dict(_fields(definitions["Change"], definitions))
            expected = {
                path: present
                for path, present in expected.items()
                if path.removeprefix("held.") not in change
            }
        listed = fields_of_rows(_section("plan-json", name))
        assert expected == dict(listed), name
        assert len(listed) == len(expected), name


def _fields(
    part: dict[str, Any], definitions: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, bool]]:
    """Yield the path of each field, and whether its object always has it; some definitions have
    their own section.
    """
    name = part.get("$ref", "").rpartition("/")[2]
    if name and name not in SECTIONS:
        yield from _fields(definitions[name], definitions, prefix)
    for inner in [part["items"]] if "items" in part else []:
        yield from _fields(inner, definitions, prefix)
    kinds = [
        dict(_fields(inner, definitions, prefix))
        for inner in part.get("anyOf", ())
        if inner.get("type") != "null"
    ]
    for path in dict.fromkeys(path for kind in kinds for path in kind):
        yield path, all(kind.get(path) for kind in kinds)
    for name, field in part.get("properties", {}).items():
        yield f"{prefix}{name}", name in part["required"]
        yield from _fields(field, definitions, f"{prefix}{name}.")


def _nested(fields: dict[str, bool], name: str) -> dict[str, bool]:
    return {
        path.removeprefix(name): present
        for path, present in fields.items()
        if path.startswith(f"{name}.")
    }


def _section(page: str, heading: str) -> str:
    """Return the text below a heading of the second level."""
    text = CITED[page].read_text(encoding="utf-8")
    (section,) = re.findall(
        rf"^## {heading}\n(.*?)(?=^## |\Z)",
        text,
        re.DOTALL | re.MULTILINE | re.IGNORECASE,
    )
    return str(section)


def test_the_advice_about_refusals_has_every_guard() -> None:
    """In the order of `--allow`."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = page.partition("| guard | refuses if |")[2].partition("\n\n")[0]
    assert [*GUARDS] == re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_the_page_of_plans_has_every_word_of_an_outcome() -> None:
    """With the names of JSON."""
    outcome = Applied(Create(address("cards/new"), rule("new"), None), 1, "7")
    (form,) = outcomes_to_json(ApplyReport(outcomes=(outcome,), converged=True))
    assert [*form] == re.findall(
        r"^\| `outcomes\.(\w+)`", _section("plan-json", "Apply"), re.MULTILINE
    )


def test_the_page_of_exit_codes_knows_commands_and_their_codes() -> None:
    """Each row names existing commands and a code of the first table; the precedence is the
    program's.
    """
    page = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    codes = re.findall(r'<a id="exit-(\d+)">', page)
    rows = re.findall(r"^\| (`.+?`) \| (\d+) \|", page, re.MULTILINE)
    assert {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)} <= {
        *all_commands()
    }
    assert {code for _, code in rows} <= {*codes}
    assert f"in the order {', '.join(map(str, (*WORST, 0)))}." in page


def test_the_page_of_invariants_has_the_matrix_that_the_campaign_tries() -> None:
    """The same faults with the same codes for the same operations."""
    section = _section("invariants", "The fault matrix")
    assert f"| fault | {' | '.join(OPERATIONS)} |" in section
    rows = re.findall(
        r'^\| <a id="f\d+"></a>(F\d+) [^|]+\| (.+) \|$', section, re.MULTILINE
    )
    assert {name: row.codes.split() for name, row in ROWS.items()} == {
        name: codes.split(" | ") for name, codes in rows
    }
    assert set(PROFILES) == set(
        re.findall(
            r"^\| ([A-Z]) \|", _section("invariants", "Server profiles"), re.MULTILINE
        )
    )


def test_the_page_of_semantics_has_every_operator() -> None:
    """Each operator occurs in one of the items, or in the common text."""
    assert {*OPERATORS} <= set(
        re.findall(r"`(\w+)", _section("semantics", "Evaluation"))
    )
