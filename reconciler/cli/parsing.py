"""The parser of one command.

It uses argparse because importing click takes longer than --help may take in total.
"""

import argparse
import copy
import re
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import MISSING, is_dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, Protocol, TypeVar

from reconciler.cli.arguments import SHARED, describe_command
from reconciler.cli.options import CommonOptions, option_fields, read_options
from reconciler.cli.stdio import width_of, wrap_for
from reconciler.core.errors import CxrouteError, UsageError
from reconciler.render.text.wrap import wrap_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed import SupportsWrite

    from reconciler.cli.output import Output

_SEVERAL: Final = (
    "validate, test, plan, apply and drift take several, as -e a -e b or -e a,b"
)
_ENVIRONMENT: Final = (
    f"the Environment (default: $CXROUTE_ENV, else sandbox); {_SEVERAL}"
)
_COLOURS: Final = (
    "colours; auto: on a terminal, $NO_COLOR turns them off and $FORCE_COLOR on (default: "
    "auto)"
)
_QUIET: Final = (
    "only results and errors; plan and drift print counts, refusals and affected "
    "conversations"
)
_SWITCH_WITH_VALUE: Final = re.compile(
    r"argument (?P<option>[^/ ]+)\S*: ignored explicit argument (?P<value>.*)",
    re.DOTALL,
)
"""argparse's message for a switch with a value."""
_CHOICES: Final = re.compile(
    r"(?P<option>.+): invalid choice: (?P<value>.+) \(choose from (?P<choices>.*)\)",
    re.DOTALL,
)
"""argparse's message for a value that is not one of a few; only some versions quote the choices."""
_SHORT: Final = 2  # characters of an option of one letter
_BEHIND: Final = "\0"  # before a word behind `--`; a command line cannot have it


_Options = TypeVar("_Options", bound=CommonOptions)


class CommandModule(Protocol[_Options]):
    """The interface of a command's module."""

    def options(self, parser: argparse.ArgumentParser) -> type[_Options]:
        """Add the command's own options, and return the class of all its options: a frozen
        dataclass that extends `CommonOptions` (`reconciler.cli.options`).
        """

    def run(self, options: _Options, output: "Output") -> int:
        """Run the command and return its exit code. Raises the errors of `reconciler.core.errors`."""


class StoreOnce(argparse.Action):
    """An option that takes one value.

    A second value is an error, because one of the two would be ignored.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: object,
        option: str | None = None,
    ) -> None:
        """Store the value. Raises UsageError for the second one."""
        stored = vars(namespace).setdefault("_given", set())
        if option and self.dest in stored:
            parser.error(
                f"{'/'.join(self.option_strings)} is given twice but takes one value: remove one"
            )
        stored.add(self.dest)
        setattr(namespace, self.dest, values)


class JoinValues(argparse.Action):
    """An option whose values are joined with commas, so that `-e a -e b` is `-e a,b`."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: object,
        option: str | None = None,
    ) -> None:
        """Add the value, unless it is present already."""
        del parser, option
        earlier = getattr(namespace, self.dest)
        if earlier != values:
            setattr(
                namespace,
                self.dest,
                values if earlier is None else f"{earlier},{values}",
            )


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help that is as wide as the terminal; words, and commands in backticks, stay whole."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=width_of(sys.stdout) - 2)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrap_line(text, width, 0).split("\n")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        del indent
        joined = re.sub(r"^(\S.*)\n(?=\S)", r"\1 ", text, flags=re.MULTILINE)
        return "\n".join(
            line if line.startswith(" ") else wrap_line(line, width, 0)
            for line in joined.split("\n")
        )


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError (exit 64) where argparse would exit with 2."""

    def __init__(self, prog: str | None = None, **options: Any) -> None:  # noqa: ANN401 - options of argparse
        super().__init__(
            prog, allow_abbrev=False, formatter_class=HelpFormatter, **options
        )
        # from Python 3.14 on argparse colours its help and ignores --color
        self.color = False
        self.register("action", None, StoreOnce)

    def error(self, message: str) -> NoReturn:
        """Raise the error that argparse found."""
        with_value = _SWITCH_WITH_VALUE.fullmatch(message)
        if with_value:
            raise _value_of_switch(with_value["option"], with_value["value"])
        other_choice = _CHOICES.fullmatch(message)
        if other_choice:
            choices = other_choice["choices"].replace("'", "")
            message = (
                f"{other_choice['option']}: invalid choice: {other_choice['value']} "
                f"(choose from {choices})"
            )
        raise UsageError(message)

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Print the help, wrapped to the terminal, with one line for the options of every
        command.
        """
        parser = copy.copy(self)
        parser.epilog = "\n\n".join(filter(None, (f"Also: {SHARED}", self.epilog)))
        (file or sys.stdout).write(wrap_for(parser.format_help(), sys.stdout))


