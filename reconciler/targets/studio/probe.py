"""The set-up of a script for cxroute, and the probe: a snippet that finds the dialect of Studio,
and its result.
"""

import re
from collections.abc import Iterable
from typing import Final

from reconciler.targets.studio.evaluate import FACTS
from reconciler.targets.studio.layout import BlockLayout

_RESULT: Final = re.compile(r"cxr-probe:([0-9]{4})(?![0-9])", re.ASCII)
_VALUES: Final = {
    "a$": "Card",
    "b": "Card",
    "c$": " card ",
    "d": " card ",
    "e": "20",
    "f": "abc",
}
_TESTS: Final = {
    "case": ('cxr_a$ = "card"', 'cxr_b.contains("card")', 'cxr_b.beginswith("card")'),
    "trim": ('cxr_c$ = "card"', 'cxr_d.beginswith("card")'),
    "digits": ("cxr_e > 3",),
    "mixed": ("cxr_f < 5",),
}

# What stands above the block, and the step after it.
_VOICE: Final = (
    """\
Above them, assign the skill of the
   default routing to `{skill}`: it stays if no rule takes the contact.""",
    """\
4. Connect the SNIPPET to a REQAGENT action, and set its property Skill to {{{skill}}}. Connect the Error branch
   of the SNIPPET to an action for the default routing. `{rule}` has the address of the rule, for reports.""",
)
_DIGITAL: Final = (
    """\
Above them, write
   `ASSIGN {skill} = ""`. A digital contact is already in the default skill of its channel, and stays in it if no rule
   takes it.""",
    """\
4. Connect the SNIPPET to an IF action with the expression {skill} = "". If it is true, go on without a REQAGENT
   (Digital): the contact stays where it is. If not, connect a REQAGENT (Digital), and set its property Skill to
   {{{skill}}}. Connect the Error branch of the SNIPPET to the path without a REQAGENT. `{rule}` has the address
   of the rule, for reports.""",
)


def probe_snippet() -> str:
    """Return the snippet.

    Its last TRACE line has the result: how many tests of each fact are true.
    """
    lines = [
        (
            "// cxroute: run this once in the Snippet editor, and copy the last line of its TRACE "
            "output."
        )
    ]
    lines += [f'ASSIGN cxr_{name} = "{value}"' for name, value in _VALUES.items()]
    for name, tests in _TESTS.items():
        lines.append(f"ASSIGN cxr_{name} = 0")
        for test in tests:
            lines += [
                f"IF ( {test} )",
                "{",
                f"  ASSIGN cxr_{name} = ( cxr_{name} + 1 )",
                "}",
            ]
    result = "".join(f"{{cxr_{name}}}" for name in _TESTS)
    return "\n".join([*lines, f'TRACE "cxr-probe:{result}"', ""])


def parse_probe(line: str) -> dict[str, bool]:
    """Return the facts of the probe's last line; a fact is absent if its tests disagree.

    Raises ValueError.
    """
    result = _RESULT.search(line)
    if result is None:
        raise ValueError(
            "this is not a result of the probe; copy its last line, which begins with cxr-probe:"
        )
    highest = "".join(str(len(tests)) for tests in _TESTS.values())
    if any(count > most for count, most in zip(result[1], highest, strict=True)):
        raise ValueError(
            f"the probe cannot return {result[0]}: its digits are at most {highest}; copy the line again"
        )
    counts = zip(FACTS, map(int, result[1]), _TESTS.items(), strict=True)
    return {
        fact: (count == 0) == (name == "case")
        for fact, count, (name, tests) in counts
        if count in (0, len(tests))
    }


def format_recipe(layout: BlockLayout, attributes: Iterable[str]) -> str:
    """Return the set-up: every variable that the block reads is preset. Raises NotStorableError."""
    variables = dict.fromkeys(layout.variable(attribute) for attribute in attributes)
    presets = "\n".join(f'ASSIGN {variable} = ""' for variable in variables)
    queueing = _DIGITAL if layout.is_digital else _VOICE
    preset, request = (
        text.format(skill=layout.skill, rule=layout.rule) for text in queueing
    )
    return f"""\
1. Open the script in Studio. Put a SNIPPET action between BEGIN and the first action that reads one of the variables
   below, with these lines. They make sure that every variable exists.

{presets}

2. After the bot, the script assigns to these variables what the bot returned, before the queue is chosen.

3. Put another SNIPPET action where the queue is chosen, with these two lines. {preset}

{layout.begin}
{layout.end}

{request}

5. Run this snippet once in the Snippet editor. Pass the last line of its TRACE output to
   `cxroute studio probe --result LINE`, and put the result into the Environment, under `api.studio`.

{probe_snippet()}"""
