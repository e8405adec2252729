"""`stoker config`: the settings, and whether the application stands on them."""

from __future__ import annotations

import click

from stoker.cli.invocation import Family, current
from stoker.cli.output import number_of, print_json, print_table
from stoker.cli.stores import shown_url


@click.group(cls=Family)
def config() -> None:
    """Show and check the settings."""


@config.command("show")
def show() -> None:
    """Show every key, its value and where it comes from; secrets are masked."""
    settings = current().target_or_defaults().settings
    if current().as_json:
        print_json([{"key": key, "value": value, "origin": origin} for key, value, origin in settings.shown()])
        return
    click.echo(f"environment {settings.environment}, project {settings.root}\n")
    print_table(("key", "value", "origin"), settings.shown())


@config.command("check")
def check() -> None:
    """Read the settings, import every job and resolve its types; exits 2 with the first mistake."""
    from stoker.cli.discovery import broken_code

    app = current().target_or_defaults()
    with broken_code("a module named by imports"):
        app.check()
    environment, names = app.settings.environment, sorted(app.names)
    urls = {name: shown_url(app, name) for name in app.settings.store_urls()}
    if current().as_json:
        print_json({"environment": environment, "stores": urls, "jobs": names})
        return
    stores = ", ".join(f"{name} {url}" for name, url in urls.items())
    click.echo(f"environment {environment}: stores {stores}; {number_of(len(names))} defined")
