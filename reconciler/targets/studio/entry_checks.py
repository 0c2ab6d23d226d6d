"""Which entry points of a tenant run the managed script, and which go past it (`cxroute doctor`)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from reconciler.core.model.check import CheckResult
from reconciler.core.text.escape import join_first, pluralize, quote
from reconciler.targets.platform.diagnosis.entry_points import EntryPoint
from reconciler.targets.studio.script import ScriptProperty

_NAME: Final = "entry points"
_MAX_LISTED: Final = 5


def runs_script(point: EntryPoint, script: str) -> bool:
    """Return whether an entry point runs a script, given with its folders.

    An entry point may have the name without folders; Studio does not distinguish upper and lower
    case in them.
    """
    own = point.script.lower().strip("\\")
    whole = script.lower().strip("\\")
    return own in (whole, whole.rpartition("\\")[2]) if own else False


def other_scripts(points: Iterable[EntryPoint], script: str) -> list[str]:
    """Return the scripts that entry points run beside the managed one, each once."""
    names = (point.script for point in points if not runs_script(point, script))
    return sorted(set(filter(None, names)))


def check_entry_points(
    points: Sequence[EntryPoint],
    script: str,
    skills: Mapping[str, str],
    properties: Mapping[str, Sequence[ScriptProperty]],
) -> Iterator[CheckResult]:
    """Yield which entry points run the managed script, and which reach a managed skill past it.

    `skills`: the names of the skills of the rules, by what the script assigns. `properties`: those
    of other scripts, by the script's name.
    """
    own = [point for point in points if runs_script(point, script)]
    yield _check_own(own, script)
    digital = [point for point in own if point.is_digital]
    if digital:
        yield _explain_digital(digital)
    for point in points:
        if point not in own:
            yield from _check_other(point, skills, properties.get(point.script, ()))


def _check_own(own: Sequence[EntryPoint], script: str) -> CheckResult:
    if own:
        text = f"{pluralize(len(own), 'entry point')} with the script {script}: {_list(own)}"
        return CheckResult(_NAME, "ok", text)
    advice = (
        "Set the script of a point of contact or a channel, or check that another script starts it: the tenant's lists "
        "do not show that"
    )
    return CheckResult(_NAME, "warn", f"none runs {script} itself", advice)


def _explain_digital(points: Sequence[EntryPoint]) -> CheckResult:
    text = (
        f"digital contacts are in the default skill before the script runs, and stay in it if no rule takes them: "
        f"{_list(points)}"
    )
    return CheckResult(_NAME, "ok", text)


def _check_other(
    point: EntryPoint,
    skills: Mapping[str, str],
    properties: Sequence[ScriptProperty],
) -> Iterator[CheckResult]:
    label = f"{point.kind} {point.address or '(no address)'}"
    named = [
        skill
        for skill, name in skills.items()
        if _names_skill(properties, {skill, name} - {""})
    ]
    if named:
        text = f"{label} runs {point.script}, which names {_skills(named, skills)}"
        advice = (
            "Its contacts may reach the skill without these rules. Put a managed block into that script, too, or "
            "accept it"
        )
        yield CheckResult(_NAME, "warn", text, advice)
    elif not point.script and point.skill in skills:
        text = f"{label} has no script, and by default {_skills([point.skill], skills)}"
        yield CheckResult(
            _NAME, "warn", text, "Its contacts reach the skill without these rules"
        )


def _names_skill(properties: Iterable[ScriptProperty], forms: Iterable[str]) -> bool:
    """Return whether a property for a skill has one of its forms as its value, or a line of a
    snippet assigns one to a variable for a skill.
    """
    any_form = "|".join(map(re.escape, forms))
    value = re.compile(any_form)
    assignment = re.compile(
        rf'(?im)skill\w*\$?[ \t]*=[ \t]*"?(?:{any_form})"?[ \t\r]*$'
    )
    return any(
        ("skill" in each.name.lower() and value.fullmatch(each.value))
        or assignment.search(each.value)
        for each in properties
    )


def _skills(named: Sequence[str], skills: Mapping[str, str]) -> str:
    labels = [
        f"{quote(skills[skill])} ({skill})"
        if skills[skill] not in ("", skill)
        else skill
        for skill in named
    ]
    return (
        f"{'skills' if len(named) > 1 else 'skill'} {join_first(labels, _MAX_LISTED)}"
    )


def _list(points: Sequence[EntryPoint]) -> str:
    labels = [
        f"{point.kind} {point.address or '(no address)'}"
        + (f" (default skill {point.skill})" if point.skill else "")
        for point in points
    ]
    return join_first(labels, _MAX_LISTED)
