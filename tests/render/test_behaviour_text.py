"""Who goes elsewhere, on a terminal: a row on one line where it fits, what is left out, what is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.render.colour import ansi, colourless
from reconciler.render.impact import NOBODY, OTHERS, TITLE, Affected, Balance, Case
from reconciler.render.text.behaviour import behaviour_lines
from tests.support.sentences import untold

CASE = Case(
    who='intent is "lost"',
    befores=('"Cards"',),
    after='"Fraud"',
    share="",
    example='intent "lost"',
    rules="by cards/lost",
    excepts=('unless also tier is "gold"',),
)


def told(*cases: Case, **said: Any) -> Affected:
    """All that is said, of these rows."""
    return replace(Affected(head=TITLE, share="", cases=cases, balance=(), more=0, more_share="", unknown=()), **said)


def lines(affected: Affected) -> list[str]:
    return list(behaviour_lines(affected, colourless))


def test_it_reads_like_this() -> None:
    """Every part, in order: head and share, rows, what is left out, everybody else, the premise, the queues."""
    everything = told(
        replace(CASE, share="3.1 %"),
        replace(CASE, befores=('"Cards"', '"General"'), who="language is one of fr, nl", share="2.0 %", excepts=()),
        share="12.3 % of October 2026",
        more=2,
        more_share="7.2 %",
        premise="This holds where confidence is a number.",
        balance=(Balance('"Fraud"', "1.0 %", "4.1 %", "+3.1 %"),),
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
    assert [] == untold(["render/text/behaviour.py"], [*lines(everything), *lines(unknown)])


def test_a_row_stands_on_one_line_up_to_100_characters() -> None:
    """A longer one, and one from several places, says the way on a line of its own."""
    room = 100 - len(f"{CASE.who}: {CASE.way}")
    fits = replace(CASE, who=CASE.who + "x" * room, excepts=())
    assert f"  {fits.who}: {fits.way}" == lines(told(fits))[1]
    longer = replace(fits, who=f"{fits.who}x")
    assert [f"  {longer.who}", f"      {longer.way}"] == lines(told(longer))[1:3]


def test_nobody_and_everybody_else() -> None:
    """Where no row is shown nothing is said of everybody else; nor where something is not known."""
    assert [NOBODY] == lines(told(head=NOBODY))
    assert OTHERS not in "\n".join(lines(told(CASE, unknown=("tier",))))


def test_the_way_stands_out_on_a_terminal() -> None:
    """Bold head, yellow ways and unknown, a dim example."""
    painted = list(behaviour_lines(told(CASE, unknown=("tier",)), ansi))
    assert "\x1b[1mWho is affected\x1b[0m" == painted[0]
    assert '  intent is "lost": \x1b[33m"Cards" -> "Fraud"\x1b[0m' == painted[1]
    assert '\x1b[2m      example: intent "lost"   (by cards/lost)\x1b[0m' == painted[3]
    assert painted[4].startswith("\x1b[33mNot known")
