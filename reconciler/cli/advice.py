"""What to write in place of words that other programs have: options, commands, and an environment
without `-e`.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.core.errors import CxrouteError
from reconciler.core.text.suggest import find_nearest, suggest

if TYPE_CHECKING:
    from argparse import ArgumentParser

_DELETE: Final = (
    "to delete rules, remove them from the manifests, and run `cxroute plan`"
)
_UNDO: Final = "`cxroute history` lists the runs"
_FORMATTER: Final = (
    "cxroute has no formatter: use any formatter of YAML, then `cxroute validate`"
)
_CHOICE: Final = "each command takes the environment as `-e ENV`"
_WRITE: Final = "write "
_MANY: Final = 3  # words with advice in one message


class OtherCommand(NamedTuple):
    """A command of cxroute for a word of another program, and a further sentence."""

    command: str
    remark: str = ""


_COMMANDS: Final[Mapping[str, OtherCommand]] = {
    **dict.fromkeys(
        ("undo", "rollback", "revert", "reset", "restore"),
        OtherCommand("apply --undo RUN", _UNDO),
    ),
    **dict.fromkeys(("destroy", "delete", "remove", "rm"), OtherCommand("", _DELETE)),
    **dict.fromkeys(("fmt", "format"), OtherCommand("", _FORMATTER)),
    **dict.fromkeys(
        ("sync", "deploy", "push", "up", "publish", "release"), OtherCommand("apply")
    ),
    **dict.fromkeys(("preview", "dry-run", "dryrun", "what-if"), OtherCommand("plan")),
    **dict.fromkeys(("lint", "check", "verify"), OtherCommand("validate")),
    **dict.fromkeys(
        ("import", "pull", "fetch", "download", "dump"), OtherCommand("export")
    ),
    **dict.fromkeys(("status", "refresh", "state"), OtherCommand("drift")),
    **dict.fromkeys(("log", "logs", "runs", "audit", "blame"), OtherCommand("history")),
    **dict.fromkeys(("list", "ls", "rules", "get"), OtherCommand("table")),
    **dict.fromkeys(("new", "create", "scaffold"), OtherCommand("init")),
    **dict.fromkeys(("login", "auth", "ping"), OtherCommand("doctor")),
    **dict.fromkeys(("start", "server"), OtherCommand("serve")),
    **dict.fromkeys(("why", "trace", "describe"), OtherCommand("explain")),
    **dict.fromkeys(("compare",), OtherCommand("diff")),
    **dict.fromkeys(("graph", "console"), OtherCommand("explore")),
    **dict.fromkeys(("output", "view"), OtherCommand("show")),
    **dict.fromkeys(
        ("workspace", "env", "context", "switch"), OtherCommand("", _CHOICE)
    ),
}

_SECRET_OPTIONS: Final = ("secret", "password", "passwd", "token", "key")
_FORMAT_OPTIONS: Final = ("--output", "-o", "--output-format", "-f", "--fmt")
_ENVIRONMENT_OPTIONS: Final = ("--env", "--environ", "--stage", "--workspace")
_DIRECTORY_OPTIONS: Final = (
    "--manifest",
    "--dir",
    "--directory",
    "--path",
    "--config",
    "--folder",
    "-d",
    "-C",
    "--chdir",
)
_DRY_RUN_OPTIONS: Final = (
    "--dry-run",
    "--dryrun",
    "-n",
    "--check",
    "--diff",
    "--preview",
    "--what-if",
    "--noop",
)
_CONSENT_OPTIONS: Final = (
    "-y",
    "--auto-approve",
    "--assume-yes",
    "--confirm",
    "--force",
)
_SELECTION_OPTIONS: Final = ("--target", "--select", "--rule", "--filter")
_UNDO_OPTIONS: Final = ("--rollback", "--revert")
_SHORT: Final = 2  # characters of an option of one letter


def other_command(name: str, arguments: Sequence[str]) -> str:
    """Return the command for a word of another program, such as `undo`; an empty text if it is
    none.
    """
    advice = _COMMANDS.get(name.lower())
    if advice is None:
        return ""
    command = advice.command
    run = next((word for word in arguments if not word.startswith("-")), "")
    if run:
        command = command.replace("RUN", shlex.quote(run))
    question = f"did you mean `cxroute {command}`?" if command else ""
    return " ".join(filter(None, (question, advice.remark)))


def is_secret_option(word: str) -> bool:
    """Return whether a word is an option for a secret, which has no place on a command line."""
    return word.startswith("-") and word.partition("=")[0].lower().endswith(
        _SECRET_OPTIONS
    )


def without_secrets(words: Sequence[str]) -> list[str]:
    """Return the words of a command line without the values of options for secrets."""
    shown: list[str] = []
    for number, word in enumerate(words):
        before = words[number - 1] if number else ""
        if is_secret_option(word) and "=" in word:
            shown.append(f"{word.partition('=')[0]}=[secret]")
        elif (
            is_secret_option(before) and "=" not in before and not word.startswith("-")
        ):
            shown.append("[secret]")
        else:
            shown.append(word)
    return shown


def common_option(option: str, value: str) -> str:
    """Return what to write for an unknown option before the command; an empty text if nothing is
    known.
    """
    option = _long_form(option)
    if option in _ENVIRONMENT_OPTIONS:
        return f"write `-e {shlex.quote(value)}`"
    if option in _DIRECTORY_OPTIONS:
        return f"write `-m {shlex.quote(value)}`"
    return ""


class ArgumentAdvice:
    """Says what to write in place of the arguments that a command does not know."""

    def __init__(
        self,
        parser: "ArgumentParser",
        values: Mapping[str, object],
        unknown: Sequence[str],
    ) -> None:
        self._known = parser._option_string_actions  # noqa: SLF001 - argparse has no public list of them
        self._command = parser.prog.rpartition(" ")[2]
        self._directory = str(values["manifests"])
        self._unknown = unknown
        # of `apply PLAN`: perhaps the value of an unknown option
        self._argument = str(values.get("plan") or "")

    def text(self) -> str:
        """Return the advice as the end of a message, or an empty text."""
        secret = next(filter(is_secret_option, self._unknown), None)
        if secret is not None:
            remedy = (
                "set the variable CXONE_CLIENT_SECRET, or that of `credentials` in the "
                "Environment"
            )
            return f"; a secret must not stand on a command line: treat it as leaked, and {remedy}"
        replacements = list(dict.fromkeys(self._replacements()))[:_MANY]
        if all(each.startswith(_WRITE) for each in replacements):
            replacements[1:] = [each.removeprefix(_WRITE) for each in replacements[1:]]
        if replacements:
            return f"; {' and '.join(replacements)}"
        hint = suggest(self._unknown[0].partition("=")[0], self._known)
        return f"; {hint}" if hint else ""

    def _replacements(self) -> Iterator[str]:
        words = iter(range(len(self._unknown)))
        for number in words:
            word = self._unknown[number]
            if not word.startswith("-"):
                yield from self._of_argument(word)
                continue
            option, equals, value = word.partition("=")
            following = self._unknown[number + 1 : number + 2]
            takes_next = (
                not equals and bool(following) and not following[0].startswith("-")
            )
            given = following[0] if takes_next else value
            found = self._of_option(option, given)
            yield from filter(None, [found])
            if found and takes_next and shlex.quote(given) in found:
                next(words, None)

    def _of_argument(self, word: str) -> Iterator[str]:
        """Yield what to write for an argument of a command that takes none, or fewer."""
        if word in environment_names(self._directory):
            yield f"write `-e {word}`"
        elif Path(word).is_dir():
            yield f"write `-m {shlex.quote(word)}`"
        elif word.endswith(".json") and self._command == "plan":
            yield f"write `cxroute show {shlex.quote(word)}` for a saved plan"
        elif near := find_nearest(word, environment_names(self._directory)):
            yield f"did you mean `-e {near}`?"

    def _of_option(self, option: str, value: str) -> str:
        """Return what to write for an option that the command does not have; an empty text if
        nothing is known.
        """
        option = _long_form(option)
        for names, advise in self._advisers:
            if option in names:
                return advise(value)
        form = option.removeprefix("--")
        return (
            f"write `--format {form}`"
            if option.startswith("--") and form in self._formats
            else ""
        )

    @property
    def _advisers(self) -> tuple[tuple[Sequence[str], Callable[[str], str]], ...]:
        return (
            (
                _ENVIRONMENT_OPTIONS,
                lambda value: f"write `-e {shlex.quote(value) if value else 'ENV'}`",
            ),
            (
                _DIRECTORY_OPTIONS,
                lambda value: f"write `-m {shlex.quote(value) if value else 'DIR'}`",
            ),
            (_FORMAT_OPTIONS, self._of_format),
            (_DRY_RUN_OPTIONS, self._of_dry_run),
            (_CONSENT_OPTIONS, lambda _value: self._if_known("--yes", "")),
            (
                _SELECTION_OPTIONS,
                lambda value: self._if_known("--only", value or "ADDRESS"),
            ),
            (_UNDO_OPTIONS, lambda value: self._if_known("--undo", value or "RUN")),
            (("--destroy", "--delete"), lambda _value: _DELETE),
            (("--no-color", "--no-colour"), lambda _value: "write `--color never`"),
            (("--debug", "--trace"), lambda _value: "write `-v`"),
            (("--silent",), lambda _value: "write `-q`"),
            (("--version", "-V"), lambda _value: "write `cxroute version`"),
        )

    @property
    def _formats(self) -> Sequence[str]:
        action = self._known.get("--format")
        if action is None:
            return ()
        return tuple(action.choices or ())

    def _of_format(self, value: str) -> str:
        if value in self._formats:
            return f"write `--format {value}`"
        directory = _directory_of(value or self._argument)
        if directory:
            return f"write `-m {shlex.quote(directory)}`"
        if value and "--out" in self._known:
            return f"write `--out {shlex.quote(value)}`"
        if not self._formats:
            return ""
        formats = "|".join(self._formats)
        return f"write `--format {formats}`"

    def _of_dry_run(self, value: str) -> str:
        # of `-n`, a namespace elsewhere
        if value in environment_names(self._directory):
            return f"write `-e {value}`"
        if self._command == "plan":
            return "`cxroute plan` writes nothing, so remove it"
        return (
            "`cxroute plan` is the dry run"
            if self._command in ("apply", "drift", "watch")
            else ""
        )

    def _if_known(self, option: str, value: str) -> str:
        words = shlex.quote(value) if value and not value.isupper() else value
        return (
            f"write `{' '.join(filter(None, (option, words)))}`"
            if option in self._known
            else ""
        )


def _long_form(option: str) -> str:
    """Return `--json` for `-json`, as some programs write long options; other options unchanged."""
    is_long = (
        len(option) > _SHORT and option.startswith("-") and not option.startswith("--")
    )
    return f"-{option}" if is_long else option


def _directory_of(value: str) -> str:
    """Return a directory, or that of a YAML file; an empty text for another value."""
    path = Path(value)
    if value and path.is_dir():
        return value
    return str(path.parent) if path.suffix in (".yaml", ".yml") else ""


def environment_names(directory: str) -> Sequence[str]:
    """Return the names of the environments, of invalid manifests too; none without manifests."""
    from reconciler.core.manifest.load import defined_environments  # noqa: PLC0415 - only for a wrong command line

    with suppress(CxrouteError, OSError):
        return defined_environments(Path(directory))
    return ()


def environment_hint(word: str, directory: str) -> str:
    """Return `; prod is an environment: write -e prod` for the name of an environment; otherwise an
    empty text.
    """
    return (
        f"; {word} is an environment: write `-e {word}`"
        if word in environment_names(directory)
        else ""
    )
