"""The command `cxroute`.

Slow modules are imported later, so that --help starts almost as fast as Python.
"""

import contextlib
import gc
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from reconciler.cli.arguments import command_module, find_command, suggestion, usage
from reconciler.cli.stdio import guard_stdio, silence, wrap_for
from reconciler.core.errors import CxrouteError, InterruptedRunError, UsageError
from reconciler.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from reconciler.cli.options import CommonOptions
    from reconciler.cli.parsing import CommandModule


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run one command and return its exit code (exit-codes).

    An expected error prints no traceback.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with guard_stdio():
        try:
            code = _dispatch([*arguments])
            sys.stdout.flush()
            sys.stderr.flush()
        except KeyboardInterrupt:
            return interrupted(arguments)
        except OSError as error:
            silence(sys.stdout)
            return _failed(
                f"cannot use {error.filename}"
                if error.filename
                else "cannot write the output",
                error,
            )
        if getattr(sys.stdout, "lost_output", False):
            _print_error(
                "the result was not printed, because stdout is closed. Open it, or redirect it to "
                "a file"
            )
            return code or CxrouteError.exit_code
        return code


def _failed(problem: str, error: OSError) -> int:
    _print_error(f"{problem}: {error.strerror}")
    return CxrouteError.exit_code


def _print_error(message: str) -> None:
    with contextlib.suppress(OSError):  # the disk is full
        sys.stderr.write(f"error: {message}\n")


def interrupted(arguments: list[str]) -> int:
    """Print that a signal ended the program before a write, unless it has printed its result;
    return the exit code.
    """
    error = InterruptedRunError("interrupted")
    # A second signal must not end in a traceback.
    with contextlib.suppress(KeyboardInterrupt):
        if not getattr(sys.stdout, "used", False):
            _misused(error, arguments)
    return error.exit_code


def _dispatch(arguments: list[str]) -> int:
    try:
        position = find_command(arguments)
        if position is None:
            if "--version" in arguments:
                sys.stdout.write(f"cxroute {__version__}\n")
            elif not arguments or "-h" in arguments or "--help" in arguments:
                sys.stdout.write(wrap_for(usage(), sys.stdout))
            else:
                hint = suggestion(arguments[0], ("--help", "--version"))
                raise UsageError(
                    f"missing command{hint or ';'} `cxroute --help` lists all"
                )
            return 0
        name = arguments.pop(position)
        module = cast("CommandModule[CommonOptions]", command_module(name))
        from reconciler.cli.parsing import CommandParser  # noqa: PLC0415 - not for --help and --version

        options = CommandParser(name, module).parse_args(arguments)
    except CxrouteError as error:
        return _misused(error, arguments)
    except SystemExit:
        return 0  # argparse has printed the command's --help
    return _run(module, options)


def _misused(error: CxrouteError, arguments: list[str]) -> int:
    if "--format=json" in arguments or ("--format", "json") in pairwise(arguments):
        import json  # noqa: PLC0415 - after --help and --version

        from reconciler.cli.output import error_document  # noqa: PLC0415 - after --help and --version

        sys.stdout.write(json.dumps({"error": error_document(error)}, indent=2) + "\n")
    else:
        sys.stderr.write(wrap_for(f"error: {error}\n", sys.stderr))
    return error.exit_code


def _run(module: "CommandModule[CommonOptions]", options: "CommonOptions") -> int:
    from reconciler.cli.output import Output  # noqa: PLC0415 - after --help and --version
    from reconciler.core.text.redact import REDACTOR  # noqa: PLC0415 - after --help and --version

    # Ten thousand rules are a million objects without cycles: a collection every 700 costs a third
    # of the time.
    gc.set_threshold(100_000, 20, 50)
    # If click is installed, httpx imports its command line and rich with it: 40 ms for nothing.
    sys.modules.setdefault("httpx._main", cast("ModuleType", None))
    REDACTOR.add_from_environment()
    output = Output(
        colour=options.color,
        loudness=options.loudness,
        log_format=options.log_format,
        form=options.format or "",  # no default: it is the format of a file
        asks=not options.no_input,
    )
    try:
        return module.run(options, output)
    except CxrouteError as error:
        output.failed(error)
        return error.exit_code
    except OSError:
        raise
    except Exception as bug:  # noqa: BLE001 - a bug prints a sentence; -v adds the traceback
        return output.bug(bug).exit_code
