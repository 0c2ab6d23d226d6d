"""The block is found in one property of a script, and nothing but its lines is replaced."""

from __future__ import annotations

import base64
import json
import re
from random import Random
from typing import Any
from xml.sax.saxutils import escape

import pytest

from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.script import (
    ScriptError,
    find_block,
    find_decisions,
    find_file_block,
    replace_block,
)
from tests.support.cases import each_case
from tests.support.studio_rules import LAYOUT, block_of, odd_rule
from tests.tiers import size

BEGIN = LAYOUT.begin
END = LAYOUT.end
BLOCK = block_of([odd_rule(Random("script"))])
OLD = f'{BEGIN}\nASSIGN x = "old"\n{END}'
ODD = (
    '"\\\\"',
    "日本 é",
    "a\r\nb",
    "\\u0041",
    "{x}",
    "// cxroute:begin other/b\n// cxroute:end",
    "\u2028",
    "\ud800",
    "1e5",
)


def script(value: str, random: Random, actions: int = 3) -> str:
    """Return a script's JSON as a server may write it: odd numbers, escapes, blanks and order."""
    names = [str(number) for number in range(1, actions + 1)]
    home = random.choice(names)
    remaining_items = random.choices(ODD, k=actions)
    properties: dict[str, Any] = {
        name: {
            "0": {
                "name": "caption",
                "value": candidate,
                "hidden": False,
                "extra": [1.5, {"x": None}],
            },
            "1": {
                "name": "text",
                "value": value if name == home else f"x{candidate}",
                "hidden": True,
            },
            "2": {"name": "number", "value": 1000, "value2": candidate},
        }
        for name, candidate in zip(names, remaining_items, strict=True)
    }
    data = {
        "header": {
            "masterId": "77",
            "lockInfo": {"lockedName": "", "lockedId": ""},
            "version": 1,
            "é": "ü",
        },
        "actions": {name: {"x": 12, "label": "// cxroute:begin"} for name in names},
        "properties": properties,
        "branches": {name: [] for name in names},
    }
    members = list(data.items())
    random.shuffle(members)
    indent = random.choice((None, 1))
    text = json.dumps(dict(members), ensure_ascii=random.random() < 0.5, indent=indent)
    return re.sub(r": 1000\b", ": 1000.0", text).replace(
        '": ', random.choice(('": ', '" :\t'))
    )


@pytest.mark.generated
def test_only_the_lines_of_the_block_change() -> None:
    """Every byte outside the string stays, and every character of its value outside the text between
    the marker lines: their indentation and blanks, too.
    """
    for seed in range(size(fast=10, slow=40, full=300)):
        random = Random(f"replace {seed}")
        newline = random.choice(("\n", "\r\n"))
        begin = BEGIN + random.choice(("", " ", "\t  "))
        end = random.choice(("", "  ", "\t")) + END + random.choice(("", " "))
        before = newline.join(
            random.choices(["a = 1", 'b = "{x}"', "// ü \u2028", ""], k=3)
        ) + random.choice(("  ", newline))
        after = newline + newline.join(["", "c = 2", "// cxroute:end"])
        before = before if before.endswith(("\n", "  ")) else before + newline
        before = before if before.strip(" ").endswith("\n") else newline + "  "
        value = before + newline.join([begin, 'ASSIGN x = "old"', end]) + after
        content = script(value, random, random.choice((1, 3, 1000 if seed < 3 else 5)))
        actual = find_block(content, LAYOUT)
        assert (actual.text, actual.newline, actual.value) == (OLD, newline, value)
        assert actual.first_line == before.count("\n") + 1
        stored = replace_block(content, actual, BLOCK)
        assert stored[: actual.start] == content[: actual.start]
        assert (
            stored[len(stored) - len(content) + actual.end :] == content[actual.end :]
        )
        string = stored[actual.start : len(stored) - len(content) + actual.end]
        between = BLOCK.split("\n")[1:-1]
        assert (
            json.loads(string) == before + newline.join([begin, *between, end]) + after
        )
        assert find_block(stored, LAYOUT).text == BLOCK
        assert actual.master_id == "77"


def simple(value: str, **members: Any) -> str:
    return json.dumps(
        {"header": {}, "properties": {"1": {"0": {"value": value}}}, **members}
    )


