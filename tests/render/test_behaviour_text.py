"""Who goes elsewhere, on a terminal: a row on one line where it fits, what is left out, what is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.render.colour import ansi_style, no_style
from reconciler.render.impact import NO_IMPACT, OTHERS_UNCHANGED, TITLE, ImpactCase, ImpactSummary, QueueBalance
from reconciler.render.text.behaviour import impact_lines
from tests.support.sentences import missing_sentences

CASE = ImpactCase(
    callers='intent is "lost"',
    origins=('"Cards"',),
    destination='"Fraud"',
    share="",
    example='intent "lost"',
    rules="by cards/lost",
    exceptions=('unless also tier is "gold"',),
)


def told(*cases: ImpactCase, **said: Any) -> ImpactSummary:
    """All that is said, of these rows."""
    return replace(
        ImpactSummary(title=TITLE, share="", cases=cases, balance=(), hidden_cases=0, hidden_share="", unknown=()),
        **said,
    )


def lines(affected: ImpactSummary) -> list[str]:
    return list(impact_lines(affected, no_style))


def test_it_reads_like_this() -> None:
    """Every part, in order: head and share, rows, what is left out, everybody else, the premise, the queues."""
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
      unless also tier is "gold"
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
      unless also tier is "gold"
      example: intent "lost"   (by cards/lost)
Not known: the rules overlap in too many ways, and the analysis stopped at its bound for
  tier is "gold"
  and 2 further cases; --format json lists all.""".splitlines()
        == lines(unknown)
    )
    assert [] == missing_sentences(["render/text/behaviour.py"], [*lines(everything), *lines(unknown)])


def test_a_row_stands_on_one_line_up_to_100_characters() -> None:
    """A longer one, and one from several places, says the way on a line of its own."""
    room = 100 - len(f"{CASE.callers}: {CASE.route}")
    fits = replace(CASE, callers=CASE.callers + "x" * room, exceptions=())
    assert f"  {fits.callers}: {fits.route}" == lines(told(fits))[1]
    longer = replace(fits, callers=f"{fits.callers}x")
    assert [f"  {longer.callers}", f"      {longer.route}"] == lines(told(longer))[1:3]


def test_nobody_and_everybody_else() -> None:
    """Where no row is shown nothing is said of everybody else; nor where something is not known."""
    assert [NO_IMPACT] == lines(told(title=NO_IMPACT))
    assert OTHERS_UNCHANGED not in "\n".join(lines(told(CASE, unknown=("tier",))))


def test_the_way_stands_out_on_a_terminal() -> None:
    """Bold head, yellow ways and unknown, a dim example."""
    painted = list(impact_lines(told(CASE, unknown=("tier",)), ansi_style))
    assert "\x1b[1mWho is affected\x1b[0m" == painted[0]
    assert '  intent is "lost": \x1b[33m"Cards" -> "Fraud"\x1b[0m' == painted[1]
    assert '\x1b[2m      example: intent "lost"   (by cards/lost)\x1b[0m' == painted[3]
    assert painted[4].startswith("\x1b[33mNot known")
