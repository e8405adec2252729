"""What an AMQP URL says: which broker, which queues, and how patient to be."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import pika

from stoker.core.duration import seconds
from stoker.errors import ConfigurationError

PORT: Final = 5672
TLS_PORT: Final = 5671
_LONGEST_NAME: Final = 255
_PREFIX: Final = re.compile(r"[^\s:\x00-\x1f\x7f]{1,60}")
_OPTIONS: Final = ("prefix", "timeout", "heartbeat", "ca_certs", "certfile", "keyfile", "verify")


class RabbitUrl(NamedTuple):
    """A parsed URL."""

    parameters: Any
    prefix: str
    timeout: float
    exchange: str | None = None
    """In Buffalo's form the exchange to publish to, empty for the broker's own; None in stoker's."""
    ranked: bool = False
    """Whether jobs have priorities."""


def parse(url: str, masked: str) -> RabbitUrl:
    """Read a URL; what is wrong or unknown raises ConfigurationError, which shows ``masked`` instead of the URL.

    ``amqp://[USER:PASSWORD@]HOST[:PORT][/VHOST]``, ``amqps://`` for TLS, ``buffalo+amqp://`` and ``buffalo+amqps://``
    for the form of Buffalo's adapter. Parameters: ``prefix``, ``timeout`` and ``heartbeat`` (durations), ``ca_certs``,
    ``certfile``, ``keyfile``, ``verify``; in Buffalo's form also ``exchange``, in stoker's ``priorities``.
    """
    parts = urlsplit(url)
    form, _, scheme = parts.scheme.rpartition("+")
    options = _options(parts.query, masked, (*_OPTIONS, "exchange" if form else "priorities"))
    exchange = options.pop("exchange", "") if form else None
    if exchange and len(exchange.encode()) > _LONGEST_NAME:
        raise ConfigurationError(f"{masked}: the name of an exchange has at most {_LONGEST_NAME} bytes")
    prefix = options.pop("prefix", "stoker")
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(f"{masked}: prefix is {prefix!r}; it may hold no colons, spaces or control characters")
    timeout = _duration(options.pop("timeout", "10s"), "timeout", masked)
    heartbeat = _duration(options.pop("heartbeat", "30s"), "heartbeat", masked)
    if parts.fragment:
        raise ConfigurationError(f"{masked}: write # in a password as %23")
    path = parts.path.removeprefix("/")
    if "/" in path:
        raise ConfigurationError(f"{masked}: write a / in the name of a virtual host as %2F")
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{masked}: the port must be a number up to 65535") from error
    if (priorities := options.pop("priorities", None)) not in (None, "classic"):
        raise ConfigurationError(f"{masked}: priorities is {priorities!r}; it must be 'classic', or left out")
    tls = scheme == "amqps"
    host = parts.hostname or "localhost"
    parameters = pika.ConnectionParameters(
        host=host,
        port=port or (TLS_PORT if tls else PORT),
        virtual_host=unquote(path) or "/",
        credentials=pika.PlainCredentials(unquote(parts.username or "guest"), unquote(parts.password or "guest")),
        heartbeat=max(1, round(heartbeat)),
        socket_timeout=timeout,
        stack_timeout=timeout,
        ssl_options=pika.SSLOptions(_tls(options, masked), host) if tls else None,
        client_properties={"product": "stoker", "connection_name": "stoker"},
    )
    return RabbitUrl(parameters, prefix, timeout, exchange, priorities is not None)


def _options(query: str, masked: str, known: Sequence[str]) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ConfigurationError(f"{masked}: unknown parameter {name!r}; {hint}")
    return options


def _duration(text: str, name: str, masked: str) -> float:
    try:
        value = seconds(text)
    except (ValueError, TypeError, ConfigurationError) as error:
        raise ConfigurationError(f"{masked}: {name} is {text!r}; write a duration such as 10s") from error
    if value <= 0:
        raise ConfigurationError(f"{masked}: {name} is {text!r}; it must be above 0")
    return value


def _tls(options: dict[str, str], masked: str) -> ssl.SSLContext:
    verify = options.get("verify", "full")
    if verify not in ("full", "none"):
        raise ConfigurationError(f"{masked}: verify is {verify!r}; it must be 'full' or 'none'")
    try:
        context = ssl.create_default_context(cafile=options.get("ca_certs"))
        if "certfile" in options:
            context.load_cert_chain(options["certfile"], options.get("keyfile"))
    except OSError as error:
        raise ConfigurationError(f"{masked}: a TLS file cannot be read: {error}") from error
    if verify == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
