"""What a profile makes of rules, queues and errors: the tenant's JSON <-> that of api-contract, which `wire` reads.

Names one to one: what a tenant calls fields and words <-> what we call them (api-contract).

Whatever is read can be written back just as it was. A name of the tenant's that we use for something else, or that
begins with the mark, is kept behind the mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reconciler.errors import UnexpectedResponseError
from reconciler.manifest.kinds.profile import ListedQueues, Profile, operator_names
from reconciler.text.strict_json import STRICT_DECODER, find_member, find_members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.cxone.transport.request import Answer


_MARK: Final = "~"
_LONGEST: Final = 18
"""Digits of a number that stands for an id."""


class Renaming:
    """Names by ours and by the tenant's."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` are the tenant's by ours; no two are equal, and none begins with the mark."""
        self._theirs = dict(names)
        self._ours = {theirs: ours for ours, theirs in names.items()}
        self.is_plain: Final = self._theirs == self._ours
        """Says that both call everything the same, so that there is nothing to do."""

    def name(self, theirs: str) -> str:
        """Return our name of what the tenant calls so."""
        found = self._ours.get(theirs)
        if found is not None:
            return found
        return f"{_MARK}{theirs}" if theirs in self._theirs or theirs.startswith(_MARK) else theirs

    def their_name(self, ours: str) -> str:
        """Return what the tenant calls it."""
        found = self._theirs.get(ours)
        return found if found is not None else ours.removeprefix(_MARK)

    def fields(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object under our names."""
        return {self.name(name): value for name, value in form.items()}

    def their_fields(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object under the tenant's names."""
        return {self.their_name(name): value for name, value in form.items()}

    def word(self, theirs: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return our word for a text; anything else stays as it is."""
        return self.name(theirs) if isinstance(theirs, str) else theirs

    def their_word(self, ours: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return the tenant's word."""
        return self.their_name(ours) if isinstance(ours, str) else ours


def id_of_number(theirs: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the text of an id that is a number; a text in its place is kept behind the mark."""
    if type(theirs) is int and len(text := str(theirs)) <= _LONGEST:
        return text
    return f"{_MARK}{theirs}" if isinstance(theirs, str) else theirs


def number_of_id(ours: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the number again."""
    if not isinstance(ours, str):
        return ours
    if ours.startswith(_MARK):
        return ours.removeprefix(_MARK)
    digits = ours.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(ours) <= _LONGEST and str(int(ours)) == ours
    return int(ours) if is_number else ours


Json = Any
_KNOWN: Final = ("name", "description", "priority", "enabled", "conditions", "targets")
"""Fields of a rule that are ours to say; a tenant that takes a PATCH keeps all others."""


class Dialect:
    """Rules and errors of one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._rule = Renaming({"id": profile.rules.id, **profile.rule.tenant_names()})
        self._condition = _Part(
            Renaming(profile.condition.tenant_names()),
            {
                "type": _words(Renaming({"attribute": profile.condition.attribute})),
                "operator": _words(Renaming(operator_names(profile.operators))),
            },
        )
        numbers = {"queueId": (id_of_number, number_of_id)} if profile.target.queue_ids == "number" else {}
        queue = {"type": _words(Renaming({"queue": profile.target.queue}))}
        self._target = _Part(Renaming(profile.target.tenant_names()), {**queue, **numbers})
        self._numbers = profile.rules.ids == "number"
        plain = (self._rule.is_plain, self._condition.is_plain, self._target.is_plain, not self._numbers)
        self._is_plain = all(plain)

    def rule(self, form: Json) -> Json:
        """Return a rule in the form of api-contract; what is no rule stays as it is, for `wire` to complain of."""
        if self._is_plain or not isinstance(form, dict):
            return form
        found = self._rule.fields(form)
        for name, part in (("conditions", self._condition), ("targets", self._target)):
            if isinstance(found.get(name), list):
                found[name] = [part.ours(one) for one in found[name]]
        if self._numbers and "id" in found:
            found["id"] = id_of_number(found["id"])
        return found

    def single(self, form: Json) -> Json:
        """Return the rule that an answer holds."""
        return self.rule(find_member(form, self._profile.rules.single))

    def body(self, form: dict[str, Json]) -> dict[str, Json]:
        """Return a rule as the tenant takes it."""
        if self._is_plain:
            return form
        sent = dict(form)
        for name, part in (("conditions", self._condition), ("targets", self._target)):
            if isinstance(sent.get(name), list):
                sent[name] = [part.theirs(one) for one in sent[name]]
        if self._numbers and "id" in sent:
            sent["id"] = number_of_id(sent["id"])
        return self._rule.their_fields(sent)

    def update(self, form: dict[str, Json]) -> dict[str, Json]:
        """Return the body of an update: of a PATCH only what is ours to say."""
        if self._profile.update == "PATCH":
            form = {name: form[name] for name in _KNOWN}
        return self.body(form)

    def refuses(self, answer: Answer) -> bool:
        """Say whether the answer to a call says that it refuses what was asked, although its status is a success."""
        paths = self._profile.errors.refused
        if not paths:
            return False
        try:
            form = answer.form if answer.form is not None else answer.json(STRICT_DECODER)
        except UnexpectedResponseError:
            return False
        return any(one is False for path in paths for one in find_members(form, path))


class _Part:
    """Conditions, or targets: names of their fields, and words that stand in some of them."""

    def __init__(
        self, names: Renaming, words: dict[str, tuple[Callable[[Json], Json], Callable[[Json], Json]]]
    ) -> None:
        self._names = names
        self._words = words
        self.is_plain: Final = names.is_plain and all(ours is _same for ours, _ in words.values())

    def ours(self, form: Json) -> Json:
        if not isinstance(form, dict):
            return form
        found = self._names.fields(form)
        return found | {name: ours(found[name]) for name, (ours, _) in self._words.items() if name in found}

    def theirs(self, form: Json) -> Json:
        if not isinstance(form, dict):
            return form
        sent = form | {name: theirs(form[name]) for name, (_, theirs) in self._words.items() if name in form}
        return self._names.their_fields(sent)


def _same(word: Json) -> Json:
    return word


def _words(renaming: Renaming) -> tuple[Callable[[Json], Json], Callable[[Json], Json]]:
    return (_same, _same) if renaming.is_plain else (renaming.word, renaming.their_word)


def queue(form: dict[str, Json], listed: ListedQueues) -> dict[str, Json]:
    """Return an entry of a list of queues as `wire` reads it."""
    queue_id, name = form.get(listed.id), form.get(listed.name)
    active = form.get(listed.active, True) if listed.active else True
    if not isinstance(name, str):
        raise UnexpectedResponseError(f"a queue in the answer has no text `{listed.name}`")
    if not isinstance(active, bool):
        raise UnexpectedResponseError(f"a queue in the answer has a `{listed.active}` that is not true or false")
    return {"id": id_of_number(queue_id) if listed.ids == "number" else queue_id, "name": name, "active": active}
