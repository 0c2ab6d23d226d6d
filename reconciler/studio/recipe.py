"""The set-up of a script for cxroute, as a text to follow."""

from collections.abc import Iterable

from reconciler.studio.layout import BlockLayout
from reconciler.studio.probe import probe_snippet


def format_recipe(layout: BlockLayout, attributes: Iterable[str]) -> str:
    """Return the set-up: every variable that the block reads is preset. Raises NotStorableError."""
    variables = dict.fromkeys(layout.variable(attribute) for attribute in attributes)
    presets = "\n".join(f'ASSIGN {variable} = ""' for variable in variables)
    return f"""\
1. Open the script in Studio. Put a SNIPPET action between BEGIN and the first action that reads one of the variables
   below, with these lines. They make sure that every variable exists.

{presets}

2. After the bot, the script assigns to these variables what the bot returned, before the queue is chosen.

3. Put another SNIPPET action where the queue is chosen, with these two lines. Above them, assign the skill of the
   default routing to `{layout.skill}`: it stays if no rule takes the contact.

{layout.begin}
{layout.end}

4. Connect the SNIPPET to a REQAGENT action, and set its property Skill to {{{layout.skill}}}. Connect the Error branch
   of the SNIPPET to an action for the default routing. `{layout.rule}` has the address of the rule, for reports.

5. Run this snippet once in the Snippet editor. Pass the last line of its TRACE output to
   `cxroute studio probe --result LINE`, and put the result into the Environment, under `api.studio`.

{probe_snippet()}"""
