"""docs/commands.md and docs/codes.md, generated from the program: every command, option and code of
a finding.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from reconciler.cli.arguments import all_commands, command_module
from reconciler.cli.parsing import CommandParser, Parser, add_common_options
from reconciler.core.model.finding import CODES

_HEAD: Final = """\
# Commands

Use this page to look up an option or a variable. `cxroute COMMAND --help` prints the same.

stdout has only the result; progress, warnings and questions go to stderr. `--format json` prints exactly one document,
also if the command fails. Without a terminal, cxroute asks no questions.

On a terminal, text is wrapped to its width, down to 60 columns; commands, paths and URLs are not broken. In a pipe,
text is not wrapped. An option with one value must not be given twice (64); `-e` accumulates.

Exit codes are in [exit-codes.md](reference/exit-codes.md).

## Variables

For a variable marked `_FILE`, `NAME_FILE` can instead be the path of a file with the value.

cxroute reads only regular files of bounded size: 5 MiB for a manifest or a traffic sample, 64 MiB for live rules, 128
MiB for a saved plan, 256 MiB for a journal. It refuses pipes and devices.

| variable | holds |
|---|---|
| `CXONE_CLIENT_ID`, `CXONE_CLIENT_SECRET` | id and secret; an Environment can name other variables; `_FILE` |
| `CXONE_ACCESS_KEY_ID`, `CXONE_ACCESS_KEY_SECRET` | the same for an access key; `_FILE` |
| `CXROUTE_ENV` | the Environment if `-e` is not set |
| `CXROUTE_HOSTS` | additional hosts that may receive credentials, separated by commas |
| `CXROUTE_MEMBERS_TOKEN` | a token that reads members of teams and groups, for the [consent](forges.md#consent) |
| `CXROUTE_PROXY` | a proxy, `http://proxy.example:3128`; cxroute ignores the proxy variables of other programs |
| `CXROUTE_CA_FILE` | certificates of your own authority, in addition to the public ones |
| `CXROUTE_JOURNAL` | the journal: a file, a directory or an address (default: `journal` of the Environment) |
| `CXROUTE_JOURNAL_DEFAULT` | the file of the journal if nothing else names one (default: `.cxroute/journal.jsonl`) |
| `CXROUTE_WEBHOOK_URL` | a webhook's address, if `notify: {urlEnv: ...}` names this variable; `_FILE` |
| `CXROUTE_API_KEYS`, `CXROUTE_WEBHOOK_SECRETS` | for `serve`: the keys and secrets of its callers; `_FILE` |
| `CXROUTE_READ_KEYS`, `CXROUTE_ADMIN_KEYS` | for `serve --decide`: the keys that read and publish its table; `_FILE` |
| `CXROUTE_ADMIN_KEY` | for `rules: served`: the key, unless `served.keyEnv` names another variable; `_FILE` |
| `COGNIGY_API_KEY` | for `cognigy intents`: the key of Cognigy's API; `_FILE` |
| `CXROUTE_SHARED` | for `serve`: the Redis that several instances share; `_FILE` |
| `CXROUTE_PROMETHEUS` | for `apply` and `watch --apply`: Prometheus, for conditions ([dates.md](dates.md)) |
| `CXROUTE_PROMETHEUS_TOKEN` | a bearer token for Prometheus, also for `traffic pull`; `_FILE` |
| `PORT` | for `serve`: the port, if `--port` is not set |
| `JOB_COMPLETION_INDEX` | for `--shard /COUNT`: the index |
| `CI` | if it is set, there is no default Environment |
| `NO_COLOR` | any value: no colours, unless `--color` is set |
| `FORCE_COLOR` | any value except 0: colours also in a pipe, unless `--color` or `NO_COLOR` is set |
| `COLUMNS` | the width of the terminal, instead of the terminal's own |
| `CXROUTE_ENVIRONMENTS` | for the workflows on [GitHub](forges.md#github) |
| `CXROUTE_PACKAGE` | on other [forges](forges.md), the requirement that pip installs |
| `CXROUTE_GITLAB_TOKEN` | for the jobs on [GitLab](forges.md#gitlab) |
| `CXROUTE_BITBUCKET_TOKEN` | for `cxroute bitbucket`: a repository access token |
| `CXROUTE_BITBUCKET_API`, `CXROUTE_BITBUCKET_GIT` | other addresses of the API, and of the repositories |
| `CXROUTE_BITBUCKET_MANUAL` | for `cxroute bitbucket`: `true` in a pipeline that a person started |
| `CXROUTE_OUTPUT`, `CXROUTE_SUMMARY` | on other forges: files that get the results of a task, and its Markdown |
| `GITHUB_ACTOR`, `GITLAB_USER_LOGIN`, `BUILD_REQUESTEDFOR` | the name in the journal, instead of the machine's user |
"""
_SEVERAL: Final = """\
## Options of several commands

Each command lists those that it has.
"""
_CODES: Final = """\
# Codes of findings

Use this page to look up a code such as `CXR204` from an output, a pull request or a code scanner. `cxroute explain
CXR204` prints one of them. A code never changes its meaning.

CXR0.. are about reading YAML, CXR1.. about manifests and names, CXR2.. about what rules do, CXR3.. about live rules.

Equal warnings and notes about several rules are one finding. Text names a few of the rules, and all of them with `-v`;
JSON has `addresses` and `sources`. Errors stay separate, because each has its own place to correct.

## Accept a finding

To accept an intended warning or note, give a reason in the rule, or in the Environment for rules of that Environment:

```yaml
  - {intent: summer_offer, queue: General, accept: {CXR203: kept for the campaign in June}}
```

```yaml
accept:
  - {code: CXR202, address: exchange/*, reason: the unmanaged rule will be deleted in June}
  - {code: CXR205, reason: the bot learns these intents next week}   # without an address: not about a single rule
```

Accepted findings are counted and not shown. JSON has them under `acknowledged`, with the reason; SARIF has them as
suppressed results. You cannot accept an error. An `accept` that matches nothing is a finding (CXR212).

## Codes
"""


def commands_page() -> str:
    """Return the page of commands."""
    pages = [
        _CommandPart(name, CommandParser(name, command_module(name)), command.module)
        for name, command in all_commands().items()
    ]
    repeated = _repeated_rows(pages)
    text = (
        f"{_HEAD}\n## Options of every command\n\nPlace them before or after the "
        f"command.\n\n{_table(_rows(_shared()))}"
        f"\n{_SEVERAL}\n{_table(repeated)}"
    )
    modules: dict[str, _CommandPart] = {}
    printed: dict[str, str] = {}
    for page in pages:
        first = modules.setdefault(page.module, page)
        text += page.head()
        text += page.difference(first) if page is not first else page.options(repeated)
        text += page.notes(printed)
    return text


@dataclass(frozen=True)
class _CommandPart:
    """One command on the page."""

    name: str
    parser: argparse.ArgumentParser
    module: str

    @property
    def own(self) -> list[argparse.Action]:
        """The options that not every command has."""
        shared = {item.dest for item in _shared()}
        return [action for action in self.parser._actions if action.dest not in shared]

    def head(self) -> str:
        """Return the heading, the purpose, and how arguments are placed, if there are any."""
        heading = f"\n## {self.name}\n\n{self.parser.description}\n"
        places = [_place(action) for action in self.own if not action.option_strings]
        if not places:
            return heading

        has_options = any(action.option_strings for action in self.own)
        options = "[OPTIONS] " if has_options else ""
        return f"{heading}\n```text\ncxroute {self.name} {options}{' '.join(places)}\n```\n"

    def options(self, repeated: Iterable[str]) -> str:
        """Return the rows of the options, and the names of those that several commands have."""
        rows = _rows(self.own)
        alone = [row for row in rows if row not in repeated]
        names = [_first_name(row) for row in rows if row in repeated]
        table = f"\n{_table(alone)}" if alone else ""
        also = (
            f"\nFurther [options](#options-of-several-commands): {', '.join(names)}\n"
            if names
            else ""
        )
        return table + also

    def difference(self, first: _CommandPart) -> str:
        """Return what differs from the options of an earlier command with the same module."""
        known = _rows(first.own)
        new_rows = [row for row in _rows(self.own) if row not in known]
        destinations = {action.dest for action in self.own}
        missing = [
            _name(action) for action in first.own if action.dest not in destinations
        ]
        without = f", without {' and '.join(missing)}" if missing else ""
        return (
            f"\n{_table(new_rows)}\nThe other options are those of "
            f"[{first.name}](#{first.name}){without}.\n"
        )

    def notes(self, printed: dict[str, str]) -> str:
        """Return the text below the options, without the paragraphs that an earlier command has."""
        paragraphs = (self.parser.epilog or "").strip().split("\n\n")
        new = [text for text in paragraphs if text and text not in printed]
        others = [printed[text] for text in paragraphs if text in printed]
        for text in new:
            printed[text] = self.name
        block = "\n```text\n" + "\n\n".join(new) + "\n```\n" if new else ""
        links = " and ".join(f"[{name}](#{name})" for name in dict.fromkeys(others))
        return block + (
            f"\nThe text below the options of {links} applies here, too.\n"
            if links
            else ""
        )


def _repeated_rows(pages: Iterable[_CommandPart]) -> list[str]:
    """Return the rows of options that several commands have in the same words, in order of
    appearance. An argument stays with its command.
    """
    modules: dict[str, set[str]] = {}
    for page in pages:
        for row in _rows(page.own):
            modules.setdefault(row, set()).add(page.module)
    return [
        row
        for row, names in modules.items()
        if len(names) > 1 and row.startswith("| `-")
    ]


def codes_page() -> str:
    """Return the page of codes."""
    rows = "".join(
        f"| `{code}` | {_cell(item.title)} | {_cell(item.text)} |\n"
        for code, item in sorted(CODES.items())
    )
    return (
        f"{_CODES}\n| code | finding | meaning, and what to do |\n|---|---|---|\n{rows}"
    )


def _shared() -> list[argparse.Action]:
    parser = Parser()
    add_common_options(parser)
    return parser._actions


def _place(action: argparse.Action) -> str:
    """Return an argument without an option as it is written in the usage."""
    word = _taken(action) or action.dest
    return f"[{word}]" if action.nargs in ("?", "*") else word


def _rows(actions: Iterable[argparse.Action]) -> list[str]:
    """Return the row of each option, and of each argument."""
    return [
        f"| {_name(action)} | {_cell(action.help or '')} |\n"
        for action in actions
        if action.dest != "help"
    ]


def _first_name(row: str) -> str:
    """Return the first name of an option, with its value, as its row has it."""
    names = row.removeprefix("| ").partition("` |")[0].replace("\\|", "|")
    return f"{names.partition('`, `')[0]}`"


def _table(rows: Iterable[str]) -> str:
    return f"| option | does |\n|---|---|\n{''.join(rows)}"


def _name(action: argparse.Action) -> str:
    claimed = f" {_taken(action)}" if _taken(action) else ""
    words = [f"{option}{claimed}" for option in action.option_strings]
    words = words or [claimed.strip() or action.dest]
    return ", ".join(f"`{word}`" for word in words).replace("|", "\\|")


def _taken(action: argparse.Action) -> str:
    """Return the value of an option as --help names it; "" for a flag."""
    if action.nargs == 0:
        return ""
    if action.choices and not action.metavar:
        return "|".join(map(str, action.choices))
    word = action.metavar or action.dest.upper()
    return f"[{word}]" if action.nargs == "?" and action.option_strings else str(word)


def _cell(text: str) -> str:
    return text.replace("%%", "%").replace("|", "\\|").replace("<", "\\<")
