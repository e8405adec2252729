"""The command line: one file for each group of commands; each parses, calls the application, and prints."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command that the process was started with, and leave with its exit code."""
    from stoker.cli.program import program

    program.main()
    raise SystemExit(0)
