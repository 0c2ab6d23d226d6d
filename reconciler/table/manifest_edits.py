"""Edits of a table -> the smallest edits of the manifests' texts, and what these texts must define."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from reconciler.desired.desired import DesiredRule, DesiredState
from reconciler.desired.expand import InvalidRuleError
from reconciler.export.export import TenantSnapshot
from reconciler.export.names import NotRepresentableError, QueueNames, escape_text
from reconciler.export.ruleset import condition_fields, drop_defaults, queue_or_targets, understood
from reconciler.export.update_manifest import RuleUpdater, edit_texts, find_rule, patch_document, values_of
from reconciler.manifest.kinds.ruleset import RuleSet
from reconciler.manifest.load import Manifests
from reconciler.manifest.source_map import LoadedDocument, PathStep
from reconciler.manifest.yaml_patch import CannotPatchError, TextEdit
from reconciler.model.rule import Address, Rule
from reconciler.table.compare_sheet import EditedRule, NewRule, TableEdits
from reconciler.table.sheet import refuse_cells
from reconciler.text.escape import quote_name
from reconciler.text.suggest import suggest

Fields = dict[str, Any]


class ManifestWriter:
    """Writes the edits of a table into the manifests of one Environment."""

    def __init__(self, manifests: Manifests, tenant: TenantSnapshot) -> None:
        """`tenant` has the desired rules and the queues that they may name."""
        self.manifests, self.tenant = manifests, tenant
        self.expected = {address: values_of(desired.rule) for address, desired in tenant.desired.rules.items()}
        """What the edited manifests must define: the values of each rule, by address."""
        self._desired = {str(address): desired for address, desired in tenant.desired.rules.items()}
        self._names = {desired.rule.name for desired in self._desired.values()}
        self._queue_name = QueueNames(tenant.resolver, tenant.queues, ()).existing_name
        self._rules: dict[int, list[Fields | None]] = {
            id(loaded): list(loaded.source_map.value(("rules",))) for loaded in manifests.rulesets
        }
        """The rules of each document; None where one is removed, and new ones at the end."""
        self._edits: list[tuple[str, list[TextEdit]]] = []
        self._problems: list[str] = []

    def write(self, edits: TableEdits) -> dict[str, str]:
        """Return the changed texts by file. Raises SheetError with every edit that a manifest cannot express."""
        for entry in edits.removed:
            with self._named(entry.name):
                self._remove(self._desired[entry.name])
        for change in edits.changed:  # two rules may take each other's address
            del self.expected[self._desired[change.entry.name].address]
        for change in edits.changed:
            with self._named(change.edits[0].name):
                self._change(change)
        for rule in edits.added:
            with self._named(rule.cell.name):
                self._add(rule)
        for loaded in self.manifests.rulesets:
            with self._named(loaded.file):
                rules = [fields for fields in self._rules[id(loaded)] if fields is not None]
                if rules != loaded.source_map.value(("rules",)):
                    self._patch(loaded, (), {**loaded.source_map.root, "rules": rules})
        refuse_cells(self._problems)
        return edit_texts(self._edits, self.manifests)

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        try:
            yield
        except (NotRepresentableError, InvalidRuleError, CannotPatchError) as error:
            self._problems.append(f"{name}: {error}")

    def _patch(self, loaded: LoadedDocument[RuleSet], path: tuple[PathStep, ...], new: Fields) -> None:
        self._edits.append((loaded.file, patch_document(loaded, path, new)))

    def _change(self, change: EditedRule) -> None:
        desired = self._desired[change.entry.name]
        loaded, index = find_rule(desired, self.manifests)
        updater = RuleUpdater(desired.address.key, change.rule, loaded.document, self.tenant)
        new = updater.update(loaded.source_map.value(("rules", index)), "values")
        self._patch(loaded, ("rules", index), new)
        self._expect(Address(desired.address.ruleset, updater.expander(new).key()), change.rule)

    def _remove(self, desired: DesiredRule) -> None:
        loaded, index = find_rule(desired, self.manifests)
        self._rules[id(loaded)][index] = None
        self._names.discard(desired.rule.name)
        del self.expected[desired.address]

    def _add(self, new: NewRule) -> None:
        loaded = next((each for each in self.manifests.rulesets if each.document.name == new.ruleset), None)
        if loaded is None:
            hint = suggest(new.ruleset, [each.document.name for each in self.manifests.rulesets])
            raise NotRepresentableError(f"there is no RuleSet {quote_name(new.ruleset)}{f'; {hint}' if hint else ''}")
        environment, where = self.tenant.environment.name, loaded.document.environments
        if where is not None and environment not in where:
            raise NotRepresentableError(f"RuleSet {quote_name(new.ruleset)} is not for {environment}")
        fields = condition_fields(new.rule, self.tenant.environment.attributes)
        fields |= queue_or_targets([understood(part) for part in new.rule.targets], self._queue_name)
        # An empty cell leaves the RuleSet's default.
        fields |= {"priority": new.rule.priority} if "priority" in new.stated else {}
        fields |= {"enabled": new.rule.enabled} if "on" in new.stated else {}
        fields = drop_defaults(fields, loaded.source_map.root.get("defaults") or {})
        updater = RuleUpdater(new.key, new.rule, loaded.document, self.tenant)
        fields, expander = updater.update_key(fields) if new.key else fields, updater.expander
        if (name := expander(fields).name()) in self._names:
            fields["name"] = escape_text(f"{name} ({expander(fields).key()})")
        self._names.add(expander(fields).name())
        self._rules[id(loaded)].append(fields)
        self._expect(Address(new.ruleset, expander(fields).key()), expander(fields).rule())

    def _expect(self, address: Address, rule: Rule) -> None:
        if address in self.expected:
            raise NotRepresentableError(f"there is a rule {address} already: write RULESET/KEY with another key")
        self.expected[address] = values_of(rule)


def find_difference(expected: Mapping[Address, tuple[object, ...]], desired: DesiredState) -> Address | None:
    """Return the first rule whose values are not the expected ones; None if there is none."""
    actual = {address: values_of(rule.rule) for address, rule in desired.rules.items()}
    return next((each for each in sorted({*expected, *actual}) if expected.get(each) != actual.get(each)), None)
