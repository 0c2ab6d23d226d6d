"""A JSON file in the API's form: a list of rules, or one page with all rules, and beside it queues with id and name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.cxone.rule_json import parse_live_rule
from reconciler.errors import UnexpectedResponseError, UsageError
from reconciler.model.live import LiveRule
from reconciler.text.escape import sanitize
from reconciler.text.files import read_start
from reconciler.text.strict_json import STRICT_DECODER

MAX_FILE_BYTES: Final = 64 * 1024 * 1024  # bytes of a file: about 100,000 rules
_LIST_NAMES: Final = ("entities", "rules", "items")


@dataclass(frozen=True, slots=True)
class RulesFile:
    """Rules of a file, and names of queues by id, if the file holds them."""

    rules: tuple[LiveRule, ...]
    queues: Mapping[str, str]
    lists_queues: bool  # whether queues are listed beside the rules; else only targets may name them


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
        content = STRICT_DECODER.decode(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UsageError(f"{name}: not JSON; a list of rules is wanted, or a page, as the API answers it") from None
    try:
        rules = tuple(parse_live_rule(rule) for rule in _find_rules(content, name))
    except UnexpectedResponseError as error:
        raise UsageError(f"{name}: {str(error).replace(' in the answer', '')}") from None
    for rule_id, count in Counter(rule.id for rule in rules).items():
        if count > 1:
            raise UsageError(f"{name}: two rules have the id {rule_id[:64]!r}")
    queues = content.get("queues") if isinstance(content, dict) else None
    targets = (target for rule in rules for target in rule.raw.get("targets") or ())
    pairs = [(target.get("queueId"), target.get("queueName")) for target in targets]
    if isinstance(queues, list):
        pairs += [(queue.get("id"), queue.get("name")) for queue in queues if isinstance(queue, dict)]
    names = {queue: name for queue, name in pairs if isinstance(queue, str) and isinstance(name, str)}
    return RulesFile(rules, names, isinstance(queues, list))


def _find_rules(content: Any, name: str) -> list[Any]:  # noqa: ANN401 - any JSON
    rules, total = content, None
    if not isinstance(content, list):
        page = content if isinstance(content, dict) else {}
        rules = next((page[key] for key in _LIST_NAMES if isinstance(page.get(key), list)), None)
        total = page.get("total")
    if rules is None:
        raise UsageError(f"{name}: no list of rules, and no page with `entities`, `rules` or `items`")
    if isinstance(total, int) and total != len(rules):
        raise UsageError(f"{name}: a page with {len(rules):,} of {total:,} rules; put all rules into one list")
    # The position is the id of a rule that was written by hand.
    return [
        {**rule, "id": f"#{number}"} if isinstance(rule, dict) and rule.get("id") is None else rule
        for number, rule in enumerate(rules, start=1)
    ]
