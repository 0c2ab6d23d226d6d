"""Drift as Markdown, for an issue that operations reads: what was changed in CXone, what is not applied yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.inline import code, fenced, inline
from reconciler.render.markdown_rules import findings_list, rules_table
from reconciler.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.render.origin import Facts
    from reconciler.render.telling import Telling
    from reconciler.render.told_change import ToldChange

_MOST: Final = 100


def drift_markdown(told: Telling, facts: Facts, heal: str) -> str:
    """Return what differs, or nothing; `heal` is the command that makes the tenant as the manifests say."""
    outside = [change for change in told.changes if change.cause != "manifest"]
    ours = [change for change in told.changes if change.cause == "manifest"]
    if not told.changes and not told.conflicts:
        return ""
    differ = "differs" if len(told.changes) == 1 else "differ"
    blocks = [f"**{counted(len(told.changes), 'rule')} {differ} from the manifests in {code(told.environment)}.**"]
    blocks += _section("Changed in CXone", outside, facts)
    blocks += _section("Not applied yet", ours, facts)
    blocks += [f"- {inline(one.message)}; {inline(one.hint)}" for one in told.conflicts]
    blocks += findings_list(told, facts.origin, 10)
    if outside:
        blocks.append(f"To make the tenant as the manifests say:\n\n{fenced(heal, 'sh')}")
    foot = [inline(told.tenant), f"live rules read {inline(facts.read_at)}"]
    foot += [f"[run log]({facts.origin.run})"] if facts.origin.run else []
    return "\n\n".join([*blocks, f"<sub>{' · '.join(foot)}</sub>"]) + "\n"


def _section(title: str, changes: Sequence[ToldChange], facts: Facts) -> list[str]:
    return [f"#### {title}", *rules_table(changes, (), facts.origin, _MOST)] if changes else []
