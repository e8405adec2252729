"""What `stoker doctor` looks for in a RabbitMQ broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from stoker.core.finding import Finding
from stoker.drivers.rabbitmq_link import Link, Message, Properties
from stoker.errors import ConfigurationError
from stoker.stores.rabbitmq.session import Session

_OLDEST: Final = (3, 10)
"""The first whose quorum queues have a time to live, on which delays rest."""
_LONG_TIMEOUT: Final = "a job may run for 30 minutes before the broker gives it to another worker (consumer_timeout)"

_PATIENCE: Final = 2.0
"""So many seconds a broker has to confirm a message before it is asked whether it takes any."""


async def examine(session: Session) -> list[Finding]:
    """Look at the version, and verify each queue of the store."""
    link, _ = await session.connect("looking")
    await _publish(session)
    return [*_server(session, link), *await _queues(session, link), Finding("ok", "long jobs", _LONG_TIMEOUT)]


def _server(session: Session, link: Link) -> Iterator[Finding]:
    told = link.server
    product, version = _text(told.get("product")), _text(told.get("version"))
    if product.lower() != "rabbitmq":
        yield Finding(
            "warn", "server", f"{product} {version} is no RabbitMQ", "delays and quorum queues may be missing"
        )
    elif tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < _OLDEST:
        yield Finding("fail", "server", f"RabbitMQ {version} cannot delay jobs", "stoker needs 3.10 or later")
    else:
        yield Finding("ok", "server", f"RabbitMQ {version}")
    if session.blocked:
        yield Finding("fail", "alarm", f"the broker takes no messages: {session.blocked}", "give it memory or disk")


async def _publish(session: Session) -> None:
    """Send a message that no queue takes: of an alarm a broker tells only those that publish."""
    _, channel = await session.connect("publishing")
    nowhere = Message("", f"{session.topology.parked}:doctor", b"", Properties(message_id="doctor"))
    try:
        await asyncio.wait_for(channel.publish([nowhere]), _PATIENCE)
    except TimeoutError:
        return  # what the broker said meanwhile is in `blocked`


async def _queues(session: Session, link: Link) -> list[Finding]:
    session.topology.forget()  # so that each is verified
    lanes = await session.topology.lanes(link)
    findings: list[Finding] = []
    for lane in lanes:
        try:
            await session.topology.ensure_lanes(link, [lane])
        except ConfigurationError as error:
            findings.append(Finding("fail", "queue", str(error)))
    if not findings:
        findings.append(Finding("ok", "queues", f"{len(lanes)} as they should be: {session.topology.kind}"))
    if parked := await session.topology.parked_jobs(link):
        advice = f"look into the queue {session.topology.parked}"
        findings.append(Finding("warn", "parked", f"{parked} jobs were given up", advice))
    return findings


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
