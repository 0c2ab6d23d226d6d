"""The impact on conversations as text: a row on one line if it fits, the hidden rows, the unknown cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.render.impact import NO_IMPACT, OTHERS_UNCHANGED, TITLE, ImpactCase, ImpactSummary, QueueBalance
from reconciler.render.text.behaviour import impact_lines

from reconciler.render.colour import ansi_style, no_style
from tests.support.sentences import missing_sentences

CASE = ImpactCase(
    callers='intent is "lost"',
    origins=('"Cards"',),
    destination='"Fraud"',
    share="",
    example='intent "lost"',
    rules="by cards/lost",
    exceptions=('except if tier is "gold"',),
)


def told(*cases: ImpactCase, **said: Any) -> ImpactSummary:
    """Return an impact with these rows and all other parts."""
    return replace(
        ImpactSummary(title=TITLE, share="", cases=cases, balance=(), hidden_cases=0, hidden_share="", unknown=()),
        **said,
    )


def lines(affected: ImpactSummary) -> list[str]:
    return list(impact_lines(affected, no_style))


def test_the_impact_reads_like_this() -> None:
    """All parts in order: title and share, rows, hidden rows, all other callers, the premise, the queues."""
    everything = told(
        replace(CASE, share="3.1 %"),
        replace(
            CASE, origins=('"Cards"', '"General"'), callers="language is one of fr, nl", share="2.0 %", exceptions=()
        ),
        share="12.3 % of October 2026",
        hidden_cases=2,
        hidden_share="7.2 %",
        premise="This holds where confidence is a number.",
        balance=(QueueBalance('"Fraud"', "1.0 %", "4.1 %", "+3.1 %"),),
    )
    assert (
        """\
Who is affected   (12.3 % of October 2026)
  intent is "lost": "Cards" -> "Fraud"   3.1 %
      except if tier is "gold"
      example: intent "lost"   (by cards/lost)
  language is one of fr, nl   2.0 %
      "Cards"; "General" -> "Fraud"
      example: intent "lost"   (by cards/lost)
  and 2 more rows, 7.2 % of callers; see -v or plan.html
  Everyone else: no change (proven).
  This holds where confidence is a number.
  "Fraud" gets 1.0 % today, 4.1 % afterwards: +3.1 %""".splitlines()
        == lines(everything)
    )
    unknown = told(CASE, unknown=('tier is "gold"', "and 2 further cases; --format json lists all."))
    assert (
        """\
Who is affected
  intent is "lost": "Cards" -> "Fraud"
      except if tier is "gold"
      example: intent "lost"   (by cards/lost)
Not known: the rules overlap in too many ways, and the analysis stopped at its bound for
  tier is "gold"
  and 2 further cases; --format json lists all.""".splitlines()
        == lines(unknown)
    )
    assert [] == missing_sentences(["render/text/behaviour.py"], [*lines(everything), *lines(unknown)])


def test_a_row_of_up_to_100_characters_is_one_line() -> None:
    """A longer row, and one with several origins, has the route on a second line."""
    room = 100 - len(f"{CASE.callers}: {CASE.route}")
    fits = replace(CASE, callers=CASE.callers + "x" * room, exceptions=())
    assert f"  {fits.callers}: {fits.route}" == lines(told(fits))[1]
    longer = replace(fits, callers=f"{fits.callers}x")
    assert [f"  {longer.callers}", f"      {longer.route}"] == lines(told(longer))[1:3]


def test_other_callers_are_named_only_with_rows_and_if_all_is_known() -> None:
    """Without rows, or with unknown cases, there is no sentence about all other callers."""
    assert [NO_IMPACT] == lines(told(title=NO_IMPACT))
    assert OTHERS_UNCHANGED not in "\n".join(lines(told(CASE, unknown=("tier",))))


def test_routes_are_yellow_on_a_terminal() -> None:
    """A bold title, yellow routes and unknown cases, a dim example."""
    painted = list(impact_lines(told(CASE, unknown=("tier",)), ansi_style))
    assert "\x1b[1mWho is affected\x1b[0m" == painted[0]
    assert '  intent is "lost": \x1b[33m"Cards" -> "Fraud"\x1b[0m' == painted[1]
    assert '\x1b[2m      example: intent "lost"   (by cards/lost)\x1b[0m' == painted[3]
    assert painted[4].startswith("\x1b[33mNot known")
