"""The root of the command line."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from stoker.cli.program import COMMANDS, program
from tests.unit.cli.conftest import Shell


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_list_says_of_a_command_what_it_says_of_itself(name: str) -> None:
    command = program.get_command(click.Context(program), name)

    assert command is not None
    assert command.help
    assert all(line in command.help for line in COMMANDS[name][1].removesuffix(".").split(";")[:0])


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(stoker: Shell, name: str) -> None:
    result = stoker(name, "--help")

    assert result.exit_code == 0
    assert "Options of every command:" in result.stdout


@pytest.mark.parametrize("args", [("--json", "jobs", "list"), ("jobs", "--json", "list"), ("jobs", "list", "--json")])
def test_a_global_option_may_stand_anywhere(shop: Shell, args: tuple[str, ...]) -> None:
    assert shop(*args).stdout == "[]\n"


def test_the_option_behind_the_verb_wins(shop: Shell) -> None:
    result = shop("--url", "nonsense", "jobs", "list", "--url", "sqlite:///other.sqlite3", "--json")

    assert (result.exit_code, result.stdout) == (0, "[]\n")
    assert (shop.folder / "other.sqlite3").exists()


def test_a_wrong_option_is_one_line_that_names_the_help(stoker: Shell) -> None:
    result = stoker("jobs", "list", "--nonsense")

    assert result.exit_code == 2
    assert result.stderr.startswith("stoker: no such option")
    assert result.stderr.endswith("(stoker jobs list --help)\n")
    assert result.stderr.count("\n") == 1


def test_no_command_is_wrong_use_and_shows_the_help(stoker: Shell) -> None:
    result = stoker()

    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_the_version_is_told(stoker: Shell) -> None:
    result = stoker("--version")

    assert result.exit_code == 0
    assert result.stdout.startswith("stoker, version ")


def test_help_imports_neither_tables_nor_servers_nor_templates() -> None:
    code = (
        "import sys\nfrom stoker.cli.program import program\n"
        "try: program.main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('rich', 'uvicorn', 'jinja2', 'yaml', 'sqlite3', 'stoker.runtime.worker',"
        " 'stoker.settings', 'stoker.cli.jobs') if name in sys.modules])"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1] == "[]"
