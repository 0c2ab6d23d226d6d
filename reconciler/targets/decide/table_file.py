"""A saved table of a decision service, for `--live FILE` and comparisons."""

from reconciler.core.errors import UsageError
from reconciler.core.rule_json import RulesFile, read_file_text, read_rules_file
from reconciler.core.text.escape import sanitize
from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.targets.decide.table import TableError, parse_table


def read_table_file(path: str) -> RulesFile:
    """Return the rules, queues and settings of a saved response to GET /rules; or a list of rules
    in the API's format. Raises UsageError.
    """
    problem = "not valid JSON; expected the response to GET /rules, or a list of rules"
    try:
        content = STRICT_DECODER.decode(read_file_text(path, problem))
    except (ValueError, RecursionError):
        raise UsageError(f"{sanitize(path)}: {problem}") from None
    if not isinstance(content, dict) or "endpoint" not in content:
        return read_rules_file(path)
    try:
        table = parse_table(content)
    except TableError as error:
        raise UsageError(f"{sanitize(path)}: {error}") from None
    return RulesFile(
        rules=table.rules,
        queues=table.queues,
        lists_queues=True,
        settings=table.settings.table_settings,
    )
