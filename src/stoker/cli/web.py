"""The user's ASGI application, served by uvicorn on an event loop that is not uvicorn's alone."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stoker.cli.discovery import attribute_of, import_module
from stoker.errors import ConfigurationError, MissingExtra, StokerError

if TYPE_CHECKING:
    import uvicorn

    from stoker.settings import WebSettings


class WebFailed(StokerError):
    """The web application did not start, or its port is taken."""


class WebServer:
    """Serves the application that ``web.app`` names until it is stopped.

    ``grace`` is how many seconds requests have to end after `stop`. ConfigurationError when ``web.app`` is not set or
    names nothing, MissingExtra when uvicorn is not installed.
    """

    def __init__(self, settings: WebSettings, grace: float) -> None:
        if settings.app is None:
            raise ConfigurationError("web.app names no ASGI application; write web: {app: MODULE:ATTR} in the settings")
        self._settings = settings
        self._socket: socket.socket | None = None
        self._server = _server(_asgi(settings.app), grace)

    def bind(self) -> str:
        """Take the port and give the address as a URL; WebFailed when it is taken."""
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=2048)
        except OSError as error:
            raise WebFailed(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        return f"http://{f'[{host}]' if ':' in host else host}:{self._socket.getsockname()[1]}"

    async def run(self) -> None:
        """Serve until `stop`; WebFailed when the application's start-up fails."""
        sockets = [] if self._socket is None else [self._socket]
        # uvicorn says with SystemExit that the application did not start; what went wrong is in its log.
        with contextlib.suppress(SystemExit):
            await self._server.serve(sockets=sockets)
        if not self._server.started:
            for one in sockets:
                one.close()
            raise WebFailed(f"the web application {self._settings.app} did not start")

    def stop(self) -> None:
        """Accept no more connections, and end when the running requests have; called on the event loop."""
        self._server.should_exit = True


def _asgi(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigurationError(f"web.app: {name!r} names no object; write {name}:app")
    return attribute_of(import_module(module, "web.app"), attribute, "web.app")


def _server(app: Any, grace: float) -> uvicorn.Server:
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("server", "stoker start") from error

    class Server(uvicorn.Server):
        """Leaves the signals to the process, which has more than a server to stop."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=math.ceil(grace)))
