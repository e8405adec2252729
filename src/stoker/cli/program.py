"""The root of the command line: the list of commands, each imported only when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from stoker.cli.exits import guarded
from stoker.cli.invocation import Family, Invocation

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "start": ("stoker.cli.start:start", "Start the web application, a worker, or both."),
    "worker": ("stoker.cli.start:worker", "Perform jobs; the same as start --worker."),
    "enqueue": ("stoker.cli.enqueue:enqueue", "Enqueue a job by its name."),
    "jobs": ("stoker.cli.jobs:jobs", "List, show, cancel, retry, replay, promote and delete jobs."),
    "queues": ("stoker.cli.queues:queues", "List, pause and resume queues; move their jobs."),
    "names": ("stoker.cli.names:names", "List, pause and resume job names."),
    "periodic": ("stoker.cli.periodic:periodic", "List, run, pause, resume, add and remove periodic entries."),
    "workers": ("stoker.cli.workers:workers", "List the live workers."),
    "status": ("stoker.cli.status:status", "Say how the stores stand."),
    "doctor": ("stoker.cli.doctor:doctor", "Look for what slows jobs down or loses them."),
    "migrate": ("stoker.cli.migrate:migrate", "Bring the stores' schemas up to date."),
    "config": ("stoker.cli.config:config", "Show and check the settings."),
    "convert": ("stoker.cli.convert:convert", "Rewrite the source of an application for Celery."),
    "bench": ("stoker.cli.bench:bench", "Measure what a store does on this machine."),
}
"""Where each command is, and what `stoker --help` says of it without importing it."""


class Program(Family):
    """The root group: imports commands late, and turns every error into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the list."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and leave the process with its exit code; not ``standalone_mode``, errors are raised."""
        prog_name = prog_name or "stoker"
        invocation = extra.setdefault("obj", Invocation())

        def run() -> object:
            return super(Program, self).main(args, prog_name, complete_var, standalone_mode=False, **extra)

        if not standalone_mode:
            return run()
        sys.exit(guarded(run, verbose=lambda: invocation.verbose, package=lambda: invocation.package))


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="stoker")
def program() -> None:
    """Background jobs: start workers, enqueue, look and operate."""
