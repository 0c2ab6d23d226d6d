"""Findings: what cxroute has to say about manifests and rules, each with a stable code.

A finding is a value; renderers give it its shape. Codes never change their meaning: CXR0.. reading YAML,
CXR1.. manifests and names, CXR2.. what rules do, CXR3.. live rules and ownership.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from reconciler.model import Address, Source

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say. `message` is a sentence without its place; `hint` is what to do or the nearest known name."""

    code: str
    severity: Severity
    message: str
    source: Source | None = None
    address: Address | None = None
    hint: str = ""
    excerpt: str = ""
    """The manifest's line, for the caret that a terminal shows under it; empty where there is none."""
    span: int = 1
    """How many characters of the line are meant."""


class Code(NamedTuple):
    """A code's short title and the long text of `cxroute explain CODE`."""

    title: str
    text: str


CODES: Final[dict[str, Code]] = {
    "CXR001": Code(
        "not UTF-8", "A manifest must be UTF-8 text. Save the file as UTF-8 without another encoding's bytes."
    ),
    "CXR002": Code("file too large", "A manifest may have 5 MiB at most. Split it; a RuleSet per file reads best."),
    "CXR003": Code(
        "link leaves the directory",
        "A symbolic link points outside the manifests' directory. Pull requests are untrusted: a link could read any"
        " file of the machine that plans. Copy the file in instead.",
    ),
    "CXR004": Code(
        "not YAML", "The text breaks YAML's grammar at this place. Most often it is the indentation or a quote."
    ),
    "CXR005": Code("nested too deeply", "No manifest needs more than a few levels. Deep nesting is refused."),
    "CXR006": Code(
        "anchor or alias", "Anchors and aliases (& and *) are refused: they can blow a small file up. Write it out."
    ),
    "CXR007": Code(
        "merge key", "The merge key << is refused. Use `defaults:` of the RuleSet, or write the fields out."
    ),
    "CXR008": Code("tag", "Tags (!name, !!type) and %TAG are refused: a value's type follows from how it is written."),
    "CXR009": Code("key is not text", "A key must be one text, not a list or a mapping."),
    "CXR010": Code("too many values", "One file holds more values than any manifest needs. Split it."),
    "CXR011": Code("duplicate key", "The same key stands twice in one mapping. Keep one: which was meant is a guess."),
    "CXR012": Code("number out of range", "The number is too large to be one. Quote it if it is meant as text."),
    "CXR013": Code("not a document", "Each YAML document must be a mapping with apiVersion, kind and name."),
    "CXR014": Code(
        "file cannot be read", "The operating system refused to read the file. Check that it is there and readable."
    ),
    "CXR015": Code(
        "forbidden character",
        "Control characters and the Unicode line separators are refused, since editors and parsers disagree about"
        " them. Write them as escapes in a double-quoted text.",
    ),
    "CXR101": Code(
        "unknown kind",
        "apiVersion must be routing/v1 and kind one of Environment, Queues, RuleSet, Intents, RouteTests.",
    ),
    "CXR102": Code(
        "unknown field", "No such field exists here. Unknown fields are errors, so that a typo never passes in silence."
    ),
    "CXR103": Code("missing field", "A required field is not there."),
    "CXR104": Code("wrong value", "The value is of the wrong type or outside what the field allows."),
    "CXR105": Code("unknown queue", "The queue is no alias of a Queues document and no live queue of the tenant."),
    "CXR106": Code(
        "ambiguous queue", "Several live queues have that name. Name the one that is meant by id in a Queues document."
    ),
    "CXR107": Code("unknown variable", "${name} is not among the vars of this Environment. $$ stands for a dollar."),
    "CXR108": Code(
        "bad name", "Owner, RuleSet and key are [a-z0-9][a-z0-9-]{0,63}. Where no slug can be made, write a key."
    ),
    "CXR109": Code(
        "duplicate key of a rule", "Two rules of one environment have one address. Give one of them a key of its own."
    ),
    "CXR110": Code(
        "duplicate rule name", "Two rules of one environment have one name. Give one of them a name of its own."
    ),
    "CXR111": Code("duplicate document", "Two documents of one kind have one name."),
    "CXR112": Code(
        "unknown operator", "No such operator exists (spec: equals, in, contains, greaterThan, between, exists ...)."
    ),
    "CXR113": Code("unknown environment", "No Environment document has that name."),
    "CXR114": Code(
        "two environments, one owner",
        "Two Environments have the same host and owner: each would delete the other's rules. Give each its own owner.",
    ),
    "CXR115": Code(
        "no manifests", "The directory does not exist or holds no *.yaml file. `cxroute init` writes a first set."
    ),
    "CXR117": Code(
        "queue without alias", "The queue is no alias of the Queues documents, so it is taken as a live queue's name."
    ),
    "CXR118": Code("duplicate alias", "Two Queues documents define one alias."),
    "CXR119": Code(
        "operator not supported",
        "The Environment's api.operators leaves this operator out: this tenant does not know it.",
    ),
    "CXR120": Code("no condition", "The rule takes every conversation. Where that is meant, `when: []` says so."),
    "CXR220": Code(
        "route test failed",
        "A conversation of a RouteTests document goes elsewhere than it must. The message names the rule that takes it"
        " and where that rule stands; `cxroute explain` with the same intent, confidence and attributes says why each"
        " earlier rule does not. Either the rules or the test is wrong. Tests are tried offline, on the rules that the"
        " manifests want in the environment: live rules that are not managed take no part (`cxroute explain --live`"
        " looks at those too). plan and apply refuse while a test fails.",
    ),
    "CXR301": Code(
        "name is taken",
        "An unmanaged live rule has the name of a desired one. Write `adopt:` with the live name in the manifest to"
        " take it over, or rename one of the two.",
    ),
    "CXR302": Code(
        "copy of ours, edited",
        "A second live rule carries our marker, but somebody changed it: most likely a clone made in the UI. It is"
        " never written. Remove the marker from its description to make it theirs, or delete it in the UI.",
    ),
    "CXR303": Code(
        "owned by another", "A live rule with this name is managed by another owner. It is never touched. Rename ours."
    ),
    "CXR304": Code(
        "several rules to adopt", "Several unmanaged live rules have that name. Adopt one by id: `adopt: {id: ...}`."
    ),
    "CXR305": Code("nothing to adopt", "No unmanaged live rule has that name, so the rule is created."),
    "CXR306": Code(
        "condition not understood",
        "A live rule has a condition, operator or target that cxroute does not know. It is kept.",
    ),
    "CXR308": Code("namesake", "An unmanaged live rule has the same name as a managed one. It is left alone."),
}
