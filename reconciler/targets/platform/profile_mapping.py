"""Mapping of rules, queues and errors between a tenant's JSON and that of api-contract, which
`rule_json` reads.

Names map one to one, so that a rule can be written back unchanged. A tenant's name that is also a
canonical name of another field, or that begins with the mark, is kept behind the mark.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from reconciler.core.errors import UnexpectedResponseError
from reconciler.core.manifest.kinds.profile import ListedQueues, Profile, operator_names
from reconciler.core.text.json_values import STRICT_DECODER, find_member, find_members
from reconciler.targets.platform.transport.request import ApiResponse

Json = Any
_ValueMapping = tuple[Callable[[Any], Any], Callable[[Any], Any]]

_MARK: Final = "~"
_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_MAX_DIGITS: Final = 18  # digits of a numeric id
_MANAGED_FIELDS: Final = (
    "name",
    "description",
    "priority",
    "enabled",
    "conditions",
    "targets",
)
"""Managed fields of a rule; a tenant with PATCH keeps all others."""


class FieldNames:
    """Canonical names and the tenant's names."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` maps canonical names to the tenant's, which are distinct and do not begin with
        the mark.
        """
        self._tenant_names = dict(names)
        self._canonical_names = {
            tenant: canonical for canonical, tenant in names.items()
        }
        # nothing to map
        self.is_plain: Final = self._tenant_names == self._canonical_names

    def canonical_name(self, tenant_name: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return the canonical name for a tenant's name; other values than text stay as they
        are.
        """
        if not isinstance(tenant_name, str):
            return tenant_name
        is_ambiguous = tenant_name in self._tenant_names or tenant_name.startswith(
            _MARK
        )
        return self._canonical_names.get(
            tenant_name, f"{_MARK}{tenant_name}" if is_ambiguous else tenant_name
        )

    def tenant_name(self, canonical_name: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return the tenant's name for a canonical name; other values than text stay as they
        are.
        """
        if not isinstance(canonical_name, str):
            return canonical_name
        own_name = canonical_name.removeprefix(_MARK)
        return self._tenant_names.get(canonical_name, own_name)


def id_from_number(number: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a numeric id as text; a text in its place is kept behind the mark."""
    if isinstance(number, str):
        return f"{_MARK}{number}"
    if type(number) is not int:
        return number
    text = str(number)
    return text if len(text) <= _MAX_DIGITS else number


def number_from_id(identifier: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the numeric id of a text from `id_from_number`."""
    if not isinstance(identifier, str):
        return identifier
    if identifier.startswith(_MARK):
        return identifier.removeprefix(_MARK)
    is_number = (
        _NUMBER.fullmatch(identifier) is not None and len(identifier) <= _MAX_DIGITS
    )
    return int(identifier) if is_number else identifier


class ProfileMapper:
    """Mapping of rules and errors by one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        condition = profile.condition
        target = profile.target
        operators = FieldNames(operator_names(profile.operators))
        words = {
            "type": FieldNames({"attribute": condition.attribute}),
            "operator": operators,
        }
        queue = FieldNames({"queue": target.queue})
        rule_ids: dict[str, _ValueMapping] = {}
        if profile.rules.ids == "number":
            rule_ids["id"] = (id_from_number, number_from_id)
        queue_ids: dict[str, _ValueMapping] = {}
        if target.queue_ids == "number":
            queue_ids["queueId"] = (id_from_number, number_from_id)
        parts = {
            "conditions": _ObjectMapper(
                FieldNames(condition.tenant_names()),
                words,
                {},
            ),
            "targets": _ObjectMapper(
                FieldNames(target.tenant_names()),
                {"type": queue},
                queue_ids,
            ),
        }
        lists = {
            name: (part.to_canonical, part.to_tenant)
            for name, part in parts.items()
            if not part.is_plain
        }
        rule_names = FieldNames({"id": profile.rules.id, **profile.rule.tenant_names()})
        self._rule_mapper = _ObjectMapper(rule_names, {}, rule_ids | lists)

    def canonical_rule(self, data: Json) -> Json:
        """Return a rule in the form of api-contract; other data stays unchanged, for `rule_json` to
        reject.
        """
        return self._rule_mapper.to_canonical(data)

    def single_rule(self, data: Json) -> Json:
        """Return the rule in a response."""
        return self.canonical_rule(find_member(data, self._profile.rules.single))

    def tenant_body(self, data: dict[str, Json]) -> dict[str, Json]:
        """Return a rule in the tenant's form."""
        mapper = self._rule_mapper
        body: dict[str, Json] = mapper.to_tenant(data)
        return body

    def update_body(self, data: dict[str, Json]) -> dict[str, Json]:
        """Return the body of an update; for a PATCH only the managed fields."""
        if self._profile.update == "PATCH":
            data = {name: data[name] for name in _MANAGED_FIELDS}
        return self.tenant_body(data)

    def is_refusal(self, response: ApiResponse) -> bool:
        """Return whether a response with a success status is a refusal."""
        paths = self._profile.errors.refused
        if not paths:
            return False
        try:
            payload = (
                response.payload
                if response.payload is not None
                else response.json(STRICT_DECODER)
            )
        except UnexpectedResponseError:
            return False
        return any(
            value is False for path in paths for value in find_members(payload, path)
        )


class _ObjectMapper:
    """Mapping of rules, conditions or targets, or lists of them: their fields, and the words and
    ids in some.
    """

    def __init__(
        self,
        names: FieldNames,
        words: dict[str, FieldNames],
        others: dict[str, _ValueMapping],
    ) -> None:
        self._names = names
        mapped = {name: word for name, word in words.items() if not word.is_plain}
        self._mappings = {
            name: (word.canonical_name, word.tenant_name)
            for name, word in mapped.items()
        } | others
        self.is_plain: Final = names.is_plain and not self._mappings

    def to_canonical(self, data: Json) -> Json:
        if isinstance(data, list):
            return list(map(self.to_canonical, data))
        if self.is_plain or not isinstance(data, dict):
            return data
        part = {self._names.canonical_name(name): value for name, value in data.items()}
        for name, (to_canonical, _) in self._mappings.items():
            if name in part:
                part[name] = to_canonical(part[name])
        return part

    def to_tenant(self, data: Json) -> Json:
        if isinstance(data, list):
            return list(map(self.to_tenant, data))
        if self.is_plain or not isinstance(data, dict):
            return data
        part = dict(data)
        for name, (_, to_tenant) in self._mappings.items():
            if name in part:
                part[name] = to_tenant(part[name])
        return {self._names.tenant_name(name): value for name, value in part.items()}


def canonical_queue(
    data: dict[str, Json], list_profile: ListedQueues
) -> dict[str, Json]:
    """Return an entry of a list of queues in the form that `rule_json` reads."""
    active: Json = True
    if list_profile.active:
        active = data.get(list_profile.active, True)
    name = data.get(list_profile.name)
    if not isinstance(name, str):
        raise UnexpectedResponseError(
            f"a queue in the response has no text `{list_profile.name}`"
        )
    if not isinstance(active, bool):
        problem = f"has a `{list_profile.active}` that is not true or false"
        raise UnexpectedResponseError(f"a queue in the response {problem}")
    queue_id = data.get(list_profile.id)
    if list_profile.ids == "number":
        queue_id = id_from_number(queue_id)
    return {"id": queue_id, "name": name, "active": active}
