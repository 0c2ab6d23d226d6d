"""Edits of a table -> the smallest edits of the manifests' texts, and what these texts must
define.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.desired.expand import InvalidRuleError
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
)
from reconciler.core.manifest.kinds.ruleset import RuleSet
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.source_map import LoadedDocument, PathStep
from reconciler.core.manifest.yaml_patch import CannotPatchError, TextEdit
from reconciler.core.model.rule import Address, Rule
from reconciler.core.text.escape import quote_name
from reconciler.core.text.suggest import suggest
from reconciler.features.table.compare_sheet import RowEdit, TableEdits
from reconciler.features.table.sheet import refuse_cells

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
        desired_rules = tenant.desired.rules
        self.manifests = manifests
        self.tenant = tenant
        self.expected = _routing_fields(tenant.desired)
        """What the edited manifests must define: the values of each rule, by address."""
        self.addresses = dict[str, Address]()
        """The addresses of edited rules, by the name of the row's first cell."""
        self.lost_comments = Counter[str]()
        self.lost_fields = dict[str, list[str]]()
        """The fields of each removed rule that a table does not show, by address."""
        self._desired = {
            str(address): desired for address, desired in desired_rules.items()
        }
        self._names = {desired.rule.name for desired in desired_rules.values()}
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
                self._remove(self._desired[entry.name])
        for row in edits.edited:  # two rules may take each other's address
            if row.entry:
                del self.expected[self._desired[row.entry.name].address]
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
        desired = self._desired[entry.name]
        loaded, index = find_rule(desired, self.manifests)
        path = ("rules", index)
        address = desired.address
        updater = RuleUpdater(address.key, change.rule, loaded.document, self.tenant)
        new = updater.update(loaded.source_map.value(path), "values")
        self._patch(loaded, path, new)

        new_key = updater.expander(new).key()
        new_address = Address(address.ruleset, new_key)
        return self._expect(new_address, change.rule)

    def _remove(self, desired: DesiredRule) -> None:
        loaded, index = find_rule(desired, self.manifests)
        self._removed[id(loaded)].add(index)
        fields = loaded.source_map.value(("rules", index))

        address = desired.address
        lost = [name for name in fields if name in _NOT_IN_TABLE]
        self.lost_fields[str(address)] = lost
        self._names.discard(desired.rule.name)
        del self.expected[address]

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
        if name in self._names:
            fields["name"] = escape_text(f"{name} ({expander(fields).key()})")
            name = expander(fields).name()
        self._names.add(name)
        self._added[id(loaded)].append(fields)

        address = Address(ruleset, expander(fields).key())
        return self._expect(address, expander(fields).rule())

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
        return fields

    def _expect(self, address: Address, rule: Rule) -> Address:
        if address in self.expected:
            raise NotRepresentableError(
                f"there is a rule {address} already: write RULESET/KEY with another key"
            )
        self.expected[address] = rule.routing_fields
        return address


def _routing_fields(desired: DesiredState) -> dict[Address, tuple[object, ...]]:
    return {
        address: rule.rule.routing_fields for address, rule in desired.rules.items()
    }


def find_difference(
    expected: Mapping[Address, tuple[object, ...]], desired: DesiredState
) -> Address | None:
    """Return the first rule whose values are not the expected ones; None if there is none."""
    actual = _routing_fields(desired)
    for address in sorted({*expected, *actual}):
        if expected.get(address) != actual.get(address):
            return address
    return None
