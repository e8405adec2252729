"""What becomes of a delivery: the message that carries the job on, or none when it is over."""

from __future__ import annotations

from typing import Any, Final

from stoker.core.job import AttemptFailure, State
from stoker.core.settlement import Settlement
from stoker.drivers.rabbitmq_link import Message
from stoker.stores.rabbitmq import wire
from stoker.stores.rabbitmq.deliveries import Delivery
from stoker.stores.rabbitmq.sending import onward, with_headers
from stoker.stores.rabbitmq.topology import Topology

_LONGEST_EXPIRATION: Final = 2**32 - 1


def after(topology: Topology, delivery: Delivery, ending: Settlement, now: int) -> Message | None:
    """Give the message that follows from an ending."""
    match ending.state:
        case State.COMPLETED | State.CANCELLED:
            return None
        case State.DISCARDED:
            return None if ending.keep == 0 else parked(topology, delivery, ending.error, ending.keep, now)
        case _:
            headers = _counted(delivery, ending, now)
            due = ending.due.resolve(now)
            if due > now:
                headers[wire.DUE] = due
            return _back(topology, delivery, headers, due - now)


def unharmed(delivery: Delivery) -> Message:
    """Give the message that brings a job back that nobody began."""
    return Message("", delivery.lane.key, delivery.body, with_headers(delivery.properties, _ours(delivery)))


def early(topology: Topology, delivery: Delivery, due: int, now: int) -> Message:
    """Give the message that waits for the rest of a delay."""
    return onward(
        topology, delivery.lane.key, delivery.body, with_headers(delivery.properties, _ours(delivery)), due - now
    )


def early_suspect(topology: Topology, delivery: Delivery, due: int, now: int) -> Message:
    """Do the same for a suspect, which comes back to the suspects."""
    return _back(topology, delivery, _ours(delivery), due - now)


def suspect(topology: Topology, delivery: Delivery, crashes: int) -> Message:
    """Give the message that waits among the suspects: it was with a worker that went silent."""
    headers = {**_ours(delivery), wire.CRASHES: crashes}
    return Message("", _among_suspects(topology, delivery), delivery.body, with_headers(delivery.properties, headers))


def parked(topology: Topology, delivery: Delivery, error: AttemptFailure | None, keep: int | None, now: int) -> Message:
    """Give the message that is kept for people to look at, with the reason; the broker drops it after ``keep`` µs."""
    headers = _ours(delivery)
    headers[wire.QUEUE] = delivery.lane.key
    headers[wire.CRASHES] = delivery.crashes
    if error is not None:
        headers[wire.ERROR] = wire.error_text(error, now)
        headers[wire.REASON] = f"{error.type}: {error.message}"[:1000]
    expiration = None if keep is None else str(min(max(keep // 1000, 1), _LONGEST_EXPIRATION))
    return Message("", topology.parked, delivery.body, with_headers(delivery.properties, headers, expiration))


def _counted(delivery: Delivery, ending: Settlement, now: int) -> dict[str, Any]:
    headers = _ours(delivery)
    headers.pop(wire.DUE, None)
    headers[wire.STARTS] = wire.number(headers, wire.STARTS) + 1
    if ending.counts == "failure":
        headers[wire.FAILURES] = wire.number(headers, wire.FAILURES) + 1
    elif ending.counts == "snooze":
        headers[wire.SNOOZES] = wire.number(headers, wire.SNOOZES) + 1
    if ending.error is not None:
        headers[wire.ERROR] = wire.error_text(ending.error, now)
    return headers


def _back(topology: Topology, delivery: Delivery, headers: dict[str, Any], wait: int) -> Message:
    key = delivery.lane.key
    if delivery.crashes:
        headers[wire.CRASHES] = delivery.crashes
        key = _among_suspects(topology, delivery)
    return onward(topology, key, delivery.body, with_headers(delivery.properties, headers), wait)


def _among_suspects(topology: Topology, delivery: Delivery) -> str:
    return topology.key(delivery.lane.lane._replace(suspects=True))


def _ours(delivery: Delivery) -> dict[str, Any]:
    headers = wire.ours(delivery.properties.headers)
    headers.pop("stoker-delay", None)
    return headers