class CommandParser(Parser, Generic[_Options]):
    """The parser of one command. Its help omits the options that every command has."""

    def __init__(self, name: str, module: CommandModule[_Options]) -> None:
        """Add the options. Raises CxrouteError for one without a field, and for such a field."""
        description = describe_command(name, module.__doc__ or "")
        super().__init__(f"cxroute {name}", description=description)
        self.options_class = module.options(self)
        for action in add_common_options(self):
            action.help = argparse.SUPPRESS
        self._check_fields(name)

    def _check_fields(self, name: str) -> None:
        if not is_dataclass(self.options_class):
            raise CxrouteError(
                f"the command {name} cannot run: its function `options` returns no dataclass"
            )
        names = {action.dest for action in self._actions if action.dest != "help"}
        names.update(self._defaults)
        fields = [*option_fields(self.options_class)]
        required = {field.name for field in fields if field.default is MISSING}
        differing = (required - names) | (names - {field.name for field in fields})
        if differing:
            place = f"an option and a field of {self.options_class.__name__}"
            raise CxrouteError(
                f"the command {name} cannot run: each of these must be {place}: "
                f"{', '.join(sorted(differing))}"
            )

    def parse_args(self, args: "Sequence[str]") -> _Options:  # type: ignore[override] # callers have no more
        """Return the options. Raises UsageError with the nearest option for an unknown one."""
        words = self._words(args)
        # options may stand between the words
        namespace, unmarked = self.parse_known_intermixed_args(words)
        values = {name: _plain(value) for name, value in vars(namespace).items()}
        unknown = [word.removeprefix(_BEHIND) for word in unmarked]
        if unknown:
            from reconciler.cli.advice import ArgumentAdvice, without_secrets  # noqa: PLC0415 - only for an error

            shown = " ".join(without_secrets(unknown))
            advice = ArgumentAdvice(self, values, unknown)
            self.error(f"unrecognized arguments: {shown}{advice.text()}")
        return read_options(self.options_class, values)

    def _words(self, args: "Sequence[str]") -> list[str]:
        """Return the words of a command line in a form that all versions of argparse read alike.

        `-qe=prod` becomes `-q -e=prod`. A word behind `--` that begins with - gets a mark, and
        the `--` goes. Raises UsageError for a switch of one letter with another text behind it.
        """
        end = args.index("--") if "--" in args else len(args)
        takes_value = {
            option: action.nargs != 0
            for action in self._actions
            for option in action.option_strings
        }
        words: list[str] = []
        for word in args[:end]:
            is_value = bool(words) and takes_value.get(words[-1], False)
            words += [word] if is_value else _split_switches(word, takes_value)
        behind = [
            f"{_BEHIND}{word}" if word.startswith("-") else word
            for word in args[end + 1 :]
        ]
        return words + behind


def _split_switches(word: str, takes_value: "Mapping[str, bool]") -> list[str]:
    """Return the switches of one letter that a word begins with, each as a word, and the rest."""
    words = []
    while takes_value.get(word[:_SHORT]) is False and len(word) > _SHORT:
        switch = word[:_SHORT]
        rest = word[_SHORT:]
        if f"-{rest[0]}" not in takes_value:
            raise _value_of_switch(switch, repr(rest.removeprefix("=")))
        words.append(switch)
        word = f"-{rest}"
    return [*words, word]


def _plain(value: object) -> object:
    """Return a value of an argument without the marks of words behind `--`."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.removeprefix(_BEHIND) if isinstance(value, str) else value


def _value_of_switch(switch: str, value: str) -> UsageError:
    """Return the error for a switch with a value, or with letters behind it."""
    return UsageError(
        f"{switch} takes no value, but {value} follows it; a long option begins with --"
    )


def add_format_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of a command that prints text or JSON."""
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="output format (default: text)",
    )


def add_common_options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add the options that every command has, before or after its name, and return them."""
    add = parser.add_argument_group("options of every command").add_argument
    return [
        add("-e", "--environment", metavar="ENV", action=JoinValues, help=_ENVIRONMENT),
        add(
            "-m",
            "--manifests",
            metavar="DIR",
            default="manifests",
            help="manifest directory (default: manifests)",
        ),
        add(
            "--color",
            choices=("auto", "always", "never"),
            default="auto",
            help=_COLOURS,
        ),
        add(
            "-q",
            "--quiet",
            dest="loudness",
            action="store_const",
            const="quiet",
            default="normal",
            help=_QUIET,
        ),
        add(
            "-v",
            "--verbose",
            dest="loudness",
            action="store_const",
            const="verbose",
            help="print more details",
        ),
        add(
            "--log-format",
            choices=("text", "json"),
            default="text",
            help="format of the messages on stderr",
        ),
        add("--no-input", action="store_true", help="never prompt"),
    ]


def check_task(
    command: str, chosen: str, values_of: "Mapping[str, Mapping[str, object]]"
) -> None:
    """Raise UsageError for an option of another task than the chosen one; `values_of` has the values
    of the options that only one task has.
    """
    for task, values in values_of.items():
        for option, value in values.items():
            if value is not None and chosen != task:
                raise UsageError(
                    f"{option} is an option of `{command} {task}`, not of `{command} {chosen}`"
                )
