"""Findings about manifests and rules, with stable codes, and their JSON form (plan-json).

Codes never change their meaning: CXR0.. YAML, CXR1.. manifests and names, CXR2.. routing, CXR3.. live rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

from reconciler.model.rule import Address, Source

Document = dict[str, Any]

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding. `message` is a sentence without the place; `hint` is the fix or the nearest known name."""

    code: str
    severity: Severity
    message: str
    source: Source | None = None
    address: Address | None = None
    hint: str = ""
    excerpt: str = ""  # the manifest's line, for the caret that a terminal shows under it; empty where there is none
    span: int = 1  # how many characters of the line are meant
    repeats: tuple[Finding, ...] = ()  # the same finding about other rules or places, from `group_findings`
    acknowledged: str = ""  # why the manifests accept it (`accept:`); empty where they do not

    @property
    def occurrences(self) -> tuple[Finding, ...]:
        """Return the finding once for each rule or place that it is about."""
        return (replace(self, repeats=()), *self.repeats)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Return the rules that the finding is about, each once."""
        return tuple(dict.fromkeys(place.address for place in self.occurrences if place.address))


def group_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with equal warnings, and equal infos, as one; each error has a place to correct."""
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(place for group in findings for place in group.occurrences):
        content = (finding.code, finding.severity, finding.message, finding.hint, finding.acknowledged)
        key = number if finding.severity == "error" else (*content, finding.address is None)
        groups.setdefault(key, []).append(finding)
    return [replace(first, repeats=tuple(repeats)) for first, *repeats in groups.values()]


class Code(NamedTuple):
    """A code's short title and the long text of `cxroute explain CODE`."""

    title: str
    text: str


