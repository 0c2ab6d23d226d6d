"""Where a result is about confidences that the endpoint never writes, the message names `context:
{}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.support.program import write

if TYPE_CHECKING:
    from tests.support.program import Program

REMEDY: Final = "`context: {}` in the Environment sandbox"
CATCH_ALL: Final = """
apiVersion: routing/v1
kind: RuleSet
name: all
rules:
  - {key: everyone, when: [], queue: Cards}
"""
SHARES: Final = """
apiVersion: routing/v1
kind: RuleSet
name: all
rules:
  - {key: sure, when: [{attribute: cognigyConfidence, between: [0, 1]}], queue: Cards}
  - {key: silent, when: [{attribute: cognigyConfidence, notExists: true}], queue: Cards}
"""
HALF: Final = SHARES.replace("[0, 1]", "[0, 0.5]")
PROMISE: Final = """
apiVersion: routing/v1
kind: Promises
name: safety
promises:
  - {name: nobody falls through, never: {default: true}}
"""


def environment(context: str = "") -> None:
    fields = (
        "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: sandbox\n"
    )
    write("environment.yaml", f"{fields}{context}\n")


def test_a_promise_that_only_other_confidences_break_names_the_remedy(
    cxroute: Program,
) -> None:
    """`test`, `validate` and the guard say it, and with `context: {}` the promise holds."""
    environment()
    write("rules.yaml", SHARES)
    write("promises.yaml", PROMISE)
    for command in ("test", "validate", "plan"):
        cxroute(command)
        assert REMEDY in cxroute.out, cxroute.out
    environment("context: {}")
    assert 0 == cxroute("test"), cxroute.out


def test_a_promise_that_the_bot_can_break_has_no_such_remedy(cxroute: Program) -> None:
    """A confidence of 0.7 breaks it too."""
    environment()
    write("rules.yaml", HALF)
    write("promises.yaml", PROMISE)
    assert 3 == cxroute("test")
    assert "context: {}" not in cxroute.out


@pytest.mark.parametrize(("rules", "expected"), [(SHARES, True), (HALF, False)])
def test_the_guard_unrouted_names_the_remedy(
    cxroute: Program,
    rules: str,
    expected: bool,  # noqa: FBT001 - a case
) -> None:
    """Only conversations with another confidence fall through, or others as well."""
    environment()
    write("rules.yaml", CATCH_ALL)
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    write("rules.yaml", rules)
    _, form = cxroute.json("plan")
    (guard,) = [each for each in form["guards"] if each["name"] == "unrouted"]
    assert not guard["ok"]
    assert expected is (REMEDY in guard["message"]), guard["message"]
