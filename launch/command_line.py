"""The parser of `python3 -m launch`: a sub-command, its options, and one sentence for a mistake."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import List, Mapping, NoReturn, Sequence, Tuple

from launch import options
from launch.actions import Request
from launch.commands import Command, commands
from leapkit.core.errors import KitError


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, as every error of the kit."""

    def error(self, message: str) -> NoReturn:
        raise KitError(message, self.prog, f"run `{self.prog} --help`")


def _help_format(prog: str) -> argparse.HelpFormatter:
    """Return a format with names of up to 24 characters beside their help."""
    return argparse.HelpFormatter(prog, max_help_position=28, width=100)


def parser(table: Mapping[str, Command]) -> argparse.ArgumentParser:
    """Return the parser of all sub-commands."""
    top = _Parser(
        prog="python3 -m launch",
        description="Reproduces the 2nd place of LEAP (ClimSim). `make COMMAND` calls the same.",
        epilog="Each option has a variable of `make`: --runtime venv is RUNTIME=venv.",
        allow_abbrev=False,
        formatter_class=_help_format,
    )
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in table.items():
        passed = f"All other arguments go to {command.passes_to}." if command.passes_to else ""
        sub = subparsers.add_parser(
            name,
            help=command.help,
            description=command.help,
            epilog=passed,
            allow_abbrev=False,
            formatter_class=_help_format,
        )
        options.add_flags(sub, command.options)
    return top


def parse(argv: Sequence[str]) -> Tuple[Command, Request]:
    """Return the sub-command and what was typed after it.

    Arguments that are passed on may stand in a variable of `make` instead, quoted as for a shell,
    which never sees them. Raises KitError for an unknown command, option or value.
    """
    table = commands()
    top = parser(table)
    namespace, rest = top.parse_known_args(list(argv))
    command = table[namespace.command]
    if rest and not command.passes_to:
        own = f"{top.prog} {namespace.command}"
        raise KitError(f"unknown arguments: {' '.join(rest)}", own, f"run `{own} --help`")
    options.require_taken(namespace.command, command.options)
    if command.passes_to and not rest:
        rest = _words(options.PASSED_ON[namespace.command])
    values = {variable: getattr(namespace, variable) for variable in command.options}
    return command, Request(options.requested(values), rest)


def _words(variable: str) -> List[str]:
    """Return the arguments that a variable of the environment holds."""
    try:
        return shlex.split(os.environ.get(variable, ""))
    except ValueError as error:
        raise KitError(str(error).lower(), variable, "close the quotes") from error
