"""The options of each command are an object of its class."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from reconciler.cli.arguments import all_commands, command_module
from reconciler.cli.commands import plan
from reconciler.cli.hooks import explain_parts, init_files
from reconciler.cli.options import CommonOptions, option_fields
from reconciler.cli.parsing import CommandParser

COMMANDS = list(all_commands())


def own_parser(name: str) -> CommandParser[CommonOptions]:
    """Return the parser of a command. Raises CxrouteError if options and fields differ."""
    parser: CommandParser[CommonOptions] = CommandParser(name, command_module(name))
    return parser


def value_types(hint: Any) -> tuple[type, ...]:
    """Return the classes of the values that a field may have."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(cls for part in get_args(hint) for cls in value_types(part))
    if get_origin(hint) is Literal:
        return tuple({type(value) for value in get_args(hint)})
    return (get_origin(hint) or hint,)


def field_types(name: str) -> dict[str, Any]:
    """Return the type of each field of a command's class, and of the classes of features."""
    types = get_type_hints(own_parser(name).options_class)
    added: list[type] = []
    if name == "init":
        added = list(init_files())
    elif name == "explain":
        added = list(explain_parts())
    for part in added:
        types |= get_type_hints(part)
    return types


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_field_of_its_type(name: str) -> None:
    """Its default, the value of a switch, and the text or number behind the option."""
    types = field_types(name)
    defaults: dict[str, object] = {}
    for action in own_parser(name)._actions:
        if action.dest == "help" or action.required:
            continue
        classes = value_types(types[action.dest])
        default = defaults.setdefault(action.dest, action.default)
        assert isinstance(default, classes), action.dest
        if action.nargs == 0:
            assert isinstance(action.const, classes), action.dest
        elif isinstance(action.type, type):
            assert action.type in classes, action.dest


def test_every_field_is_an_option_of_a_command() -> None:
    """A default alone would be a constant."""
    named = set[str]()
    declared = set[str]()
    for name in COMMANDS:
        parser = own_parser(name)
        named |= {action.dest for action in parser._actions} | {*parser._defaults}
        declared |= {field.name for field in option_fields(parser.options_class)}
    assert set() == declared - named


def test_the_options_of_a_command_line_do_not_change() -> None:
    """The object is frozen; an option that the command does not have has the default."""
    options = CommandParser("plan", plan).parse_args(["--all", "--out", "plan.json"])
    assert (True, "plan.json", False) == (options.all, options.out, options.no_prune)
    with pytest.raises(FrozenInstanceError):
        options.all = False  # type: ignore[misc] # this is what the test tries


@pytest.mark.parametrize("name", COMMANDS)
def test_each_class_is_frozen(name: str) -> None:
    """And so are the classes that it extends."""
    options_class = own_parser(name).options_class
    assert issubclass(options_class, CommonOptions)
    assert options_class.__dataclass_params__.frozen  # type: ignore[attr-defined] # of dataclasses
