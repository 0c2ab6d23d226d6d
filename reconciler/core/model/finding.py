"""Findings about manifests and rules, with stable codes.

Codes never change their meaning: CXR0.. YAML, CXR1.. manifests and names, CXR2.. routing, CXR3..
live rules.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, Literal, NamedTuple

from reconciler.core.model.rule import Address, Source

Document = dict[str, Any]

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding.

    `message` is a sentence without the position; `hint` is the fix or the nearest known name.
    """

    code: str
    severity: Severity
    message: str
    source: Source | None = None
    address: Address | None = None
    hint: str = ""
    excerpt: str = ""  # the manifest's line, which a terminal prints above a caret
    span: int = 1  # the characters of the line to mark
    # the same finding about other rules or positions, from `group_findings`
    repeats: "tuple[Finding, ...]" = ()
    acknowledged: str = (
        ""  # the reason in `accept:`; empty if the finding is not accepted
    )

    @property
    def occurrences(self) -> "tuple[Finding, ...]":
        """Return the finding once for each rule or position that it is about."""
        return (replace(self, repeats=()), *self.repeats)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Return the rules that the finding is about, each once."""
        addresses = (finding.address for finding in self.occurrences)
        return tuple(dict.fromkeys(address for address in addresses if address))


def group_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings; equal warnings and equal infos are one, and errors stay separate."""
    groups: dict[object, list[Finding]] = {}
    occurrences = chain.from_iterable(group.occurrences for group in findings)
    for number, finding in enumerate(occurrences):
        key: object = number
        if finding.severity != "error":
            key = (
                finding.code,
                finding.severity,
                finding.message,
                finding.hint,
                finding.acknowledged,
                finding.address is None,
            )
        groups.setdefault(key, []).append(finding)
    return [
        replace(first, repeats=tuple(repeats)) for first, *repeats in groups.values()
    ]


class Code(NamedTuple):
    """A code's short title and the long text of `cxroute explain CODE`."""

    title: str
    text: str


