"""`stoker migrate`: the stores' schemas."""

from __future__ import annotations

import click

from stoker.cli.exits import ExitCode
from stoker.cli.invocation import Family, current
from stoker.cli.output import print_json
from stoker.cli.stores import store_option


@click.group(cls=Family, invoke_without_command=True)
@click.option("--sql", is_flag=True, help="Print the migrations instead of applying them; the same as migrate sql.")
@click.pass_context
def migrate(context: click.Context, *, sql: bool) -> None:
    """Bring the stores' schemas up to date; without a command the same as up."""
    if context.invoked_subcommand is None:
        context.invoke(print_sql if sql else up, store=None)


@migrate.command("up")
@store_option
def up(store: str | None) -> None:
    """Apply what is missing; may be repeated, and run from many processes."""
    names = [store] if store else current().store_names()
    applied = {name: list(current().operations(name).migrate()) for name in names}
    if current().as_json:
        print_json([{"store": name, "applied": migrations} for name, migrations in applied.items()])
        return
    for name, migrations in applied.items():
        click.echo(f"{name}: applied {', '.join(migrations)}" if migrations else f"{name}: up to date")


@migrate.command("sql")
@store_option
def print_sql(store: str | None) -> None:
    """Print the migrations, for those who apply them by hand; needs no server."""
    operations = current().operations
    names = [store] if store else current().store_names()
    scripts = {name: operations(name).migration_script() for name in names}
    if current().as_json:
        print_json([{"store": name, "sql": script} for name, script in scripts.items()])
        return
    for script in scripts.values():
        click.echo(script)


@migrate.command("status")
@store_option
def status(store: str | None) -> int:
    """Say what is missing; exits 4 when something is."""
    names = [store] if store else current().store_names()
    missing = {name: list(current().operations(name).pending_migrations()) for name in names}
    if current().as_json:
        print_json([{"store": name, "pending": migrations} for name, migrations in missing.items()])
    else:
        for name, migrations in missing.items():
            click.echo(f"{name}: missing {', '.join(migrations)}" if migrations else f"{name}: up to date")
    return ExitCode.SCHEMA_OUTDATED if any(missing.values()) else ExitCode.CLEAN
