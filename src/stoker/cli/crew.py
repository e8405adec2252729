"""How the processes of a worker are kept, as the command line says it."""

from __future__ import annotations

from typing import Final

import click
import msgspec

from stoker.runtime.probe import Address

LEAST: Final = 1_000_000
"""Bytes; elsewhere such a number is of kilobytes, and a process above its bound is replaced after each job."""


class Crew(msgspec.Struct, frozen=True):
    """How the processes of a worker are kept."""

    processes: int = 1
    max_jobs: int | None = None
    max_rss: int | None = None
    """Bytes."""
    reload: bool = False
    probe: Address | None = None

    @property
    def supervised(self) -> bool:
        """Whether a process is needed that starts others."""
        return self.processes > 1 or self.max_jobs is not None or self.max_rss is not None or self.reload


def read_address(text: str) -> Address:
    """Read ``PORT`` or ``HOST:PORT``; this machine alone is served unless a host is given."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise click.BadParameter(f"{text!r}: write PORT, or HOST:PORT, e.g. 9000 or 0.0.0.0:9000")
    return Address(host.strip("[]") or "127.0.0.1", int(port))


def read_bytes(text: str) -> int:
    """Read a size, e.g. 500MB."""
    from stoker.errors import ConfigurationError
    from stoker.settings.values import Bytes, converted

    try:
        size = int(str(converted(Bytes, text, "size")))
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from error
    if size < LEAST:
        raise click.BadParameter(f"{text!r} is {size} bytes, and any process is larger; write a unit, e.g. 500MB")
    return size
