"""The page about the command line says all there is, and nothing that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from stoker.cli.exits import ExitCode
from stoker.cli.program import program

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")


def commands(group: click.Group, path: str = "stoker") -> Iterator[tuple[str, click.Command]]:
    """Give every command with its path: ``stoker jobs list``."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


ALL = dict(commands(program))


def options(command: click.Command) -> list[str]:
    params = command.get_params(click.Context(command))
    shown = [param for param in params if isinstance(param, click.Option) and not param.hidden]
    return [name for param in shown for name in param.opts]


@pytest.mark.parametrize("path", list(ALL))
def test_every_command_is_there(path: str) -> None:
    assert re.search(rf"`{re.escape(path)}[ `\[]", PAGE) or isinstance(ALL[path], click.Group)


@pytest.mark.parametrize("path", list(ALL))
def test_every_option_is_there(path: str) -> None:
    missing = [name for name in options(ALL[path]) if not re.search(rf"`{name}[ `\[,]", PAGE)]

    assert missing == []


def test_no_option_is_there_that_does_not_exist() -> None:
    existing = {name for command in ALL.values() for name in options(command)} | {"--version"}

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE)) <= existing


def test_every_exit_code_is_there() -> None:
    table = PAGE.partition("## Exit codes")[2].partition("\n## ")[0]

    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == list(ExitCode)
