"""Edits of a table -> the smallest edits of the manifests' texts, and what these texts must
define.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.desired.desired import DesiredRule, DesiredState
from reconciler.desired.expand import InvalidRuleError
from reconciler.export.export import TenantSnapshot
from reconciler.export.names import NotRepresentableError, QueueNames, escape_text
from reconciler.export.ruleset import (
    Fields,
    condition_fields,
    drop_defaults,
    queue_or_targets,
    understood,
)
from reconciler.export.update_manifest import (
    RuleUpdater,
    edit_texts,
    find_rule,
    patch_document,
)
from reconciler.manifest.kinds.ruleset import RuleSet
from reconciler.manifest.load import Manifests
from reconciler.manifest.source_map import LoadedDocument, PathStep
from reconciler.manifest.yaml_patch import CannotPatchError, TextEdit
from reconciler.model.rule import Address, Rule
from reconciler.table.compare_sheet import RowEdit, TableEdits
from reconciler.table.sheet import refuse_cells
from reconciler.text.escape import quote_name
from reconciler.text.suggest import suggest

_COMMENT: Final = re.compile(r"(?m)(?<!\S)#.*\S")
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
        self.manifests, self.tenant = manifests, tenant
        self.expected = {
            address: desired.rule.routing_fields
            for address, desired in tenant.desired.rules.items()
        }
        """What the edited manifests must define: the values of each rule, by address."""
        self.addresses = dict[str, Address]()
        """The addresses of edited rules, by the name of the row's first cell."""
        self.lost_comments = Counter[str]()
        self.lost_fields = dict[str, list[str]]()
        """The fields of each removed rule that a table does not show, by address."""
        self._desired = {
            str(address): desired for address, desired in tenant.desired.rules.items()
        }
        self._names = {desired.rule.name for desired in self._desired.values()}
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
                self.addresses[row.cell.name] = (
                    self._change(row, row.entry) if row.entry else self._add(row)
                )
        for loaded in self.manifests.rulesets:
            root, removed, added = (
                loaded.source_map.root,
                self._removed[id(loaded)],
                self._added[id(loaded)],
            )
            kept = [
                fields
                for index, fields in enumerate(root["rules"])
                if index not in removed
            ]
            # A new rule does not take the place of a removed one, whose comments would describe it.
            for rules in (kept, [*root["rules"], *added]):
                if rules != root["rules"]:
                    self._patch(loaded, (), {**root, "rules": rules})
            if added and removed and not kept:
                remedy = "add the new rows first, and remove these rows then"
                self._problems.append(
                    f"{loaded.file}: every rule of {root['name']} is replaced: {remedy}"
                )
        refuse_cells(self._problems)
        texts = edit_texts(self._edits, self.manifests)
        before = {
            loaded.file: loaded.source_map.text.text
            for loaded in self.manifests.rulesets
        }
        old, new = (
            "\n".join(by_file[file] for file in texts) for by_file in (before, texts)
        )
        self.lost_comments = Counter(_COMMENT.findall(old)) - Counter(
            _COMMENT.findall(new)
        )
        return texts

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        try:
            yield
        except (NotRepresentableError, InvalidRuleError, CannotPatchError) as error:
            self._problems.append(f"{name}: {error}")

    def _patch(
        self, loaded: LoadedDocument[RuleSet], path: tuple[PathStep, ...], new: Fields
    ) -> None:
        with self._named(loaded.file):
            self._edits.append((loaded.file, patch_document(loaded, path, new)))

    def _change(self, change: RowEdit, entry: RoutingEntry) -> Address:
        desired = self._desired[entry.name]
        loaded, index = find_rule(desired, self.manifests)
        updater = RuleUpdater(
            desired.address.key, change.rule, loaded.document, self.tenant
        )
        new = updater.update(loaded.source_map.value(("rules", index)), "values")
        self._patch(loaded, ("rules", index), new)
        return self._expect(
            Address(desired.address.ruleset, updater.expander(new).key()), change.rule
        )

    def _remove(self, desired: DesiredRule) -> None:
        loaded, index = find_rule(desired, self.manifests)
        self._removed[id(loaded)].add(index)
        fields = loaded.source_map.value(("rules", index))
        self.lost_fields[str(desired.address)] = [
            name for name in fields if name in _NOT_IN_TABLE
        ]
        self._names.discard(desired.rule.name)
        del self.expected[desired.address]

    def _add(self, new: RowEdit) -> Address:
        (ruleset, _, key), rule = new.cell.text.partition("/"), new.rule
        loaded = next(
            (each for each in self.manifests.rulesets if each.document.name == ruleset),
            None,
        )
        if loaded is None:
            hint = suggest(
                ruleset, [each.document.name for each in self.manifests.rulesets]
            )
            raise NotRepresentableError(
                f"there is no RuleSet {quote_name(ruleset)}{f'; {hint}' if hint else ''}"
            )
        environment, where = self.tenant.environment.name, loaded.document.environments
        if where is not None and environment not in where:
            raise NotRepresentableError(
                f"RuleSet {quote_name(ruleset)} is not for {environment}"
            )
        fields = condition_fields(rule, self.tenant.environment.attributes)
        fields |= queue_or_targets(
            [understood(part) for part in rule.targets], self._queue_name
        )
        # An empty cell leaves the RuleSet's default.
        stated = {edit.heading for edit in new.edits}
        fields |= {"priority": rule.priority} if "Priority" in stated else {}
        fields |= {"enabled": rule.enabled} if "On" in stated else {}
        fields = drop_defaults(fields, loaded.source_map.root.get("defaults") or {})
        updater = RuleUpdater(key, rule, loaded.document, self.tenant)
        fields, expander = (
            updater.update_key(fields) if key else fields,
            updater.expander,
        )
        if (name := expander(fields).name()) in self._names:
            fields["name"] = escape_text(f"{name} ({expander(fields).key()})")
        self._names.add(expander(fields).name())
        self._added[id(loaded)].append(fields)
        return self._expect(
            Address(ruleset, expander(fields).key()), expander(fields).rule()
        )

    def _expect(self, address: Address, rule: Rule) -> Address:
        if address in self.expected:
            raise NotRepresentableError(
                f"there is a rule {address} already: write RULESET/KEY with another key"
            )
        self.expected[address] = rule.routing_fields
        return address


def find_difference(
    expected: Mapping[Address, tuple[object, ...]], desired: DesiredState
) -> Address | None:
    """Return the first rule whose values are not the expected ones; None if there is none."""
    actual = {
        address: rule.rule.routing_fields for address, rule in desired.rules.items()
    }
    return next(
        (
            each
            for each in sorted({*expected, *actual})
            if expected.get(each) != actual.get(each)
        ),
        None,
    )
