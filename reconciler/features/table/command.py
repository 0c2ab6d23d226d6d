"""`cxroute table`: the rules as a decision table for a spreadsheet, and its edited cells as edits
of the manifests.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.cli.arguments import requires_extra
from reconciler.cli.command_line import utc_now
from reconciler.cli.commands.plan import PENDING
from reconciler.cli.files import write_text
from reconciler.cli.manifest_files import replace_files
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.session import Session, open_session
from reconciler.core.checks.edit_effects import EditEffects, find_edit_effects
from reconciler.core.desired.desired import DesiredState, desire_offline
from reconciler.core.desired.queues import QueueError
from reconciler.core.errors import CxrouteError, ManifestError, RefusedError, UsageError
from reconciler.core.export.export import TenantSnapshot
from reconciler.core.export.update_manifest import find_unintended_changes
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests, load_with_changes
from reconciler.core.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.plan.guards import apply_allowance, count_deletes
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.list_impact import ListSide, impact_of_lists
from reconciler.core.plan.routing_table import desired_entries
from reconciler.core.plan.stages import GuardResult
from reconciler.core.plan.traffic_shares import (
    rule_shares,
)
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.core.text.files import read_file
from reconciler.core.text.suggest import suggest
from reconciler.core.traffic.sample import TrafficSample
from reconciler.features.table.cells import SYNTAX, write_name, write_scalar
from reconciler.features.table.column_values import ColumnValues
from reconciler.features.table.compare_sheet import (
    RowEdit,
    TableEdits,
    Vocabulary,
    compare_sheet,
)
from reconciler.features.table.manifest_edits import ManifestWriter, find_difference
from reconciler.features.table.page import render_table
from reconciler.features.table.rows import (
    NO,
    YES,
    DecisionTable,
    build_table,
    headings_of,
)
from reconciler.features.table.sheet import (
    BYTE_ORDER_MARK,
    Sheet,
    SheetError,
    read_csv,
    write_csv,
)
from reconciler.features.table.stated_rules import DATE_FIELDS, stated_rules
from reconciler.features.table.vocabulary import column_values
from reconciler.render.colour import Style
from reconciler.render.effects import summarize_effects
from reconciler.render.finding_subject import source_location
from reconciler.render.text.effects import effects_lines, headline_lines
from reconciler.render.text.findings import findings_text

_FORMATS: Final = ("csv", "xlsx", "html")
_REFUSED_FILES: Final = {
    b"\xd0\xcf\x11\xe0": "it is an old .xls workbook, or a workbook with a password",
    b"PK\x03\x04.{26}mimetypeapplication/vnd.oasis": "it is an OpenDocument file (.ods)",
    rb"\s*<": "HTML is for reading",
}
"""Files that are not tables, by the pattern of their first bytes."""
_ALLOWED: Final = ("tests", "promises", "emptied", "deletes")
"""What --allow lifts: broken route tests and promises, and the guards of the same name."""
_MOST_SHOWN: Final = 20  # findings of one kind
_HELP: Final = (
    "Without --from, the rules of the manifests are written as a table: one row per rule, in order "
    "of evaluation.\n"
    "With --from, edited cells of a CSV or XLSX file become the smallest edits of the manifests. "
    "New rows become\n"
    "rules at the end of their RuleSet, and removed rows are deletions. --check only says what "
    "would change."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions(SessionOptions):
    """The options of `cxroute table`."""

    has_traffic = True
    out: str | None
    edited: str | None
    check: bool
    allow: Sequence[str]
    detailed_exitcode: bool


def options(parser: argparse.ArgumentParser) -> type[TableOptions]:
    add = parser.add_argument
    add(
        "--format",
        choices=_FORMATS,
        help="format of the table (default: by the name of --out, otherwise csv)",
    )
    add("--out", metavar="FILE", help="write the table there instead of to stdout")
    add(
        "--from",
        dest="edited",
        metavar="FILE",
        help="read an edited table, and write its edits into the manifests",
    )
    add(
        "--check",
        action="store_true",
        help="with --from: write nothing, and say what would change",
    )
    allow = (
        f"with --from: write all the same, although the edits break this: {', '.join(_ALLOWED)}; "
        f"may be repeated"
    )
    add("--allow", action="append", metavar="NAME,...", default=[], help=allow)
    add(
        "--traffic",
        metavar="FILE",
        help="traffic sample, CSV of intent,...,count: shows shares of callers",
    )
    add(
        "--detailed-exitcode",
        action="store_true",
        help="with --from: exit 2 if there are edits",
    )
    parser.epilog = _HELP
    return TableOptions


class CurrentRules(NamedTuple):
    """The rules of the manifests in one Environment, their table, and what its cells may name."""

    tenant: TenantSnapshot  # has the queues of the manifests, and no rule
    table: DecisionTable
    vocabulary: Vocabulary


class EditedTable(NamedTuple):
    """The file of --from, and what --allow lifts."""

    file: str
    allowed: frozenset[str]


def run(options: TableOptions, output: Output) -> int:
    if options.edited is None and (
        options.check or options.detailed_exitcode or options.allow
    ):
        raise UsageError("--check, --allow and --detailed-exitcode go with --from FILE")
    allowed = _read_allowed(options.allow)
    if options.edited is not None and (options.out or options.format):
        raise UsageError(
            "--from reads a table, and --out and --format are about a new one: specify one of them"
        )
    session = open_session(options, output)
    current = read_rules(session.manifests, session.environment, session.sample)
    with requires_extra("sheets", "XLSX, unlike CSV,"):
        if options.edited is None:
            return _write_table(session, current, options)
        edited = EditedTable(options.edited, allowed)
        return _write_edits(session, current, edited, options)


def read_rules(
    manifests: Manifests, environment: Environment, sample: TrafficSample | None = None
) -> CurrentRules:
    """Return the rules of the manifests in an Environment. Raises ManifestError."""
    desired, resolver = desire_offline(manifests, environment)
    aliases = dict[str, str]()
    for alias in resolver.aliases:
        with suppress(QueueError):  # without an entry for this Environment
            aliases[alias] = resolver.resolve(alias).name
    queues = tuple(resolver.queues_by_id.values())
    tenant = TenantSnapshot(
        rules=(),
        queues=queues,
        resolver=resolver,
        environment=environment,
        desired=desired,
    )
    shares = rule_shares(desired_entries(desired), desired, sample) if sample else None
    rules = stated_rules(desired, manifests)
    entries = [each.entry for each in rules]
    values = column_values(manifests, environment, headings_of(desired), entries)
    table = build_table(desired, rules, resolver.names, values, shares)
    by_name = group_pairs((queue.name, queue) for queue in queues)
    return CurrentRules(tenant, table, Vocabulary(by_name, aliases))


def _write_table(session: Session, current: CurrentRules, options: TableOptions) -> int:
    out = options.out or ""
    path = Path(out) if out else None
    form = options.format or (path.suffix[1:].lower() if path else "") or "csv"
    if form not in _FORMATS:
        raise UsageError(
            f"{sanitize(out)}: the name of a table ends in .csv, .xlsx or .html"
        )
    data = _encode_table(current, form, BYTE_ORDER_MARK if path else "")
    if path:
        write_text(path, data)
        count = pluralize(len(current.table.rows), "rule")
        session.output.note(
            f"wrote {sanitize(str(path))}: {count} of {current.table.environment}"
        )
    elif form == "xlsx":
        raise UsageError(
            "a workbook cannot go to stdout: set --out to the name of a file"
        )
    else:
        session.output.result(data.decode())
    return 0


def _encode_table(current: CurrentRules, form: str, mark: str) -> bytes:
    """Return the table in a form; `mark` is the beginning of a CSV file."""
    if form == "html":
        return render_table(current.table).encode()
    rows = [
        current.table.headings,
        *([*row.cells.values()] for row in current.table.rows),
    ]
    if form == "xlsx":
        return _workbook(current, rows)
    return f"{mark}{write_csv(rows)}".encode()


def _workbook(current: CurrentRules, rows: Sequence[Sequence[str]]) -> bytes:
    from reconciler.features.table.xlsx_file import write_xlsx  # noqa: PLC0415 - needs the extra `sheets`

    fixed = {
        "Queue": sorted(map(write_name, current.vocabulary.queues)),
        "On": [YES, NO],
    }
    offered: dict[int, Sequence[str]] = {}
    for position, column in enumerate(current.table.columns):
        choices = fixed.get(column.heading)
        values = current.table.values.get(column.attribute)
        if not choices and values:
            choices = _choices(values)
        if choices:
            offered[position] = choices
    return write_xlsx(current.table.environment, rows, offered, _guide(current))


def _date_lines(desired: DesiredState) -> list[tuple[str, str]]:
    """Return the explanations of the columns of dates, if there are any."""
    if desired.calendar is None:
        return []
    dates = " and ".join(DATE_FIELDS)
    example = write_scalar("2026-12-27T06:00")
    return [
        (dates, f"when the rule begins, and when it ends: {example}, or empty"),
        ("Queue with from", "has steps, which are for reading: edit the manifest"),
    ]


def _choices(values: ColumnValues) -> list[str]:
    """Return the cells that a column offers: each of its values, then each of its groups."""
    texts = [values.shown(value) for value in values.offered]
    texts += sorted(values.groups)
    return [write_scalar(text, values.spellings) for text in texts]


def _guide(current: CurrentRules) -> list[tuple[str, str]]:
    """Return the sheet of explanations: a heading, then each cell with its meaning."""
    desired = current.tenant.desired
    first = "lowest" if desired.evaluation == "lowest-first" else "highest"
    new_rule = "RULESET/KEY; of a new row the RuleSet, or RULESET/KEY with a new key"
    order = "has no effect: the priority decides, then the rule's name in CXone"
    lines = [
        ("Cell", "Meaning"),
        ("Rule", new_rule),
        ("Priority", f"a whole number; the {first} is tried first"),
        ("On", f"{YES} or {NO}"),
        ("Queue", "a name from the list; several with weights: Cards 80; General 20"),
        *_date_lines(desired),
        ("", ""),
        ("Condition", "Meaning"),
        ("(empty)", "any value, or none"),
        *SYNTAX,
        ("confidence", "a comparison with numbers from 0 to 1, such as >= 0.6"),
        ("", ""),
        ("Order of rows", order),
        ("A removed row", "deletes the rule"),
        ("Share of callers, File", "are for reading, edits have no effect"),
        ("", ""),
        ("Column", "Attribute"),
    ]
    groups: list[tuple[str, str]] = []
    for name, values in current.table.values.items():
        lines.append((values.heading, write_scalar(name)))
        groups += _group_lines(values)
    if groups:
        lines += [("", ""), ("Group", "Its values"), *groups]
    return lines


def _group_lines(values: ColumnValues) -> Iterator[tuple[str, str]]:
    """Yield the groups of a column, each with its values."""
    for group, members in sorted(values.groups.items()):
        texts = [
            write_scalar(values.shown(value), values.spellings)
            for value in sorted(members)
        ]
        yield (
            f"{values.heading}: {write_scalar(group, values.spellings)}",
            "; ".join(texts),
        )


def _read_allowed(texts: Iterable[str]) -> frozenset[str]:
    """Return the names of --allow. Raises UsageError for an unknown one."""
    names = [name.strip() for listed in texts for name in listed.split(",")]
    for name in names:
        if name not in _ALLOWED:
            hint = suggest(name, _ALLOWED)
            message = f"--allow {sanitize(name)}: write one of {', '.join(_ALLOWED)}"
            raise UsageError(f"{message}; {hint}" if hint else message)
    return frozenset(names)


def _write_edits(
    session: Session, current: CurrentRules, edited: EditedTable, options: TableOptions
) -> int:
    """Write the edits of a table, or say what they would be. Raises CxrouteError."""
    output = session.output
    sheet = _read_sheet(Path(edited.file))
    edits = compare_sheet(current.table, sheet, current.vocabulary)
    if not any(edits):
        output.result("The table has no edits.\n")
        return 0
    _refuse(session, edited, _removals(session, current, edits))
    writer = ManifestWriter(session.manifests, current.tenant)
    texts = writer.write(edits)
    manifests, after = _prove(session, writer, texts)
    changed_rules = _find_others(session, manifests)
    effects = _find_effects(session, manifests, changed_rules)

    session.print_banner()
    _print_edits(output, edits, writer)
    _print_impact(session, current, after)
    _print_effects(output, changed_rules, effects)
    _refuse(session, edited, _broken(effects))
    if options.check:
        command = _again(session, edited)
        output.result(f"Nothing was written. To write this: {command}\n")
    else:
        _write_files(session, texts)
    return PENDING if options.detailed_exitcode else 0


def _print_edits(output: Output, edits: TableEdits, writer: ManifestWriter) -> None:
    """Print each edit, unless --quiet, and their number."""
    if output.loudness != "quiet":
        lines = _edit_lines(edits, writer, output.paint)
        output.result("".join(f"{line}\n" for line in lines))
    output.result(f"{_count_edits(edits)}.\n\n")


def _describe_others(changed_rules: Mapping[str, int]) -> str:
    counts = ", ".join(
        f"{name} ({pluralize(count, 'rule')})" for name, count in changed_rules.items()
    )
    return f"These environments change too, because their rules are in the same files: {counts}."


def _count_edits(edits: TableEdits) -> str:
    changed = sum(row.entry is not None for row in edits.edited)
    numbers = {
        "changed": changed,
        "new": len(edits.edited) - changed,
        "removed": len(edits.removed),
    }
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)


def _write_files(session: Session, texts: Mapping[str, str]) -> None:
    """Write the files, and print the next command."""
    output = session.output
    replace_files(texts, session.manifests)
    output.result("".join(f"wrote {sanitize(file)}\n" for file in texts))
    validate = session.command_line.command("validate")
    plan = session.command_line.command("plan")
    output.result(f"Next: {validate}, then {plan}\n")


def _again(session: Session, edited: EditedTable) -> str:
    """Return the command that writes the edits."""
    listed = [name for name in _ALLOWED if name in edited.allowed]
    names = ["--allow", ",".join(listed)] if listed else []
    return session.command_line.command("table", "--from", edited.file, *names)


def _print_effects(
    output: Output, changed_rules: Mapping[str, int], effects: EditEffects
) -> None:
    """Print the other environments that change, and what the edits break."""
    if changed_rules:
        output.result(f"{_describe_others(changed_rules)}\n")
    output.result("".join(_effect_lines(effects, output.paint)))


def _find_effects(
    session: Session, after: Manifests, others: Iterable[str]
) -> EditEffects:
    """Return the route tests and promises that the edits break, in all changed environments.

    Raises SheetError.
    """
    environments = [
        session.environment,
        *(session.manifests.environment(name) for name in others),
    ]
    try:
        return find_edit_effects(session.manifests, after, environments)
    except ManifestError as error:
        raise _invalid(error) from None


def _effect_lines(effects: EditEffects, style: Style) -> Iterator[str]:
    """Yield what the edits break, under one heading for each kind."""
    sections = {
        "These edits break {}:": ("route test", effects.broken_tests),
        "These edits break {} of severity error:": ("promise", effects.broken_promises),
        "These edits cause {}:": ("warning", effects.new_findings),
    }
    for heading, (noun, findings) in sections.items():
        if findings:
            text = findings_text(findings[:_MOST_SHOWN], style)
            yield f"{heading.format(_count(findings, noun))}\n{text}"
        if len(findings) > _MOST_SHOWN:
            yield f"and {len(findings) - _MOST_SHOWN:,} more\n"
    count = effects.failed_before
    if count:
        checks = "route tests or promises fail"
        if count == 1:
            checks = "route test or promise fails"
        yield f"{count:,} {checks} without these edits, too: see cxroute test.\n"


def _count(findings: Sequence[Finding], noun: str) -> str:
    """Return the number of tests, promises or rules: one may have another destination in each
    environment.
    """
    return pluralize(len({finding.source for finding in findings}), noun)


def _broken(effects: EditEffects) -> Iterator[tuple[str, str]]:
    """Yield what the edits break, each with its name for --allow."""
    if effects.broken_tests:
        yield "tests", f"the edits break {_count(effects.broken_tests, 'route test')}"
    if effects.broken_promises:
        yield (
            "promises",
            f"the edits break {_count(effects.broken_promises, 'promise')}",
        )


def _removals(
    session: Session, current: CurrentRules, edits: TableEdits
) -> Iterator[tuple[str, str]]:
    """Yield the guards that the removed rows break, each with its name for --allow."""
    environment = session.environment
    managed = len(current.table.rows)
    removed = len(edits.removed)
    result = GuardResult(
        name="emptied",
        value=removed,
        limit=managed - 1,
        ok=removed < managed or not managed,
        message="the table has no row of any rule of the manifests",
    )
    if not apply_allowance(result, environment, utc_now()).ok:
        yield result.name, result.message
    yield from _deletes(environment, current.tenant.desired, edits)
    for name, loaded in session.manifests.environments.items():
        if name != environment.name:
            # it is invalid without the edits, too; `validate` reports it
            with suppress(ManifestError):
                desired, _ = desire_offline(session.manifests, loaded.document)
                yield from _deletes(loaded.document, desired, edits)


def _deletes(
    environment: Environment, desired: DesiredState, edits: TableEdits
) -> Iterator[tuple[str, str]]:
    """Yield the guard `deletes` of an environment with the rules, if the edits break it."""
    enabled = {
        str(address): each.rule.enabled for address, each in desired.rules.items()
    }
    removed = sum(str(entry.address) in enabled for entry in edits.removed)
    off = sum(
        enabled.get(str(row.entry.address), False) and not row.rule.enabled
        for row in edits.edited
        if row.entry
    )
    if removed or off:
        result = count_deletes(removed, off, len(enabled), environment)
        if not apply_allowance(result, environment, utc_now()).ok:
            yield result.name, f"the table {result.message}"


def _refuse(
    session: Session, edited: EditedTable, problems: Iterable[tuple[str, str]]
) -> None:
    """Raise SheetError for a broken route test, and RefusedError for another problem that --allow
    does not lift.
    """
    refused = [
        (name, message) for name, message in problems if name not in edited.allowed
    ]
    if not refused:
        return
    names = {name for name, _ in refused}
    command = _again(session, edited._replace(allowed=edited.allowed | names))
    reasons = "; ".join(message for _, message in refused)
    is_short = not names.isdisjoint(("emptied", "deletes"))
    remedy = (
        " Copy the whole sheet, with the rows that a filter hides." if is_short else ""
    )
    message = f"nothing was written: {reasons}.{remedy}\nIf this is intended: {command}"
    raise SheetError(message) if "tests" in names else RefusedError(message)


def _read_sheet(path: Path) -> Sheet:
    try:
        data = read_file(path, MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(
            f"{sanitize(str(path))} cannot be read: {error.strerror}"
        ) from None
    for pattern, reason in _REFUSED_FILES.items():
        if re.match(pattern, data, re.DOTALL):
            raise UsageError(
                f"{sanitize(str(path))}: {reason}. Save the table as .xlsx without a password, or "
                f"as CSV"
            )
    if not data.startswith(b"PK"):
        return read_csv(data)
    from reconciler.features.table.xlsx_file import read_xlsx  # noqa: PLC0415 - needs the extra `sheets`

    return read_xlsx(data)


def _prove(
    session: Session, writer: ManifestWriter, texts: Mapping[str, str]
) -> tuple[Manifests, DesiredState]:
    """Return the edited manifests and their rules, which must be those of the table.

    Raises CxrouteError.
    """
    try:
        manifests = load_with_changes(
            Path(session.directory),
            {file: text.encode() for file, text in texts.items()},
            session.manifests.instant,
        )
        after, _ = desire_offline(manifests, session.environment)
    except ManifestError as error:
        raise _invalid(error) from None
    if different := find_difference(writer.expected, after):
        raise CxrouteError(
            f"nothing was written: {different} would not get the values of the table"
        )
    return manifests, after


def _invalid(error: ManifestError) -> SheetError:
    """Return the error for edits of which the manifests become invalid."""
    first = next(finding for finding in error.findings if finding.severity == "error")
    where = f"{first.source.file}: " if first.source else ""
    return SheetError(
        f"nothing was written: the manifests would be invalid: {where}{sanitize(first.message)}"
    )


def _find_others(session: Session, after: Manifests) -> dict[str, int]:
    """Return the number of changed rules of each other Environment.

    Raises SheetError if one becomes invalid.
    """
    counts = {}
    for name, loaded in session.manifests.environments.items():
        # it is invalid without the edits, too; `validate` reports it
        with suppress(ManifestError):
            old, _ = desire_offline(session.manifests, loaded.document)
            try:
                new, _ = desire_offline(after, after.environments[name].document)
            except ManifestError as error:
                reason = sanitize(error.findings[0].message)
                raise SheetError(
                    f"nothing was written: {name} would become invalid: {reason}"
                ) from None
            counts[name] = len(find_unintended_changes(old, new, {}))
    return {
        name: count
        for name, count in counts.items()
        if count and name != session.environment.name
    }


def _edit_lines(
    edits: TableEdits, writer: ManifestWriter, style: Style
) -> Iterator[str]:
    """Yield the edited cells of each row, the removed rows, and the comments that are lost."""
    for row in edits.edited:
        yield from _row_lines(row, str(writer.addresses[row.cell.name]), style)
    for entry in edits.removed:
        lost = writer.lost_fields[entry.name]
        fields = f", with its {' and '.join(lost)}" if lost else ""
        yield (
            f"{style('red', '-')} {sanitize(entry.name)}: its row was removed, so the rule is "
            f"deleted{fields}"
        )
    for comment in writer.lost_comments:
        yield f"    {sanitize(comment)}: this comment is deleted, too"


def _row_lines(row: RowEdit, address: str, style: Style) -> Iterator[str]:
    """Yield an edited or new row, with its edited cells."""
    before = row.entry
    place = row.cell.name
    if before and before.source:
        place = source_location(before.source)
    name = before.name if before else address
    symbol = style("yellow", "~") if before else style("green", "+")
    yield f"{symbol} {sanitize(name)}   {style('dim', place)}"
    for edit in row.edits:
        change = sanitize(edit.after) or "(empty)"
        if before:
            change = f"{sanitize(edit.before) or '(empty)'} -> {change}"
        yield f"    {edit.name} {sanitize(edit.heading)}: {change}"
    if before and address != before.name:
        yield f"    new address: {address}"


def _print_impact(session: Session, current: CurrentRules, after: DesiredState) -> None:
    """Print the conversations that go elsewhere by the edited rules."""
    before = current.tenant.desired
    impact = _measure_impact(before, after, session.sample)
    queues = current.tenant.resolver.names
    summary = summarize_effects(
        impact, queues, before.labels, values=session.limits.values
    )
    style = session.output.paint
    plan = session.command_line.command("plan")
    heading = f"Without the tenant's own rules (run `{plan}` to include them):"
    if before.calendar or after.calendar:
        heading = f"Now, w{heading[1:]}"
    lines = [
        heading,
        *headline_lines(summary, style),
    ]
    if session.output.loudness != "quiet":
        lines += ["", *effects_lines(summary, style, verbose=session.limits.verbose)]
    session.output.result("".join(f"{line}\n" for line in lines))


def _measure_impact(
    before: DesiredState, after: DesiredState, sample: TrafficSample | None
) -> Impact:
    """Return the conversations that the edited rules move, in reading order."""
    stage = before.endpoint  # no rule changes it
    return impact_of_lists(
        ListSide(desired_entries(before), stage),
        ListSide(desired_entries(after), stage),
        before.evaluation,
        before.labels,
        sample,
    )
