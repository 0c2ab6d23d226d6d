"""Edits of a table -> the smallest edits of the manifests' texts, and what these texts must define."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from reconciler.desired.desired import DesiredState
from reconciler.desired.expand import InvalidRuleError, RuleExpander
from reconciler.export.export import TenantSnapshot
from reconciler.export.names import NotRepresentableError, QueueNames, escape_text
from reconciler.export.ruleset import condition_fields, drop_defaults
from reconciler.export.update_manifest import RuleUpdater, find_rule, values_of
from reconciler.manifest.kinds.ruleset import RuleSet
from reconciler.manifest.load import Manifests
from reconciler.manifest.source_map import LoadedDocument
from reconciler.manifest.yaml_patch import CannotPatchError, TextEdit, apply_edits, compute_edits, find_mapping
from reconciler.model.rule import Address, Rule, Target
from reconciler.table.compare_sheet import EditedRule, NewRule, TableEdits
from reconciler.table.sheet import refuse_cells
from reconciler.text.escape import quote_name
from reconciler.text.suggest import suggest

Fields = dict[str, Any]
Values = tuple[object, ...]


@dataclass(slots=True)
class _DocumentEdits:
    """The rules that a document loses, by index, and those that it gets."""

    loaded: LoadedDocument[RuleSet]
    removed: set[int]
    added: list[Fields]


class ManifestWriter:
    """Writes the edits of a table into the manifests of one Environment."""

    def __init__(self, manifests: Manifests, tenant: TenantSnapshot) -> None:
        """`tenant` has the desired rules and the queues that they may name."""
        self.manifests, self.tenant = manifests, tenant
        self.expected = {address: values_of(desired.rule) for address, desired in tenant.desired.rules.items()}
        """What the edited manifests must define: the values of each rule, by address."""
        self._names = {desired.rule.name for desired in tenant.desired.rules.values()}
        self._queue_name = QueueNames(tenant.resolver, tenant.queues, ()).existing_name
        self._edits: dict[str, list[TextEdit]] = defaultdict(list)
        self._documents: dict[int, _DocumentEdits] = {}
        self._problems: list[str] = []

    def write(self, edits: TableEdits) -> dict[str, str]:
        """Return the changed texts by file. Raises SheetError with every edit that a manifest cannot express."""
        for change in edits.changed:
            with self._named(change.edits[0].name):
                self._change(change)
        for entry in edits.removed:
            with self._named(entry.name):
                self._remove(entry.address)
        for rule in edits.added:
            with self._named(rule.cell.name):
                self._add(rule)
        for document in self._documents.values():
            with self._named(document.loaded.file):
                self._edit_list(document)
        refuse_cells(self._problems)
        before = {loaded.file: loaded.source_map.text.text for loaded in self.manifests.rulesets}
        return {file: apply_edits(before[file], text_edits) for file, text_edits in self._edits.items()}

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        try:
            yield
        except (NotRepresentableError, InvalidRuleError, CannotPatchError) as error:
            self._problems.append(f"{name}: {error}")

    def _change(self, change: EditedRule) -> None:
        address = _address(change.entry.address)
        loaded, index = find_rule(self.tenant.desired.rules[address], self.manifests)
        path = ("rules", index)
        old, text = loaded.source_map.value(path), loaded.source_map.text.text
        updater = RuleUpdater(address.key, change.rule, loaded.document, self.tenant)
        new = updater.update_values(old)
        self._edits[loaded.file] += compute_edits(text, find_mapping(text, loaded.source_map.index(path)), old, new)
        del self.expected[address]
        self._expect(Address(address.ruleset, updater.expander(new).key()), change.rule)

    def _remove(self, address: Address | None) -> None:
        desired = self.tenant.desired.rules[_address(address)]
        loaded, index = find_rule(desired, self.manifests)
        self._document(loaded).removed.add(index)
        self._names.discard(desired.rule.name)
        del self.expected[desired.address]

    def _add(self, new: NewRule) -> None:
        loaded = next((each for each in self.manifests.rulesets if each.document.name == new.ruleset), None)
        if loaded is None:
            hint = suggest(new.ruleset, [each.document.name for each in self.manifests.rulesets])
            raise NotRepresentableError(f"there is no RuleSet {quote_name(new.ruleset)}{f'; {hint}' if hint else ''}")
        fields = condition_fields(new.rule, self.tenant.environment.attributes) | self._target_fields(new.rule)
        fields |= {"priority": new.rule.priority, "enabled": new.rule.enabled}
        defaults = dict(loaded.source_map.root.get("defaults") or {})
        # An empty cell leaves the RuleSet's default.
        defaults |= {
            name: fields[name] for name, kind in (("priority", "priority"), ("enabled", "on")) if kind not in new.stated
        }
        fields = drop_defaults(fields, defaults)
        expander = RuleUpdater(new.key, new.rule, loaded.document, self.tenant).expander
        if new.key and _default_key(expander(fields)) != new.key:
            fields = {"key": new.key, **fields}
        if (name := expander(fields).name()) in self._names:
            fields["name"] = escape_text(f"{name} ({expander(fields).key()})")
        self._names.add(expander(fields).name())
        self._document(loaded).added.append(fields)
        self._expect(Address(new.ruleset, expander(fields).key()), expander(fields).rule())

    def _expect(self, address: Address, rule: Rule) -> None:
        if address in self.expected:
            raise NotRepresentableError(f"there is a rule {address} already: write RULESET/KEY with another key")
        self.expected[address] = values_of(rule)

    def _document(self, loaded: LoadedDocument[RuleSet]) -> _DocumentEdits:
        return self._documents.setdefault(id(loaded), _DocumentEdits(loaded, set(), []))

    def _edit_list(self, document: _DocumentEdits) -> None:
        """Remove rules from the list of a document, and append the new ones."""
        source_map = document.loaded.source_map
        old, text = source_map.value(()), source_map.text.text
        kept = [fields for index, fields in enumerate(old["rules"]) if index not in document.removed]
        new = {**old, "rules": [*kept, *document.added]}
        self._edits[document.loaded.file] += compute_edits(text, find_mapping(text, source_map.index(())), old, new)

    def _target_fields(self, rule: Rule) -> Fields:
        targets = [part for part in rule.targets if isinstance(part, Target)]
        if len(targets) == 1 and targets[0].weight == 1:
            return {"queue": self._queue_name(targets[0].queue_id)}
        return {"targets": [{"queue": self._queue_name(each.queue_id), "weight": each.weight} for each in targets]}


def find_difference(expected: Mapping[Address, Values], desired: DesiredState) -> Address | None:
    """Return the first rule whose values are not the expected ones; None if there is none."""
    actual = {address: values_of(rule.rule) for address, rule in desired.rules.items()}
    return next((each for each in sorted({*expected, *actual}) if expected.get(each) != actual.get(each)), None)


def _default_key(expander: RuleExpander) -> str:
    try:
        return expander.key()
    except InvalidRuleError:
        return ""


def _address(address: Address | None) -> Address:
    if address is None:
        raise NotRepresentableError("it is in no manifest")
    return address