_TEXTS: Final = """
CXR001 not UTF-8: Save the file as UTF-8 text, without bytes of another encoding.
CXR002 file too large: A manifest may have 5 MiB at most. Split it, for example into one RuleSet per file.
CXR003 link leaves the directory: A symbolic link points outside the manifests' directory. Copy the file instead.
CXR004 not YAML: The text breaks YAML's grammar at this position. The usual cause is the indentation or a quote.
CXR005 nested too deeply: Manifests need only a few levels.
CXR006 anchor or alias: Anchors and aliases (& and *) are refused. Write the value out.
CXR007 merge key: The merge key << is refused. Use `defaults:` of the RuleSet, or write the fields out.
CXR008 tag: Tags (!name, !!type) and %TAG are refused. Remove them.
CXR009 key is not text: A key must be one text, not a list or a mapping.
CXR010 too many values: Split the file.
CXR011 duplicate key: The same key occurs twice in one mapping. Keep one.
CXR012 number out of range: The number is too large. Quote it if it is meant as text.
CXR013 not a document: Each YAML document must be a mapping with apiVersion, kind and name.
CXR014 file cannot be read: Check that the file exists and is readable. As a warning: the file is not read, because its
name does not end in `.yaml` or `.yml` in lower case. Rename it.
CXR015 forbidden character: Control characters and the Unicode line separators are refused. Write them as escapes in a
double-quoted text.
CXR101 unknown kind: apiVersion must be routing/v1, kind Environment, Queues, RuleSet, Intents, Attributes, RouteTests,
Promises or Profile.
CXR102 unknown field: This field does not exist here. Correct its name, or remove it.
CXR103 missing field: A required field is missing.
CXR104 wrong value: The value is of the wrong type, or outside the limits of the field.
CXR105 unknown queue: The queue is neither an alias in a Queues document nor a live queue of the tenant.
CXR106 ambiguous queue: Several live queues have that name. Name the intended one by its id in a Queues document.
CXR107 unknown variable: ${name} is not among the vars of this Environment. Write $$ for a dollar sign.
CXR108 bad name: Owner, RuleSet and key must match [a-z0-9][a-z0-9-]{0,63}. If no slug can be made, write a key.
CXR109 duplicate key of a rule: Two rules of one environment have the same address. Give one of them another key.
CXR110 duplicate rule name: Two rules of one environment have the same name. Give one of them another name.
CXR111 duplicate document: Two documents of one kind, or two promises of one document, have the same name.
CXR112 unknown operator: This operator does not exist (known: equals, in, contains, greaterThan, between, exists ...).
CXR113 unknown environment: No Environment document has that name.
CXR114 two environments, one owner: Two Environments have the same host, owner and target (`api.rules`), so each would
delete the rules of the other. Give each Environment its own owner.
CXR115 no manifests: The directory does not exist or has no *.yaml file. `cxroute init` writes a first set.
CXR117 queue without alias: The queue is not an alias in a Queues document, so it is used as the name of a live queue.
CXR118 duplicate alias: Two Queues documents define the same alias.
CXR119 operator not supported: The Environment's api.operators omits this operator, so the tenant does not support it.
CXR120 no condition: The rule takes every conversation. If that is intended, write `when: []`.
CXR121 inactive queue: The rule sends conversations to a skill that is switched off (`isActive: false`), so no agent
would receive them. Switch it on in CXone, or use another one. Of two skills with one name, the active one is used.
CXR122 unknown profile: No Profile document of these manifests has the name in the Environment's `api.profile`. `cxroute
schema profile` prints the default one as a starting point.
CXR123 no positive weight: The rule is enabled, and all its targets have the weight 0: its conversations reach no queue,
not even by the default routing. Set a weight above 0 for at least one target. To switch the rule off, set `enabled:
false`. A live rule of this kind is read, compared and explained; `export` leaves it out.
CXR124 duplicate attribute: Two Attributes documents declare the same attribute. Keep one of the entries.
CXR125 rule that a Studio block cannot hold: A block cannot express `endsWith`, the empty text, quotes, braces,
backslashes, control characters, or weights that are not whole percents.
CXR126 two meanings of a Studio variable: Rules compare an attribute as text and as a number, or two attributes have one
variable of the script. Use two attributes, or `api.studio.variables`.
CXR127 result depends on Studio's dialect: No document says whether Studio distinguishes `Card` from `card`, or ignores
blanks around a text. Rename a value, or let `cxroute studio probe` find the facts for `api.studio.dialect`.
CXR128 same result in every dialect of Studio: Proven for the declared intents and values (or those that rules name). An
empty text counts as missing, and a number must be a number in the script, not a text of digits.
CXR129 empty and missing differ: In Studio an empty variable is a missing one. Use a condition that treats both alike,
or a value such as `none` instead of the empty text.
CXR130 split by contact: The last two digits of ContactID choose one of the rule's queues. This is not a random draw.
CXR131 large block: The block has more than 40,000 bytes, the size of the largest SNIPPET that is known to work. Try the
text of `cxroute studio build` in Studio's Snippet editor first, use lists (`in`) for intents, or fewer rules.
CXR132 ambiguous group: A `group` of values has the name or the label of a value of the same attribute, so a text such
as `language "German"` could mean both. Rename the group, or give the value another label, such as `German (Germany)`.
CXR133 no default routing for digital contacts: A digital contact stays in the default skill of its channel if REQAGENT
(Digital) does not run. Write a rule with `when: []`, or set that default skill.
CXR140 secret in a manifest: A field has the name of a secret, such as `clientSecret`, `password` or `token`. Treat the
secret as leaked, because the repository's history keeps it: create a new one in CXone, and switch the old one off. Put
the new one into an environment variable, or into a file that NAME_FILE names, and write the variable's name:
`credentials: {clientSecretEnv: CXONE_CLIENT_SECRET}`. As a warning: a variable of `vars` has the name of a secret, and
the values of these variables are in rules and in their outputs.
CXR201 rule never matches: The rule's conditions contradict each other, or one of them can never hold: `in: []`, or a
`between` whose first number is the larger one. `notExists` contradicts every other condition on the attribute. Correct
the conditions, or remove the rule.
CXR202 rule never reached: Rules that are tried earlier take every conversation of this rule; each of the named rules is
necessary for that. Give the rule a better priority, narrow the other rules, or remove it. If the message names an
unmanaged live rule, adopt it (`adopt:`) to change it.
CXR203 rule changes nothing: Every conversation that this rule takes would go to the same destination without it. Remove
one such rule at a time and validate again, or give the reason to keep it: `accept: {CXR203: the reason}` in the rule. A
rule for one intent with the destination of the catch-all (a rule without conditions, or with conditions on the
confidence only) is not a finding.
CXR204 equal priority, different queues: Two rules with the same priority match the same conversation and send it to
different destinations. The platform does not define which is tried first; cxroute assumes the one whose name comes
first. Give one of them another priority, or conditions that exclude the other rule's conversations.
CXR205 intent without a rule: No rule of the manifests takes this intent of an Intents document. Its callers go to the
tenant's default routing, or to the destination of an unmanaged rule. Write a rule for the intent, or a catch-all
(`when: []`). An intent that only a catch-all takes is not a finding; `validate` counts such intents.
CXR206 intent that the bot cannot say: A rule names an intent that no Intents document lists (compared letter by letter,
including case). Correct it, or add it to the document if the bot can send it.
CXR207 attribute without a known writer: The context endpoint writes the three attributes that the Environment names
under `attributes:`; other attributes must have another source, such as a script. As a warning: the name looks like a
misspelling of a known one, or Attributes documents exist and none declares it. As an info: no unmanaged live rule uses
the attribute, so check that some system writes it, and state it: `writtenBy` in an Attributes document.
CXR208 gap in the confidence: Rules for an intent take a higher and a lower confidence of the bot, and no rule takes the
values between them: these callers go to a catch-all, or to the tenant's default routing. Usually, `minConfidence` of
one should equal `belowConfidence` of the other.
CXR209 analysis incomplete: The analysis reached its limit: in `validate` about two seconds for 1,000 rules, in a plan a
fifth of the plan's own work. The result for the named rules is unknown. Use conditions on fewer attributes, or split
the rules.
CXR210 not a documented skill name: With `api.queues: acd-skills`, queues are skills of the platform. According to
public documents the name of a skill has 2 to 30 characters: letters, digits, - _ . and : only. Correct the name, or
write the skill's id in a Queues document. If the tenant has a skill of that name, the rules work.
CXR211 not a documented custom field ident: With `context.writer: digital-custom-fields`, the names under `attributes:`
are idents of custom fields. No public document defines the characters of an ident; the published examples have letters,
digits, - _ and . only. Define the field in CXone before it is written, and use the same attribute names in the rules.
CXR212 nothing to acknowledge: An `accept:` of a rule or of the Environment matches no finding. Remove the entry.
`validate` checks this for findings that need no tenant; `plan`, without `--only` and `--undo`, for all others. As an
info: other Environments have the rule, too, and the finding may exist there; move an `accept:` that only one
Environment needs into that Environment.
CXR213 value that is not declared: A rule, promise or route test compares an attribute with a value that its Attributes
document does not have among its `values`, or of another type; a text never equals a number. Correct the value, or the
document.
CXR214 not a comparison of the confidence: A rule or promise compares the bot's confidence with single values (`equals`,
`in` and others), or with a number outside 0 to 1. A bot sends numbers such as 0.8713, so a single value matches hardly
any conversation. Write `minConfidence: 0.6`, or `greaterThanOrEqual`, `lessThan` or `between` with numbers from 0 to 1:
60 % is 0.6.
CXR216 text that other tools misread: Other YAML tools read `no`, `on`, `~`, `1:30`, `1_0`, `0o7`, `2026-01-01` and the
like as booleans, numbers, dates or null; cxroute reads them as texts. Put the text in quotes; in an editor, `cxroute
lsp` offers that as a quick fix. A date in a field that holds a date (`until`, `start`, `end`) is not a finding. YAML
1.1 also reads the number `1e3` as a text: write 1000. Its tools refuse a plain text with a question mark, such as
`why?`, inside of brackets: put it in quotes.
CXR217 protected rule that does not exist: `guard: {protected: ...}` of the Environment names a rule that no manifest
has, at any time, so nothing is protected. Correct the address, or remove it.
CXR220 route test failed: A conversation has another destination than the test expects. The message names the rule that
takes it; `cxroute explain` shows why. Correct the rules or the test. While a test fails, `plan` exits with 3, and
`apply` refuses. `cxroute test --live` and `cxroute drift` run the tests on all live rules; there, a condition that
cxroute does not understand counts as false.
CXR221 promise broken: Some conversation is routed in a way that a promise forbids, or the analysis stopped at its
bound. The message has an example, its destination, and the rule that takes it; `cxroute explain` shows why. Correct the
rules or the promise. `validate` and `test` check the rules of the manifests, `cxroute test --live` and `cxroute drift`
all live rules, and the guard `promises` the rules that are live after a plan. With `severity: warning` the exit code
does not change.
CXR222 promise about nothing: No conversation fulfils the conditions of the promise's `for`: they contradict each other,
or one of them never holds. Correct the conditions, or remove the promise.
CXR230 not a traffic sample: The file is empty, larger than 5 MiB, has more than 100,000 rows, or holds control
characters. Combine equal rows, or export the file as CSV in UTF-8.
CXR231 not CSV: The row breaks CSV's grammar. The usual cause is an open quote. Write a quote inside a quoted cell
twice. In a file of JSON lines, each line must be one object.
CXR232 wrong columns: The first row must name each column once: attributes (`intent` and `confidence` under the
Environment's names) and `count`.
CXR233 wrong cell: A count must be a number, 0 or more, and a confidence a number from 0 to 1. Other cells are read like
values in manifests; an empty cell is a missing attribute.
CXR234 no conversations: All counts are 0, so there are no shares to report.
CXR235 old traffic sample: The sample ended longer ago than `traffic: {maxAgeDays: ...}` of the Environment allows, ends
as far in the future, or does not say when it ended. Make a new one with `cxroute traffic pull` or `traffic import`.
With the guard `traffic`, apply refuses.
CXR240 no run near a date: No run is known to come within 15 minutes: the Environment has no `schedule`, or its runs are
further apart. Run `cxroute apply` as a scheduled job, or `cxroute watch`, and write in the Environment how often:
`schedule: {every: 10m}`.
CXR241 step that waits: A step of a rule is due, and its condition (`if`) does not hold, cannot be answered by
Prometheus, or was not asked: only `cxroute apply` and `cxroute watch --apply` ask it, of the server in
$CXROUTE_PROMETHEUS. The later steps of the rule wait, too. The message has the reason.
CXR242 rule or step that is never active: The rule ended, or the step begins when its rule has ended, so it never has an
effect again. Remove it, or change its dates.
CXR243 change at a date that will not be made: At a date, a rule should begin, change or end, and it stays as it is
then: it is held, rules are not deleted (`prune: false`), or the change is in conflict with another rule. End the hold
before the date, or change the date.
CXR301 name is taken: An unmanaged live rule has the name of a desired one. To manage it, write `adopt:` with the live
name in the manifest; otherwise rename one of the two.
CXR302 edited copy of a managed rule: A second live rule has the marker of a managed rule, and differs from it: a person
changed it, or it differs in fields that cxroute does not know (a division, a schedule), which the message names.
cxroute never writes it. To keep it as an unmanaged rule, remove the marker from its description; otherwise delete it in
the UI.
CXR303 managed by another owner: Another owner manages a live rule with this name; cxroute never changes it. Rename your
rule.
CXR304 several rules to adopt: Several unmanaged live rules have that name. Adopt one of them by id: `adopt: {id: ...}`.
CXR305 nothing to adopt: No unmanaged live rule has that name, so the rule is created.
CXR306 condition not understood: A live rule has a condition, operator or target that cxroute does not know, and keeps.
CXR308 same name as a managed rule: An unmanaged live rule has the same name as a managed one. cxroute does not change
it.
CXR309 possibly managed by another tool: The description of a rule to adopt ends with a marker of another tool. Two
tools that write one rule undo each other's changes. First remove it from the other tool, or do not adopt it.
CXR310 manifests contradict the undo: The next apply makes the undone changes again. Revert the commit that changed the
manifests, or until then add a `hold:` to each rule. A rule that is in no manifest is deleted again: until the commit is
reverted, `--no-prune` or `prune: false` keeps it.
CXR311 undo blocked: A rule of the run to undo has lost cxroute's marker or was deleted since; or an unmanaged rule now
has its name. cxroute restores nothing there. The same code says that a later run changed the settings beside the rules
(the fallback of a published table).
CXR312 several rules with one marker: A managed rule was copied in CXone, and both were changed, or differ in fields
that cxroute does not know. `dateCreated` does not show which is older: it is missing, equal, or not a complete ISO 8601
date and time. So cxroute neither writes nor deletes any of them. Keep one; delete the others, or remove the last line
of their descriptions. If the tenant has another name for the date, set it in the Profile: `rule: {dateCreated: NAME}`.
CXR313 CASE that is not managed: The block of a Studio script contains a CASE, or another statement, without the comment
of cxroute. A save would lose it. Move it out of the block in Studio, or adopt it: `adopt: {id: line 14}`.
CXR320 live rules of a file: The plan compares with the rules of a file (`--live FILE`), which may be outdated or
incomplete. `apply` reads the tenant itself, and refuses a saved plan if the tenant differs.
CXR321 fallback not compared: The manifests before the change are invalid, have no such Environment, or cannot be read,
so the plan does not show which conversations a changed fallback of the endpoint moves. This is expected for a new
Environment, and for a correction of invalid manifests; otherwise specify another revision or directory (`--base`).
CXR330 accepted rule is not live: An entry of the Environment's `unmanaged: accept:` matches no live rule: it was
deleted, renamed or edited since. Remove the entry, or check the rule in CXone and write its new digest, which `cxroute
drift` prints while the rule is reported.
CXR331 drift analysis incomplete: Unmanaged live rules overlap with those of the manifests in so many ways that the
comparison reached its limit. Their result is unknown. Use conditions on fewer attributes, or accept the unmanaged live
rules.
CXR340 text changed by the tenant: The tenant stores a name or a description in another form than it was written: in
lower case, escaped, cut, or without white space. The rule counts as written. Write a text that the tenant stores
unchanged, or accept the finding. This never applies to conditions, targets, priority and `enabled`: a difference there
is a failed change.
"""
_PARAGRAPH: Final = re.compile(
    r"^(CXR\d+) ([^:\n]+): (.+?)\n(?=CXR|\Z)", re.MULTILINE | re.DOTALL
)
CODES: Final = {
    code: Code(title, text.replace("\n", " "))
    for code, title, text in _PARAGRAPH.findall(_TEXTS)
}