@each_case(
    "content, message",
    [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"a": NaN}', "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('{"a":' * 100_000, "not a JSON object"),
        ("{}", "has no block acme-routing/main in a property; put the lines"),
        (simple("x"), "has no block"),
        (simple(OLD.replace("main", "mains")), "has no block"),
        (simple(OLD.replace("begin ", "begin  ")), "has no block"),
        (
            simple(f"{END}\n{BEGIN}"),
            "begins in line 2 of its snippet, and does not end",
        ),
        (simple(f"{OLD}\n{OLD}"), "has 2 blocks"),
        (simple(f"{BEGIN}\n{OLD}"), "does not end"),
        (simple(f"{BEGIN}\n// cxroute:begin x/y\n{END}"), "does not end"),
        (simple(f"x {BEGIN}\n{END}"), "has no block"),
        (simple("x", actions={"1": {"value": OLD}}), "has no block"),
        (simple("x", properties={"1": {"0": {"name": OLD}}}), "has no block"),
        (simple("x", properties=[OLD]), "has no block"),
        (
            simple(OLD, properties={"1": {"0": {"value": OLD}, "1": {"value": OLD}}}),
            "has 2 blocks",
        ),
        (simple(OLD, actions={"1": {"label": OLD}}), "has 2 blocks"),
    ],
)
def test_a_script_without_exactly_one_block_is_refused(
    content: str, message: str
) -> None:
    """The message says what is wrong, and then what to do."""
    with pytest.raises(ScriptError, match=re.escape(message)) as caught:
        find_block(content, LAYOUT)
    assert re.fullmatch("[^;]+; [^;]+", str(caught.value))


def test_a_member_that_is_repeated_counts_as_the_parser_counts_it() -> None:
    """A block in a value that a later member of the same name replaces is not a block of the
    script.
    """
    value = json.dumps(OLD)
    content = f'{{"properties": {{"1": {{"0": {{"value": {value}, "value": "x"}}}}}}}}'
    with pytest.raises(ScriptError, match="has no block"):
        find_block(content, LAYOUT)
    content = content.replace(f'{value}, "value": "x"', f'"x", "value": {value}')
    assert find_block(content, LAYOUT).text == OLD


@each_case(
    "header, expected",
    [
        ({"masterId": 12}, "12"),
        ({"masterId": "12"}, "12"),
        ({"masterId": None}, ""),
        ({"masterId": True}, ""),
        ([], ""),
    ],
)
def test_the_header_is_read_without_trust(header: Any, expected: str) -> None:
    """Another type than text or a number is the empty text."""
    assert find_block(simple(OLD, header=header), LAYOUT).master_id == expected


def test_a_block_is_not_written_into_another_script() -> None:
    """If the string is not where it was, the script is another one."""
    content = simple(OLD)
    actual = find_block(content, LAYOUT)
    for candidate in (
        content.replace("old", "new"),
        f" {content}",
        "",
        content[: actual.end - 1],
    ):
        with pytest.raises(ScriptError, match="not the one that was read"):
            replace_block(candidate, actual, BLOCK)


def test_an_escaped_marker_is_found() -> None:
    """A server may write any character as an escape."""
    content = simple(OLD).replace("cxroute", "\\u0063xr\\u006fute")
    assert find_block(content, LAYOUT).text == OLD


XML = """<?xml version="1.0" encoding="utf-8"?>
<ScriptContainer xmlns="urn:x"><Actions><ActionStruct><ActionID>1</ActionID><Parameters>
<string>{}</string><string>x</string><string/></Parameters></ActionStruct></Actions></ScriptContainer>"""
HAND_WRITTEN = 'SELECT\n{\n  case ( intent = "a" )\n  {\n    skill = 1\n  }\n}'


@pytest.mark.parametrize(
    "value", [f"a = 1\n{OLD}\nb = 2", HAND_WRITTEN], ids=["block", "hand-written"]
)
def test_a_file_may_have_any_form_of_a_script(value: str) -> None:
    """The JSON of both calls, the XML of Desktop Studio, and a snippet give the same text, with LF
    line ends.
    """
    expected = OLD if BEGIN in value else HAND_WRITTEN
    wide = value.replace("\n", "\r\n")
    xml = XML.format(wide.replace("&", "&amp;"))
    content = json.loads(simple(wide))
    forms = [value, wide, f"\ufeff{wide}", simple(wide), f" \n{simple(value)}", xml]
    forms += [
        json.dumps({"scriptContent": content}),
        json.dumps({"scriptContent": json.dumps(content)}),
    ]
    forms += [json.dumps({"name": "x", "scriptContent": xml})]
    assert [expected] * len(forms) == [
        find_file_block(form, LAYOUT)[0] for form in forms
    ]