_TEXTS: Final = """
CXR001 not UTF-8: A manifest must be UTF-8 text. Save the file as UTF-8 without another encoding's bytes.
CXR002 file too large: A manifest may have 5 MiB at most. Split it; a RuleSet per file reads best.
CXR003 link leaves the directory: A symbolic link points outside the manifests' directory. Pull requests are
untrusted: a link could read any file of the machine that plans. Copy the file in instead.
CXR004 not YAML: The text breaks YAML's grammar at this place. Most often it is the indentation or a quote.
CXR005 nested too deeply: No manifest needs more than a few levels. Deep nesting is refused.
CXR006 anchor or alias: Anchors and aliases (& and *) are refused: they can blow a small file up. Write it out.
CXR007 merge key: The merge key << is refused. Use `defaults:` of the RuleSet, or write the fields out.
CXR008 tag: Tags (!name, !!type) and %TAG are refused: a value's type follows from how it is written.
CXR009 key is not text: A key must be one text, not a list or a mapping.
CXR010 too many values: One file holds more values than any manifest needs. Split it.
CXR011 duplicate key: The same key stands twice in one mapping. Keep one: which was meant is a guess.
CXR012 number out of range: The number is too large to be one. Quote it if it is meant as text.
CXR013 not a document: Each YAML document must be a mapping with apiVersion, kind and name.
CXR014 file cannot be read: The operating system refused to read the file. Check that it is there and readable.
CXR015 forbidden character: Control characters and the Unicode line separators are refused, since editors and parsers
disagree about them. Write them as escapes in a double-quoted text.
CXR101 unknown kind: apiVersion must be routing/v1 and kind one of Environment, Queues, RuleSet, Intents, RouteTests,
Profile.
CXR102 unknown field: No such field exists here. Unknown fields are errors, so that a typo never passes in silence.
CXR103 missing field: A required field is not there.
CXR104 wrong value: The value is of the wrong type or outside what the field allows.
CXR105 unknown queue: The queue is no alias of a Queues document and no live queue of the tenant.
CXR106 ambiguous queue: Several live queues have that name. Name the one that is meant by id in a Queues document.
CXR107 unknown variable: ${name} is not among the vars of this Environment. $$ stands for a dollar.
CXR108 bad name: Owner, RuleSet and key are [a-z0-9][a-z0-9-]{0,63}. Where no slug can be made, write a key.
CXR109 duplicate key of a rule: Two rules of one environment have one address. Give one of them a key of its own.
CXR110 duplicate rule name: Two rules of one environment have one name. Give one of them a name of its own.
CXR111 duplicate document: Two documents of one kind have one name.
CXR112 unknown operator: No such operator exists (spec: equals, in, contains, greaterThan, between, exists ...).
CXR113 unknown environment: No Environment document has that name.
CXR114 two environments, one owner: Two Environments have the same host and owner: each would delete the other's
rules. Give each its own owner.
CXR115 no manifests: The directory does not exist or holds no *.yaml file. `cxroute init` writes a first set.
CXR117 queue without alias: The queue is no alias of the Queues documents, so it is taken as a live queue's name.
CXR118 duplicate alias: Two Queues documents define one alias.
CXR119 operator not supported: The Environment's api.operators leaves this operator out: this tenant does not know it.
CXR120 no condition: The rule takes every conversation. Where that is meant, `when: []` says so.
CXR121 inactive queue: The rule sends conversations to a skill that exists and is switched off (`isActive: false`):
nobody would be given them. Switch the skill on in CXone, or let the rule name another one. Where an active and an
inactive skill have one name, the active one is meant.
CXR122 unknown profile: The Environment's `api.profile` names no Profile document of these manifests. Without
`api.profile` the tutorial's is used, which `cxroute schema profile` prints as a document to start from.
CXR123 no positive weight: The rule is enabled, and all its targets have the weight 0: it takes conversations and
sends them to no queue, not even by the default routing. Set a weight above 0 for at least one target. To switch the
rule off, set `enabled: false`; to stop using one queue, remove its target. A live rule of this kind is read, compared
and explained; `export` leaves it out.
CXR201 rule never matches: The rule's conditions contradict each other, or one of them can hold for nothing: `in: []`,
a `between` whose first number is the larger. It does nothing, and whoever reads it believes that it does. A condition
on a missing attribute is false, negative ones too, so `notExists` contradicts every other one. Correct the
conditions, or remove the rule.
CXR202 rule never reached: Other rules are tried earlier and take every conversation that this one asks for; no fewer
of them than those named do. So its queue gets none of them. Give it a better priority, narrow the others, or remove
it. Where the message names a live rule that is not managed, that one stands in the tenant alone: `adopt:` takes it
over into the manifests, where it can be changed. `cxroute explain` shows who takes a conversation.
CXR203 rule changes nothing: Every conversation that this rule takes would go to the same place without it. Two such
rules may need each other: where either can go, perhaps not both. Remove one, and validate again; or say why the rule
stays: `accept: {CXR203: the reason}` in the rule. A rule of one intent that sends it where the catch-all sends it is
not a finding: the rule says that this is meant. A catch-all is a rule that asks for nothing, or for the confidence
alone.
CXR204 equal priority, different queues: Two rules of one priority ask for the same conversation and send it to
different places. The platform does not define which of them is tried first: it may change from one day to the next.
cxroute takes the one whose name comes first. Give one of them another priority, or conditions that the other does not
fit.
CXR205 intent without a rule: An Intents document says that the bot can say this intent, and no rule of the manifests
takes it: such callers go to the tenant's default, or where a rule made by hand sends them. Write a rule for it, or a
catch-all (`when: []`). An intent that a rule of the manifests takes without naming it, such as a catch-all, is not a
finding; `validate` counts them. `cxroute explain --intent` says where callers go.
CXR206 intent that the bot cannot say: A rule asks for an intent that no Intents document has. Intents compare letter
by letter, with case, so a typo routes nobody. Correct it, or add the intent to the document if the bot can say it.
CXR207 attribute that nobody is known to write: A condition on an attribute that is missing is false. The context
endpoint writes the three attributes that the Environment names under `attributes:`; others must come from elsewhere:
the phone menu, a script, the customer data. As a warning: the name looks like a known one misspelt. As an info: no
live rule of anybody else asks about it, so it is worth a look whether something writes it.
CXR208 gap in the confidence: Rules for an intent take a higher and a lower confidence of the bot, and none takes what
is between: those callers go to a catch-all, or to the tenant's default. Most often one rule's `minConfidence` and
another's `belowConfidence` were meant to be one number. As an info: below all that the rules ask there is no
catch-all either.
CXR209 not analysed to the end: Whether rules that overlap on many attributes leave each other anything can take
longer than anybody waits, so the work is bounded: in `validate` to about two seconds for 1,000 rules, in a plan to a
fifth of the plan's own work. For the rules named nothing is known. All other findings are right. Let rules ask about
fewer attributes, or split them.
CXR210 no name of a skill: With `api.queues: acd-skills` queues are skills of the platform. By public documents the
name of a skill has 2 to 30 characters: letters, digits, - _ . and : alone. A queue of another name is most likely
misspelt, and plan would call it unknown. Correct the name, or write the skill's id in a Queues document. Documents
differ from tenants now and then: where the tenant does have a skill of that name, the rules work all the same.
CXR211 no ident of a custom field: With `context.writer: digital-custom-fields` the endpoint writes custom fields, and
their idents are the names under `attributes:`. No public document says what an ident may hold; those that are shown
have letters, digits, - _ and . alone. A field has to be defined in CXone before it can be written, and rules ask for
attributes by the same names.
CXR212 nothing to acknowledge: An `accept:` of a rule or of the Environment acknowledges a finding that does not
exist, with or without the live rules. Remove the entry, so that it does not hide a later finding. `validate` checks
this for what it can tell without a tenant; `plan`, without `--only` and `--undo`, for all else. As an info: other
Environments have the rule, too, and the finding may exist there; an `accept:` that one Environment alone needs
belongs in that Environment. An error cannot be acknowledged.
CXR220 route test failed: A conversation of a RouteTests document goes elsewhere than it must. The message names the
rule that takes it and where that rule stands; `cxroute explain` with the same intent, confidence and attributes says
why each earlier rule does not. Either the rules or the test is wrong. `validate`, `test`, plan and apply try tests
offline, on the rules that the manifests want in the environment; while one fails, plan shows it above the plan and
exits 3, and apply refuses. `cxroute test --live` and `cxroute drift` try them on all live rules, those that are not
managed included; a condition there that cxroute does not understand counts as one that does not hold.
CXR230 not a traffic sample: The file is empty, larger than 5 MiB, has more than 100,000 rows, or holds control
characters. Add equal rows up, or export it as CSV in UTF-8.
CXR231 not CSV: The row breaks CSV's grammar: most often a quote that is never closed. A quote inside a quoted cell is
written twice.
CXR232 wrong columns: The first row names each column once: attributes (`intent` and `confidence` under the
Environment's names) and `count`.
CXR233 wrong cell: Counts are numbers, 0 or more; a confidence is a number from 0 to 1; other cells are read as
manifests are; an empty one is a missing attribute.
CXR234 no conversations: All counts are 0, so there are no shares to tell.
CXR301 name is taken: An unmanaged live rule has the name of a desired one. Write `adopt:` with the live name in the
manifest to take it over, or rename one of the two.
CXR302 copy of ours, edited: A second live rule carries our marker, but somebody changed it: most likely a clone made
in the UI. It is never written. A copy that is like ours in all that cxroute writes, and has other values in fields
that cxroute does not know (a division, a schedule), is one, too: the message names the fields. An id, the dates of
creation and last change, a version, links to itself and an ETag are not compared. Remove the marker from its
description to make it theirs, or delete it in the UI.
CXR303 owned by another: A live rule with this name is managed by another owner. It is never touched. Rename ours.
CXR304 several rules to adopt: Several unmanaged live rules have that name. Adopt one by id: `adopt: {id: ...}`.
CXR305 nothing to adopt: No unmanaged live rule has that name, so the rule is created.
CXR306 condition not understood: A live rule has a condition, operator or target that cxroute does not know. It is
kept.
CXR308 namesake: An unmanaged live rule has the same name as a managed one. It is left alone.
CXR309 another tool's, it seems: A rule that is to be taken over ends its description as tools do that mark what they
manage. Two tools that write one rule undo each other's changes. Take it out of the other one first, or leave it to
that.
CXR310 the manifests say otherwise: What is undone here the next apply makes again, because the manifests still ask
for it. Revert the commit that changed them, or write the `hold:` of the message into each rule until that is done. A
rule that stands in no manifest is deleted again: until the commit is reverted, `--no-prune` or `prune: false` keeps
it.
CXR311 in the way of an undo: A rule carried our marker when the run that is to be undone ended, and does not now, or
is gone; or a rule that is not ours has its name by now. Rules that are not ours are never written: nothing is put
back there.
CXR312 several rules with one marker: Somebody copied a managed rule in CXone and changed the copy and the original,
or gave them other values in fields that cxroute does not know, and `dateCreated` does not say which of them is older:
it is missing, equal, or not a complete ISO 8601 date and time. So none of them is written or deleted. Keep one;
delete the others, or remove the last line of their descriptions. Where the tenant calls the date otherwise, name it
in the Profile: `rule: {dateCreated: NAME}`.
CXR320 live rules of a file: The plan compares with the rules of a file (`--live FILE`), which may be old or not all
there. Apply reads the tenant itself, and where that differs it refuses a plan that was saved.
CXR330 accepted rule is not live: An entry of the Environment's `unmanaged: accept:` matches no live rule: the rule
was deleted, renamed or edited since. Remove the entry, or look at the rule in CXone and write its new digest, which
`cxroute drift` prints while the rule is in the way.
CXR331 drift not analysed to the end: Live rules that are not managed overlap with those of the manifests in so many
ways that the comparison stopped at its bound, so it is not known whether all conversations go where the manifests
say. Let rules ask about fewer attributes, or accept the live rules that are not managed.
CXR340 text kept otherwise: The tenant keeps a name or a description otherwise than it was written: in lower case,
escaped, cut, without white space. The marker's digest proves what was written, and every rule that can show it shows
the same. Such a text routes nobody, and writing it again would change nothing: the rule counts as it was written.
Write a text in the manifest that the tenant keeps as it is, or accept the finding. Conditions, targets, priority and
`enabled` are never taken so: a tenant that keeps one of these otherwise is a change that fails.
"""
_PARAGRAPH: Final = re.compile(r"^(CXR\d+) ([^:\n]+): (.+?)\n(?=CXR|\Z)", re.MULTILINE | re.DOTALL)
CODES: Final = {code: Code(title, text.replace("\n", " ")) for code, title, text in _PARAGRAPH.findall(_TEXTS)}


def finding_to_json(finding: Finding) -> Document:
    """Return a finding in the form of plan-json "Plan"; `addresses` and `sources` have the same order."""
    form: Document = {
        "code": finding.code,
        "severity": finding.severity,
        "message": f"{finding.message} ({finding.hint})" if finding.hint else finding.message,
        "address": None if finding.address is None else str(finding.address),
        "source": source_to_json(finding.source),
    }
    if finding.repeats and finding.address:
        form["addresses"] = [str(place.address) for place in finding.occurrences]
    if finding.repeats:
        form["sources"] = [source_to_json(place.source) for place in finding.occurrences]
    if finding.acknowledged:
        form["acknowledged"] = {"reason": finding.acknowledged}
    return form


def source_to_json(source: Source | None) -> Document | None:
    """Return the place, or null."""
    return None if source is None else source._asdict()
