"""One call of the command line: the options that every command takes, and what they lead to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stoker.app.operations import Operations
    from stoker.app.stoker import Stoker


@dataclass
class Invocation:
    """What was said once and holds for the whole call."""

    app: str | None = None
    url: str | None = None
    environment: str | None = None
    as_json: bool = False
    yes: bool = False
    verbose: bool = False
    package: str | None = None
    """The top-level package of the application's code, once it is loaded."""
    name: str = ""
    """How the application was named."""
    _application: Stoker[Any] | None = None

    def application(self) -> Stoker[Any]:
        """Give the user's application, its settings not read yet; ConfigurationError when none is named."""
        from stoker.cli.discovery import NOWHERE
        from stoker.errors import ConfigurationError

        app = self._found()
        if app is None:
            raise ConfigurationError(NOWHERE)
        return app

    def loaded(self) -> Stoker[Any]:
        """Give the user's application with all modules that define jobs imported."""
        from stoker.cli.discovery import broken_code

        app = self.application()
        with broken_code("a module named by imports"):
            app.load()
        return app

    def target(self) -> Stoker[Any]:
        """Give what operators work on: the user's application, or the stores that ``--url`` or the settings name."""
        from stoker.cli.discovery import NOWHERE
        from stoker.errors import ConfigurationError

        app = self.target_or_defaults()
        if self.package is None and not {"queue.uri", "queue.kind"} & app.settings.origins.keys():
            raise ConfigurationError(f"{NOWHERE}; for the store alone, --url is enough")
        return app

    def target_or_defaults(self) -> Stoker[Any]:
        """Do the same, content with the default store where nothing names one."""
        from stoker.app.stoker import Stoker

        if (app := self._found()) is None:
            app = self._application = self._configured(Stoker(), Path.cwd())
        return app

    def loaded_or_target(self) -> Stoker[Any]:
        """Give the user's application with its jobs if one is named, else what `target` gives."""
        return self.target() if self._found() is None else self.loaded()

    def operations(self, store: str | None) -> Operations:
        """Give the operator's verbs on a store of the target."""
        app = self.target()
        if app.store(store or "default").url.startswith("memory:"):
            click.echo("stoker: memory:// lives in one process; this is not your application's", err=True)
        return app.operations(store or "default")

    def store_names(self) -> Sequence[str]:
        """Name the stores of the target."""
        settings = self.target().settings
        return tuple(settings.store_urls()) if settings.mode == "queue" else ("default",)

    def _found(self) -> Stoker[Any] | None:
        from stoker.cli.discovery import find_place, load

        if self._application is None:
            place = find_place(self.app, Path.cwd(), os.environ)
            if place is None:
                return None
            found = load(place)
            self.package, self.name = found.package, place.name
            self._application = self._configured(found.app, found.home)
        return self._application

    def _configured(self, app: Stoker[Any], home: Path) -> Stoker[Any]:
        arguments = {} if self.url is None else {"url": self.url}
        app.configure(environment=self.environment, arguments=arguments, home=home)
        click.get_current_context().find_root().call_on_close(app.close)
        return app


def current() -> Invocation:
    """Give the invocation of the running command."""
    return click.get_current_context().ensure_object(Invocation)


def _remember(context: click.Context, option: click.Parameter, value: object) -> None:
    invocation = context.ensure_object(Invocation)
    if value not in (None, False) and option.name:
        setattr(invocation, option.name, value)


def _everywhere(*names: str, says: str, metavar: str | None = None) -> click.Option:
    return click.Option(
        names, is_flag=metavar is None, metavar=metavar, help=says, expose_value=False, callback=_remember
    )


EVERYWHERE = (
    _everywhere("-A", "--app", metavar="MODULE[:ATTR]", says="The application; else STOKER_APP, else pyproject.toml."),
    _everywhere("--url", metavar="URL", says="The default store, whatever the settings say."),
    _everywhere("-e", "environment", "--environment", metavar="ENV", says="The environment whose settings hold."),
    _everywhere("--json", "as_json", says="Print JSON."),
    _everywhere("--yes", says="Do not ask."),
    _everywhere("-v", "verbose", "--verbose", says="Say more: tracebacks, log lines of level DEBUG."),
)


class Verb(click.Command):
    """A command; it takes the options of every command after its name as well as before."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Give its own options and those of every command."""
        return [*super().get_params(ctx), *EVERYWHERE]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write its own options first, those of every command apart."""
        write_options(self.get_params(ctx), ctx, formatter)


class Family(click.Group):
    """A group of commands."""

    command_class = Verb

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Give its own options and those of every command."""
        return [*super().get_params(ctx), *EVERYWHERE]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands first, then the options."""
        self.format_commands(ctx, formatter)
        write_options(self.get_params(ctx), ctx, formatter)


def write_options(params: Sequence[click.Parameter], context: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options of a command in two sections."""
    own = [param for param in params if isinstance(param, click.Option) and param not in EVERYWHERE]
    for title, some in (("Options", own), ("Options of every command", EVERYWHERE)):
        records = [record for param in some if (record := param.get_help_record(context)) is not None]
        if records:
            with formatter.section(title):
                formatter.write_dl(records)
