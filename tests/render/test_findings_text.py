"""Findings on a terminal: the line of the manifest, a caret, and the hint if it fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.render.colour import ansi_style, no_style
from reconciler.render.text.findings import findings_with_carets, severity_totals
from tests.support.builders import address
from tests.support.cases import each_case

LONG = f"  - {{intent: {'x' * 50}, a: b, quue: fraud, and: so, on: y}}"


def finding(
    excerpt: str = "  - quue: fraud", column: int = 5, span: int = 4, **said: Any
) -> Finding:
    """An error about `quue`."""
    return Finding(
        code="CXR102",
        severity="error",
        message="unknown field",
        source=Source("m.yaml", 12, column),
        address=None,
        **said,
        excerpt=excerpt,
        span=span,
    )


def shown(one: Finding, width: int = 40) -> list[str]:
    """Return the lines below the head of a finding."""
    head, *lines = findings_with_carets([one], no_style, width).splitlines()
    assert head.endswith("error[CXR102]: unknown field")
    return lines


def test_a_message_of_many_names_is_whole() -> None:
    """A command in a hint is of use only as a whole; a text without an end is cut."""
    for length, is_cut in ((1_000, False), (1_001, True)):
        long = replace(finding(hint="h" * length), message="m" * length)
        text = findings_with_carets([long], no_style, 40)
        assert is_cut == ("m..." in text) == ("h..." in text)
        assert "m" * 1_000 in text
        assert "h" * 1_000 in text


def test_the_caret_is_below_the_error_and_the_hint_follows() -> None:
    """There is one caret for each character."""
    hint = 'did you mean "queue"?'
    assert ["   12 |   - quue: fraud", f"      |     ^^^^ {hint}"] == shown(
        finding(hint=hint)
    )
    assert ["   12 |   - quue: fraud", "      |     ^^^^"] == shown(finding())


def test_a_hint_that_does_not_fit_is_on_the_next_line() -> None:
    """It fits if the line is not longer than the terminal is wide."""
    fits = "x" * (40 - 8 - len("    ^^^^ "))
    assert ["   12 |   - quue: fraud", f"      |     ^^^^ {fits}"] == shown(
        finding(hint=fits)
    )
    longer = f"{fits}x"
    assert [
        "   12 |   - quue: fraud",
        "      |     ^^^^",
        f"      | {longer}",
    ] == shown(finding(hint=longer))


def test_of_a_long_line_the_part_with_the_caret_is_shown() -> None:
    """With some text before it; a line that fits is complete."""
    cut = ["   12 | xx, a: b, quue: fraud, and: so, ", "      |           ^^^^"]
    assert cut == shown(finding(LONG, LONG.index("quue") + 1))
    assert [f"   12 | {LONG}", f"      | {' ' * LONG.index('quue')}^^^^"] == shown(
        finding(LONG, LONG.index("quue") + 1), len(LONG) + 8
    )
    start = ["   12 |   - {intent: xxxxxxxxxxxxxxxxxxx", "      |     ^"]
    assert start == shown(finding(LONG, 5, 1))


@each_case(
    "excerpt, column, line, carets",
    [
        ("  # \x1b\u202e quue: x", 8, "  # \\u001b\\u202e quue: x", " " * 17 + "^^^^"),
        ("漢字 quue: x", 4, "漢字 quue: x", " " * 5 + "^^^^"),
        ("quue" + "漢" * 20, 1, "quue" + "漢" * 14, "^^^^"),
        ("quéue", 1, "quéue", "^^^^"),
        ("  a", 9, "  a", "   ^"),
    ],
)
def test_a_caret_is_at_the_right_column_of_any_line(
    excerpt: str, column: int, line: str, carets: str
) -> None:
    """Escapes count with their length; a wide character takes two columns; there is at least one
    caret.
    """
    assert [f"   12 | {line}", f"      | {carets}"] == shown(finding(excerpt, column))


def test_without_a_line_the_hint_is_below_the_message() -> None:
    """For example, for a file that cannot be read."""
    assert ["      run `cxroute init`"] == shown(finding("", hint="run `cxroute init`"))
    assert ["      run `cxroute init`"] == shown(
        replace(finding(hint="run `cxroute init`"), source=None)
    )
    assert [] == shown(finding(""))


def test_a_finding_about_several_rules_names_them_below() -> None:
    """Up to the limit; the head has their number."""
    rules = [
        replace(finding(), severity="warning", address=address(f"cards/r{n}"))
        for n in range(5)
    ]
    group = replace(rules[0], repeats=tuple(rules[1:]))
    assert [
        "m.yaml:12:5: warning[CXR102]: 5 rules: unknown field",
        "   12 |   - quue: fraud",
        "      |     ^^^^",
        "      cards/r0, cards/r1, cards/r2 and 2 more",
    ] == findings_with_carets([group], no_style, 40).splitlines()
    assert findings_with_carets([group], no_style, 40, 9).endswith(
        "cards/r3, cards/r4\n"
    )


def test_an_error_is_red_and_its_line_dim() -> None:
    """A warning is yellow, an info dim."""
    assert (
        "m.yaml:12:5: \x1b[31merror[CXR102]\x1b[0m: unknown field\n"
        "\x1b[2m   12 | \x1b[0m  - quue: fraud\n"
        "      |     \x1b[31m^^^^\x1b[0m\n"
    ) == findings_with_carets([finding()], ansi_style, 40)
    colours = {"warning": "\x1b[33mwarning", "info": "\x1b[2minfo"}
    for severity, painted in colours.items():
        assert painted in findings_with_carets(
            [replace(finding(), severity=severity)],  # type: ignore[arg-type]
            ansi_style,
            40,
        )


def test_totals_count_errors_warnings_and_files() -> None:
    """Infos are not counted."""
    error = finding()
    info = replace(finding(), severity="info")
    warning = replace(finding(), severity="warning")
    assert "2 errors and 1 warning in 12 files." == severity_totals(
        [error, warning, error, info], 12
    )
    assert "1 warning in 1 file." == severity_totals([warning], 1)
    assert "No errors in 1,000 files." == severity_totals([info], 1000)
