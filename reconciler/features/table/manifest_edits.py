"""Edits of a table -> the smallest edits of the manifests' texts, and what these texts must
define.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.expand import InvalidRuleError
from reconciler.core.desired.expand_dates import RuleDates
from reconciler.core.export.export import TenantSnapshot
from reconciler.core.export.names import (
    NotRepresentableError,
    QueueNames,
    escape_text,
)
from reconciler.core.export.ruleset import (
    Fields,
    condition_fields,
    drop_defaults,
    queue_or_targets,
    understood,
)
from reconciler.core.export.update_manifest import (
    RuleUpdater,
    edit_texts,
    find_lost_comments,
    find_rule,
    patch_document,
    with_field,
)
from reconciler.core.manifest.kinds.ruleset import RuleSet
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.source_map import LoadedDocument, PathStep
from reconciler.core.manifest.yaml_patch import CannotPatchError, TextEdit
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Address
from reconciler.core.text.escape import quote_name
from reconciler.core.text.suggest import suggest
from reconciler.features.table.compare_sheet import RowEdit, TableEdits
from reconciler.features.table.sheet import refuse_cells
from reconciler.features.table.stated_rules import (
    Meaning,
    StatedRule,
    find_other_meaning,
    meanings,
    stated_rules,
)

_NOT_IN_TABLE: Final = (
    "name",
    "description",
    "environments",
    "hold",
    "adopt",
    "accept",
)


class ManifestWriter:
    """Writes the edits of a table into the manifests of one Environment."""

    def __init__(self, manifests: Manifests, tenant: TenantSnapshot) -> None:
        """`tenant` has the desired rules and the queues that they may name."""
        rules = stated_rules(tenant.desired, manifests)
        self.manifests = manifests
        self.tenant = tenant
        self.expected = {each.entry.name: each.meaning for each in rules}
        """What the edited manifests must define: the meaning of each row, by the rule's name."""
        self.addresses = dict[str, Address]()
        """The addresses of edited rules, by the name of the row's first cell."""
        self.lost_comments = Counter[str]()
        self.lost_fields = dict[str, list[str]]()
        """The fields of each removed rule that a table does not show, by address."""
        self._rules = _by_name(rules)
        self._names = _count_names(rules)
        self._at = _names_by_address(self.expected)
        self._queue_name = QueueNames(tenant.resolver, tenant.queues, ()).existing_name
        self._removed = defaultdict[int, set[int]](set)
        self._added = defaultdict[int, list[Fields]](list)
        self._edits: list[tuple[str, list[TextEdit]]] = []
        self._problems: list[str] = []

    def write(self, edits: TableEdits) -> dict[str, str]:
        """Return the changed texts by file.

        Raises SheetError with every edit that a manifest cannot express.
        """
        for entry in edits.removed:
            with self._named(entry.name):
                self._remove(entry.name)
        for row in edits.edited:  # two rules may take each other's address
            if row.entry:
                del self.expected[row.entry.name]
        for row in edits.edited:
            with self._named(row.cell.name):
                address = self._change(row, row.entry) if row.entry else self._add(row)
                self.addresses[row.cell.name] = address
        for loaded in self.manifests.rulesets:
            self._patch_ruleset(loaded)
        refuse_cells(self._problems)

        texts = edit_texts(self._edits, self.manifests)
        self.lost_comments = find_lost_comments(texts, self.manifests)
        return texts

    def _patch_ruleset(self, loaded: LoadedDocument[RuleSet]) -> None:
        """Patch the list of a document, if rules are removed from it or added to it."""
        root = loaded.source_map.root
        removed = self._removed[id(loaded)]
        added = self._added[id(loaded)]
        remaining = [
            fields for index, fields in enumerate(root["rules"]) if index not in removed
        ]
        # A new rule does not take the place of a removed one, whose comments would describe it.
        for rules in (remaining, [*root["rules"], *added]):
            if rules != root["rules"]:
                self._patch(loaded, (), {**root, "rules": rules})
        if added and removed and not remaining:
            remedy = "add the new rows first, and remove these rows then"
            problem = f"every rule of {root['name']} is replaced: {remedy}"
            self._problems.append(f"{loaded.file}: {problem}")

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        try:
            yield
        except (NotRepresentableError, InvalidRuleError, CannotPatchError) as error:
            self._problems.append(f"{name}: {error}")

    def _patch(
        self,
        loaded: LoadedDocument[RuleSet],
        path: tuple[PathStep, ...],
        new: Fields,
    ) -> None:
        with self._named(loaded.file):
            edits = patch_document(loaded, path, new)
            self._edits.append((loaded.file, edits))

    def _change(self, change: RowEdit, entry: RoutingEntry) -> Address:
        stated = self._rules[entry.name]
        loaded, index = find_rule(stated.desired, self.manifests)
        path = ("rules", index)
        address = stated.desired.address
        updater = RuleUpdater(address.key, change.rule, loaded.document, self.tenant)
        fields = with_dates(loaded.source_map.value(path), change.dates)
        new = updater.update(fields, "values")
        self._patch(loaded, path, new)

        expander = updater.expander(new)
        meaning = Meaning(
            Address(address.ruleset, expander.key()),
            change.rule.routing_fields,
            RuleDates(expander).interval(),
            stated.later,
        )
        return self._expect(entry.name, meaning)

    def _remove(self, name: str) -> None:
        desired = self._rules[name].desired
        loaded, index = find_rule(desired, self.manifests)
        self._removed[id(loaded)].add(index)
        fields = loaded.source_map.value(("rules", index))

        lost = [name for name in fields if name in _NOT_IN_TABLE]
        self.lost_fields[name] = lost
        del self.expected[name]
        self._names[desired.rule.name] -= 1

    def _add(self, new: RowEdit) -> Address:
        ruleset, _, key = new.cell.text.partition("/")
        loaded = self._find_ruleset(ruleset)
        fields = self._new_fields(new)
        fields = drop_defaults(fields, loaded.source_map.root.get("defaults") or {})
        updater = RuleUpdater(key, new.rule, loaded.document, self.tenant)
        expander = updater.expander
        if key:
            fields = updater.update_key(fields)

        name = expander(fields).name()
        if self._names[name] > 0:
            fields["name"] = escape_text(f"{name} ({expander(fields).key()})")
            name = expander(fields).name()
        self._names[name] += 1
        self._added[id(loaded)].append(fields)

        meaning = Meaning(
            Address(ruleset, expander(fields).key()),
            expander(fields).rule().routing_fields,
            RuleDates(expander(fields)).interval(),
        )
        return self._expect(new.cell.name, meaning)

    def _find_ruleset(self, name: str) -> LoadedDocument[RuleSet]:
        """Return the RuleSet. Raises NotRepresentableError if the Environment has none of the name."""
        environment = self.tenant.environment.name
        for loaded in self.manifests.rulesets:
            if loaded.document.name == name:
                environments = loaded.document.environments
                if environments is not None and environment not in environments:
                    raise NotRepresentableError(
                        f"RuleSet {quote_name(name)} is not for {environment}"
                    )
                return loaded
        problem = f"there is no RuleSet {quote_name(name)}"
        hint = suggest(name, [each.document.name for each in self.manifests.rulesets])
        raise NotRepresentableError(f"{problem}; {hint}" if hint else problem)

    def _new_fields(self, new: RowEdit) -> Fields:
        rule = new.rule
        fields = condition_fields(rule, self.tenant.environment.attributes)
        targets = [understood(part) for part in rule.targets]
        fields |= queue_or_targets(targets, self._queue_name)
        # An empty cell leaves the RuleSet's default.
        edited_headings = {edit.heading for edit in new.edits}
        if "Priority" in edited_headings:
            fields["priority"] = rule.priority
        if "On" in edited_headings:
            fields["enabled"] = rule.enabled
        return with_dates(fields, new.dates)

    def _expect(self, name: str, meaning: Meaning) -> Address:
        """Expect the meaning of a row. Raises NotRepresentableError for a second rule of a time."""
        address = meaning.address
        claims = self._at.setdefault(address, [])
        others = [self.expected[each] for each in claims if each in self.expected]
        for other in others:
            # a row that took another address is still in the list of its old one
            is_same = other.address == address
            if is_same and other.interval.overlaps(meaning.interval):
                raise NotRepresentableError(
                    f"there is a rule {address} already: write RULESET/KEY with another key"
                )
        claims.append(name)
        self.expected[name] = meaning
        return address


def _names_by_address(expected: Mapping[str, Meaning]) -> dict[Address, list[str]]:
    return group_pairs((each.address, name) for name, each in expected.items())


def _by_name(rules: Sequence[StatedRule]) -> dict[str, StatedRule]:
    return {each.entry.name: each for each in rules}


def _count_names(rules: Sequence[StatedRule]) -> Counter[str]:
    return Counter(each.entry.rule.name for each in rules)


def with_dates(fields: Fields, dates: Mapping[str, str]) -> Fields:
    """Return the fields of a rule with dates by their fields; an empty text removes one."""
    for name, text in dates.items():
        if text:
            fields = with_field(fields, name, text)
        else:
            fields = {key: value for key, value in fields.items() if key != name}
    return fields


def find_difference(
    expected: Mapping[str, Meaning], desired: DesiredState
) -> Address | None:
    """Return the first rule whose values are not the expected ones; None if there is none."""
    return find_other_meaning([*expected.values()], [*meanings(desired)])
