"""A JSON file in the API's form: a list of rules, or one page with all rules, and beside it queues with id and name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.cxone.rule_json import parse_live_rule
from reconciler.errors import UnexpectedResponseError, UsageError
from reconciler.text.escape import sanitize
from reconciler.text.files import read_start
from reconciler.text.strict_json import STRICT_DECODER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.model.live import LiveRule

MAX_FILE_BYTES: Final = 64 * 1024 * 1024  # bytes of a file: about 100,000 rules
_LIST_NAMES: Final = ("entities", "rules", "items")


@dataclass(frozen=True, slots=True)
class RulesFile:
    """Rules of a file, and names of queues by id, if the file holds them."""

    rules: tuple[LiveRule, ...]
    queues: Mapping[str, str]
    lists_queues: bool
    """Whether it lists the queues beside the rules; else it knows those alone whose names stand at the targets."""


def read_rules_file(path: str) -> RulesFile:
    """Read a file of rules. Raises UsageError."""
    try:
        data = read_start(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {sanitize(path)}: {error.strerror}") from None
    return parse_rules_file(data, sanitize(path))


def parse_rules_file(data: bytes, name: str) -> RulesFile:
    """Return the rules in a file's bytes. Raises UsageError that names the file and the problem."""
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{name}: larger than {MAX_FILE_BYTES // 2**20} MiB")
    try:
        form = STRICT_DECODER.decode(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UsageError(f"{name}: not JSON; a list of rules is wanted, or a page, as the API answers it") from None
    try:
        rules = tuple(parse_live_rule(_ensure_id(one, place)) for place, one in enumerate(_find_rules(form, name)))
    except UnexpectedResponseError as error:
        raise UsageError(f"{name}: {str(error).replace(' in the answer', '')}") from None
    twice = next((one for one, count in Counter(rule.id for rule in rules).items() if count > 1), None)
    if twice is not None:
        raise UsageError(f"{name}: two rules have the id {twice[:64]!r}")
    named = [pair for rule in rules for pair in _target_queues(rule.raw)]
    return RulesFile(
        rules, dict([*named, *_listed_queues(form)]), isinstance(form, dict) and isinstance(form.get("queues"), list)
    )


def _find_rules(form: object, name: str) -> list[Any]:
    if isinstance(form, list):
        return form
    page: dict[str, Any] = form if isinstance(form, dict) else {}
    found = next((page[key] for key in _LIST_NAMES if isinstance(page.get(key), list)), None)
    if found is None:
        raise UsageError(f"{name}: no list of rules, and no page with `entities`, `rules` or `items`")
    total = page.get("total")
    if isinstance(total, int) and total != len(found):
        raise UsageError(f"{name}: a page with {len(found):,} of {total:,} rules; put all rules into one list")
    return list(found)


def _ensure_id(form: Any, place: int) -> Any:  # noqa: ANN401 - any JSON
    return {**form, "id": f"#{place + 1}"} if isinstance(form, dict) and form.get("id") is None else form


def _listed_queues(form: object) -> Iterator[tuple[str, str]]:
    queues = form.get("queues") if isinstance(form, dict) else None
    for one in queues if isinstance(queues, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str) and isinstance(one.get("name"), str):
            yield one["id"], one["name"]


def _target_queues(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for target in raw.get("targets") or ():
        queue, name = target.get("queueId"), target.get("queueName")
        if isinstance(queue, str) and isinstance(name, str):
            yield queue, name