@each_case(
    "text",
    [
        "",
        "x = 1",
        "{",
        "<a>",
        "<a/>",
        '{"scriptContent": 5}',
        simple("x"),
        "<a>" * 200_000,
        f"<!DOCTYPE x [<!ENTITY a '{OLD}'>]><a><string>&a;</string></a>",
        "<!doctype x><a/>",
        "<?xml version='1.0' encoding='nonsense'?><a/>",
        "<a>\x00</a>",
        "<a>\ud800</a>",
        json.dumps(
            {
                "properties": {
                    "1": {
                        "0": {"value": HAND_WRITTEN},
                        "1": {"value": f"{HAND_WRITTEN} "},
                    }
                }
            }
        ),
        f"{OLD}\n{OLD}",
        f"{BEGIN}\n",
    ],
)
def test_a_file_without_one_script_is_refused(text: str) -> None:
    """With a message and a hint, for whatever text."""
    with pytest.raises(ScriptError, match="; "):
        find_file_block(text, LAYOUT)


def test_two_blocks_of_two_owners_are_independent() -> None:
    """Each owner's block is found in the same snippet."""
    candidate = BlockLayout(owner="other", block="main", variables={})
    content = simple(f"{OLD}\n{candidate.begin}\n{END}")
    assert find_block(content, LAYOUT).text == OLD
    assert find_block(content, candidate).text == f"{candidate.begin}\n{END}"


IF_CHAIN = 'IF intent = "a"\n{\n  skill = 1\n}\nELSE\n{\n  skill = 2\n}'
TEXT = "If you are lost, say so"


def of_actions(**values: str) -> dict[str, Any]:
    """Return a script with one SNIPPET for each value, by the caption of its action."""
    names = {str(number): name for number, name in enumerate(values, 5)}
    return {
        "header": {},
        "actions": {number: {"caption": name} for number, name in names.items()},
        "properties": {
            number: {"0": {"name": "Text", "value": values[name]}}
            for number, name in names.items()
        },
    }


def as_xml(**values: str) -> str:
    actions = "".join(
        f"<ActionStruct><ActionID>{number}</ActionID><Action>SNIPPET</Action>"
        f"<Caption>{name}</Caption><Parameters><string>{name}</string>"
        f"<string>{escape(value)}</string></Parameters></ActionStruct>"
        for number, (name, value) in enumerate(values.items(), 5)
    )
    return f"<ScriptContainer><Actions>{actions}</Actions></ScriptContainer>"


def in_base64(text: str, encoding: str = "utf-8") -> str:
    body = base64.b64encode(text.encode(encoding)).decode()
    return json.dumps({"ScriptId": "7", "body": body})


@each_case(
    "text",
    [
        json.dumps(of_actions(welcome=TEXT, choose=IF_CHAIN)),
        json.dumps({"scriptContent": of_actions(welcome=TEXT, choose=IF_CHAIN)}),
        as_xml(welcome=TEXT, choose=IF_CHAIN),
        json.dumps({"scriptContent": as_xml(welcome=TEXT, choose=IF_CHAIN)}),
        in_base64(as_xml(welcome=TEXT, choose=IF_CHAIN)),
        in_base64(as_xml(welcome=TEXT, choose=IF_CHAIN), "utf-16"),
        in_base64(json.dumps(of_actions(welcome=TEXT, choose=IF_CHAIN))),
    ],
)
def test_the_decision_of_a_script_is_found_with_its_action(text: str) -> None:
    """In JSON and in XML, also in a body in base64; a text that only begins with If does not count."""
    assert [("6", "choose", IF_CHAIN)] == find_decisions(text)


def test_each_decision_of_a_script_is_found() -> None:
    """A snippet that assigns only outside of decisions is none; a broken one may be one."""
    broken = "IF a = 1\n{\n  skill = 1"
    plain = 'skill = 1\nTRACE "IF"'
    found = find_decisions(
        json.dumps(of_actions(one=IF_CHAIN, two=plain, three=broken))
    )
    assert ["one", "three"] == [each.caption for each in found]


@each_case("body", ["%%%", "/w==", "AAA"])
def test_a_body_without_a_text_is_refused(body: str) -> None:
    """Neither base64 nor a text in UTF-8: the error says what to do."""
    with pytest.raises(ScriptError, match="export the script again"):
        find_file_block(json.dumps({"ScriptId": "7", "body": body}), LAYOUT)
