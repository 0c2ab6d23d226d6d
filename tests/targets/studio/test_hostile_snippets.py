"""Any text is parsed, read and evaluated, or refused with one error, in time that grows with its
length.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from reconciler.targets.studio.build import number_helpers
from reconciler.targets.studio.evaluate import possible_dialects, run_snippet
from reconciler.targets.studio.language import (
    MAX_LENGTH,
    Expression,
    SnippetError,
    format_expression,
    parse_snippet,
)
from reconciler.targets.studio.read import read_block
from reconciler.targets.studio.script import ScriptError, find_file_block
from tests.support.studio_rules import LAYOUT, block_of, odd_rule
from tests.tiers import size

PIECES = (
    *("SELECT", "CASE", "DEFAULT", "IF", "ELSE", "SWITCH", "ASSIGN", "TRACE", "cxr_skill", "cxr_text_intent$", "a$"),
    *("{", "}", "(", ")", '"', '"a"', '$"\\"', "//", '// cxroute:rule a/b#00000000 priority=1 name=""', "//- ", "\n"),
    *("x", "=", "!=", "<", "&", "|", "~", "+", "-", "%", "^", "/", ".", ".contains(", ",", "1", "9" * 500, "{x}"),
    *("\r", "\x00", "\ud800", "\u2028", "[", "]", ";", "// cxroute:end", "CASE ( 1 = 1 )", "ASSIGN cxr_skill = 1\n"),
)  # fmt: skip


def attempt(text: str) -> None:
    with suppress(SnippetError):
        run_snippet(parse_snippet(text), {"x": "1", "a$": 3}, possible_dialects({})[0])
    with suppress(SnippetError):
        read_block(text, LAYOUT)
    with suppress(ScriptError, SnippetError):
        read_block(find_file_block(text, LAYOUT)[0], LAYOUT)


@pytest.mark.generated
def test_random_texts_are_read_or_refused() -> None:
    """Nothing but SnippetError and ScriptError is raised, for random pieces and damaged blocks."""
    for seed in range(size(fast=25, slow=300, full=20000)):
        random = Random(f"hostile {seed}")
        attempt(
            random.choice(("", " ", "\n")).join(
                random.choices(PIECES, k=random.randint(1, 40))
            )
        )
        block = block_of([odd_rule(random) for _ in range(2)])
        at = random.randrange(len(block))
        attempt(
            block[:at] + random.choice(PIECES) + block[at + random.choice((0, 1, 30)) :]
        )
        attempt(random.randbytes(random.randint(1, 200)).decode("latin-1"))


SIZE = size(fast=20000, slow=100000, full=1000000)
HUGE = {
    "blanks": " " * SIZE,
    "line ends": "\r" * SIZE,
    "open parentheses": "IF " + "(" * SIZE,
    "open braces": "SELECT {" * (SIZE // 8),
    "closing braces": "}" * SIZE,
    "open blocks": "IF a {" * (SIZE // 6),
    "deep blocks that end": "IF a {" * 60 + "}" * 60 + "\nx",
    "quotes": '"' * (SIZE + 1),
    "dollar quotes": '$"\\' * (SIZE // 3),
    "minus": "a = " + "-" * SIZE,
    "members": "a = b" + ".c" * (SIZE // 2),
    "terms": "a = 1" + " + 1" * (SIZE // 4),
    "alternating terms": "a = 1" + " + 1 * 2 = 3 & 4" * (SIZE // 16),
    "values": "SELECT { CASE ( "
    + " | ".join(['( cxr_text_intent$ = "a" )'] * (SIZE // 20))
    + " ) { a = 1 } }",
    "cases before a block": "SELECT { " + "CASE 1\n" * (SIZE // 20) + "{ } }",
    "cases without a block": "SELECT { " + "CASE 1\n" * (SIZE // 20) + "}",
    "comments": "//\n" * (SIZE // 3),
    "failing else": "IF a { } ELSE IF b\n" * (SIZE // 20),
    "statements": "x\n// c\n" * (SIZE // 7),
    "rule comments": '// cxroute:rule a/b#00000000 priority=1 name=""\n//- CASE 1 {\n//- }\n'
    * (SIZE // 50),
    "a long name": '// cxroute:rule a/b#00000000 priority=1 name="' + "\\" * SIZE,
    "helpers": "".join(
        "\n".join([f'ASSIGN cxr_text_v{i}$ = "{{v{i}}}"', *number_helpers(f"v{i}"), ""])
        for i in range(SIZE // 400)
    ),
    "conditions": "SELECT { CASE ( "
    + " & ".join(['( a.contains("a") )'] * (SIZE // 22))
    + " ) { a = 1 } }",
    "variables in a text": 'a = "' + "{x}" * (SIZE // 5) + '"',
}


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("name", HUGE)
def test_a_huge_text_is_read_or_refused_soon(name: str) -> None:
    """No text takes time that grows with the square of its length, or ends the recursion: the test
    would not end.
    """
    attempt(HUGE[name])


def test_a_text_over_the_limit_is_refused() -> None:
    """The limit is five million characters."""
    with pytest.raises(SnippetError, match="more than 5,242,880"):
        parse_snippet("x" * (MAX_LENGTH + 1))


def read_expression(text: str) -> Expression:
    return parse_snippet(f"a = {text}")[0].expressions[0]


def test_nesting_up_to_the_limit_is_read() -> None:
    """100 levels of blocks are read, the next is an error with its line; an expression with more than
    64 is not understood.
    """
    for opening, closing in ("IF ( a ) {\n", "}\n"), ("b = " + "( " * 1, ")"):
        assert parse_snippet(opening + closing)
    deep = "\n".join(["IF a\n{"] * 100 + ["}"] * 100)
    assert parse_snippet(deep)
    with pytest.raises(
        SnippetError, match="line 202: blocks are nested more than 100 deep"
    ):
        parse_snippet(f"IF a\n{{\n{deep}\n}}")
    for levels, kind in ((63, "group"), (64, "unknown")):
        expression = "( " * levels + "a" + " )" * levels
        assert (kind, expression) == (
            read_expression(expression).kind,
            format_expression(read_expression(expression)),
        )


@pytest.mark.generated
def test_the_text_of_a_tree_is_the_same_tree() -> None:
    """For random expressions, documented or not."""
    for seed in range(size(fast=60, slow=300)):
        random = Random(f"tree {seed}")
        text = " ".join(
            random.choices(
                [
                    piece
                    for piece in PIECES
                    if not {"\n", "{", "}"} & {*piece} and "//" not in piece
                ],
                k=7,
            )
        )
        node = read_expression(text)
        assert (
            node.kind == "unknown" or read_expression(format_expression(node)) == node
        ), text
